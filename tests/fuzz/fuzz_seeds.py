"""Writes the seed corpus: real encodings of small matrices, in every form, by every codec.

PYTHONPATH=sdk:tests python tests/fuzz/fuzz_seeds.py              # codecs that have none
PYTHONPATH=sdk:tests python tests/fuzz/fuzz_seeds.py rans huffman # these, again
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from thimble.codecs import CODECS, Codec, Encoded
from thimble.errors import ModelError

CORPUS = Path(__file__).with_name("corpus")
FORMS = {"list": 0, "row": 1, "fused": 2}
LONG = 0xFC  # long rows


def matrices() -> Iterator[np.ndarray]:
    """int8 matrices of the kinds that codecs tell apart, and one with a column that 16 bits just hold."""
    rng = np.random.default_rng(31)

    def sparse(rows: int, cols: int, density: float, largest: int) -> np.ndarray:
        weights = rng.integers(1, largest + 1, (rows, cols)) * rng.choice([-1, 1], (rows, cols))
        return (weights * (rng.random((rows, cols)) < density)).astype(np.int8)

    yield sparse(5, 30, 0.2, 7)
    yield sparse(8, 40, 0.1, 1)
    yield np.kron(sparse(2, 6, 0.4, 3), np.ones((4, 4), np.int8))
    kept = np.argsort(rng.random((4, 8, 4)), axis=2) < 2
    yield (sparse(4, 32, 1, 7) * kept.reshape(4, 32)).astype(np.int8)
    yield np.kron(np.eye(3, dtype=np.int8), np.ones((3, 5), np.int8))[rng.permutation(9)]
    yield np.clip(np.rint(rng.normal(0, 20, (6, 24))), -128, 127).astype(np.int8)
    yield np.repeat([[3], [0], [-3]], 9, axis=1).astype(np.int8)
    long = np.zeros((1, 65535), np.int8)
    long[0, [0, 40000, 65534]] = 1, -2, 3
    yield long


def held(codec: Codec) -> Iterator[tuple[np.ndarray, Encoded]]:
    """The matrices that a codec can hold, encoded."""
    for weights in matrices():
        try:
            encoded = codec.encode(weights)
        except ModelError as error:
            if error.code != "TMB1304":
                raise
            continue
        if len(encoded.data) <= 2048:
            yield weights, encoded


def packed(encoded: Encoded, form: str, scratch: int) -> bytes:
    """An input of fuzz_decoder.c."""
    is_long = encoded.cols > 512
    head = (
        FORMS[form] | (LONG if is_long else 0),
        encoded.rows - 1,
        encoded.cols - 1,
        encoded.row_max,
        scratch // 4,
    )
    return struct.pack("<BBHHH", *head) + encoded.data


def write(codec: Codec) -> None:
    """Each matrix once, its form changing from one to the next, but the first in every form."""
    folder = CORPUS / codec.c_name
    folder.mkdir(parents=True, exist_ok=True)
    forms = [form for form in FORMS if form in codec.forms]
    for k, (_, encoded) in enumerate(held(codec)):
        for form in forms if k == 0 else [forms[k % len(forms)]]:
            data = packed(encoded, form, codec.scratch_bytes(encoded, form))
            (folder / f"{k}-{form}").write_bytes(data)


def main(names: list[str]) -> None:
    for name in names or CODECS:
        if names or not (CORPUS / CODECS[name].c_name).exists():
            write(CODECS[name])


if __name__ == "__main__":
    main(sys.argv[1:])
