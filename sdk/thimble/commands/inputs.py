"""Reads `--inputs`: an npz with ``x``, batch first in the source model's layout, and optionally ``y``."""

from __future__ import annotations

import io
from pathlib import Path

import attrs
import numpy as np

from thimble.errors import DataError
from thimble.files import named, write_whole
from thimble.graph.graph import Graph

_HINT = "numpy.savez(path, x=images, y=labels); x has the batch first, y is optional"


@attrs.frozen(eq=False)
class Samples:
    """int8 inputs ``(N, *NHWC shape)`` and labels ``(N,)``, if there are any."""

    x: np.ndarray
    y: np.ndarray | None

    def __len__(self) -> int:
        return len(self.x)


def read_arrays(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """``x`` and ``y`` as they stand in the file.

    Raises:
        DataError: TMB2032 unreadable, TMB2033 no ``x`` or no samples, TMB2034 labels that do not suit.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name in ("x", "y")}
    except Exception as error:  # damage makes numpy and zipfile raise whatever they stumble over
        raise DataError(
            "TMB2032",
            f"not a readable npz file: {str(error) or type(error).__name__:.200}",
            where=str(path),
            hint=_HINT,
        ) from None
    if "x" not in arrays or arrays["x"].ndim < 1 or len(arrays["x"]) == 0:
        raise DataError("TMB2033", "there is no array x, or it is empty", where=str(path), hint=_HINT)
    x, y = arrays["x"], arrays.get("y")
    if y is not None and (y.ndim != 1 or len(y) != len(x) or not np.issubdtype(y.dtype, np.integer)):
        raise DataError(
            "TMB2034",
            f"labels y are {y.dtype} {list(y.shape)}; x has {len(x)} samples",
            where=str(path),
            hint="y is one whole number per sample",
        )
    return x, y


def read_samples(path: Path, graph: Graph, limit: int | None = None) -> Samples:
    """The file's samples as the model takes them: floats are quantised, the model's own integers taken raw.

    Raises:
        DataError: TMB2032 to TMB2034, or what ``quantize_input`` finds.
    """
    from thimble.quantize.inputs import quantize_input

    x, y = read_arrays(path)
    if limit is not None:
        x, y = x[:limit], None if y is None else y[:limit]
    return Samples(quantize_input(graph, x), y)


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Writes an npz, complete or not at all."""
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())
