"""The pipeline: order, determinism, interruption and resumption, and what it refuses."""

import numpy as np
import pytest
import torch
from compress_nets import convnet, digits, make, mlp, recipe

from thimble.compress.pipeline import compress
from thimble.compress.progress import Bar
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.loop import accuracy
from thimble.errors import RecipeError, ToolError
from thimble.graph.graph import Layer
from thimble.graph.ops import Activation, BatchNorm
from thimble.graph.validate import validate

FULL = [
    {"method": "channels", "keep": 0.75, "epochs": 2},
    {"method": "rate", "nonzero": 400, "epochs": 8, "warmup": 2, "freeze": 0.6},
    {"method": "admm", "sparsity": 0.8, "epochs": 3},
    {"method": "magnitude", "sparsity": 0.85, "epochs": 2},
    {"method": "dead_channels"},
    {"method": "fine_tune", "epochs": 1},
    {"method": "qat", "epochs": 2},
]
FAST = {"epochs": 2, "samples_per_epoch": 640}


class Stop(Exception):
    """The power cut."""


class Interrupt:
    """A reporter that raises after so many epochs."""

    def __init__(self, after):
        self.left = after
        self.resumed = []

    def step(self, name, epochs, done):
        if done:
            self.resumed.append((name, done))

    def epoch(self, facts):
        self.left -= 1
        if self.left == 0:
            raise Stop


def same(a, b):
    assert a.activation_ranges == b.activation_ranges
    for x, y in zip(a.graph.layers, b.graph.layers, strict=True):
        for key in x.params:
            np.testing.assert_array_equal(x.params[key], y.params[key])
    for name in a.weight_scales:
        np.testing.assert_array_equal(a.weight_scales[name], b.weight_scales[name])
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    graph = mlp()
    return compress(graph, digits(graph), recipe(FULL, FAST), tmp_path_factory.mktemp("whole"))


def test_every_method_runs_in_order(whole):
    graph = validate(whole.graph)
    assert len(graph.layer("fc1").weight) <= 24
    assert 0 < graph.nonzero <= 400
    assert set(whole.activation_ranges) == set(graph.tensors)
    assert set(whole.weight_scales) == {"fc1", "fc2", "fc3"}
    assert 0 < graph.meta["accuracy"]["float"] <= 100
    assert graph.fp32_bytes == 4 * 2778  # of the original, not of what is left


def test_the_same_seed_gives_the_same_bits(whole, tmp_path):
    graph = mlp()
    assert same(whole, compress(graph, digits(graph), recipe(FULL, FAST), tmp_path))


def test_another_seed_gives_another_network(whole, tmp_path):
    graph = mlp()
    other = compress(graph, digits(graph), recipe(FULL, {**FAST, "seed": 4}), tmp_path)
    mine, theirs = whole.graph.layer("fc3").params["bias"], other.graph.layer("fc3").params["bias"]
    assert not np.array_equal(mine, theirs)


@pytest.mark.parametrize("after", [1, 4, 8, 10, 14, 18, 20])
def test_an_interrupted_run_ends_like_an_uninterrupted_one(whole, tmp_path, after):
    graph = mlp()
    data = digits(graph)
    with pytest.raises(Stop):
        compress(graph, data, recipe(FULL, FAST), tmp_path, Interrupt(after))
    # the epoch that was running when it stopped is done again
    assert [path.name for path in tmp_path.iterdir()] == ([] if after == 1 else ["checkpoint.pt"])
    assert same(whole, compress(graph, data, recipe(FULL, FAST), tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_resuming_does_not_repeat_finished_epochs(tmp_path):
    graph = mlp()
    data = digits(graph)
    plan = recipe([{"method": "magnitude", "sparsity": 0.5, "epochs": 4}], FAST)
    with pytest.raises(Stop):
        compress(graph, data, plan, tmp_path, Interrupt(5))
    second = Interrupt(100)
    compress(graph, data, plan, tmp_path, second)
    assert second.resumed == [("magnitude", 2)]
    assert second.left == 98


@pytest.mark.parametrize("damage", ["truncated", "garbage", "other recipe", "other data"])
def test_a_checkpoint_that_does_not_belong_is_ignored(tmp_path, damage):
    graph = mlp()
    data = digits(graph)
    steps = [{"method": "magnitude", "sparsity": 0.5, "epochs": 2}]
    with pytest.raises(Stop):
        compress(graph, data, recipe(steps, FAST), tmp_path, Interrupt(3))
    path = tmp_path / "checkpoint.pt"
    train = dict(FAST)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage == "garbage":
        path.write_bytes(b"not a checkpoint")
    elif damage == "other recipe":
        train["learning_rate"] = 1e-3
    else:
        data = digits(graph, train=1100)
    again = Interrupt(100)
    compress(graph, data, recipe(steps, train), tmp_path, again)
    assert again.resumed == []
    assert again.left == 96


def test_a_failing_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    graph = mlp()
    data = digits(graph)
    plan = recipe([{"method": "magnitude", "sparsity": 0.5, "epochs": 3}], FAST)
    with pytest.raises(Stop):
        compress(graph, data, plan, tmp_path, Interrupt(4))
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full_disk(value, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("thimble.compress.checkpoint.torch.save", full_disk)
    with pytest.raises(ToolError, match="No space") as caught:
        compress(graph, data, plan, tmp_path)
    assert caught.value.code == "TMB5011"
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("scales", ["per-tensor", "per-channel"])
def test_without_qat_weights_are_rounded_and_ranges_observed(tmp_path, scales):
    graph = convnet()
    data = digits(graph)
    sections = {"quantize": {"weights": 8, "scales": scales}}
    result = compress(graph, data, recipe([], {"epochs": 3}, **sections), tmp_path)
    assert result.activation_ranges["x"] == (0.0, 1.0)
    for layer in result.graph.weighted:
        scale = result.weight_scales[layer.name]
        assert scale.shape == ((len(layer.weight),) if scales == "per-channel" else (1,))
        q = layer.weight / scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
        np.testing.assert_allclose(q, q.round(), atol=1e-2)
        assert np.abs(q).max() < 127.01


def test_a_model_with_weights_is_not_trained_again(tmp_path):
    graph = mlp()
    plan = recipe([], {"epochs": None}, model={"source": "model.py:Net", "weights": "net.pt"})
    result = compress(graph, digits(graph), plan, tmp_path)
    np.testing.assert_array_equal(result.graph.layer("fc1").params["bias"], graph.layer("fc1").params["bias"])


def test_threads_and_determinism_are_put_back(tmp_path):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    graph = mlp()
    compress(graph, digits(graph), recipe([], {"epochs": 0, "threads": 1}), tmp_path)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def refused(steps, tmp_path, graph=None):
    graph = graph or mlp()
    with pytest.raises(RecipeError) as caught:
        compress(graph, digits(graph), recipe(steps, {"epochs": 0}), tmp_path)
    assert list(tmp_path.iterdir()) == []
    return caught.value


def test_a_layer_that_does_not_exist_is_refused_before_training(tmp_path):
    error = refused([{"method": "magnitude", "sparsity": {"fc9": 0.5}}], tmp_path)
    assert error.code == "TMB3006"
    assert "did you mean 'fc" in error.hint


def test_qat_must_come_last(tmp_path):
    error = refused([{"method": "qat"}, {"method": "dead_channels"}], tmp_path)
    assert error.code == "TMB3008"
    assert "step 1" in error.where


def test_channels_that_cannot_go_are_refused(tmp_path):
    error = refused([{"method": "channels", "keep": {"fc3": 0.5}}], tmp_path)
    assert error.code == "TMB3006"
    assert "fc3" in error.what
    assert "fc1, fc2" in error.hint


def test_the_bar_goes_to_stderr(tmp_path, capsys):
    graph = mlp()
    with Bar() as bar:
        compress(graph, digits(graph), recipe([], {"epochs": 1}), tmp_path, bar)
    out, err = capsys.readouterr()
    assert out == ""
    assert "dense" in err
    assert "1/1" in err


def with_norm():
    graph = convnet()
    norm = {"gamma": np.ones(6), "beta": np.zeros(6), "mean": np.zeros(6), "var": np.ones(6)}
    params = {key: value.astype(np.float32) for key, value in norm.items()}
    conv1, pool, *rest = graph.layers
    layers = [
        conv1,
        Layer("norm1", BatchNorm(), ("conv1",), "norm1", params),
        Layer("relu1", Activation((0.0, None)), ("norm1",), "relu1"),
        Layer("pool1", pool.op, ("relu1",), "pool1"),
        *rest,
    ]
    shapes = {name: tensor.shape for name, tensor in graph.tensors.items()}
    return make(layers, {**shapes, "norm1": (6, 6, 6), "relu1": (6, 6, 6)}, input_layout="NCHW")


def test_batch_norm_trains_and_is_gone_at_the_end(tmp_path):
    graph = with_norm()
    data = digits(graph)
    steps = [{"method": "magnitude", "sparsity": 0.4, "epochs": 3}, {"method": "qat", "epochs": 3}]
    result = compress(graph, data, recipe(steps, {"epochs": 10}), tmp_path)
    assert [layer.name for layer in result.graph.layers] == ["conv1", "pool1", "conv2", "flat", "fc"]
    assert result.graph.layer("conv1").op.clamp == (0.0, None)
    assert accuracy(TrainableGraph(result.graph).eval(), data.validation) > 0.85
