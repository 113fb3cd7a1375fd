"""The shared ONNX models, imported and quantised here: the MNIST CNN and PULP-DroNet.

python -m bench.onnx_models [--samples 10000]

Prints how far the imported graph is off from onnxruntime, as a share of the largest output; of the MNIST
CNN, calibrated on 200 training images, the accuracy of float and int8 on test images; of PULP-DroNet,
calibrated on its calibration frames, the error of its outputs on its camera frames (it comes without labels).
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from pathlib import Path

import numpy as np

from thimble.compress.rewrites.exact import optimize
from thimble.frontend.onnx import load_onnx
from thimble.graph.graph import Graph
from thimble.quantize.float_interpreter import run_float
from thimble.quantize.inputs import dequantize_values, quantize_values, to_storage_layout
from thimble.quantize.interpreter import run
from thimble.quantize.post_training import quantize

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
DATA = Path(os.environ.get("THIMBLE_DATA", BESIDE))
MNIST_CNN = DATA / "onnx_mnist_cnn" / "mnist.onnx"
DRONET = DATA / "pulp_dronet" / "dronet_v2_original_himax.onnx"


def mnist(part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images ``(count, 1, 28, 28)`` with pixels 0 .. 255 as float32, and labels; part is train or test."""
    with np.load(DATA / "mnist" / f"mnist_{part}.npz") as data:
        return data["x"][:count].reshape(-1, 1, 28, 28).astype(np.float32), data["y"][:count]


def frames() -> np.ndarray:
    """PULP-DroNet's nine camera frames ``(9, 1, 200, 200)``, pixels 0 .. 255 as float32."""
    return np.stack([_pgm(path) for path in sorted((DATA / "pulp_dronet" / "frames").glob("*.pgm"))])


def calibration_frames() -> np.ndarray:
    """Its 49 calibration frames, as ``frames``; they are JPEG files, which takes Pillow."""
    from PIL import Image

    paths = sorted((DATA / "pulp_dronet" / "frames_calibration").glob("*.jpg"))
    return np.stack([np.asarray(Image.open(path).convert("L"), np.float32)[None] for path in paths])


def _pgm(path: Path) -> np.ndarray:
    content = path.read_bytes()
    words: list[bytes] = []
    at = 0
    while len(words) < 4:  # magic, width, height, largest value; comments between them
        end = content.index(b"\n", at)
        words += content[at:end].partition(b"#")[0].split()
        at = end + 1
    width, height = int(words[1]), int(words[2])
    return np.frombuffer(content, np.uint8, width * height, at).reshape(1, height, width).astype(np.float32)


def reference(path: Path, x: np.ndarray) -> np.ndarray:
    """onnxruntime's outputs side by side, ``(N, outputs)``, one sample at a time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    name = session.get_inputs()[0].name
    rows = (session.run(None, {name: sample[None]}) for sample in x)
    return np.stack([np.concatenate([part.reshape(-1) for part in row]) for row in rows])


def imported(path: Path) -> tuple[Graph, float]:
    """The float graph, and the seconds that its import took."""
    start = time.perf_counter()
    graph = load_onnx(path)
    return graph, time.perf_counter() - start


def float_outputs(graph: Graph, x: np.ndarray) -> np.ndarray:
    values = run_float(graph, to_storage_layout(graph, x, graph.inputs[0]))
    return np.concatenate([values[name].reshape(len(x), -1) for name in graph.outputs], axis=1)


def int8_outputs(graph: Graph, calibration: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What the graph computes once ``thimble build`` has quantised and optimised it, as real values."""
    name = graph.inputs[0]
    small = optimize(quantize(graph, to_storage_layout(graph, calibration, name), scales="per-channel"))
    quants = {key: tensor.quant for key, tensor in small.tensors.items()}
    results = run(small, quantize_values(to_storage_layout(graph, x, name), quants[name]))
    parts = zip(small.outputs, results, strict=True)
    return np.concatenate([dequantize_values(q, quants[key]).reshape(len(x), -1) for key, q in parts], axis=1)


def relative(result: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference as a share of the largest value."""
    return float(np.abs(result - wanted).max() / np.abs(wanted).max())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=10_000, help="MNIST test images")
    count = parser.parse_args().samples
    x, labels = mnist("test", count)
    graph, seconds = imported(MNIST_CNN)
    wanted = reference(MNIST_CNN, x)
    result = int8_outputs(graph, mnist("train", 200)[0], x)
    print(f"MNIST CNN: {graph.parameters} parameters, imported in {seconds:.2f} s")
    print(f"  float, off from onnxruntime by {relative(float_outputs(graph, x[:100]), wanted[:100]):.1e}")
    accuracy = [100 * float((y.argmax(axis=1) == labels).mean()) for y in (wanted, result)]
    print(f"  accuracy on {len(x)} images: float {accuracy[0]:.2f} %, int8 {accuracy[1]:.2f} %")
    x = frames()
    graph, seconds = imported(DRONET)
    wanted = reference(DRONET, x)
    result = int8_outputs(graph, calibration_frames(), x)
    print(f"PULP-DroNet: {graph.parameters} parameters, imported in {seconds:.2f} s")
    print(f"  float, off from onnxruntime by {relative(float_outputs(graph, x), wanted):.1e}")
    for k, name in enumerate(("steering", "collision")):
        error = np.abs(result[:, k] - wanted[:, k])
        spread = f"{wanted[:, k].min():.3f} .. {wanted[:, k].max():.3f}"
        print(f"  {name} {spread}: int8 off by {error.mean():.4f} on average, {error.max():.4f} at most")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")


if __name__ == "__main__":
    main()
