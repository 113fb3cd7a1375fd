"""Writes test vectors: for every codec an image of several matrices, and the matrices as JSON.

PYTHONPATH=sdk python tests/vectors/make.py            # what is missing
PYTHONPATH=sdk python tests/vectors/make.py rans xor   # these, again
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thimble.codecs import CODECS, Encoded
from thimble.errors import ModelError
from thimble.plan.image import LayerConstants, build

HERE = Path(__file__).parent
STRUCTURE = "thimble test vector"


def matrices() -> Iterator[np.ndarray]:
    """int8 matrices of the kinds that codecs tell apart."""
    rng = np.random.default_rng(20)

    def keep(shape: tuple[int, int], density: float) -> np.ndarray:
        return rng.random(shape) < density

    yield np.array([[3, 0, 0, -1, 0, 0, 0], [0, 0, 2, 0, 0, 0, -2]], np.int8)
    yield (rng.integers(-7, 8, (9, 40)) * keep((9, 40), 0.15)).astype(np.int8)
    yield (rng.choice([-1, 1], (12, 33)) * keep((12, 33), 0.3)).astype(np.int8)
    yield (rng.choice([-90, 17, 17, 17, 18, 127], (6, 50)) * keep((6, 50), 0.25)).astype(np.int8)
    yield np.kron(rng.integers(-3, 4, (4, 6)) * keep((4, 6), 0.4), np.ones((4, 4))).astype(np.int8)
    kept = np.argsort(rng.random((10, 8, 4)), axis=2) < 2
    yield (
        (rng.integers(1, 8, (10, 8, 4)) * rng.choice([-1, 1], kept.shape) * kept)
        .reshape(10, 32)
        .astype(np.int8)
    )
    yield np.clip(np.rint(rng.normal(0, 20, (8, 24))), -128, 127).astype(np.int8)
    yield np.zeros((3, 5), np.int8)
    yield np.array([[-128]], np.int8)


def layers(codec: str) -> Iterator[LayerConstants]:
    """The matrices that a codec can hold, with constants of every kind beside them."""
    for k, weights in enumerate(matrices()):
        try:
            encoded: Encoded = CODECS[codec].encode(weights)
        except ModelError as error:
            if error.code != "TMB1304":
                raise
            continue
        rows = len(weights)
        bias = np.arange(rows, dtype=np.int32) * (0, 7, -900, 1 << 18)[k % 4]
        n = rows if k % 2 else 1
        multiplier = (1 << 30) + np.arange(n, dtype=np.int32) * 12345
        yield LayerConstants(f"layer{k}", encoded, bias, multiplier, np.full(n, -k, np.int8))


def write(codec: str) -> None:
    """``<codec>.img`` and ``<codec>.json``."""
    held = list(layers(codec))
    image = build(held, STRUCTURE)
    document = {
        "structure": STRUCTURE,
        "sections": [
            {
                "codec": codec,
                "bias": x.bias.tolist(),
                "multiplier": x.multiplier.tolist(),
                "shift": x.shift.tolist(),
                "weights": CODECS[codec].decode(x.encoded).tolist(),
            }
            for x in held
        ],
    }
    name = CODECS[codec].c_name
    (HERE / f"{name}.img").write_bytes(image.data)
    text = json.dumps(document).replace('{"codec"', '\n{"codec"').replace("], [", "],\n[")
    (HERE / f"{name}.json").write_text(text + "\n")


def main(names: list[str]) -> None:
    for codec in names or CODECS:
        if names or not (HERE / f"{CODECS[codec].c_name}.img").exists():
            write(codec)


if __name__ == "__main__":
    main(sys.argv[1:])
