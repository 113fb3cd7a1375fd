"""A recipe that trains in a blink: a dense network on six-dimensional blobs, with faults on request."""

from __future__ import annotations

from pathlib import Path

MODEL = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.relu, self.fc2 = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc2(self.relu(self.fc1(x)))


class Odd(Net):
    def forward(self, x):
        x = self.fc1(x)
        return self.fc2(torch.sin(x))


def broken():
    return Net().no_such_thing


def leaving():
    raise SystemExit(7)
"""

DATA = """
import numpy as np
import torch


def blobs(n=96, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (rng.normal(size=(n, 6)) + 3 * np.eye(6)[y]).astype(np.float32), y


def three(change=lambda x, y: (x, y)):
    return change(*blobs(256)), blobs(64, 1), blobs(64, 2)


def good():
    print("a loader may print")
    return three()


def empty():
    return three(lambda x, y: (x[:0], y[:0]))


def nan():
    return three(lambda x, y: (np.where(np.arange(6) + np.arange(len(x))[:, None] == 9, np.nan, x), y))


def narrow():
    return three(lambda x, y: (x[:, :5], y))


def narrow_later():
    return *three()[:2], (blobs()[0][:, :5], blobs()[1])


def flat():
    return three(lambda x, y: (x[:, 0], y))


def high_labels():
    return three(lambda x, y: (x, y + 1))


def few_labels():
    return three(lambda x, y: (x, y[:9]))


def real_labels():
    return three(lambda x, y: (x, y + 0.5))


def ragged():
    return three(lambda x, y: ([[1.0], [2.0, 3.0]], [0, 1]))


def texts():
    return three(lambda x, y: ([["a"], ["b"]], [0, 1]))


def two():
    return three()[:2]


def nothing():
    return None


def failing():
    return open("no such file")


def leaving():
    raise SystemExit("that was all")


def learning():
    return three(lambda x, y: (torch.tensor(x, requires_grad=True), y))
"""

STEPS = """
[[compress]]
method = "magnitude"
sparsity = 0.5
epochs = 2

[[compress]]
method = "qat"
epochs = 2
"""


def write_recipe(
    folder: Path,
    *,
    source: str = "model.py:Net",
    loader: str = "good",
    model: str = "",
    train: str = "",
    rest: str = STEPS,
) -> Path:
    """Writes model.py, data.py and recipe.toml; ``model``, ``train`` and ``rest`` are further TOML."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(MODEL)
    (folder / "data.py").write_text(DATA)
    path = folder / "recipe.toml"
    path.write_text(
        f'[model]\nsource = "{source}"\nname = "blobs"\n{model}\n[data]\nloader = "data.py:{loader}"\n'
        f"[train]\nepochs = 2\nbatch = 32\n{train}\n{rest}"
    )
    return path
