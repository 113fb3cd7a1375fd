"""Each trainer keeps its promise on a tiny network, and the network still works."""

from pathlib import Path

import numpy as np
import pytest
import torch
from compress_nets import convnet, digits, mlp, recipe

from thimble.compress.pipeline import compress
from thimble.compress.steps import Admm, Magnitude, Qat, Rate, Train
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.admm import AdmmPruning
from thimble.compress.trainers.gradual import GradualMagnitude
from thimble.compress.trainers.loop import Job, Regime, accuracy, fit, half_cosine, predict
from thimble.compress.trainers.masked import Masked
from thimble.compress.trainers.qat import QuantizationAware
from thimble.compress.trainers.rate import RateAware, _code_lengths, _interpolate


class Notes:
    """A reporter that remembers."""

    def __init__(self):
        self.steps, self.epochs = [], []

    def step(self, name, epochs, done):
        self.steps.append((name, epochs, done))

    def epoch(self, facts):
        self.epochs.append(facts)


@pytest.fixture(scope="module")
def data():
    return digits(mlp())


@pytest.fixture(scope="module")
def dense(data):
    """A trained 64-32-16-10 network."""
    model = TrainableGraph(mlp())
    train(model, data, Regime(), epochs=15)
    assert accuracy(model, data.validation) > 0.94
    return model.to_graph()


def train(model, data, regime, epochs, teacher=None, learning_rate=5e-3, reporter=None):
    settings = Train(batch=32, seed=1)
    job = Job(
        name="step",
        epochs=epochs,
        learning_rate=learning_rate,
        index=1,
        train=settings,
        data=data,
        teacher=teacher,
    )
    torch.set_num_threads(1)
    fit(model, job, regime, None, reporter or Notes())


def alive(model):
    return [int(cell.effective().count_nonzero()) for cell in model.cells.values()]


def test_training_reports_every_epoch(data):
    notes = Notes()
    train(TrainableGraph(mlp()), data, Regime(), 2, reporter=notes)
    assert notes.steps == [("step", 2, 0)]
    assert len(notes.epochs) == 2
    assert "2,720 weights" in notes.epochs[0]


def test_fine_tuning_keeps_zeros(data, dense):
    model = TrainableGraph(dense)
    with torch.no_grad():
        model.cells["fc1"].weight[:, ::2] = 0
    before = alive(model)
    train(model, data, Masked(), 2)
    assert alive(model) == before


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_gradual_magnitude_ends_at_its_budget(data, dense, scope):
    model = TrainableGraph(dense)
    notes = Notes()
    train(
        model, data, GradualMagnitude(Magnitude(sparsity=0.8, scope=scope, frequency=10)), 10, reporter=notes
    )
    counts = alive(model)
    assert sum(counts) == 544
    if scope == "layer":
        assert counts == [410, 102, 32]
    assert accuracy(model, data.validation) > (0.9 if scope == "global" else 0.8)
    # sparsity climbed rather than jumped
    seen = [int(facts.split()[2].replace(",", "")) for facts in notes.epochs]
    assert seen == sorted(seen, reverse=True)
    assert 544 < seen[3] < 2720


def test_budgets_per_layer_leave_the_others_alone(data, dense):
    model = TrainableGraph(dense)
    train(model, data, GradualMagnitude(Magnitude(sparsity={"fc1": 0.9})), 3)
    assert alive(model) == [205, 512, 160]


def test_pruning_without_epochs_prunes_at_once(data, dense):
    for step in (Magnitude(sparsity=0.5, epochs=0), Admm(sparsity=0.5, epochs=0)):
        model = TrainableGraph(dense)
        regime = GradualMagnitude(step) if isinstance(step, Magnitude) else AdmmPruning(step)
        train(model, data, regime, 0)
        assert sum(alive(model)) == 1360


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_admm_ends_at_its_budget(data, dense, scope):
    model = TrainableGraph(dense)
    train(model, data, AdmmPruning(Admm(sparsity=0.8, scope=scope, epochs=15)), 15)
    assert sum(alive(model)) == 544
    assert accuracy(model, data.validation) > (0.9 if scope == "global" else 0.75)


def test_admm_pulls_weights_to_their_projection(data, dense):
    step = Admm(sparsity=0.8, epochs=12, retrain=0.0, rho=1e-2)
    model = TrainableGraph(dense)
    distances = []

    class Watched(AdmmPruning):
        def end_epoch(self, model, epoch):
            super().end_epoch(model, epoch)
            parts = [
                ((cell.weight.detach() - z).square().sum(), cell.weight.detach().square().sum())
                for cell, z in zip(model.cells.values(), self.targets, strict=True)
            ]
            distances.append(float(sum(p[0] for p in parts) / sum(p[1] for p in parts)))

    train(model, data, Watched(step), 12)
    assert distances[-2] < 0.6 * distances[0]


def test_rate_ends_within_its_budget_on_few_weights(data, dense):
    model = TrainableGraph(dense)
    teacher = predict(TrainableGraph(dense), data.train)
    train(model, data, RateAware(Rate(nonzero=450, epochs=40)), 40, teacher=teacher)
    assert 380 <= sum(alive(model)) <= 450
    assert accuracy(model, data.validation) > 0.92
    assert not any(cell.on_grid for cell in model.cells.values())


def test_a_dear_layer_gets_fewer_weights(data, dense):
    counts = []
    for cost in (1.0, 4.0):
        model = TrainableGraph(dense)
        train(model, data, RateAware(Rate(nonzero=600, epochs=25, cost={"fc1": cost})), 25)
        counts.append(alive(model)[0] / sum(alive(model)))
    assert counts[1] < counts[0] - 0.03


def test_code_lengths_rise_and_match_the_histogram():
    bits = _code_lengths(torch.tensor([990, 0, 6, 2]))
    assert all(bits[i + 1] - bits[i] >= 0.599 for i in range(3))
    assert float(bits[0]) == pytest.approx(-np.log2(991 / 1002), rel=1e-4)
    assert float(bits[3]) == pytest.approx(max(1 - np.log2(3 / 1002), float(bits[2]) + 0.6), rel=1e-4)
    sizes = torch.tensor([0.0, 0.5, 1.0, 3.0], requires_grad=True)
    total = _interpolate(bits, sizes)
    expected = bits[0] + (bits[0] + bits[1]) / 2 + bits[1] + bits[3]
    torch.testing.assert_close(total, expected)
    total.backward()
    torch.testing.assert_close(sizes.grad[1], bits[1] - bits[0])


@pytest.mark.parametrize("bits, floor", [(8, 0.93), (4, 0.92), (2, 0.85)])
def test_qat_lands_on_the_grid_and_keeps_accuracy(data, dense, bits, floor):
    model = TrainableGraph(dense)
    train(model, data, QuantizationAware(Qat(epochs=6), bits), 6, learning_rate=2e-3)
    assert accuracy(model, data.validation) > floor
    levels = min(127, 2 ** (bits - 1))
    for layer in model.to_graph().weighted:
        q = layer.weight / model.weight_scales()[layer.name][0]
        np.testing.assert_allclose(q, q.round(), atol=1e-3)
        assert np.abs(q).max() < levels + 1e-3
    assert all(high > low for low, high in model.activation_ranges().values())


def test_distillation_follows_the_teacher(data, dense):
    teacher = predict(TrainableGraph(dense), data.train)
    gaps = []
    for logits in (None, teacher):
        model = TrainableGraph(mlp(seed=5))
        train(model, data, Regime(), 4, teacher=logits)
        ours = predict(model, data.train).softmax(1)
        gaps.append(float((ours - teacher.softmax(1)).square().sum(1).mean()))
    assert gaps[1] < gaps[0]


def test_schedule():
    assert half_cosine(0.0) == 1.0
    assert half_cosine(0.5) == pytest.approx(0.5)
    assert half_cosine(1.0) == pytest.approx(0.0)
    assert half_cosine(0.6, start=0.6) == 1.0
    assert half_cosine(1.0, start=1.0) == 1.0


def test_a_convolutional_net_goes_all_the_way(tmp_path):
    graph = convnet()
    steps = [
        {"method": "channels", "keep": {"conv1": 5, "conv2": 0.75}, "epochs": 3},
        {"method": "magnitude", "sparsity": 0.5, "epochs": 8},
        {"method": "dead_channels"},
        {"method": "qat", "epochs": 4},
    ]
    data = digits(graph)
    result = compress(graph, data, recipe(steps, {"epochs": 20}, quantize={"weights": 4}), Path(tmp_path))
    assert result.graph.meta["accuracy"]["float"] > 85
    assert accuracy(TrainableGraph(result.graph).eval(), data.test) > 0.8
    assert result.graph.tensors["conv1"].shape[-1] <= 5
