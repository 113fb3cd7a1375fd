"""TrainableGraph computes what the Graph means, and gives it back unchanged."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from compress_nets import conv, convnet, fc, make, mlp

from thimble.compress.trainable import TrainableGraph, range_owners
from thimble.graph.graph import Layer
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Concat,
    FullyConnected,
    MaxPool2D,
    Pad,
    Reshape,
    Softmax,
)


def images(shape, n=3, seed=5):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, *shape)).astype(np.float32))


def run(graph, x):
    with torch.no_grad():
        return TrainableGraph(graph).eval()(x)


def nchw(weight):
    return torch.from_numpy(np.array(weight)).permute(0, 3, 1, 2)


def test_convnet_equals_plain_torch_with_an_nhwc_flatten():
    graph = convnet()
    x = images((8, 8, 1))
    h = x.permute(0, 3, 1, 2)
    for name in ("conv1", "conv2"):
        params = graph.layer(name).params
        h = F.conv2d(h, nchw(params["weight"]), torch.tensor(params["bias"]))
        h = F.max_pool2d(h, 2) if name == "conv1" else F.relu(h)
    flat = h.permute(0, 2, 3, 1).flatten(1)
    last = graph.layer("fc").params
    expected = flat @ torch.tensor(last["weight"]).T + torch.tensor(last["bias"])
    torch.testing.assert_close(run(graph, x), expected, rtol=1e-5, atol=1e-5)


def test_the_graph_comes_back_unchanged():
    graph = convnet()
    back = TrainableGraph(graph).to_graph()
    for old, new in zip(graph.layers, back.layers, strict=True):
        assert (old.name, old.op, old.inputs, old.output) == (new.name, new.op, new.inputs, new.output)
        for key, value in old.params.items():
            np.testing.assert_array_equal(value, new.params[key])


def single(layer, shape, out):
    return make([layer], {"x": shape, layer.output: out})


@pytest.mark.parametrize(
    "layer, shape, out, reference",
    [
        (
            Layer("p", MaxPool2D((3, 3), (2, 2), (0, 1, 0, 1)), ("x",), "p"),
            (6, 6, 2),
            (3, 3, 2),
            lambda x: F.max_pool2d(F.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2),
        ),
        (
            Layer("p", MaxPool2D((2, 2), (2, 2), (1, 1, 1, 1)), ("x",), "p"),
            (6, 6, 2),
            (4, 4, 2),
            lambda x: F.max_pool2d(x, 2, 2, 1),
        ),
        (
            Layer("p", AvgPool2D((3, 3), (2, 2), (1, 1, 1, 1)), ("x",), "p"),
            (6, 6, 2),
            (3, 3, 2),
            lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        ),
        (
            Layer("p", Pad((1, 0, 2, 1)), ("x",), "p"),
            (6, 6, 2),
            (7, 9, 2),
            lambda x: F.pad(x, (2, 1, 1, 0)),
        ),
        (
            Layer("a", Activation((0.0, 6.0)), ("x",), "a"),
            (6, 6, 2),
            (6, 6, 2),
            lambda x: x.clamp(0, 6),
        ),
        (
            Layer("c", Concat(axis=-1), ("x", "x"), "c"),
            (6, 6, 2),
            (6, 6, 4),
            lambda x: torch.cat([x, x], dim=1),
        ),
        (
            Layer("c", Concat(axis=0), ("x", "x"), "c"),
            (6, 6, 2),
            (12, 6, 2),
            lambda x: torch.cat([x, x], dim=2),
        ),
        (Layer("s", Add((0.0, None)), ("x", "x"), "s"), (6, 6, 2), (6, 6, 2), lambda x: F.relu(2 * x)),
        (Layer("r", Reshape(), ("x",), "r"), (4, 3, 2), (3, 4, 2), None),
    ],
)
def test_operators_without_weights(layer, shape, out, reference):
    x = images(shape)
    y = run(single(layer, shape, out), x)
    assert tuple(y.shape) == (3, *out)
    if reference is None:
        expected = x.reshape(3, *out)
    else:
        expected = reference(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"groups": 4},
        {"groups": 2},
        {"stride": (2, 1), "padding": (1, 1, 1, 1)},
        {"padding": (0, 1, 2, 0)},
        {"dilation": (2, 2)},
    ],
)
def test_convolution_variants(options):
    rng = np.random.default_rng(1)
    layer = conv(rng, "c", "x", 8, 4, **options)
    x = images((9, 7, 4))
    top, bottom, left, right = options.get("padding", (0, 0, 0, 0))
    expected = F.conv2d(
        F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom)),
        nchw(layer.weight),
        torch.tensor(layer.params["bias"]),
        stride=options.get("stride", 1),
        dilation=options.get("dilation", 1),
        groups=options.get("groups", 1),
    ).permute(0, 2, 3, 1)
    graph = make([layer], {"x": (9, 7, 4), "c": tuple(expected.shape[1:])})
    torch.testing.assert_close(run(graph, x), expected, rtol=1e-5, atol=1e-5)


def test_a_dense_layer_reads_an_image_flat():
    rng = np.random.default_rng(1)
    layer = fc(rng, "f", "x", 5, 24)
    graph = make([layer], {"x": (4, 3, 2), "f": (5,)})
    x = images((4, 3, 2))
    expected = x.flatten(1) @ torch.tensor(layer.weight).T + torch.tensor(layer.params["bias"])
    torch.testing.assert_close(run(graph, x), expected)


def norm_graph():
    rng = np.random.default_rng(2)
    params = {k: rng.uniform(0.5, 1.5, size=4).astype(np.float32) for k in ("gamma", "beta", "mean", "var")}
    layers = [conv(rng, "c", "x", 4, 1), Layer("n", BatchNorm(1e-3), ("c",), "n", params)]
    return make(layers, {"x": (8, 8, 1), "c": (6, 6, 4), "n": (6, 6, 4)}), params


def test_batch_norm_uses_its_statistics_and_moves_them_in_training():
    graph, p = norm_graph()
    x = images((8, 8, 1))
    model = TrainableGraph(graph).eval()
    with torch.no_grad():
        before = run(make([graph.layers[0]], {"x": (8, 8, 1), "c": (6, 6, 4)}), x)
        expected = p["gamma"] * (before.numpy() - p["mean"]) / np.sqrt(p["var"] + 1e-3) + p["beta"]
        np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-4, atol=1e-5)
        model.train()
        model(x)
    moved = model.to_graph().layer("n").params
    assert not np.array_equal(moved["mean"], p["mean"])
    np.testing.assert_array_equal(moved["gamma"], p["gamma"])


def test_a_last_softmax_is_left_to_the_firmware():
    graph = mlp()
    shapes = {name: t.shape for name, t in graph.tensors.items()}
    ended = make([*graph.layers, Layer("s", Softmax(), ("fc3",), "s")], {**shapes, "s": (10,)})
    x = images((8, 8, 1))
    torch.testing.assert_close(run(ended, x), run(graph, x))
    assert "s" not in range_owners(ended)


def test_pooling_shares_the_range_behind_it():
    owner = range_owners(convnet())
    assert owner == {
        "x": "x",
        "conv1": "pool1",
        "pool1": "pool1",
        "conv2": "flat",
        "flat": "flat",
        "fc": "fc",
    }


def test_a_tensor_that_others_read_too_keeps_the_wider_range():
    rng = np.random.default_rng(0)
    layers = [
        conv(rng, "c", "x", 2, 1),
        Layer("p", MaxPool2D((2, 2), (2, 2)), ("c",), "p"),
        fc(rng, "a", "c", 3, 72),
        fc(rng, "b", "p", 3, 18),
        Layer("s", Add(), ("a", "b"), "s"),
    ]
    shapes = {"x": (8, 8, 1), "c": (6, 6, 2), "p": (3, 3, 2), "a": (3,), "b": (3,), "s": (3,)}
    assert range_owners(make(layers, shapes))["p"] == "c"


def test_the_input_range_is_the_extremes_and_others_a_moving_average():
    model = TrainableGraph(mlp()).train()
    model.quantize_activations(enabled=False, observing=True)
    with torch.no_grad():
        model(torch.full((2, 8, 8, 1), 0.25))
        model(torch.full((2, 8, 8, 1), 1.0))
        model(torch.full((2, 8, 8, 1), 0.5))
    ranges = model.activation_ranges()
    assert ranges["x"] == (0.0, 1.0)
    assert ranges["fc1"][0] == 0.0
    assert ranges["fc1"][1] > 0
    assert set(ranges) == {"x", "fc1", "fc2", "fc3"}


@pytest.mark.parametrize("per_channel", [False, True])
def test_on_the_grid_every_weight_is_a_whole_multiple_of_its_scale(per_channel):
    model = TrainableGraph(convnet(), per_channel=per_channel)
    model.quantize_weights(8)
    for cell in model.cells.values():
        cell.mask[0] = 0
        cell.fit_scale()
    graph, scales = model.to_graph(), model.weight_scales()
    for layer in graph.weighted:
        scale = scales[layer.name]
        assert scale.shape == ((len(layer.weight),) if per_channel else (1,))
        q = layer.weight / scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
        np.testing.assert_allclose(q, q.round(), atol=1e-4)
        assert np.abs(q).max() <= 8.001
        assert not q[0].any()
        assert q[1:].all()  # without zero on the grid, survivors survive


def test_training_moves_weights_under_the_mask_only():
    model = TrainableGraph(mlp())
    cell = model.cells["fc1"]
    cell.mask[:, :32] = 0
    before = cell.weight.detach().clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    F.cross_entropy(model(images((8, 8, 1), 16)), torch.arange(16) % 10).backward()
    optimizer.step()
    assert torch.equal(before[:, :32], cell.weight.detach()[:, :32])
    assert not torch.equal(before[:, 32:], cell.weight.detach()[:, 32:])


def test_an_operator_it_does_not_know_is_named():
    with pytest.raises(TypeError, match="object cannot be trained"):
        run(single(Layer("odd", object(), ("x",), "y"), (4, 4, 1), (4, 4, 1)), images((4, 4, 1)))
    assert isinstance(mlp().layers[0].op, FullyConnected)
