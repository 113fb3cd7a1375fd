"""What an encoder chose for a layer, in words, from ``Encoded.info``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def settings(info: Mapping[str, Any]) -> str:
    """E.g. ``blocks of 4 × 8, gaps of 5 bits, values of 4 bits``; empty where there is nothing to choose."""
    parts = []
    if block := info.get("block"):
        parts.append(f"blocks of {' × '.join(str(n) for n in block)}")
    if "mask" in info:
        parts.append(f"mask as {info['mask']}")
    if gap_bits := info.get("gap_bits"):
        parts.append(f"gaps of {_bits(gap_bits)}")
    if value_bits := info.get("value_bits"):
        parts.append(f"values of {_bits(value_bits)}")
    if planes := info.get("planes"):
        parts.append(f"bit planes {_planes(planes)}")
    if codebook := info.get("codebook"):
        parts.append(f"codebook of {codebook}")
    return ", ".join(parts)


def _bits(n: int) -> str:
    return "1 bit" if n == 1 else f"{n} bits"


def _planes(planes: Any) -> str:
    """``2 raw, 20:32, 12:32``: bits stored for how many places."""
    raw = sum(inputs == places for inputs, places in planes)
    coded = [f"{inputs}:{places}" for inputs, places in planes if inputs != places]
    return ", ".join(([f"{raw} raw"] if raw else []) + coded)
