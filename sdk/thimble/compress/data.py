"""Data for training: what a recipe's loader returns, checked, as tensors.

A loader is a function without arguments that returns ``(train, validation, test)``, each a tuple ``(x, y)``:
``x`` batch first in the source model's own layout, float32, or uint8 for pixels, which stand for
``x / 255``; ``y`` integer class labels from 0. Training may hold augmented copies. Choices are made on
validation; test is looked at once, at the end.

Errors (DataError): TMB2001 the loader failed or returned something else; TMB2002 empty; TMB2003 NaN or
infinity; TMB2004 wrong shape; TMB2005 wrong labels; TMB2006 wrong dtype.
"""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from thimble.errors import DataError
from thimble.graph.graph import Graph
from thimble.recipe import Recipe

NAMES = ("train", "validation", "test")
_HINT = "x is an array of samples, the batch first, y one whole number per sample"


@attrs.frozen(eq=False)
class Split:
    """Samples and labels: x float32 or uint8 ``(N, *shape)`` in the Graph's layout, y int64 ``(N,)``."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def batch(self, index: Tensor | slice) -> Tensor:
        """Those samples as float32, pixels scaled to 0 .. 1."""
        x = self.x[index]
        return x.float().div_(255.0) if x.dtype == torch.uint8 else x


@attrs.frozen(eq=False)
class Dataset:
    """The three splits."""

    train: Split
    validation: Split
    test: Split


def load_data(recipe: Recipe, graph: Graph) -> Dataset:
    """Calls the recipe's loader and checks what it returns against the Graph; raises DataError."""
    return check_data(call_loader(recipe), graph, where=recipe.data.loader if recipe.data else "data")


def call_loader(recipe: Recipe) -> Any:
    """What the recipe's loader returns: three splits of two, with a first sample to import a model by.

    Raises:
        DataError: TMB2001 the loader failed or returned something else, TMB2002 no samples.
    """
    if recipe.data is None:
        raise DataError(
            "TMB2001",
            "the recipe has no [data] section",
            where=recipe.path.name,
            hint="add [data] with loader = 'data.py:function'",
        )
    loader = recipe.load_object(recipe.data.loader)
    try:
        splits = loader()
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            "TMB2001",
            f"the data loader failed: {type(error).__name__}: {error}",
            where=recipe.data.loader,
            hint="call the function by itself to see where it fails",
        ) from error
    return _three_pairs(splits, recipe.data.loader)


def _three_pairs(splits: Any, where: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Three times (x, y) as arrays, none empty, x with the batch first."""
    if not isinstance(splits, tuple | list) or len(splits) != 3:
        raise DataError(
            "TMB2001", "a loader must return (train, validation, test)", where=where, hint="each is (x, y)"
        )
    pairs = []
    for name, pair in zip(NAMES, splits, strict=True):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise DataError("TMB2001", "a split must be a tuple (x, y)", where=f"{where}: {name}", hint=_HINT)
        x, y = (_array(part, f"{where}: {name}") for part in pair)
        if x.size == 0 or y.size == 0:
            raise DataError("TMB2002", "there are no samples", where=f"{where}: {name}", hint=_HINT)
        if x.ndim < 2:
            raise DataError(
                "TMB2004",
                f"x has shape {x.shape}: its samples have none",
                where=f"{where}: {name}",
                hint=_HINT,
            )
        pairs.append((x, y))
    return pairs


def _array(part: Any, where: str) -> np.ndarray:
    try:
        array = part.detach().cpu().numpy() if isinstance(part, Tensor) else np.asarray(part)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError("TMB2006", f"not an array: {error}", where=where, hint=_HINT) from None
    if array.dtype.kind not in "fiub":
        raise DataError("TMB2006", f"not an array of numbers but of {array.dtype}", where=where, hint=_HINT)
    return array


def check_data(splits: Any, graph: Graph, *, where: str = "data") -> Dataset:
    """A Dataset from ``(train, validation, test)``; raises DataError where they do not fit the Graph."""
    train, validation, test = (
        _split(*pair, graph, f"{where}: {name}")
        for pair, name in zip(_three_pairs(splits, where), NAMES, strict=True)
    )
    return Dataset(train, validation, test)


def _split(x: np.ndarray, y: np.ndarray, graph: Graph, where: str) -> Split:
    if x.dtype not in (np.float32, np.float64, np.uint8):
        raise DataError(
            "TMB2006",
            f"x must be float32 or uint8, not {x.dtype}",
            where=where,
            hint="convert it with astype",
        )
    if x.dtype != np.uint8 and not np.isfinite(x).all():
        index = int(np.flatnonzero(~np.isfinite(x.reshape(len(x), -1)).all(axis=1))[0])
        raise DataError(
            "TMB2003",
            f"sample {index} holds NaN or infinity",
            where=where,
            hint="remove or repair such samples",
        )
    x = to_graph_layout(x, graph, where)
    classes = graph.tensors[graph.outputs[0]].size
    if y.shape != (len(x),):
        raise DataError(
            "TMB2005",
            f"{len(x)} samples need labels of shape ({len(x)},), not {y.shape}",
            where=where,
            hint=_HINT,
        )
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError("TMB2005", f"labels must be integers, not {y.dtype}", where=where, hint=_HINT)
    if y.min() < 0 or y.max() >= classes:
        raise DataError(
            "TMB2005",
            f"labels reach from {y.min()} to {y.max()}, but the model has {classes} outputs",
            where=where,
            hint="labels count from 0",
        )
    x = np.ascontiguousarray(x if x.dtype == np.uint8 else x.astype(np.float32))
    return Split(torch.from_numpy(x), torch.from_numpy(y.astype(np.int64)))


def to_graph_layout(x: np.ndarray, graph: Graph, where: str = "x") -> np.ndarray:
    """x, batch first in the source model's layout, as ``(N, *shape)`` in the Graph's NHWC.

    An axis of one channel may be left out. Raises DataError TMB2004 if the shape does not fit.
    """
    shape = graph.tensors[graph.inputs[0]].shape
    if len(shape) == 3 and graph.meta.get("input_layout") == "NCHW":
        height, width, channels = shape
        own: tuple[int, ...] = (channels, height, width)
    else:
        own = shape
    given = x.shape[1:]
    if given != own:
        squeezed = tuple(n for n in own if n != 1)
        if math.prod(given) != math.prod(own) or tuple(n for n in given if n != 1) != squeezed:
            raise DataError(
                "TMB2004",
                f"samples have shape {given}, the model takes {own}",
                where=where,
                hint="the model was imported for the shape of the first training sample",
            )
        x = x.reshape(len(x), *own)
    return x.transpose(0, 2, 3, 1) if own != shape else x
