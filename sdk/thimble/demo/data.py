"""scikit-learn's bundled digits, split for training, choosing and the final test."""

import numpy as np
from sklearn.datasets import load_digits


def digits():
    """(train, validation, test), each (x float32 (N, 1, 8, 8) in 0..1, y)."""
    bunch = load_digits()
    x = (bunch.images / 16.0).astype(np.float32)[:, None]
    y = bunch.target.astype(np.int64)
    order = np.random.default_rng(0).permutation(len(y))
    test, validation, train = np.split(order, [360, 540])
    return (x[train], y[train]), (x[validation], y[validation]), (x[test], y[test])
