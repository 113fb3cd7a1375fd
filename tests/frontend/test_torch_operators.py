"""Every case of ``torch_cases``, and what is said of some: which layers there are, states, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch_cases import CASES, FUNCTIONS, GATE, IMAGE, WEIGHT
from torch_check import Fn, check

from thimble.errors import ModelError
from thimble.frontend.builder import runs
from thimble.frontend.torch_export import from_module
from thimble.graph.ops import BatchNorm, Constant, Conv2D, Mul, Reshape, Slice, Transpose
from thimble.quantize.float_interpreter import run_float


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("convolution")])
def test_the_graph_computes_what_the_module_computes(name: str) -> None:
    case = CASES[name]
    check(case.module, case.shape, as_is=case.as_is)


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
