"""The case table of the kernels without weights that move, join or look up: their constants and shapes."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.plan.descriptors import Plain
from thimble.quantize.lowering import (
    LoweredAdd,
    LoweredConstant,
    LoweredGather,
    LoweredLookup,
    LoweredMean,
    LoweredMul,
    LoweredPad,
    LoweredResize,
    Rescale,
    Spread,
)

Shape = tuple[int, ...]

HALF = (1 << 30, 0)
SPREADS = {  # a, b and how they meet
    "same shape": ((5, 7, 3), (5, 7, 3), Spread(1, 105, 0, 1, 0, 1)),
    "one element": ((1,), (1,), Spread(1, 1, 0, 1, 0, 1)),
    "channels": ((4, 6, 5), (5,), Spread(24, 5, 5, 1, 0, 1)),
    "channels first": ((5,), (4, 6, 5), Spread(24, 5, 0, 1, 5, 1)),
    "pixels": ((4, 6, 5), (4, 6, 1), Spread(24, 5, 5, 1, 1, 0)),
    "scalar": ((3, 3, 4), (1,), Spread(1, 36, 0, 1, 0, 0)),
    "outer": ((6, 1), (1, 7), Spread(6, 7, 1, 0, 0, 1)),
}


@attrs.frozen(eq=False)
class PlainCase:
    name: str
    low: Plain
    inputs: tuple[Shape, ...]
    output: Shape

    def __str__(self) -> str:
        return self.name


def _adds() -> list[PlainCase]:
    cases = []
    rescales = {
        "b smaller": (Rescale(*HALF, 3), Rescale(1_500_000_001, -2, -128), Rescale(1_300_000_003, -19, -5)),
        "a smaller": (Rescale(2_000_000_011, -1, 127), Rescale(*HALF, -7), Rescale(1 << 30, -18, 9)),
        "equal": (Rescale(*HALF, -1), Rescale(*HALF, 1), Rescale((1 << 31) - 1, -20, -128)),
        "coarse": (Rescale(1_234_567_890, -4, 0), Rescale(*HALF, 0), Rescale(1_100_000_000, -28, 100)),
        "neither half": (
            Rescale(1_234_567_890, 0, 5),
            Rescale((1 << 31) - 1, 0, -9),
            Rescale(1 << 30, -19, 0),
        ),
    }
    for what, (ra, rb, ro) in rescales.items():
        for subtract in (False, True):
            for shape, (a, b, spread) in SPREADS.items():
                if shape == "same shape" or what == "b smaller":
                    clamp = (-100, 90) if what == "a smaller" else (-128, 127)
                    low = LoweredAdd(spread, subtract, ra, rb, ro, *clamp)
                    name = f"{'sub' if subtract else 'add'}, {what}, {shape}"
                    cases.append(PlainCase(name, low, (a, b), np.broadcast_shapes(a, b)))
    return cases


def _muls() -> list[PlainCase]:
    factors = {"small": (1_500_000_007, -9, 3, -128, 127), "large": (1 << 30, 2, -128, -60, 100)}
    return [
        PlainCase(
            f"mul, {what}, {shape}",
            LoweredMul(spread, -3, 100, *numbers),
            (a, b),
            np.broadcast_shapes(a, b),
        )
        for what, numbers in factors.items()
        for shape, (a, b, spread) in SPREADS.items()
    ]


def _means() -> list[PlainCase]:
    return [
        PlainCase(f"mean {outer}x{count}x{inner}", low, ((outer, count, inner),), (outer, inner))
        for outer, count, inner, bias in ((1, 49, 8, -300), (3, 5, 1, 90), (4, 1, 6, 0), (1, 1, 1, 128))
        for low in [LoweredMean(outer, count, inner, bias, 1_600_000_001, -2 if count < 9 else -5, -4)]
    ]


def _gathers() -> list[PlainCase]:
    def case(name: str, x: Shape, shape: Shape, step: Shape, at: int = 0) -> PlainCase:
        return PlainCase(name, LoweredGather(shape, step, at), (x,), shape)

    return [
        case("transpose", (5, 7), (7, 5), (1, 7)),
        case("transpose of four axes", (2, 3, 4, 5), (5, 3, 2, 4), (1, 20, 60, 5)),
        case("slice of rows", (9, 8), (4, 8), (16, 1), 8),
        case("slice of every third", (20,), (6,), (3,), 2),
        case("repetition", (3, 2), (3, 4, 2), (2, 0, 1)),
        case("repetition of elements", (3,), (3, 5), (1, 0)),
        case("five axes", (2, 3, 2, 3, 2), (2, 2, 2, 3, 3), (1, 6, 36, 2, 12)),
        case("one element", (4,), (1,), (1,), 3),
    ]


def _resizes() -> list[PlainCase]:
    sizes = [((3, 4), (6, 8)), ((5, 3), (2, 7)), ((1, 1), (3, 2)), ((7, 7), (7, 7)), ((8, 9), (1, 1))]
    return [
        PlainCase(
            f"resize {h}x{w} to {out_h}x{out_w}" + (" from centres" if half else ""),
            LoweredResize(h, w, 3, out_h, out_w, h * half, w * half),
            ((h, w, 3),),
            (out_h, out_w, 3),
        )
        for (h, w), (out_h, out_w) in sizes
        for half in (0, 1)
    ]


def _pads() -> list[PlainCase]:
    def case(h: int, w: int, c: int, border: Shape, steps: tuple[int, int]) -> PlainCase:
        top, bottom, left, right = border
        out = ((h - 1) * steps[0] + 1 + top + bottom, (w - 1) * steps[1] + 1 + left + right, c)
        low = LoweredPad(h, w, c, top, bottom, left, right, -7, *steps)
        return PlainCase(f"pad {h}x{w}x{c} {border} {steps}", low, ((h, w, c),), out)

    return [
        case(3, 4, 2, (1, 2, 0, 3), (1, 1)),
        case(3, 4, 2, (0, 0, 0, 0), (2, 2)),
        case(4, 3, 5, (2, 1, 1, 0), (1, 3)),
        case(1, 1, 1, (1, 1, 1, 1), (4, 4)),
    ]


def _others() -> list[PlainCase]:
    rng = np.random.default_rng(5)
    table, value = (rng.integers(-128, 128, n).astype(np.int8) for n in (256, 37))
    return [
        PlainCase("lookup", LoweredLookup(61, table), ((61,),), (61,)),
        PlainCase("lookup of one", LoweredLookup(1, table), ((1,),), (1,)),
        PlainCase("constant", LoweredConstant(value), (), (37,)),
    ]


PLAIN = [*_adds(), *_muls(), *_means(), *_gathers(), *_resizes(), *_pads(), *_others()]
