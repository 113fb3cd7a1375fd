"""Arithmetic, functions, slices, rearrangements and transposed convolutions of PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_check import Fn, check

from thimble.errors import ModelError
from thimble.frontend.builder import runs
from thimble.frontend.torch_export import from_module
from thimble.graph.ops import BatchNorm, Constant, Conv2D, Mul, Reshape, Slice, Transpose
from thimble.quantize.float_interpreter import run_float

IMAGE = (3, 11, 8)  # after Fn's convolution (4, 9, 6)
WEIGHT = torch.linspace(-1, 1, 4)[:, None, None]
GATE = {"gate": nn.Conv2d(4, 4, 3, padding=1)}

FUNCTIONS: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "sigmoid": lambda m, x: torch.sigmoid(x),
    "tanh": lambda m, x: x.tanh(),
    "hardswish": lambda m, x: F.hardswish(4 * x),
    "hardsigmoid": lambda m, x: F.hardsigmoid(x * 4),
    "silu": lambda m, x: F.silu(x, inplace=True),
    "gelu": lambda m, x: F.gelu(x),
    "gelu by tanh": lambda m, x: F.gelu(x, approximate="tanh"),
    "elu": lambda m, x: F.elu(x, 0.7),
    "leaky relu": lambda m, x: F.leaky_relu(x, 0.2),
    "prelu": lambda m, x: F.prelu(x, torch.tensor([0.1, 0.2, 0.3, -0.4])),
    "prelu of one": lambda m, x: F.prelu(x, torch.tensor([0.3])),
    "softplus": lambda m, x: F.softplus(x),
    "exponentials": lambda m, x: (x.exp() + 1).log(),
    "roots": lambda m, x: (x.abs() + 1).sqrt() + (x**2 + 1).rsqrt(),
    "reciprocal": lambda m, x: 2 / (x * x + 1),
    "negative": lambda m, x: -x,
    "scaled": lambda m, x: F.relu(x) * 3,
    "shifted": lambda m, x: 1 - x.sigmoid(),
    "divided": lambda m, x: x / 4 - 0.5,
    "weighted by channel": lambda m, x: x * WEIGHT + WEIGHT,
    "weighted by row": lambda m, x: F.relu(x) * torch.linspace(-1, 1, 9)[:, None],
    "weighted by element": lambda m, x: F.relu(x) + torch.linspace(-1, 1, 216).reshape(1, 4, 9, 6),
    "difference": lambda m, x: x - m.gate(x),
    "product": lambda m, x: x * torch.sigmoid(m.gate(x)),
    "quotient": lambda m, x: x / (m.gate(x).abs() + 1),
    "scaled sum": lambda m, x: torch.add(x, m.gate(x), alpha=0.5),
    "broadcast channels": lambda m, x: x * x.mean((2, 3), keepdim=True),
    "broadcast pixels": lambda m, x: x * x.mean(1, keepdim=True),
    "broadcast both": lambda m, x: x.mean(1, keepdim=True) * x.mean((2, 3), keepdim=True),
    "broadcast vector": lambda m, x: x + x.mean((2, 3))[:, :, None, None],
    "mean of channels": lambda m, x: x.mean(1),
    "mean of rows": lambda m, x: x.mean(2),
    "mean of all": lambda m, x: x.mean((1, 2, 3), keepdim=True),
    "mean apart": lambda m, x: x.mean((1, 3)),
    "softmax of rows": lambda m, x: F.softmax(x, 2),
    "channels": lambda m, x: x[:, 1:3],
    "rows": lambda m, x: x[:, :, 2:-1:2],
    "one channel": lambda m, x: x[:, 2],
    "one pixel": lambda m, x: x[:, :, 3, 4],
    "narrow": lambda m, x: x.narrow(3, 1, 4),
    "chunks": lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "split": lambda m, x: torch.mul(*x.split([3, 3], 3)),
    "unbound": lambda m, x: sum(x.unbind(1)),
    "glu": lambda m, x: x[:, :2] * x[:, 2:].sigmoid(),
    "stacked": lambda m, x: torch.stack([x, m.gate(x)], 1).flatten(1, 2),
    "shuffled": lambda m, x: x.view(-1, 2, 2, 9, 6).transpose(1, 2).flatten(1, 2),
    "flat": lambda m, x: x.flatten(1),
    "orders": lambda m, x: x.flatten(1) + x.permute(0, 2, 3, 1).flatten(1),
    "linear at every position": lambda m, x: F.linear(x, torch.linspace(-1, 1, 12).reshape(2, 6)),
    "linear over channels": lambda m, x: F.linear(x.permute(0, 2, 3, 1), torch.eye(4)[:3]),
    "product with a matrix": lambda m, x: x @ torch.linspace(-1, 1, 12).reshape(6, 2),
    "permuted into channels": lambda m, x: F.conv2d(x.permute(0, 2, 3, 1), torch.ones(2, 9, 1, 1)),
    "squeezed": lambda m, x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(2).unsqueeze(1),
    "expanded": lambda m, x: torch.cat([x, x.mean((2, 3), keepdim=True).expand(-1, -1, 9, 6)], 1),
    "repeated": lambda m, x: x[:, :, :2].repeat(1, 2, 1, 3),
    "padded with zeros": lambda m, x: (
        torch.cat([torch.zeros(x.size(0), 1, 9, 6)[:1], x[:1]], 1)
        if x.size(0) == 1
        else F.pad(x, (0, 0, 0, 0, 1, 0))
    ),
    "nearest": lambda m, x: F.interpolate(x, scale_factor=2),
    "nearest of a size": lambda m, x: F.interpolate(x, size=(4, 13)),
    "nearest exact": lambda m, x: F.interpolate(x, size=(5, 12), mode="nearest-exact"),
    "adaptive overlapping": lambda m, x: F.adaptive_avg_pool2d(x, (8, 5)),
    "adaptive upwards": lambda m, x: F.adaptive_avg_pool2d(x.mean((2, 3), keepdim=True), 3),
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions(name: str) -> None:
    check(Fn(FUNCTIONS[name], **GATE), IMAGE)


TRANSPOSED = {
    "plain": nn.ConvTranspose2d(3, 5, 3),
    "stride": nn.ConvTranspose2d(3, 5, (3, 2), stride=(2, 3)),
    "padding": nn.ConvTranspose2d(3, 5, 3, stride=2, padding=1, output_padding=1),
    "dilation": nn.ConvTranspose2d(3, 5, 3, stride=2, dilation=2, padding=2),
    "groups": nn.ConvTranspose2d(3, 6, 3, stride=2, groups=3, bias=False),
}


@pytest.mark.parametrize("name", sorted(TRANSPOSED))
def test_transposed_convolutions(name: str) -> None:
    check(TRANSPOSED[name], IMAGE)


def test_sequences() -> None:
    check(
        nn.Sequential(nn.ConvTranspose1d(3, 4, 4, 2, 1), nn.Upsample(scale_factor=2), nn.Conv1d(4, 2, 3)),
        (3, 9),
    )
    causal = Fn(lambda m, x: m.c(F.pad(x[:, :, 0], (4, 0))), c=nn.Conv1d(4, 3, 3, dilation=2))
    check(causal, IMAGE)
    time_first = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    check(time_first, (7, 5), as_is=True)


def test_factors_fold_and_other_constants_stay() -> None:
    graph = check(Fn(lambda m, x: x * 3 + WEIGHT), IMAGE)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, BatchNorm, BatchNorm]
    graph = check(Fn(lambda m, x: F.relu(x) * 0.5 - F.relu(-x) * 0.5, **GATE), IMAGE)
    assert sum(isinstance(layer.op, Constant) for layer in graph.layers) == 1  # both halves are one tensor


def test_parts_that_nobody_reads_leave_no_layers() -> None:
    graph = check(Fn(lambda m, x: x.chunk(4, 1)[1]), IMAGE)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, Slice]


def test_only_what_lies_elsewhere_is_moved() -> None:
    graph = check(Fn(FUNCTIONS["flat"]), IMAGE)
    assert [type(x.op) for x in graph.layers if not isinstance(x.op, Reshape)] == [Conv2D, Transpose]
    graph = check(Fn(FUNCTIONS["product"], **GATE), IMAGE)
    assert not any(isinstance(layer.op, Transpose) for layer in graph.layers)
    assert isinstance(graph.layers[-1].op, Mul)


class Rnn(nn.Module):
    def __init__(self, layer: nn.Module, transposed: bool = False) -> None:
        super().__init__()
        self.layer, self.transposed = layer, transposed

    def forward(self, x: Tensor) -> Tensor:
        y, last = self.layer(x.transpose(0, 1) if self.transposed else x)
        h = last[0] if isinstance(last, tuple) else last
        y = y.transpose(0, 1) if self.transposed else y
        return y.flatten(1) + h.transpose(0, 1).flatten(1).mean(1, keepdim=True)


RECURRENT = {
    "gru": Rnn(nn.GRU(3, 4, batch_first=True)),
    "gru, time first": Rnn(nn.GRU(3, 4), transposed=True),
    "gru without bias": Rnn(nn.GRU(3, 4, bias=False, batch_first=True)),
    "two layers": Rnn(nn.GRU(3, 4, 2, batch_first=True)),
    "both directions": Rnn(nn.LSTM(3, 4, batch_first=True, bidirectional=True)),
    "lstm": Rnn(nn.LSTM(3, 4, 2, bias=False), transposed=True),
}


@pytest.mark.parametrize("name", sorted(RECURRENT))
def test_recurrent_layers(name: str) -> None:
    check(RECURRENT[name], (3, 3), as_is=True)


def test_cells_in_a_loop() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru, self.lstm = nn.GRUCell(3, 4), nn.LSTMCell(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            h = x.new_zeros(x.size(0), 4)
            s = None
            for t in range(3):
                h = self.gru(x[:, t], h)
                s = self.lstm(h, s)
            return s[0]

    check(Loop(), (3, 3), as_is=True)


class Steps(nn.Module):
    """A running mean and a counter, in two states."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        a = 0.5 * a + 0.5 * self.fc(x)
        return a * b, a, b + 1


def test_states_are_the_last_inputs_and_outputs() -> None:
    zeros = torch.zeros(1, 3)
    module = Steps()
    graph = from_module(module, (zeros, zeros, zeros), "net", states=2)
    assert (len(graph.inputs), len(graph.outputs)) == (1, 1)
    assert [before for before, _ in graph.states] == ["a", "b"]
    x = torch.randn(5, 1, 3)
    a = b = zeros
    expected = []
    with torch.no_grad():
        for sample in x:
            y, a, b = module(sample, a, b)
            expected.append(y)
    result = run_float(graph, x[:, 0].numpy())[graph.outputs[0]]
    np.testing.assert_allclose(result, torch.cat(expected).numpy(), atol=1e-5)
    for count in (3, -1):
        with pytest.raises(ModelError, match="TMB1101"):
            from_module(module, (zeros, zeros, zeros), "net", states=count)


def test_a_state_must_be_renewed_by_a_value_of_its_shape() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 4)

        def forward(self, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
            y = self.fc(x + a)
            return y, y

    with pytest.raises(ModelError, match="not renewed by a value of its shape"):
        from_module(Odd(), (torch.zeros(1, 3), torch.zeros(1, 3)), "net", states=1)


def test_buffers_that_forward_changes_are_states_and_begin_with_zeros() -> None:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)
            self.register_buffer("total", torch.zeros(1, 3))

        def forward(self, x: Tensor) -> Tensor:
            self.total += self.fc(x)
            return self.total * 2

    module = Counter()
    graph = from_module(module, torch.ones(1, 3), "net")
    assert len(graph.states) == 1
    assert not module.total.any()  # the import ran it, and put the state back
    module.total.fill_(1)
    with pytest.raises(ModelError, match="does not begin with zeros"):
        from_module(module, torch.ones(1, 3), "net")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_runs_walk_every_transposition(shape: list[int], random) -> None:
    axes = random.sample(range(len(shape)), len(shape))
    flat = np.arange(np.prod(shape)).reshape(shape).transpose(axes).reshape(-1)
    sizes, steps = runs(flat)
    walked = np.zeros(1, np.int64)
    for size, step in zip(sizes, steps, strict=True):
        walked = (walked[:, None] + np.arange(size) * step).reshape(-1)
    np.testing.assert_array_equal(walked, flat)
    scrambled = flat.copy()
    if len(flat) > 3:
        scrambled[[0, 1]] = scrambled[[1, 0]]
        assert runs(scrambled) is None or runs(scrambled) != (sizes, steps)


def test_constants_of_unreasonable_size_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thimble.frontend.torch_export.MAX_ELEMENTS", 200)
    with pytest.raises(ModelError, match="TMB1101") as info:
        from_module(Fn(lambda m, x: x + torch.ones(4, 9, 6)), torch.zeros(1, *IMAGE), "net")
    assert "a constant of shape [4, 9, 6]" in info.value.what
