"""The number by which an image's section table names a codec.

A number never changes its meaning and is never used again: images outlive the tool that wrote them.
docs/image.md has the same table.
"""

from __future__ import annotations

CODEC_NUMBERS = {
    "dense": 1,
    "sri": 2,
    "xor": 3,
    "sri+xor": 4,
    "n:m": 5,
    "bitmap": 6,
    "codebook": 7,
    "packed": 8,
    "rans": 9,
    "huffman": 10,
    "unified": 11,
    "sri-flat": 12,
    "block-diagonal": 13,
    "run-level": 14,
}

CODEC_NAMES = {number: name for name, number in CODEC_NUMBERS.items()}
