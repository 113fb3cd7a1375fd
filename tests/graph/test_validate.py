"""Validation refuses whatever is inconsistent and names the layer."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
import pytest
from networks import float_network, random_quantization

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Quant, Tensor
from thimble.graph.ops import Conv2D
from thimble.graph.validate import validate

FLOAT = float_network(np.random.default_rng(7))
QUANTIZED = random_quantization(FLOAT, np.random.default_rng(7))
FIRST = "layer0"


def with_layer(graph: Graph, **changes: object) -> Graph:
    return attrs.evolve(graph, layers=(attrs.evolve(graph.layers[0], **changes), *graph.layers[1:]))


def with_params(graph: Graph, **changes: np.ndarray | None) -> Graph:
    params = {k: v for k, v in {**graph.layers[0].params, **changes}.items() if v is not None}
    return with_layer(graph, params=params)


def with_tensor(graph: Graph, tensor: Tensor) -> Graph:
    return attrs.evolve(graph, tensors={**graph.tensors, tensor.name: tensor})


WEIGHT, BIAS = FLOAT.layers[0].weight, FLOAT.layers[0].params["bias"]
CONV = FLOAT.layers[0].op
assert isinstance(CONV, Conv2D)

BROKEN: dict[str, tuple[Callable[[], Graph], str]] = {
    "NaN weight": (lambda: with_params(FLOAT, weight=WEIGHT * np.float32("nan")), FIRST),
    "infinite bias": (lambda: with_params(FLOAT, bias=BIAS + np.float32("inf")), FIRST),
    "no bias": (lambda: with_params(FLOAT, bias=None), FIRST),
    "float64 weight": (lambda: with_params(FLOAT, weight=WEIGHT.astype(np.float64)), FIRST),
    "short bias": (lambda: with_params(FLOAT, bias=BIAS[:-1]), FIRST),
    "other kernel": (lambda: with_params(FLOAT, weight=WEIGHT[:, :1]), FIRST),
    "stride 0": (lambda: with_layer(FLOAT, op=attrs.evolve(CONV, stride=(0, 1))), FIRST),
    "negative padding": (lambda: with_layer(FLOAT, op=attrs.evolve(CONV, padding=(-1, 0, 0, 0))), FIRST),
    "groups": (lambda: with_layer(FLOAT, op=attrs.evolve(CONV, groups=3)), FIRST),
    "clamp upside down": (lambda: with_layer(FLOAT, op=attrs.evolve(CONV, clamp=(1.0, 0.0))), FIRST),
    "unknown input": (lambda: with_layer(FLOAT, inputs=("nowhere",)), FIRST),
    "two inputs": (lambda: with_layer(FLOAT, inputs=("x", "x")), FIRST),
    "writes the input": (lambda: with_layer(FLOAT, output="x"), FIRST),
    "twice the same name": (lambda: with_layer(FLOAT, name="layer1"), "layer1"),
    "out of order": (lambda: attrs.evolve(FLOAT, layers=FLOAT.layers[::-1]), "layer"),
    "wrong shape": (lambda: with_tensor(FLOAT, Tensor("layer0.out", (1, 2, 3))), FIRST),
    "orphan": (lambda: with_tensor(FLOAT, Tensor("orphan", (1,))), ""),
    "half quantised": (lambda: with_tensor(QUANTIZED, Tensor("x", QUANTIZED.tensors["x"].shape)), ""),
    "scale 0": (
        lambda: with_tensor(QUANTIZED, attrs.evolve(QUANTIZED.tensors["x"], quant=Quant(0.0, 0))),
        "x",
    ),
    "bool zero point": (
        lambda: with_tensor(QUANTIZED, attrs.evolve(QUANTIZED.tensors["x"], quant=Quant(1.0, True))),
        "x",
    ),
    "shift 31": (lambda: with_params(QUANTIZED, shift=QUANTIZED.layers[0].params["shift"] * 0 + 31), FIRST),
    "no outputs": (lambda: attrs.evolve(FLOAT, outputs=()), ""),
    "meta object": (lambda: attrs.evolve(FLOAT, meta={"a": object()}), ""),
    "meta NaN": (lambda: attrs.evolve(FLOAT, meta={"a": float("nan")}), ""),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_inconsistency_is_named(name: str) -> None:
    broken, place = BROKEN[name]
    with pytest.raises(ModelError, match="TMB1007") as info:
        validate(broken())
    assert place in info.value.where
    assert info.value.hint


def test_whole_graphs_pass() -> None:
    assert validate(FLOAT) is FLOAT
    assert validate(QUANTIZED) is QUANTIZED
