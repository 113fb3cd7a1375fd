"""Random one-layer quantised graphs, and Hypothesis strategies for their parts."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import Op
from thimble.graph.shapes import output_shape
from thimble.quantize.lowering import requantization_factors


def f32(x: float) -> float:
    return float(np.float32(x))


scales = st.floats(0.002, 2.0).map(f32)
quants = st.builds(Quant, scale=scales, zero_point=st.integers(-128, 127))
seeds = st.integers(0, 2**32 - 1)


def weights(rng: np.random.Generator, shape: tuple[int, ...], per_channel: bool) -> dict[str, np.ndarray]:
    count = shape[0] if per_channel else 1
    return {
        "weight": rng.integers(-127, 128, shape).astype(np.int8),
        "bias": rng.integers(-20000, 20000, shape[0]).astype(np.int32),
        "scale": rng.uniform(0.001, 0.02, count).astype(np.float32),
    }


def graph_of(
    op: Op,
    shapes: list[tuple[int, ...]],
    input_quants: list[Quant],
    output_quant: Quant,
    params: dict[str, np.ndarray] | None = None,
    declared: tuple[int, ...] = (),
) -> Graph:
    """A graph of one layer; multiplier and shift are worked out from the scales."""
    params = dict(params or {})
    if params:
        params["multiplier"], params["shift"] = requantization_factors(
            input_quants[0].scale, params["scale"], output_quant.scale
        )
    inputs = [Tensor(f"x{i}", s, q) for i, (s, q) in enumerate(zip(shapes, input_quants, strict=True))]
    weight = params["weight"].shape if params else None
    output = Tensor("y", output_shape(op, shapes, weight, declared), output_quant)
    names = tuple(x.name for x in inputs)
    return Graph(
        "single",
        {t.name: t for t in (*inputs, output)},
        (Layer("layer", op, names, "y", params),),
        names,
        ("y",),
    )


def random_inputs(graph: Graph, rng: np.random.Generator, batch: int) -> list[np.ndarray]:
    return [
        rng.integers(-128, 128, (batch, *graph.tensors[name].shape)).astype(np.int8) for name in graph.inputs
    ]
