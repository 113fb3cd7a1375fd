"""The worked example of a codec's page, and the check of all of a codec's forms against Python."""

from __future__ import annotations

import re

import numpy as np
from decoder import ROOT, Decoder

from thimble.codecs import CODECS, Encoded, decode


def stated(codec: str) -> tuple[np.ndarray, bytes]:
    """The matrix and the bytes of docs/formats/<codec>.md's section "Example"."""
    page = (ROOT / f"docs/formats/{codec}.md").read_text()
    example = page[page.index("## Example") :]
    block = re.search(r"```\n(.*?)```", example, re.DOTALL)
    assert block
    weights = np.array([line.split() for line in block[1].splitlines()], np.int8)
    return weights, bytes.fromhex("".join(re.findall(r"^\| `([0-9A-F ]+)` \|", example, re.MULTILINE)))


def check_all_forms(decoder: Decoder, encoded: Encoded, weights: np.ndarray) -> None:
    """Python's decoder and all forms of the C one give the matrix back."""
    assert np.array_equal(decode(encoded), weights)
    assert encoded.row_max >= np.count_nonzero(weights, axis=1).max()
    assert np.array_equal(decoder.lists(encoded), weights)
    assert np.array_equal(decoder.rows(encoded), weights)
    if "fused" in CODECS[encoded.codec].forms:
        x = np.random.default_rng(weights.size).integers(-2, 3, weights.shape[1])
        expected = np.clip(weights.astype(np.int64) @ x, -128, 127)
        assert np.array_equal(decoder.fully_connected(encoded, x), expected)
