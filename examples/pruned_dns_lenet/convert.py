"""The pruned LeNet-300-100 of Dynamic Network Surgery (Guo et al., NIPS 2016), its weights taken as they are.

    python examples/pruned_dns_lenet/convert.py --out pruned_dns.thimble
    thimble build pruned_dns.thimble --board nucleo_l4r5zi --out build/pruned_dns

The authors' 4,988 non-zero weights (of 266,610) are quantised after training and nothing is trained. Their
input is ``pixel / 256``. Data is found through THIMBLE_DATA, by default ``shared/data`` beside the
repository: ``pruned_dns_lenet/lenet300100_sparse.npz`` and MNIST, of which 2,000 training images calibrate.
"""

import argparse
import os
from pathlib import Path

import attrs
import numpy as np

from thimble.compress.rewrites.dead_channels import remove_dead_channels
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.io import save
from thimble.graph.ops import NO_CLAMP, RELU, FullyConnected, Reshape
from thimble.quantize.interpreter import run
from thimble.quantize.post_training import quantize

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get("THIMBLE_DATA", BESIDE))


def images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """MNIST as the authors fed it: float32 (N, 28, 28, 1) in 0 .. 255/256, and labels."""
    with np.load(FOLDER / "mnist" / name) as file:
        return file["x"][..., None].astype(np.float32) / 256, file["y"].astype(np.int64)


def pruned() -> Graph:
    """784-300-100-10 with the authors' masked weights."""
    layers = [Layer("flat", Reshape(), ("image",), "flat")]
    tensors = {"image": Tensor("image", (28, 28, 1)), "flat": Tensor("flat", (784,))}
    source = "flat"
    with np.load(FOLDER / "pruned_dns_lenet" / "lenet300100_sparse.npz") as file:
        for name in ("ip1", "ip2", "ip3"):
            params = {"weight": file[f"{name}_w"], "bias": file[f"{name}_b"]}
            op = FullyConnected(clamp=NO_CLAMP if name == "ip3" else RELU)
            layers.append(Layer(name, op, (source,), name, params))
            tensors[name] = Tensor(name, (len(params["bias"]),))
            source = name
    meta = {
        "parameters": sum(p.size for layer in layers for p in layer.params.values()),
        "input_layout": "NHWC",
        "source": "github.com/yiwenguo/Dynamic-Network-Surgery",
    }
    return Graph("pruned_dns", tensors, tuple(layers), ("image",), (source,), meta)


def integer_accuracy(graph: Graph) -> float:
    """Per cent of MNIST's test images that the integer reference gets right."""
    x, y = images("mnist_test.npz")
    quant = graph.tensors["image"].quant
    assert quant is not None
    q = np.clip(np.rint(x / quant.scale) + quant.zero_point, -128, 127).astype(np.int8)
    return 100.0 * float((run(graph, q)[0].argmax(axis=1) == y).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("pruned_dns.thimble"))
    parser.add_argument("--bits", type=int, default=6, help="of the weights, 2 to 8")
    options = parser.parse_args()
    graph = remove_dead_channels(pruned())
    calibration, _ = images("mnist_train.npz")
    graph = quantize(graph, calibration[:2000], bits=options.bits)
    accuracy = integer_accuracy(graph)
    save(attrs.evolve(graph, meta={**graph.meta, "accuracy": {"int8": accuracy}}), options.out)
    print(f"{options.out}: {graph.nonzero:,} weights of {options.bits} bits, int8 accuracy {accuracy:.2f} %")


if __name__ == "__main__":
    main()
