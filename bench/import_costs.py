"""Seconds and memory that models take to be read: each in a process of its own.

python -m bench.import_costs [--only NAME ...]

Imports the shared models, ResNet-20 of its checkpoint and MobileNetV2 as ``.pt2``, and prints wall seconds,
processor seconds and peak memory of each process, modules and all; of a quantised network with what is dead
in it left out. Then a made network of 25 million weights, with the layers of ResNet-50, as an int8
``.tflite`` and as a float ``.onnx``: imported, and in a second process every layer encoded in all codecs
that the planner tries. Exits with 1 where a process fails, or where an import takes more than 10 s of wall
time or more than 1 GB of memory, modules included; encoding has no limit.
Needs the ``dev`` and ``torch`` extras.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.tflite_data import DATA, INT8_MODELS

ROOT = Path(__file__).resolve().parents[1]
CHECKPOINT = DATA / "resnet_cifar_pytorch" / "resnet20-12fca82f.th"
_STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))  # channels inside a block, blocks
_SIDE = 64  # of the made network's input
_SECONDS, _MEGABYTES = 10.0, 1000.0  # at most, of one import
_CHILD = """
import resource, sys, time
start = time.perf_counter()
from bench import import_costs
print(import_costs.{call}({argument!r}))
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
print(time.perf_counter() - start, time.process_time(), memory)
"""


def read(path: str) -> str:
    """Imports a file as every command does; what it holds."""
    from thimble.compress.rewrites.exact import optimize
    from thimble.frontend.load import load_file

    graph = load_file(Path(path))
    parameters = graph.parameters
    graph = optimize(graph) if graph.is_quantized else graph
    return f"{parameters:,} parameters, {len(graph.layers)} layers"


def encode(path: str) -> str:
    """Imports a file and encodes all of its layers; a float one gets scales from one random sample."""
    from thimble.compress.rewrites.exact import optimize
    from thimble.frontend.load import load_file
    from thimble.plan.make import all_ways
    from thimble.quantize.post_training import quantize

    start = time.perf_counter()
    graph = load_file(Path(path))
    read_seconds = time.perf_counter() - start
    parameters = graph.parameters
    if not graph.is_quantized:
        shape = graph.tensors[graph.inputs[0]].shape
        graph = quantize(graph, [np.random.default_rng(0).uniform(0, 1, (1, *shape)).astype(np.float32)])
    graph = optimize(graph)
    small = time.perf_counter() - start
    sizes = all_ways(graph, "cortex-m4")[1]
    best = sum(min(found.values()) for found in sizes.values())
    return (
        f"{parameters:,} parameters, read in {read_seconds:.1f} s, optimised after {small:.1f} s, "
        f"{best:,} bytes in the smallest codecs"
    )


def made_resnet20(path: Path) -> None:
    """The shared checkpoint in a module, exported."""
    import torch
    from families import ResNet

    from thimble.frontend.load import load_weights

    module = ResNet(3, 16, 10).eval()
    load_weights(module, CHECKPOINT)
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 32, 32),)), str(path))


def made_mobilenet(path: Path) -> None:
    """MobileNetV2 of M. Sandler et al. (CVPR 2018), 1.0 at 224 x 224, with random weights."""
    import torch
    from families import InvertedResidual, conv_bn
    from torch import nn

    plan = [(16, 1, 1, 1), (24, 2, 2, 6), (32, 3, 2, 6), (64, 4, 2, 6), (96, 3, 1, 6), (160, 3, 2, 6)]
    layers, channels = [conv_bn(3, 32, stride=2)], 32
    for out, count, stride, expand in [*plan, (320, 1, 1, 6)]:
        for k in range(count):
            layers.append(InvertedResidual(channels, out, 1 if k else stride, expand))
            channels = out
    head = (conv_bn(320, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000))
    module = nn.Sequential(*layers, *head).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(1, 3, 224, 224),)), str(path))


def made_tflite(path: Path) -> None:
    """ResNet-50's layers, int8, with Laplacian weights."""
    from tflite_writer import Writer

    rng = np.random.default_rng(0)
    w = Writer()

    def conv(x: int, side: int, into: int, out: int, kernel: int, stride: int = 1, relu: bool = True) -> int:
        weights = np.clip(np.rint(rng.laplace(0, 14, (out, kernel, kernel, into))), -127, 127)
        weight = w.constant(weights.astype(np.int8), [0.002] * out, axis=0)
        bias = w.constant(rng.integers(-500, 500, out).astype(np.int32), [0.0001] * out, axis=0)
        y = w.tensor((1, side // stride, side // stride, out), "int8", 0.05)
        shape = {"padding": "SAME", "stride_h": stride, "stride_w": stride}
        w.op("CONV_2D", [x, weight, bias], y, **shape, activation="RELU" if relu else "NONE")
        return y

    first = w.tensor((1, _SIDE, _SIDE, 3), "int8", 0.05)
    x, side, channels = conv(first, _SIDE, 3, 64, 7, 4), _SIDE // 4, 64
    for stage, (inside, blocks) in enumerate(_STAGES):
        for k in range(blocks):
            stride = 2 if stage and not k else 1
            y = conv(x, side, channels, inside, 1)
            y = conv(y, side, inside, inside, 3, stride)
            y = conv(y, side // stride, inside, 4 * inside, 1, relu=False)
            if not k:
                x = conv(x, side, channels, 4 * inside, 1, stride, relu=False)
            side, channels = side // stride, 4 * inside
            total = w.tensor((1, side, side, channels), "int8", 0.05)
            w.op("ADD", [x, y], total, activation="RELU")
            x = total
    pooled = w.tensor((1, channels), "int8", 0.05)
    w.op("MEAN", [x, w.constant([1, 2])], pooled, keep_dims=False)
    weights = np.clip(np.rint(rng.laplace(0, 14, (1000, channels))), -127, 127).astype(np.int8)
    result = w.tensor((1, 1000), "int8", 0.1)
    w.op("FULLY_CONNECTED", [pooled, w.constant(weights, 0.002), w.constant([0] * 1000, 0.0001)], result)
    path.write_bytes(w.finish([first], [result]))


def made_onnx(path: Path) -> None:
    """The same layers in float."""
    from onnx_writer import Net

    net = Net((1, 3, _SIDE, _SIDE))
    x, channels = net("Relu", net.conv(net.x, 64, 3, 7, 7, strides=[4, 4], pads=[3, 3, 3, 3])), 64
    for stage, (inside, blocks) in enumerate(_STAGES):
        for k in range(blocks):
            strides = [2, 2] if stage and not k else [1, 1]
            y = net("Relu", net.conv(x, inside, channels, 1, 1))
            y = net("Relu", net.conv(y, inside, inside, 3, 3, strides=strides, pads=[1, 1, 1, 1]))
            y = net.conv(y, 4 * inside, inside, 1, 1)
            if not k:
                x = net.conv(x, 4 * inside, channels, 1, 1, strides=strides)
            x, channels = net("Relu", net("Add", x, y)), 4 * inside
    flat = net("Flatten", net("GlobalAveragePool", x))
    result = net("Gemm", flat, net.normal(channels, 1000), net.normal(1000))
    path.write_bytes(net.model(result).SerializeToString())


def measure(call: str, argument: str) -> tuple[str, list[float]]:
    """What a call says, its wall and processor seconds, modules included, and its peak memory in MB."""
    code = _CHILD.format(call=call, argument=argument)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1], [float("nan")] * 3
    *_, said, numbers = done.stdout.strip().splitlines()
    return said, [float(number) for number in numbers.split()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="*", default=[], help="names, all by default")
    only = parser.parse_args().only
    sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "frontend")]  # where models are written
    files = {f"{model.name}.tflite": model.path for model in INT8_MODELS}
    files["MNIST CNN.onnx"] = DATA / "onnx_mnist_cnn" / "mnist.onnx"
    files["DroNet.onnx"] = DATA / "pulp_dronet" / "dronet_v2_original_himax.onnx"
    held = True
    print("| model | seconds | processor | peak MB | |\n| --- | --- | --- | --- | --- |", flush=True)
    for name, path in files.items():
        if (not only or name in only) and path.is_file():
            held &= _holds(name, measure("read", str(path)))
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, tuple[Callable[[Path], None], bool]] = {
            "MobileNetV2.pt2": (made_mobilenet, False),
            "25M.tflite": (made_tflite, True),
            "25M.onnx": (made_onnx, True),
        }
        if CHECKPOINT.is_file():
            made = {"ResNet-20.pt2": (made_resnet20, False), **made}
        for name, (make, encoded) in made.items():
            if not only or name in only:
                path = Path(folder) / name
                make(path)
                held &= _holds(name, measure("read", str(path)))
                if encoded:
                    held &= _holds(f"{name}, encoded", measure("encode", str(path)), math.inf, math.inf)
    sys.exit(not held)


def _holds(
    name: str,
    result: tuple[str, list[float]],
    most_seconds: float = _SECONDS,
    most_memory: float = _MEGABYTES,
) -> bool:
    """Prints a row; False where the process failed, whose numbers are NaN, or took too much."""
    said, (seconds, processor, memory) = result
    print(f"| {name} | {seconds:.1f} | {processor:.1f} | {memory:,.0f} | {said} |", flush=True)
    return seconds <= most_seconds and memory <= most_memory


if __name__ == "__main__":
    main()
