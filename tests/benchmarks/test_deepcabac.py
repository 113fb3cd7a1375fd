"""DeepCABAC as a comparison: found only where nncodec is installed, and then a plausible coder."""

from __future__ import annotations

import numpy as np
import pytest
from bench import deepcabac

from thimble.codecs import limit_bytes


@pytest.fixture
def _no_package(monkeypatch: pytest.MonkeyPatch):
    deepcabac.coder.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    yield
    deepcabac.coder.cache_clear()


@pytest.mark.usefixtures("_no_package")
def test_without_nncodec_there_is_no_coder() -> None:
    assert deepcabac.coder() is None


def test_size_is_near_the_entropy_and_takes_the_best_order() -> None:
    if deepcabac.coder() is None:
        pytest.skip(deepcabac.INSTALL)
    rng = np.random.default_rng(3)
    weights = np.where(rng.random((100, 200)) < 0.1, rng.integers(-7, 8, (100, 200)), 0).astype(np.int8)
    found = deepcabac.size([weights])
    assert limit_bytes(weights) < found < 1.1 * limit_bytes(weights)
    assert deepcabac.size([weights, np.sort(weights, axis=None).reshape(100, 200)]) < found / 4
