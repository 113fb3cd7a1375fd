"""The shared .tflite models: imported bit for bit, and float ones quantised here.

python -m bench.tflite_models [--samples 500]

First table: int8 models against TFLite's reference kernels, element by element, as imported and after the
exact optimisation that every command applies. Real inputs where there are data (kws, vww: their test sets;
ic: CIFAR-10 training images), else random ones over the whole range. Second table: float models, quantised
on 100 of their inputs (every fifth), and the accuracy of float and int8 on all of them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from bench.tflite_data import FLOAT_MODELS, INT8_MODELS, Model, run_samples
from thimble.compress.rewrites.exact import optimize
from thimble.frontend.tflite.load import load_tflite
from thimble.graph.graph import Graph
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run
from thimble.quantize.post_training import quantize

CALIBRATION = 100


def int8_inputs(model: Model, graph: Graph, count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """int8 ``(count, *shape)`` for the graph's input, with labels where there are any."""
    shape = graph.tensors[graph.inputs[0]].shape
    if model.inputs is None:
        return np.random.default_rng(1).integers(-128, 128, (count, *shape)).astype(np.int8), None
    x, y = model.inputs(count)
    return quantize_input(graph, x), y


def compare(model: Model, count: int) -> dict[str, float]:
    """Elements that differ from TFLite's, as imported and optimised, and accuracy in per cent."""
    start = time.perf_counter()
    graph = load_tflite(model.path)
    seconds = time.perf_counter() - start
    x, y = int8_inputs(model, graph, count)
    wanted = run_samples(model.path.read_bytes(), [x[:, None]])[0].reshape(len(x), -1)
    plain, exact = (run(g, x)[0].reshape(len(x), -1) for g in (graph, optimize(graph)))
    found = {
        "samples": len(x),
        "elements": wanted.size,
        "mismatches": int((plain != wanted).sum()),
        "mismatches_optimized": int((exact != wanted).sum()),
        "seconds": seconds,
    }
    return found if y is None else {**found, "accuracy": 100 * float((exact.argmax(axis=1) == y).mean())}


def quantized_here(model: Model, count: int) -> dict[str, float]:
    """Accuracy in per cent of TFLite's float model and of its quantisation on ``CALIBRATION`` inputs."""
    assert model.inputs is not None
    x, y = model.inputs(count)
    real = run_samples(model.path.read_bytes(), [x[:, None]])[0].reshape(len(x), -1)
    some = x[:: max(1, len(x) // CALIBRATION)][:CALIBRATION]
    graph = quantize(load_tflite(model.path), some, scales="per-channel")
    mine = run(graph, quantize_input(graph, x))[0].reshape(len(x), -1)
    return {
        "samples": len(x),
        "float": 100 * float((real.argmax(axis=1) == y).mean()),
        "int8": 100 * float((mine.argmax(axis=1) == y).mean()),
        "agree": 100 * float((mine.argmax(axis=1) == real.argmax(axis=1)).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, default=500)
    count = parser.parse_args().samples
    print("| int8 model | samples | elements | mismatches | optimised | accuracy | import |")
    print("|---|---|---|---|---|---|---|")
    for model in INT8_MODELS:
        if not model.there:
            print(f"| {model.name} | {model.path} is not there |")
            continue
        r = compare(model, count)
        accuracy = f"{r['accuracy']:.1f} %" if "accuracy" in r else "random inputs"
        print(
            f"| {model.name} | {r['samples']} | {r['elements']} | {r['mismatches']} | "
            f"{r['mismatches_optimized']} | {accuracy} | {1000 * r['seconds']:.0f} ms |"
        )
    print("\n| float model | samples | float | int8 | loss | same class |\n|---|---|---|---|---|---|")
    for model in FLOAT_MODELS:
        if not model.there:
            print(f"| {model.name} | {model.path} is not there |")
            continue
        r = quantized_here(model, count)
        print(
            f"| {model.name} | {r['samples']} | {r['float']:.1f} % | {r['int8']:.1f} % | "
            f"{r['float'] - r['int8']:.1f} | {r['agree']:.1f} % |"
        )


if __name__ == "__main__":
    main()
