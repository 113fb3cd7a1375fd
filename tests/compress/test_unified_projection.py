"""The unified projection is the nearest of its kind; its trainer leaves what the codec holds."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from compress_nets import digits, mlp, recipe
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.codecs import encode
from thimble.compress.pipeline import compress
from thimble.compress.projections.grid import project as to_grid
from thimble.compress.projections.unified import project
from thimble.compress.trainable import TrainableGraph
from thimble.compress.trainers.loop import accuracy

arrays = st.tuples(st.integers(1, 9), st.integers(1, 13), st.floats(0, 0.9), st.integers(0, 2**31)).map(
    lambda t: torch.from_numpy(
        (rng := np.random.default_rng(t[3])).normal(size=t[:2]) * (rng.random(t[:2]) >= t[2])
    )
)


def blocks(weight, height, width):
    for top, left in itertools.product(range(0, weight.shape[0], height), range(0, weight.shape[1], width)):
        yield weight[top : top + height, left : left + width]


@settings(deadline=None, max_examples=60)
@given(arrays, st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_blocks_share_a_magnitude_signs_stay_and_a_second_time_changes_nothing(w, height, width, keep_zero):
    out = project(w, height=height, width=width, keep_zero=keep_zero)
    assert out.shape == w.shape
    for block in blocks(out, height, width):
        magnitudes = block[block != 0].abs()
        assert magnitudes.numel() == 0 or magnitudes.max() == magnitudes.min()
    assert torch.equal(out.sign(), w.sign()) if not keep_zero else bool((out * w >= 0).all())
    assert bool((out[w == 0] == 0).all())
    torch.testing.assert_close(project(out, height=height, width=width, keep_zero=keep_zero), out)


@settings(deadline=None, max_examples=40)
@given(arrays)
def test_no_choice_of_zeros_and_magnitude_is_nearer(w):
    out = project(w, height=2, width=3)
    for block, found in zip(blocks(w, 2, 3), blocks(out, 2, 3), strict=True):
        flat = block.flatten()
        best = float(flat.square().sum())
        for chosen in itertools.product([0.0, 1.0], repeat=len(flat)):
            mask = torch.tensor(chosen, dtype=w.dtype)
            if mask.sum():
                mean = (flat.abs() * mask).sum() / mask.sum()
                best = min(best, float((flat - flat.sign() * mask * mean).square().sum()))
        assert float((block - found).square().sum()) == pytest.approx(best, abs=1e-9)


def test_kernels_are_cut_as_the_codec_sees_them():
    w = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    rows = project(w).permute(0, 2, 3, 1).flatten(1)
    assert torch.equal(rows, project(w.permute(0, 2, 3, 1).flatten(1)))


def test_on_the_grid_the_codec_holds_it_and_beats_the_others():
    w = torch.randn(64, 128, generator=torch.Generator().manual_seed(2))
    on_grid = to_grid(project(w), 7, keep_zero=False)
    scale = on_grid[on_grid != 0].abs().min()
    integers = (on_grid / scale).round().numpy().astype(np.int8)
    size = len(encode("unified", integers).data)
    assert size < 0.9 * min(len(encode(name, integers).data) for name in ("sri", "packed", "bitmap"))


@pytest.mark.parametrize("shape", [{"height": 0}, {"width": -1}])
def test_impossible_blocks(shape):
    with pytest.raises(ValueError, match="at least one"):
        project(torch.ones(2, 2), **shape)


@pytest.mark.parametrize("epochs", [0, 10])
def test_a_trained_network_is_what_the_codec_holds(tmp_path, epochs):
    graph = mlp()
    data = digits(graph)
    step = {"method": "unified", "height": 2, "epochs": epochs}
    result = compress(graph, data, recipe([step], {"epochs": 15}, quantize={"weights": 4}), Path(tmp_path))
    for layer in result.graph.weighted:
        rows = layer.weight.reshape(len(layer.weight), -1)
        integers = np.rint(rows / result.weight_scales[layer.name]).astype(np.int8)
        assert encode("unified", integers, block=(2, 4)).data
    if epochs:
        assert accuracy(TrainableGraph(result.graph).eval(), data.test) > 0.93  # 0.58 without training
