"""Compression without training: clustering, reconstruction, and the search for what is still good enough."""

from __future__ import annotations

import os
from itertools import combinations, pairwise
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantized_networks import Builder
from thimble.codecs import limit_bytes
from thimble.commands.inputs import Samples
from thimble.commands.load import load_model
from thimble.commands.one_shot import _split, compress_for, parse_target
from thimble.commands.one_shot_score import VARIANCE, metric_of, scorer
from thimble.compress.one_shot.moments import moments
from thimble.compress.one_shot.reconstruct import reconstruct
from thimble.compress.one_shot.search import compress_one_shot
from thimble.compress.one_shot.variants import variants
from thimble.compress.projections.clusters import nearest, optimal_centroids
from thimble.errors import DataError, FitError, RecipeError
from thimble.graph.graph import Graph
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run, run_all

DATA = Path(os.environ.get("THIMBLE_DATA", Path(__file__).parents[3] / "shared" / "data"))
KEYWORDS = DATA / "mlperf_tiny_kws_test" / "kws01_first500.npz"
KEYWORD_SPOTTER = DATA / "mlperf_tiny_models" / "kws_ref_model.tflite"
_PAIRS = st.lists(st.tuples(st.integers(-128, 127), st.integers(0, 9)), min_size=1, max_size=9)


@settings(deadline=None, max_examples=60)
@given(_PAIRS, st.integers(1, 5))
def test_clusters_are_the_best_there_are(pairs: list[tuple[int, int]], count: int) -> None:
    values = np.array([v for v, _ in pairs], np.int8)
    weights = np.array([w for _, w in pairs], float)
    found = optimal_centroids(values, weights, count)
    assert len(found) <= count
    assert (np.diff(found.astype(int)) > 0).all()
    cost = float((weights * (values - nearest(values, found)) ** 2).sum())
    distinct = np.unique(values)
    best = np.inf
    for cuts in combinations(range(1, len(distinct)), min(count, len(distinct)) - 1):
        parts = np.split(distinct, cuts)
        total = 0.0
        for part in parts:
            inside = np.isin(values, part)
            mass = weights[inside].sum()
            mean = (weights[inside] * values[inside]).sum() / mass if mass else 0.0
            total += float((weights[inside] * (values[inside] - mean) ** 2).sum())
        best = min(best, total)
    rounding = 0.25 * weights.sum()  # centroids are whole numbers, half a unit off at most
    assert cost <= best + rounding + 1e-6


def test_reconstruction_beats_rounding_to_the_nearest() -> None:
    rng = np.random.default_rng(0)
    weights = np.clip(rng.normal(0, 40, (16, 64)), -127, 127).astype(np.int8)
    inputs = rng.normal(0, 1, (500, 8)) @ rng.normal(0, 1, (8, 64)) + rng.normal(0, 0.3, (500, 64))
    second = inputs.T @ inputs / len(inputs)

    def error(candidate: np.ndarray) -> float:
        change = candidate.astype(float) - weights
        return float(np.einsum("oc,cd,od->", change, second, change))

    ours = reconstruct(weights, second, 0.5, 8)
    order = np.abs(weights.astype(int)).reshape(-1).argsort()
    plain = weights.copy().reshape(-1)
    plain[order[: plain.size // 2]] = 0
    kept = plain != 0
    plain[kept] = nearest(plain[kept], optimal_centroids(plain[kept], np.ones(kept.sum()), 8)).astype(np.int8)
    assert (ours == 0).mean() >= 0.5
    assert len(np.unique(ours)) <= 9
    assert error(ours) < 0.5 * error(plain.reshape(weights.shape))


def test_inputs_that_never_move_lose_their_weights() -> None:
    weights = np.full((4, 6), 50, np.int8)
    second = np.diag([1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    assert not reconstruct(weights, second, 0.0, 4)[:, [1, 4]].any()


def _network() -> tuple[Graph, np.ndarray]:
    b = Builder("net", (8, 8, 3), seed=3)
    y = b.conv2d("x", 8, padding=(1, 1, 1, 1), levels=127, per_channel=True)
    y = b.conv2d(y, 8, padding=(1, 1, 1, 1), groups=8, levels=127)
    y = b.conv2d(y, 12, (1, 1), stride=(2, 2), levels=127)
    graph = b.graph(b.fully_connected(y, 5, clamp=(None, None)))
    return graph, np.random.default_rng(1).integers(-128, 128, (120, 8, 8, 3)).astype(np.int8)


def test_moments_are_those_of_the_layers_own_sums() -> None:
    graph, x = _network()
    values = run_all(graph, x[:20])
    for layer in graph.weighted:
        seen = moments(graph, layer, values)
        for variant in variants(layer, seen)[1:3]:
            # shifted by the correction, the mean accumulator stays within half a unit
            change = (variant.weight.astype(float) - layer.weight).reshape(
                *seen.mean.shape[:1], -1, seen.mean.shape[1]
            )
            shift = np.einsum("goc,gc->go", change, seen.mean).reshape(-1)
            corrected = shift + variant.bias.astype(float) - layer.params["bias"]
            assert np.abs(corrected).max() <= 0.5 + 1e-9


def test_variants_trade_bytes_for_error() -> None:
    graph, x = _network()
    values = run_all(graph, x)
    for layer in graph.weighted:
        found = variants(layer, moments(graph, layer, values))
        assert found[0].weight is layer.weight
        assert len(found) > 3
        for milder, harsher in pairwise(found):
            assert harsher.bytes < milder.bytes
            assert harsher.error >= milder.error
            assert harsher.bytes == pytest.approx(limit_bytes(harsher.weight))


def test_search_goes_as_far_as_it_may() -> None:
    graph, x = _network()
    reference = run(graph, x)[0].argmax(axis=1)

    def agreement(candidate: Graph) -> float:
        return float(np.mean(run(candidate, x)[0].argmax(axis=1) == reference))

    outcome = compress_one_shot(graph, x[:60], lambda g: agreement(g) >= 0.9, mildest=False)
    assert outcome is not None
    assert agreement(outcome.graph) >= 0.9
    before, after = (sum(limit_bytes(layer.weight) for layer in g.weighted) for g in (graph, outcome.graph))
    assert after < 0.85 * before


def test_search_for_bytes_stops_where_they_are_reached() -> None:
    graph, x = _network()

    def size(candidate: Graph) -> float:
        return sum(limit_bytes(layer.weight) for layer in candidate.weighted)

    limit = 0.6 * size(graph)
    outcome = compress_one_shot(graph, x[:60], lambda g: size(g) <= limit, mildest=True)
    assert outcome is not None
    assert 0.7 * limit < size(outcome.graph) <= limit
    assert compress_one_shot(graph, x[:60], lambda g: size(g) <= 1, mildest=True) is None


def test_what_is_small_enough_is_left_alone() -> None:
    graph, x = _network()
    outcome = compress_one_shot(graph, x[:60], lambda g: True, mildest=True)
    assert outcome is not None
    assert outcome.graph is graph
    assert compress_one_shot(graph, x[:60], lambda g: False, mildest=False) is None
    target = parse_target("64K", None)
    assert target is not None
    loaded, document = compress_for(graph, Samples(x, None), target, lambda g: 64_000)
    for layer, own in zip(loaded.quantized.layers, graph.layers, strict=True):
        assert layer.weight is own.weight
    assert document["after"] == document["before"] == 100.0
    assert document["target"] == {"flash": 64_000}


def test_a_network_that_answers_alike_to_everything_is_refused() -> None:
    graph, x = _network()
    target = parse_target("1K", None)
    assert target is not None

    def nothing_but_zeros(candidate: Graph) -> int:
        return 1_000 + candidate.nonzero

    with pytest.raises(FitError, match="TMB4005"):
        compress_for(graph, Samples(x, None), target, nothing_but_zeros)


def test_document_says_what_it_cost() -> None:
    graph, x = _network()
    target = parse_target(None, 10.0)
    assert target is not None
    small, document = compress_for(
        graph, Samples(x, None), target, lambda g: int(sum(limit_bytes(layer.weight) for layer in g.weighted))
    )
    assert document["metric"] == "agreement"
    assert document["before"] == 100.0
    assert document["after"] >= 90.0
    assert document["calibration_samples"] + document["measured_samples"] == len(x)
    assert document["flash"]["after"] < document["flash"]["before"]
    answers = [run(g, x)[0].argmax(axis=1) for g in (graph, small.graph)]
    np.testing.assert_array_equal(run(small.quantized, x)[0], run(small.graph, x)[0])
    assert abs(document["after"] - 100.0 * float(np.mean(answers[0] == answers[1]))) < 10.0


def test_files_sorted_by_class_are_mixed() -> None:
    """Or a network is tuned on one class and measured on another."""
    graph, x = _network()
    y = run(graph, x)[0].argmax(axis=1)
    order = np.argsort(y, kind="stable")
    calibration, held_out = _split(Samples(x[order], y[order]), graph)
    assert isinstance(calibration, np.ndarray)
    assert set(held_out.y) == set(y)
    assert len(calibration) + len(held_out) == len(x)
    everything = np.concatenate([calibration, held_out.x]).reshape(len(x), -1)
    np.testing.assert_array_equal(np.unique(everything, axis=0), np.unique(x.reshape(len(x), -1), axis=0))


def _autoencoder() -> tuple[Graph, np.ndarray]:
    b = Builder("autoencoder", (24,), seed=5)
    hidden = b.fully_connected("x", 16)
    graph = b.graph(b.fully_connected(hidden, 24, clamp=(None, None)))
    wide = [attrs.evolve(k, params={**k.params, "shift": k.params["shift"] + 4}) for k in graph.layers]
    graph = attrs.evolve(graph, layers=tuple(wide))  # outputs of many steps, not one or two
    return graph, np.random.default_rng(2).integers(-128, 128, (200, 24)).astype(np.int8)


def test_outputs_that_are_no_classes_are_compared_by_what_they_hold() -> None:
    graph, x = _autoencoder()
    samples = Samples(x, np.zeros(len(x), np.int64))  # labels that are no answers
    assert metric_of(graph, samples) == VARIANCE
    target = parse_target(None, 15.0)
    assert target is not None
    small, document = compress_for(
        graph, samples, target, lambda g: int(sum(limit_bytes(layer.weight) for layer in g.weighted))
    )
    assert document["metric"] == VARIANCE
    assert document["before"] == 100.0
    assert 85.0 <= document["after"] < 100.0
    assert document["flash"]["after"] < document["flash"]["before"]
    held_out = _split(samples, graph)[1]
    wanted, result = (run(g, held_out.x)[0].astype(float) for g in (graph, small.graph))
    error = np.square(result - wanted).sum() / np.square(wanted - wanted.mean(axis=0)).sum()
    assert document["after"] == pytest.approx(100.0 * (1 - error), abs=1e-3)


def test_noise_keeps_no_variance() -> None:
    graph, x = _autoencoder()
    score = scorer(graph, Samples(x, None), VARIANCE)
    layer = graph.weighted[-1]
    broken = attrs.evolve(layer, params={**layer.params, "weight": -layer.weight})
    worse = attrs.evolve(graph, layers=tuple(broken if k is layer else k for k in graph.layers))
    assert score(graph) == 100.0
    assert score(worse) < 0.0


@pytest.mark.parametrize(
    "text,size", [("65536", 65536), ("64K", 64_000), ("64 kB", 64_000), ("1.5M", 1_500_000), ("2KiB", 2048)]
)
def test_sizes(text: str, size: int) -> None:
    target = parse_target(text, None)
    assert target is not None
    assert target.flash == size


_BAD_SIZES = [(text, None) for text in ("", "K", "-3K", "3X", "0")]
_BAD_DROPS = [(None, drop) for drop in (-1.0, 101.0, float("nan"))]


@pytest.mark.parametrize("flash,drop", [*_BAD_SIZES, *_BAD_DROPS, ("1K", 1.0)])
def test_bad_targets(flash: str | None, drop: float | None) -> None:
    with pytest.raises(RecipeError, match="TMB3024"):
        parse_target(flash, drop)


def test_bad_samples_and_unreachable_flash() -> None:
    graph, x = _network()
    target = parse_target("10", None)
    assert target is not None
    for samples in (None, Samples(x[:19], None)):
        with pytest.raises(DataError, match="TMB2037"):
            compress_for(graph, samples, target, lambda g: 0)
    with pytest.raises(FitError, match="TMB4005"):
        compress_for(graph, Samples(x, None), target, lambda g: 100)


def test_keyword_spotter_loses_a_third_of_its_weights_and_hardly_an_answer() -> None:
    if not KEYWORDS.is_file() or not KEYWORD_SPOTTER.is_file():
        pytest.skip(f"no {KEYWORD_SPOTTER} or {KEYWORDS}; THIMBLE_DATA names the folder of shared data")
    graph = load_model(KEYWORD_SPOTTER)
    with np.load(KEYWORDS) as file:
        real = (file["x"][:300].astype(np.float32) - file["zero_point"]) * file["scale"]
        x, y = quantize_input(graph, real[..., None].astype(np.float32)), file["y"][:300].astype(np.int64)
    target = parse_target(None, 1.0)
    assert target is not None

    def size(candidate: Graph) -> int:
        return int(sum(limit_bytes(layer.weight) for layer in candidate.weighted))

    _, document = compress_for(graph, Samples(x, y), target, size)
    assert document["metric"] == "accuracy"
    assert document["before"] >= 85.0
    assert document["after"] >= document["before"] - 1.0
    assert document["flash"]["after"] <= 0.65 * document["flash"]["before"]
