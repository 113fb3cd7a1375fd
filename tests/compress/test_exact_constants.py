"""What does not depend on the input is computed beforehand, and what nothing reads goes."""

from __future__ import annotations

import attrs
import numpy as np
from exact_nets import Net, assert_same_bits

from thimble.compress.rewrites.exact import optimize
from thimble.compress.rewrites.exact.constants import drop_unread, fold_constants, shrink_constants
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import NO_CLAMP, RELU, Constant, Pad, ResizeNearest, Softmax, Unary
from thimble.graph.validate import validate

RNG = np.random.default_rng(0)


def constant(b: Net, value: np.ndarray, quant: Quant) -> str:
    name = f"constant{len(b.layers)}"
    b.tensors[name] = Tensor(name, value.shape, quant)
    b.layers.append(Layer(name, Constant(), (), name, {"value": value.astype(np.int8)}))
    return name


def names(graph: Graph) -> list[str]:
    return [type(layer.op).__name__ for layer in graph.layers]


def test_layers_that_read_constants_only_are_computed_beforehand():
    b = Net((4, 4, 3))
    c = constant(b, RNG.integers(-128, 128, (4, 4, 2)), Quant(0.03125, 5))
    c = b.op(Unary("tanh"), b.conv2d(c, 3, padding=(1, 1, 1, 1), clamp=NO_CLAMP, levels=60))
    x = b.add(b.conv2d("x", 3, (1, 1), clamp=NO_CLAMP, levels=60), c)
    graph = b.graph(b.fully_connected(x, 3, clamp=NO_CLAMP))
    small = validate(fold_constants(graph))
    assert names(small) == ["Constant"] * 3 + ["Conv2D", "Add", "FullyConnected"]
    assert_same_bits(graph, small, RNG)
    dropped = drop_unread(small)
    assert names(dropped) == ["Constant", "Conv2D", "Add", "FullyConnected"]
    assert set(dropped.tensors) == {"x", *(layer.output for layer in dropped.layers)}
    assert_same_bits(graph, dropped, RNG)


def test_a_constant_that_a_convolution_reads_goes_into_the_sums():
    b = Net((4, 4, 3))
    c = constant(b, np.broadcast_to(RNG.integers(-128, 128, 2), (4, 4, 2)), b.tensors["x"].quant)
    x = b.concat("x", c)
    b.tensors[x] = attrs.evolve(b.tensors[x], quant=b.tensors["x"].quant)
    graph = b.graph(b.conv2d(x, 4, clamp=NO_CLAMP, levels=60))
    small = optimize(graph)
    assert names(small) == ["Conv2D"]
    assert small.layers[0].weight.shape == (4, 3, 3, 3)
    assert_same_bits(graph, small, RNG)


def test_a_branch_that_is_constant_in_every_channel_is_a_small_constant():
    b = Net((4, 4, 3))
    dead = b.conv2d("x", 5, padding=(1, 1, 1, 1), clamp=RELU)
    b.change(bias=np.array([-(10**6)] * 3 + [10**6, -(10**6)], np.int32))
    x = b.add(b.conv2d("x", 5, (1, 1), clamp=NO_CLAMP, levels=60), dead)
    graph = b.graph(b.fully_connected(x, 3, clamp=NO_CLAMP))
    small = optimize(graph)
    assert names(small) == ["Constant", "Conv2D", "Add", "FullyConnected"]
    assert small.tensors[dead].shape == (1, 1, 5)
    assert_same_bits(graph, small, RNG)


def test_a_constant_that_differs_by_position_keeps_its_shape():
    b = Net((4, 4, 3))
    x = b.conv2d("x", 3, (1, 1), clamp=NO_CLAMP, levels=60)
    c = constant(b, RNG.integers(-128, 128, (4, 4, 3)), Quant(0.03125, 5))
    d = constant(b, np.full((4, 4, 3), 7), Quant(0.03125, 5))
    graph = b.graph(b.add(b.add(x, c), d))
    small = validate(shrink_constants(graph))
    assert small.tensors[c].shape == (4, 4, 3)
    assert small.tensors[d].shape == (1, 1, 3)
    assert_same_bits(graph, small, RNG)


def test_a_constant_output_stays_an_output():
    b = Net((4, 4, 3))
    dead = b.conv2d("x", 5, clamp=RELU)
    b.change(bias=np.full(5, -(10**6), np.int32))
    graph = attrs.evolve(b.graph(b.conv2d("x", 2, clamp=NO_CLAMP)), outputs=("conv1_out", dead))
    small = optimize(graph)
    assert names(small) == ["Constant", "Conv2D"]
    assert_same_bits(graph, small, RNG)


def test_a_network_that_says_the_same_to_everything_is_one_constant():
    b = Net((4, 4, 3))
    x = b.conv2d("x", 5, clamp=RELU)
    b.change(bias=np.full(5, -(10**6), np.int32))
    y = b.op(Softmax(), b.fully_connected(x, 4, clamp=NO_CLAMP), quant=Quant(1 / 256, -128))
    graph = b.graph(y)
    small = optimize(graph)
    assert names(small) == ["Constant"]
    assert_same_bits(graph, small, RNG)


def test_what_reaches_no_output_goes_but_inputs_and_states_stay():
    b = Net((6,))
    quant = b.tensors["x"].quant
    b.tensors["h"] = Tensor("h", (6,), quant)
    b.tensors["unused"] = Tensor("unused", (2,), quant)
    after = b.add("x", "h")
    b.requantize(after, quant.scale, quant.zero_point)
    b.fully_connected("x", 3)
    y = b.fully_connected("x", 2, clamp=NO_CLAMP)
    graph = attrs.evolve(b.graph(y), inputs=("x", "unused"), states=(("h", after),))
    small = optimize(graph)
    assert names(small) == ["Add", "FullyConnected"]
    assert set(small.tensors) == {"x", "h", "unused", after, y}
    assert small.states == graph.states
    assert_same_bits(graph, small, RNG)


def test_padding_of_a_constant_is_folded_with_its_border():
    b = Net((4, 4, 3))
    c = b.op(Pad((1, 0, 0, 1)), constant(b, np.full((3, 3, 3), 9), Quant(0.03125, 5)))
    graph = b.graph(b.add(b.conv2d("x", 3, (1, 1), clamp=NO_CLAMP, levels=60), c))
    small = optimize(graph)
    value = next(layer.params["value"] for layer in small.layers if isinstance(layer.op, Constant))
    assert value.shape == (4, 4, 3)
    assert (value[0] == 5).all()
    assert_same_bits(graph, small, RNG)


def test_a_constant_that_folding_would_blow_up_is_computed_on_the_device():
    b = Net((96, 96, 3))
    c = b.op(ResizeNearest((96, 96)), constant(b, RNG.integers(-128, 128, (2, 2, 3)), Quant(0.03125, 5)))
    graph = b.graph(b.add("x", c))
    assert fold_constants(graph) is graph
