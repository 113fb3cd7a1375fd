"""Functions of one element become one table."""

from __future__ import annotations

import numpy as np
import pytest
from exact_nets import Net, assert_same_bits

from thimble.compress.rewrites.exact import optimize
from thimble.compress.rewrites.exact.tables import compose_tables
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import NO_CLAMP, RELU, Activation, Add, Concat, Constant, Lookup, Mul, Sub, Unary

RNG = np.random.default_rng(0)


def net() -> tuple[Net, str]:
    b = Net((4, 4, 3))
    return b, b.conv2d("x", 3, (1, 1), clamp=NO_CLAMP, levels=60)


def constant(b: Net, value: np.ndarray) -> str:
    b.tensors["c"] = Tensor("c", value.shape, Quant(0.0625, 3))
    b.layers.append(Layer("c", Constant(), (), "c", {"value": value.astype(np.int8)}))
    return "c"


def names(graph: Graph) -> list[str]:
    return [type(layer.op).__name__ for layer in graph.layers]


def silu(b: Net, x: str) -> str:
    return b.op(Mul(), x, b.op(Unary("logistic"), x, quant=Quant(1 / 256, -128)))


FUNCTIONS = {
    "x * logistic(x)": silu,
    "square": lambda b, x: b.op(Mul(), x, x),
    "tanh(abs(x))": lambda b, x: b.op(Unary("tanh"), b.op(Unary("abs"), x)),
    "clamp(tanh(x))": lambda b, x: b.op(Activation((-0.5, 0.3)), b.op(Unary("tanh"), x)),
    "tanh(x) - logistic(x)": lambda b, x: b.op(Sub(), b.op(Unary("tanh"), x), b.op(Unary("logistic"), x)),
    "x + c": lambda b, x: b.op(Add(RELU), x, constant(b, np.full((1, 1, 3), 44))),
    "c - x": lambda b, x: b.op(Sub(), constant(b, np.full(3, 44)), x),
    "logistic(silu(x))": lambda b, x: b.op(Unary("logistic"), silu(b, x)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_one_element_is_one_table(name):
    b, x = net()
    y = FUNCTIONS[name](b, x)
    graph = b.graph(y)
    small = optimize(graph)
    assert names(small) == ["Conv2D", "Lookup"]
    assert_same_bits(graph, small, RNG, 32)


OTHERS = {
    "one function": lambda b, x: b.op(Unary("tanh"), x),
    "functions of two tensors": lambda b, x: b.op(Mul(), x, b.conv2d("x", 3, (1, 1))),
    "a constant by channel": lambda b, x: b.op(Mul(), x, constant(b, np.array([1, 2, 3]))),
    "a repeated operand": lambda b, x: b.op(Mul(), b.pool(x, kernel=(4, 4)), x),
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_stays(name):
    b, x = net()
    graph = b.graph(OTHERS[name](b, x))
    assert compose_tables(graph) is graph


def test_what_others_read_stays():
    b, x = net()
    y = b.op(Unary("tanh"), x)
    graph = b.graph(b.concat(b.op(Unary("abs"), y), y))
    assert names(compose_tables(graph))[:3] == ["Conv2D", "Unary", "Lookup"]  # the concatenation reads y
    assert_same_bits(graph, optimize(graph), RNG, 32)


def test_a_function_writes_the_quantisation_of_the_concatenation_behind_it():
    b, x = net()
    y = b.op(Concat(), b.op(Unary("tanh"), x), x, quant=b.tensors[x].quant)
    graph = b.graph(y)
    small = optimize(graph)
    assert names(small) == ["Conv2D", "Lookup", "Concat"]
    assert len({small.tensors[name].quant for name in (y, *small.layers[-1].inputs)}) == 1
    assert isinstance(small.layers[1].op, Lookup)
    assert_same_bits(graph, small, RNG, 32)
