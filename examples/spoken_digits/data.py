"""Spoken digits: 2,400 recordings to train on, with moved copies, 300 to choose on, 300 for the end.

3,000 recordings of ten words by six speakers (Free Spoken Digit Dataset), as 49 frames of 10 MFCC. Of each
speaker's 50 takes of a word the first five are the test, as the data set's authors say, and the next five
validation: the speakers of the test are known, their recordings are not.

``fsdd_mfcc/fsdd_mfcc.npz`` (``x`` float16 (N, 49, 10), ``y``, ``take``) lies in the folder that THIMBLE_DATA
names, by default ``shared/data`` beside the repository.
"""

import os
from pathlib import Path

import numpy as np

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get("THIMBLE_DATA", BESIDE)) / "fsdd_mfcc"
# of the training recordings, each coefficient's mean and standard deviation
MEAN = np.array([-10.9, -3.7, -0.1, -3.7, -8.5, -4.8, -3.2, -1.4, -2.0, -0.7], np.float32)
DEVIATION = np.array([25.9, 10.2, 9.9, 10.8, 14.1, 12.8, 10.4, 9.4, 8.5, 9.3], np.float32)
COPIES = 10  # moved copies of each training recording, beside the recording itself


def _moved(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each recording up to 8 frames (0.16 s) earlier or later, louder or softer, with some noise."""
    frames = x.shape[2]
    shift = rng.integers(-8, 9, (len(x), 1))
    at = np.clip(np.arange(frames) + shift, 0, frames - 1)  # the border stands for what is missing
    out = np.take_along_axis(x, at[:, None, :, None], axis=2)
    out[..., 0] += rng.normal(0, 0.2, (len(x), 1, 1))
    return out + rng.normal(0, 0.1, x.shape).astype(np.float32)


def digits():
    """(train, validation, test), each (x float32 (N, 1, 49, 10), y int64)."""
    with np.load(FOLDER / "fsdd_mfcc.npz") as file:
        x, y, take = file["x"].astype(np.float32), file["y"].astype(np.int64), file["take"]
    x = ((x - MEAN) / DEVIATION)[:, None]
    test, validation, train = take < 5, (take >= 5) & (take < 10), take >= 10
    rng = np.random.default_rng(7)
    copies = [_moved(x[train], rng) for _ in range(COPIES)]
    many = np.concatenate([x[train], *copies]), np.tile(y[train], 1 + COPIES)
    return many, (x[validation], y[validation]), (x[test], y[test])
