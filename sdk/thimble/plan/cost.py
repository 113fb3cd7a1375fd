"""Estimated instructions of a layer, the basis on which the planner compares codecs, forms and kernels.

A kernel and the decoder that it calls each count what they do (``Work``) at measured rates, fitted by
``python -m bench.cost``. Only comparisons rest on them: the exact count comes from emulation.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import attrs
import numpy as np

from thimble.quantize.lowering import LoweredConv2D, LoweredFullyConnected

_TABLE = Path(__file__).with_name("instruction_rates.json")

Weighted = LoweredFullyConnected | LoweredConv2D


@attrs.frozen
class Work:
    """What instructions of one inference are counted by.

    Attributes:
        rows, weights, nonzero: of the matrix.
        values: different ones in it.
        outputs: elements written.
        alone: those of them that a kernel finishes one by one though it has a way for several.
        products: weights x positions, rounded up to what a kernel takes at a time; where it takes a window
            at once, of these.
        taps: non-zeros x positions, rounded up likewise.
        windows: copied or widened, of each once for every block of rows.
        widened: elements of these, rounded up likewise.
        ragged: those of them that are widened singly, behind the last four.
        lines: runs of neighbouring bytes that windows or planes are copied in.
        words, singles: bytes of these that may move as words, and those that cannot.
        layer: 1.
    """

    rows: float = 0
    weights: float = 0
    nonzero: float = 0
    values: float = 0
    outputs: float = 0
    alone: float = 0
    products: float = 0
    taps: float = 0
    windows: float = 0
    widened: float = 0
    ragged: float = 0
    lines: float = 0
    words: float = 0
    singles: float = 0
    layer: float = 1

    def vector(self) -> np.ndarray:
        """float64 ``[15]``, in the order of ``FIELDS``."""
        return np.array(attrs.astuple(self), float)


FIELDS = tuple(field.name for field in attrs.fields(Work))


def work(low: Weighted, function: str, block: int = 0) -> Work:
    """What one kernel does to run a layer, ``block`` rows of it at a time where it takes blocks."""
    rows, cols = low.weights.shape
    nonzero = int(np.count_nonzero(low.weights))
    values = int(np.count_nonzero(np.bincount(low.weights.ravel().view(np.uint8))))
    common = Work(rows=rows, weights=rows * cols, nonzero=nonzero, values=values)
    if isinstance(low, LoweredFullyConnected):
        return attrs.evolve(common, outputs=rows, widened=cols)
    common = attrs.evolve(common, outputs=rows * low.out_h * low.out_w)
    dsp = "_dsp" in function
    if "depthwise" in function:
        return _depthwise(low, common, dsp)
    return _listed(low, common, dsp) if "_list" in function else _windowed(low, common, function, block)


def instructions(low: Weighted, function: str, source: str | None, core: str, block: int = 0) -> int:
    """Estimated instructions of one inference of a layer by one kernel with one decoder.

    A kernel or decoder that was not measured counts as the core's dearest, so that it is chosen only where it
    must be; on a core that was not measured all count nothing.
    """
    rates = _rates().get(core, {})
    x = work(low, function, block).vector()
    dearest = max((float(x @ rate) for rate in rates.values()), default=0.0)
    names = [name for name in (function, source) if name is not None]
    return round(sum(float(x @ rates[name]) if name in rates else dearest for name in names))


@cache
def _rates() -> dict[str, dict[str, np.ndarray]]:
    """Instructions per unit of each field, by kernel or decoder, by core."""
    table = json.loads(_TABLE.read_text())
    return {
        core: {name: np.array([known.get(f, 0.0) for f in FIELDS]) for name, known in units.items()}
        for core, units in table.items()
    }


def _depthwise(low: LoweredConv2D, common: Work, dsp: bool) -> Work:
    """A plane is copied for each channel; its bytes move singly."""
    lines = min(low.reach[0], low.in_h) * low.in_c
    positions = low.out_h * low.out_w
    return attrs.evolve(
        common,
        alone=common.outputs if dsp and low.stride_w > 1 else 0,
        products=low.out_c * low.out_h * _up(low.out_w, 2) if dsp else common.weights * _up(positions, 4),
        windows=low.out_c * low.out_h,
        lines=lines,
        singles=lines * min(low.reach[1], low.in_w),
    )


def _listed(low: LoweredConv2D, common: Work, dsp: bool) -> Work:
    """The input is copied once: as planes if ``dsp``, else if it is padded."""
    positions = _up(low.out_h * low.out_w, 4)
    copied = low.in_h * low.in_w * low.in_c if dsp or low.padded else 0
    if dsp:
        pitch = -(-low.reach[1] // low.stride_w)
        positions = min(low.out_h * _up(low.out_w, 8), _up((low.out_h - 1) * pitch + low.out_w, 8))
    return attrs.evolve(common, taps=common.nonzero * positions, singles=copied)


def _windowed(low: LoweredConv2D, common: Work, function: str, block: int) -> Work:
    """Windows are copied where they do not lie as they are wanted, for every block of rows again."""
    dsp, resident = "_dsp" in function, "_resident" in function
    cols, positions, rows = low.weights.shape[1], low.out_h * low.out_w, low.out_c // low.groups
    block = min(block or rows, rows)
    blocks = [block] * (rows // block) + ([rows % block] if rows % block else [])
    paired = sum(_up(n, 2) for n in blocks) if dsp else rows
    wide = cols
    if dsp:  # columns that are left over take thrice as long
        wide = cols + 2 * (cols % 4) if resident else _up(cols, 8)
    together = _up(positions, 2 if dsp else 4)
    times = low.groups * len(blocks)
    odd = low.groups * ((positions % 2) * rows + (paired - rows) * positions) if dsp else 0
    gathered, lines, words, singles = _gathered(low, dsp)
    return attrs.evolve(
        common,
        alone=odd,
        products=low.groups * paired * together * wide,
        windows=times * positions,
        widened=times * positions * _up(cols, 8),
        ragged=times * gathered * (_up(cols, 8) - cols + cols % 4),
        lines=times * lines,
        words=times * words,
        singles=times * singles,
    )


def _gathered(low: LoweredConv2D, dsp: bool) -> tuple[float, float, float, float]:
    """Windows of a group that are not widened from where they lie, with their lines, bytes that move as words
    and bytes that move singly."""
    if low.pointwise:
        return (low.out_h * low.out_w if low.in_c % 4 else 0), 0, 0, 0
    down = _taps_inside(low.out_h, low.stride_h, low.pad_top, low.kernel_h, low.dilation_h, low.in_h)
    right = _taps_inside(low.out_w, low.stride_w, low.pad_left, low.kernel_w, low.dilation_w, low.in_w)
    channels = low.in_c // low.groups
    together = low.groups == 1 and low.dilation_w == 1
    run = channels * (low.kernel_w if together else 1)
    windows, inside = len(down) * len(right), float(down.sum() * right.sum())
    taps = low.kernel_h * low.kernel_w
    if dsp and together and run % 4 == 0:  # those that lie inside are widened from where they lie
        whole = int((down == low.kernel_h).sum() * (right == low.kernel_w).sum())
        windows, inside = windows - whole, inside - whole * taps
    lines = windows * low.kernel_h * (1 if together else low.kernel_w)
    words = inside * channels * (run - run % 4) / run
    return windows, lines, words, windows * taps * channels - words


def _taps_inside(outputs: int, stride: int, pad: int, kernel: int, dilation: int, size: int) -> np.ndarray:
    """How many of a window's taps lie inside the input, by output; along one axis."""
    at = np.arange(outputs)[:, None] * stride - pad + np.arange(kernel) * dilation
    return ((at >= 0) & (at < size)).sum(axis=1)


def _up(n: int, step: int) -> int:
    return -(-n // step) * step
