"""TrainableGraph on graphs of every operator, with several inputs and outputs, and on shared weights."""

import attrs
import numpy as np
import pytest
import torch
from compress_nets import fc, make

from quantized_networks import NETWORKS, modern
from thimble.compress.imported import dequantize
from thimble.compress.trainable import TrainableGraph
from thimble.errors import ModelError
from thimble.graph.graph import Layer
from thimble.graph.ops import UNARY, Add, Constant, FullyConnected, ResizeNearest, Softmax, Sub, Unary
from thimble.quantize.float_interpreter import run_float


def outputs(graph, x):
    with torch.no_grad():
        result = TrainableGraph(graph).eval()(*map(torch.from_numpy, x))
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("network", [*NETWORKS.values(), modern], ids=lambda network: network.__name__)
def test_networks_of_every_operator_equal_the_float_interpreter(network):
    quantized = network()
    # states are inputs here: what is compared is one step
    inputs = (*quantized.inputs, *(before for before, _ in quantized.states))
    graph = attrs.evolve(dequantize(quantized), inputs=inputs, states=())
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(3, *graph.tensors[name].shape)).astype(np.float32) for name in inputs]
    values = run_float(graph, x)
    last = graph.layers[-1]
    names = last.inputs if isinstance(last.op, Softmax) else graph.outputs  # it returns logits
    for result, name in zip(outputs(graph, x), names, strict=True):
        exact = values[name]
        np.testing.assert_allclose(result.numpy(), exact, rtol=1e-3, atol=1e-4 * np.abs(exact).max())


def test_a_network_with_states_is_refused():
    with pytest.raises(ModelError, match="TMB1101") as info:
        TrainableGraph(dequantize(modern()))
    assert "unrolled" in info.value.hint


@pytest.mark.parametrize("function", UNARY)
def test_functions(function):
    layer = Layer("u", Unary(function, 0.3), ("x",), "u")
    graph = make([layer], {"x": (4, 3, 2), "u": (4, 3, 2)})
    x = np.random.default_rng(0).uniform(0.1, 4, (2, 4, 3, 2)).astype(np.float32)
    if function not in ("log", "sqrt", "rsqrt"):
        x = x * np.where(np.arange(2) > 0, 1, -1).astype(np.float32)
    np.testing.assert_allclose(outputs(graph, [x])[0].numpy(), run_float(graph, x)["u"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(8, 9), (3, 2), (1, 7)])
@pytest.mark.parametrize("options", [{}, {"align_corners": True}, {"half_pixel_centers": True}])
def test_resampling(size, options):
    layer = Layer("r", ResizeNearest(size, **options), ("x",), "r")
    graph = make([layer], {"x": (4, 3, 2), "r": (*size, 2)})
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 2)).astype(np.float32)
    np.testing.assert_array_equal(outputs(graph, [x])[0].numpy(), run_float(graph, x)["r"])


def steps():
    """Three steps with the same weights, from a constant."""
    rng = np.random.default_rng(0)
    first = fc(rng, "s0", "h0", 4, 4)
    layers = [Layer("h0", Constant(), (), "h0", {"value": rng.normal(size=4).astype(np.float32)})]
    for k in range(3):
        layers.append(Layer(f"s{k}", FullyConnected(), (f"h{k}",), f"y{k}", first.params))
        layers.append(Layer(f"a{k}", Add() if k else Sub(), ("x", f"y{k}"), f"h{k + 1}"))
    shapes = {"x": (4,), **{f"y{k}": (4,) for k in range(3)}, **{f"h{k}": (4,) for k in range(4)}}
    graph = make(layers, shapes)
    return attrs.evolve(graph, inputs=("x",), outputs=("h3",))


def test_shared_weights_stay_shared():
    model = TrainableGraph(steps())
    assert list(model.cells) == ["s0"]
    optimizer = torch.optim.SGD([cell.weight for cell in model.cells.values()], lr=0.1)
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    trained = model.to_graph()
    weights = [trained.layer(f"s{k}").weight for k in range(3)]
    assert not np.array_equal(weights[0], steps().layer("s0").weight)
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])
    assert set(model.weight_scales()) == {"s0", "s1", "s2"}


def test_ranges_that_the_model_came_with_are_kept():
    graph = attrs.evolve(steps(), meta={"activation_ranges": {"h1": [-3.0, 1.0], "gone": [0.0, 1.0]}})
    model = TrainableGraph(graph).train()
    model.quantize_activations(enabled=True, observing=True)
    model(torch.full((2, 4), 9.0))
    ranges = model.activation_ranges()
    assert ranges["h1"] == (-3.0, 1.0)
    assert ranges["x"] == (0.0, 9.0)
