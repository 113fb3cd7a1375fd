"""Reads `--inputs`: an npz with ``x``, batch first in the source model's layout, and optionally ``y``.

For a model with several inputs the file has an array of each one's name, or ``x0``, ``x1`` and so on.
"""

from __future__ import annotations

import io
from pathlib import Path

import attrs
import numpy as np

from thimble.errors import DataError
from thimble.files import named, write_whole
from thimble.graph.graph import Graph
from thimble.quantize.batches import Batch, as_batches

_HINT = "numpy.savez(path, x=images, y=labels); x has the batch first, y is optional"


@attrs.frozen(eq=False)
class Samples:
    """int8 inputs ``(N, *NHWC shape)``, several in a list, and labels ``(N,)``, if there are any."""

    x: Batch
    y: np.ndarray | None

    def __len__(self) -> int:
        return len(as_batches(self.x)[0])

    def __getitem__(self, part: slice | np.ndarray) -> Samples:
        x = self.x[part] if isinstance(self.x, np.ndarray) else [x[part] for x in self.x]
        return Samples(x, None if self.y is None else self.y[part])


def read_arrays(path: Path, graph: Graph) -> tuple[list[np.ndarray], np.ndarray | None]:
    """An array for each input, and ``y``, as they stand in the file.

    Raises:
        DataError: TMB2032 unreadable, TMB2033 no samples for an input, or another number than for the first,
            TMB2034 labels that do not suit.
    """
    names = ["x"] if len(graph.inputs) == 1 else [f"x{k}" for k in range(len(graph.inputs))]
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            wanted = {"y", *names, *(graph.inputs if len(names) > 1 else ())}
            arrays = {name: file[name] for name in file.files if name in wanted}
    except Exception as error:  # damage makes numpy and zipfile raise whatever they stumble over
        raise DataError(
            "TMB2032",
            f"not a readable npz file: {str(error) or type(error).__name__:.200}",
            where=str(path),
            hint=_HINT,
        ) from None
    found = [name if name in arrays else own for name, own in zip(names, graph.inputs, strict=True)]
    for name, tensor in zip(found, names, strict=True):
        if name not in arrays or arrays[name].ndim < 1 or len(arrays[name]) == 0:
            hint = _HINT if len(names) == 1 else f"one array for each of {', '.join(graph.inputs)}"
            raise DataError(
                "TMB2033", f"there is no array {tensor}, or it is empty", where=str(path), hint=hint
            )
    batches, y = [arrays[name] for name in found], arrays.get("y")
    count = len(batches[0])
    if any(len(x) != count for x in batches):
        raise DataError(
            "TMB2033",
            f"{', '.join(found)} have {', '.join(str(len(x)) for x in batches)} samples",
            where=str(path),
            hint="every sample needs all inputs",
        )
    if y is not None and (y.ndim != 1 or len(y) != count or not np.issubdtype(y.dtype, np.integer)):
        raise DataError(
            "TMB2034",
            f"labels y are {y.dtype} {list(y.shape)}; {found[0]} has {count} samples",
            where=str(path),
            hint="y is one whole number per sample",
        )
    return batches, y


def read_samples(path: Path, graph: Graph, limit: int | None = None) -> Samples:
    """The file's samples as the model takes them: floats are quantised, the model's own integers taken raw.

    Raises:
        DataError: TMB2032 to TMB2034, or what ``quantize_input`` finds.
    """
    from thimble.quantize.inputs import quantize_input

    arrays, y = read_arrays(path, graph)
    batches = [quantize_input(graph, x[:limit], name) for name, x in zip(graph.inputs, arrays, strict=True)]
    return Samples(batches[0] if len(batches) == 1 else batches, None if y is None else y[:limit])


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Writes an npz, complete or not at all."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())
