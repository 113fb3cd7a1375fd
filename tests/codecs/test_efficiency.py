"""How near each codec comes to the order-0 limit, on random weights."""

from __future__ import annotations

import numpy as np
import pytest
from matrices import held, random_matrix

from thimble.codecs import CODECS, encode


def mask_bits(density: float) -> float:
    return -density * np.log2(density) - (1 - density) * np.log2(1 - density)


@pytest.mark.parametrize("density", [0.2, 0.14, 0.1, 0.07, 0.05, 0.035, 0.02])
def test_sri_is_near_the_limit_for_uniform_5_bit_values(density):
    weights = random_matrix(1000, 1024, density, 16, 11, "anywhere")
    found = np.count_nonzero(weights) / weights.size
    encoded = encode("sri", weights)
    limit = (mask_bits(found) + 5 * found) * weights.size / 8
    assert len(encoded.data) <= 1.06 * limit
    assert (
        encoded.info["mask_bytes"] + encoded.info["header_bytes"]
        <= 1.10 * mask_bits(found) * weights.size / 8
    )


def lenet5() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    layers = []
    for rows, cols, nonzero in ((8, 25, 70), (20, 200, 900), (200, 320, 2000), (10, 200, 150)):
        weights = np.zeros(rows * cols, np.int8)
        magnitude = np.clip(np.ceil(rng.exponential(2.2, nonzero)), 1, 7)
        weights[rng.choice(len(weights), nonzero, replace=False)] = magnitude * rng.choice([-1, 1], nonzero)
        layers.append(weights.reshape(rows, cols))
    return layers


@pytest.mark.parametrize("name, most", [("sri", 3900), ("sri+xor", 3800)])
def test_small_network_is_small(name, most):
    assert sum(len(encode(name, weights).data) for weights in lenet5()) <= most


def test_prefix_planes_save_bits_of_the_values():
    encoded = encode("sri+xor", lenet5()[2])
    assert 8 * encoded.info["value_bytes"] / 2000 < 3.75  # entropy 3.4, raw 4


def test_tiny_layers_have_tiny_overhead():
    weights = random_matrix(10, 500, 0.008, 16, 3, "anywhere")
    nonzero = np.count_nonzero(weights)
    limit = (mask_bits(nonzero / weights.size) * weights.size + 5 * nonzero) / 8
    assert len(encode("sri", weights).data) <= limit + 6


@pytest.mark.parametrize("name", sorted(set(CODECS) - {"dense", "bitmap", "rans", "sri-flat"}))
def test_nothing_costs_next_to_nothing(name):
    for value, most in ((0, 8), (-3, 12)):
        encoded = held(name, np.full((100, 100), value, np.int8))
        assert encoded is None or len(encoded.data) <= most
