"""Cheap masks keep what they promise, beat simpler choices, train, and are stored in few bits."""

import numpy as np
import pytest
import torch
from compress_nets import digits, mlp
from hypothesis import given, settings
from hypothesis import strategies as st
from test_trainers import train

from thimble.codecs import encode
from thimble.compress.projections.cheap_masks import block_mask, low_rank_mask, mask_of, n_m_mask, project
from thimble.compress.steps import CheapMask
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.cheap import CheapMasks
from thimble.compress.trainers.loop import Regime, accuracy

arrays = st.tuples(st.integers(1, 40), st.integers(1, 50), st.integers(0, 2**31)).map(
    lambda t: torch.from_numpy(np.random.default_rng(t[2]).normal(size=t[:2]).astype(np.float32))
)
kinds = st.sampled_from(
    [
        ("low_rank", {"width": 16, "patterns": 4}),
        ("low_rank", {}),
        ("block", {"height": 2, "width": 4}),
        ("block", {}),
    ]
)


def gaussian(rows, cols):
    return torch.from_numpy(np.random.default_rng(1).normal(size=(rows, cols)).astype(np.float32))


@settings(deadline=None, max_examples=60)
@given(arrays, st.floats(0, 1), kinds)
def test_budgets_are_kept_and_weights_are_as_they_were(w, share, kind):
    keep = round(w.numel() * share)
    out = project(w, keep, kind[0], **kind[1])
    assert int((out != 0).sum()) <= keep
    assert torch.equal(out[out != 0], w[out != 0])


@settings(deadline=None, max_examples=40)
@given(arrays, st.integers(1, 9), st.sampled_from([8, 16, 32]))
def test_rows_share_few_patterns(w, patterns, width):
    mask = low_rank_mask(w.square(), max(1, w.numel() // 5), width=width, patterns=patterns)
    for tile in mask.split(width, dim=1):
        assert len(torch.unique(tile, dim=0)) <= patterns


@settings(deadline=None, max_examples=40)
@given(arrays, st.integers(1, 4), st.sampled_from([1, 2, 4, 8]))
def test_blocks_are_whole(w, height, width):
    mask = block_mask(w.square(), max(1, w.numel() // 3), height=height, width=width)
    for band in mask.split(height, dim=0):
        for block in band.split(width, dim=1):
            assert bool(block.all()) == bool(block.any())


@settings(deadline=None, max_examples=40)
@given(arrays, st.floats(0.05, 0.95), st.sampled_from([4, 8, 16]))
def test_n_m_keeps_the_best_of_each_group(w, share, width):
    keep = max(1, round(w.numel() * share))
    mask = n_m_mask(w.square(), keep, width=width)
    n = max(1, keep * width // w.numel())
    for group, kept in zip(w.split(width, dim=1), mask.split(width, dim=1), strict=True):
        assert (kept.sum(1) == min(n, group.shape[1])).all()
        for row, chosen in zip(group.abs(), kept, strict=True):
            if chosen.any() and not chosen.all():
                assert row[chosen].min() >= row[~chosen].max()


def test_the_best_blocks_are_kept():
    scores = torch.zeros(8, 8)
    scores[4:, :4], scores[:4, 4:] = 2.0, 1.0
    assert torch.equal(block_mask(scores, 16), scores == 2.0)
    assert torch.equal(block_mask(scores, 32), scores > 0)


def test_a_mask_of_few_patterns_is_found():
    rng = np.random.default_rng(5)
    patterns = rng.random((4, 64)) < 0.2
    mask = torch.from_numpy(patterns[rng.integers(0, 4, 200)])
    w = gaussian(200, 64)
    weights = torch.where(mask, w.sign() * (1 + w.abs()), 0.05 * w)
    assert torch.equal(mask_of(weights, int(mask.sum()), "low_rank", patterns=8), mask)


def test_low_rank_keeps_more_than_blocks_do():
    w = gaussian(512, 512)
    keep = round(0.09 * w.numel())
    best = w.square().flatten().topk(keep).values.sum()

    def kept(kind, **shape):
        return float(project(w, keep, kind, **shape).square().sum() / best)

    low_rank = kept("low_rank", width=64, patterns=64)
    assert low_rank > 0.65
    assert low_rank > 1.5 * kept("block", height=4, width=4)


def test_columns_of_a_convolution_run_as_they_are_stored():
    w = gaussian(8, 2 * 3 * 4).view(8, 2, 3, 4)
    mask = mask_of(w, 48, "block", height=8, width=2)
    stored = mask.permute(0, 2, 3, 1).reshape(8, -1)
    assert torch.equal(
        stored, block_mask(w.permute(0, 2, 3, 1).reshape(8, -1).square(), 48, height=8, width=2)
    )


@pytest.mark.parametrize("keep, expected", [(0, False), (12, True), (99, True)])
def test_all_or_nothing(keep, expected):
    assert (mask_of(gaussian(3, 4), keep, "low_rank") == expected).all()


BUDGET = {"fc1": 0.7, "fc2": 0.5}


@pytest.mark.parametrize(
    "step",
    [
        CheapMask(sparsity=BUDGET, kind="low_rank", width=16, patterns=4, epochs=15),
        CheapMask(sparsity=BUDGET, kind="block", height=2, width=2, epochs=15),
        CheapMask(sparsity=BUDGET, kind="n:m", width=8, epochs=15),
    ],
    ids=lambda step: step.kind,
)
def test_networks_learn_to_live_with_them(step):
    data = digits(mlp())
    model = TrainableGraph(mlp())
    train(model, data, Regime(), epochs=12)
    train(model, data, CheapMasks(step), epochs=step.epochs)
    assert accuracy(model, data.validation) > 0.88
    for name, cell in model.cells.items():
        found = cell.effective() != 0
        assert found.all() or name in BUDGET
        assert int(found.sum()) <= round((1 - BUDGET.get(name, 0.0)) * found.numel())
    tiles = (model.cells["fc1"].effective() != 0).split(step.width, dim=1)
    if step.kind == "n:m":
        assert all(int(tile.sum(1).max()) <= 2 for tile in tiles)
    else:
        most = {"low_rank": 4, "block": 16}[step.kind]  # rows of a tile that differ
        assert all(len(torch.unique(tile, dim=0)) <= most for tile in tiles)


@pytest.mark.parametrize(
    "key, value", [("width", 48), ("patterns", 1), ("kind", "rank"), ("scope", "global")]
)
def test_impossible_steps_are_refused(key, value):
    with pytest.raises(ValueError, match="must be"):
        CheapMask(sparsity=0.5, **{key: value})


def test_a_low_rank_mask_is_stored_as_its_factors():
    w = gaussian(1024, 512)
    kept = project(w, round(0.09 * w.numel()), "low_rank", width=64, patterns=32)
    weights = kept.sign().to(torch.int8).numpy()
    encoded = encode("xor", weights)
    assert encoded.info["mask"] == "patterns"
    assert 8 * encoded.info["mask_bytes"] / weights.size <= 5 / 64 + 32 / 1024 + 0.001
    assert 8 * len(encoded.data) / weights.size <= 0.206
