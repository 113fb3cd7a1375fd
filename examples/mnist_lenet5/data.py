"""MNIST for training: 55,000 images with slightly moved copies, 5,000 to choose on, 10,000 for the end.

The files ``mnist/mnist_train.npz`` and ``mnist/mnist_test.npz`` (``x`` uint8 (N, 28, 28), ``y``) lie in the
folder that the environment variable THIMBLE_DATA names, by default ``shared/data`` beside the repository.
"""

import math
import os
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

COPIES = 3  # moved copies of each training image, beside as many unmoved ones


def _folder() -> Path:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("THIMBLE_DATA", beside)) / "mnist"


def _read(name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(_folder() / name) as file:
        return file["x"][:, None], file["y"].astype(np.int64)


def _moved(images: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """Each image turned, scaled, sheared and shifted a little at random."""
    out = np.empty_like(images)
    for start in range(0, len(images), 5000):
        x = torch.from_numpy(images[start : start + 5000]).float()
        draw = torch.rand(6, len(x), generator=generator) * 2 - 1
        angle, wide, high, shear, right, down = draw * torch.tensor(
            [math.radians(10), 0.1, 0.1, 0.1, 2 / 14, 2 / 14]
        ).unsqueeze(1)
        first = torch.stack([angle.cos() * (1 + wide), (shear - angle.sin()) * (1 + high), right], dim=1)
        second = torch.stack([angle.sin() * (1 + wide), angle.cos() * (1 + high), down], dim=1)
        grid = F.affine_grid(torch.stack([first, second], dim=1), list(x.shape), align_corners=False)
        moved = F.grid_sample(x, grid, align_corners=False).round().clamp(0, 255)
        out[start : start + 5000] = moved.to(torch.uint8).numpy()
    return out


def mnist():
    """(train, validation, test), each (x uint8 (N, 1, 28, 28), y int64)."""
    x, y = _read("mnist_train.npz")
    order = np.random.default_rng(7).permutation(len(y))
    held_out, rest = order[:5000], order[5000:]
    generator = torch.Generator().manual_seed(7)
    moved = [_moved(x[rest], generator) for _ in range(COPIES)]
    train = np.concatenate([*[x[rest]] * COPIES, *moved])
    labels = np.tile(y[rest], 2 * COPIES)
    return (train, labels), (x[held_out], y[held_out]), _read("mnist_test.npz")
