"""The model file that a command names, as a quantised Graph."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import numpy as np

from thimble.commands.inputs import read_arrays
from thimble.compress.imported import float_twin
from thimble.compress.rewrites.exact import optimize
from thimble.compress.rewrites.fold_batch_norm import fold_batch_norm
from thimble.errors import DataError, ModelError
from thimble.frontend.load import load_file
from thimble.graph import io
from thimble.graph.graph import Graph
from thimble.quantize.inputs import kind_hint, to_storage_layout
from thimble.quantize.post_training import quantize


@attrs.frozen(eq=False)
class Loaded:
    """A model file on its way to firmware.

    Attributes:
        original: float, batch normalisation folded: the file's own, or what the integers of a quantised file
            stand for; None where tables of integers stand for nothing real.
        quantized: the same layers in integers.
        graph: those with nothing dead left in: what firmware is made of.
    """

    original: Graph | None
    quantized: Graph
    graph: Graph


def load_model(
    path: str | os.PathLike[str], calibration: str | os.PathLike[str] | None = None, *, states: int = 0
) -> Graph:
    """The quantised graph of a model file, with nothing dead left in; as ``load``."""
    return load(path, calibration, states=states).graph


def load(
    path: str | os.PathLike[str], calibration: str | os.PathLike[str] | None = None, *, states: int = 0
) -> Loaded:
    """A model file, told apart by its suffix, quantised if it is not yet.

    A quantised ``.thimble`` is taken as it lies there: another one of its structure has to become an image
    for the code that was generated from it, whatever channels are dead in either.

    Args:
        path: ``.thimble``, ``.tflite``, ``.onnx`` or ``.pt2``; a float model is quantised to int8 here.
        calibration: an npz with samples ``x`` in the source model's layout; a float model needs them.
        states: how many of a ``.pt2``'s last inputs its last outputs renew for the next run.

    Raises:
        ModelError: what ``graph.io.load`` and the front ends say; the suffix is unknown
            (TMB1114), or a float model comes without samples (TMB1115).
        DataError: the samples do not suit.
    """
    path = Path(path)
    if path.suffix.lower() == ".thimble":
        graph = io.load(path)
        if graph.is_quantized:
            return Loaded(float_twin(graph), graph, graph)
    else:
        graph = load_file(path, states=states)
    if graph.is_quantized:
        return Loaded(float_twin(graph), graph, optimize(graph))
    if calibration is None:
        raise ModelError(
            "TMB1115",
            "the model is not quantised yet, and there are no samples to calibrate it",
            where=str(path),
            hint="pass --inputs x.npz with a few hundred samples x",
        )
    quantized = quantize(graph, _samples(Path(calibration), graph), scales="per-channel")
    return Loaded(fold_batch_norm(graph), quantized, optimize(quantized))


def _samples(path: Path, graph: Graph) -> list[np.ndarray]:
    arrays, _ = read_arrays(path, graph)
    for x in arrays:
        if x.dtype.kind != "f":
            raise DataError(
                "TMB2006",
                f"samples are {x.dtype}; calibration needs the floats that the model was trained on",
                where=str(path),
                hint=kind_hint(x.dtype),
            )
    stored = (to_storage_layout(graph, x, name) for name, x in zip(graph.inputs, arrays, strict=True))
    return [x.astype(np.float32) for x in stored]
