"""CIFAR-10, 4,000 of its training images: 3,000 to train on, 500 to choose on, 500 for the end.

The published ResNet-20 has seen all of these in its own training, so its accuracy on the 500 is far above
that on CIFAR-10's test set. Compression has not: what it loses is measured on images that are new to it.

``cifar10_train4000/cifar10_train4000.npz`` (``x`` uint8 (N, 32, 32, 3), ``y``) lies in the folder that
THIMBLE_DATA names, by default ``shared/data`` beside the repository.
"""

import os
from pathlib import Path

import numpy as np

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get("THIMBLE_DATA", BESIDE)) / "cifar10_train4000"
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)  # as the checkpoint was trained
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
COPIES = 4  # moved copies of each training image, and as many mixed ones, beside the image itself


def _moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image shifted by up to 4 pixels, zeros coming in, and mirrored or not at random."""
    framed = np.pad(images, ((0, 0), (0, 0), (4, 4), (4, 4)))
    out = np.empty_like(images)
    for i, (top, left) in enumerate(rng.integers(0, 9, (len(images), 2))):
        out[i] = framed[i, :, top : top + 32, left : left + 32]
    mirrored = rng.random(len(images)) < 0.5
    out[mirrored] = out[mirrored, :, :, ::-1]
    return out


def _mixed(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved, with a fainter second one over it: more for the dense network to teach on."""
    other = _moved(images[rng.permutation(len(images))], rng)
    share = rng.uniform(0.5, 1, (len(images), 1, 1, 1)).astype(np.float32)
    return share * _moved(images, rng) + (1 - share) * other


def cifar10():
    """(train, validation, test), each (x float32 (N, 3, 32, 32), y int64)."""
    with np.load(FOLDER / "cifar10_train4000.npz") as file:
        x = file["x"].transpose(0, 3, 1, 2).astype(np.float32) / 255
        y = file["y"].astype(np.int64)
    x = (x - MEAN) / DEVIATION
    rng = np.random.default_rng(7)
    test, validation, train = np.split(rng.permutation(len(y)), [500, 1000])
    copies = [change(x[train], rng) for change in (_moved, _mixed) for _ in range(COPIES)]
    many = np.concatenate([x[train], *copies]), np.tile(y[train], 1 + 2 * COPIES)
    return many, (x[validation], y[validation]), (x[test], y[test])
