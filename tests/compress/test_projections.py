"""Projections keep what they promise, and the best of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.compress.projections import grid, magnitude, structured

arrays = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31)).map(
    lambda t: torch.from_numpy(np.random.default_rng(t[2]).normal(size=t[:2]).astype(np.float32))
)


@settings(deadline=None, max_examples=60)
@given(arrays, st.floats(0, 1))
def test_magnitude_keeps_the_count_and_the_largest(w, sparsity):
    out = magnitude.project(w, sparsity)
    keep = round(w.numel() * (1 - sparsity))
    assert int((out != 0).sum()) == keep
    assert torch.equal(out[out != 0], w[out != 0])
    if 0 < keep < w.numel():
        assert w[out == 0].abs().max() <= out[out != 0].abs().min()
    assert torch.equal(magnitude.project(out, sparsity), out)


@pytest.mark.parametrize("sparsity", [-0.1, 1.1])
def test_magnitude_refuses_impossible_sparsity(sparsity):
    with pytest.raises(ValueError, match="from 0 to 1"):
        magnitude.project(torch.ones(2, 2), sparsity)


def test_ties_go_to_the_first():
    assert magnitude.keep_largest(torch.ones(5), 2).tolist() == [True, True, False, False, False]


@settings(deadline=None, max_examples=40)
@given(arrays, arrays, st.floats(0, 1))
def test_a_global_budget_is_met_and_ignores_the_scale_of_layers(a, b, share):
    keep = round((a.numel() + b.numel()) * share)
    masks = magnitude.global_masks([a, b], keep)
    assert sum(int(m.sum()) for m in masks) == keep
    scaled = magnitude.global_masks([a, 1024.0 * b], keep)
    assert all(torch.equal(x, y) for x, y in zip(masks, scaled, strict=True))


def test_lamp_scores_by_hand():
    scores = magnitude.lamp_scores(torch.tensor([[1.0, -3.0], [2.0, 0.0]]))
    np.testing.assert_allclose(scores.numpy(), [[1 / 14, 1.0], [4 / 13, 0.0]], rtol=1e-6)


def test_layer_budgets_are_separate():
    masks = magnitude.layer_masks([torch.tensor([1.0, 2.0]), torch.tensor([30.0, 20.0])], [1, 2])
    assert [m.tolist() for m in masks] == [[False, True], [True, True]]


@settings(deadline=None, max_examples=60)
@given(arrays, st.integers(1, 127), st.booleans(), st.booleans())
def test_grid_values_are_whole_multiples(w, levels, per_channel, keep_zero):
    w = magnitude.project(w, 0.3)
    out = grid.project(w, levels, per_channel=per_channel, keep_zero=keep_zero)
    assert (out[w == 0] == 0).all()
    if not keep_zero:
        assert (out[w != 0] != 0).all()
    for row in out if per_channel else [out]:
        distinct = torch.unique(row.abs()[row != 0])
        if len(distinct) > 1:
            # the step is a common divisor; find it as value / integer and test the others
            ok = any(
                torch.allclose(
                    distinct / (distinct[-1] / n), (distinct / (distinct[-1] / n)).round(), atol=2e-2
                )
                for n in range(1, levels + 1)
            )
            assert ok


def test_the_grid_is_at_least_as_near_as_a_maximal_scale():
    w = torch.from_numpy(np.random.default_rng(0).normal(size=(4, 200)).astype(np.float32))
    out = grid.project(w, 7)
    step = w.abs().max() / 7
    assert (out - w).square().sum() <= ((w / step).round() * step - w).square().sum()


@pytest.mark.parametrize("bits, levels", [(2, 2), (3, 4), (4, 8), (8, 127)])
def test_levels_without_zero(bits, levels):
    assert grid.levels_of(bits) == levels


def test_grid_refuses_no_levels():
    with pytest.raises(ValueError, match="at least 1"):
        grid.project(torch.ones(1, 1), 0)


@settings(deadline=None, max_examples=40)
@given(arrays, st.integers(1, 12))
def test_structured_keeps_whole_channels(w, keep):
    out = structured.project(w, keep)
    alive = (out != 0).any(dim=1)
    assert int(alive.sum()) == min(keep, len(w))
    assert torch.equal(out[alive], w[alive])
    if not alive.all():
        assert w[~alive].square().sum(1).max() <= w[alive].square().sum(1).min()
