"""`thimble verify --layers`: every layer beside the float model; and how classes are confused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from thimble.commands.evidence import kept_models
from thimble.commands.inputs import read_arrays
from thimble.commands.output import note, table
from thimble.quantize.compare import compare_layers, first_wrong
from thimble.quantize.inputs import dequantize_values, quantize_input, to_storage_layout

_SAMPLES = 100  # compared at most: every tensor of both networks is held at once
_SHOWN_CLASSES = 40


def compare(folder: Path, inputs: Path) -> dict[str, Any]:
    """``layers``, ``compared_samples`` and ``first_wrong`` (a layer's name or None) of a project.

    Raises:
        DataError: TMB2038, the project was built by another version; what ``read_arrays`` says.
    """
    original, quantized = kept_models(folder)
    arrays, _ = read_arrays(inputs, quantized)
    reals, integers = [], []
    for name, x in zip(quantized.inputs, arrays, strict=True):
        some = x[:_SAMPLES]
        integers.append(quantize_input(quantized, some, name))
        quant = quantized.tensors[name].quant
        assert quant is not None
        is_real = some.dtype.kind == "f"
        reals.append(
            to_storage_layout(quantized, some, name).astype(np.float32)
            if is_real
            else dequantize_values(integers[-1], quant)
        )
    errors = compare_layers(quantized, original, reals, integers)
    wrong = first_wrong(errors)
    return {
        "compared_samples": len(reals[0]),
        "layers": [attrs.asdict(error) for error in errors],
        "first_wrong": wrong.name if wrong else None,
    }


def show_layers(document: dict[str, Any]) -> None:
    """The comparison on stderr."""
    table(
        f"{document['compared_samples']} samples beside the float model; own: a layer alone, on float inputs",
        ["layer", "operator", "SQNR dB", "own dB", "error", "steps", "clipped %"],
        [
            [
                layer["name"],
                layer["op"],
                layer["sqnr"],
                layer["own_sqnr"],
                f"{layer['max_error']:.4g}",
                layer["max_steps"],
                100 * layer["clipped"],
            ]
            for layer in document["layers"]
        ],
    )
    wrong = document["first_wrong"]
    note(f"the first layer that goes wrong: {wrong}" if wrong else "no layer goes wrong by itself")


def confusion(answers: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """How often each label, a row, got each answer, a column."""
    size = int(max(answers.max(), labels.max())) + 1
    counts = np.bincount(labels.astype(np.int64) * size + answers, minlength=size * size)
    return counts.reshape(size, size).tolist()


def show_confusion(matrix: Sequence[Sequence[int]]) -> None:
    """The matrix on stderr, where it fits a screen and there is a sample for every class."""
    if len(matrix) <= min(_SHOWN_CLASSES, sum(map(sum, matrix))):
        names = [str(k) for k in range(len(matrix))]
        table("labels down, answers across", ["", *names], [[k, *row] for k, row in enumerate(matrix)])
