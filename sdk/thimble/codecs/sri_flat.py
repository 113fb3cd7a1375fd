"""``sri-flat``: signed relative indices without blocks or skips, made to be decoded fast.

See docs/formats/sri_flat.md. In short: a row is a count and so many entries of equal width, each a gap and a
value. Gaps that are too long are bridged by fillers, entries whose value is zero, so that a decoder never
tests an entry. Widths are chosen by exact size.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs.base import MAX_DIM, Codec, Encoded, as_matrix, bad_option, damaged
from thimble.codecs.bits import BitWriter, unpack, windows

NAME = "sri-flat"
HEADER_BYTES = 3
MIN_PAIR, MAX_PAIR = 4, 13
MAX_VALUE_BITS = 8
SLACK = 7  # entries that the C decoder may write behind a row's last one
_CHUNK = 1 << 20  # weights looked at at a time


@attrs.frozen
class Layout:
    """``gap_bits`` w, ``value_bits`` v, the ``least`` value, and ``wide``, the bytes of a row's count."""

    gap_bits: int
    value_bits: int
    least: int
    wide: int

    @property
    def pair(self) -> int:
        """Bits of an entry."""
        return self.gap_bits + self.value_bits

    def header(self) -> bytes:
        return bytes([self.gap_bits | self.value_bits << 4, self.least & 255, self.wide])

    def size(self, entries: np.ndarray) -> int:
        """Bytes of a matrix with so many entries in each row."""
        return HEADER_BYTES + self.wide * len(entries) + int(np.sum(entries * self.pair + 7 >> 3))


def encode(weights: np.ndarray, *, gap_bits: int | None = None) -> Encoded:
    """Encodes int8 ``[rows, cols]``; ``gap_bits`` forces w, 0..12.

    ``row_max`` counts a row's entries, fillers as well, and what the C decoder may write behind them.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 where w and the values need more than 13 bits.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    layout, entries = _choose(weights, gap_bits)
    out = BitWriter()
    out.write(np.frombuffer(layout.header(), np.uint8), 8)
    for part in _parts(weights):
        out.write(*_fields(part, layout))
    data, total = out.getvalue(), int(entries.sum())
    values = total * layout.value_bits / 8
    info = {
        "gap_bits": layout.gap_bits,
        "value_bits": layout.value_bits,
        "fillers": total - int(np.count_nonzero(weights)),
        "header_bytes": HEADER_BYTES,
        "value_bytes": values,
        "mask_bytes": len(data) - HEADER_BYTES - values,
    }
    return Encoded(NAME, rows, cols, data, min(int(entries.max()) + SLACK, MAX_DIM), info)


def _parts(weights: np.ndarray) -> Iterator[np.ndarray]:
    """The matrix in bands of rows, so that memory stays small."""
    step = max(1, _CHUNK // weights.shape[1])
    for start in range(0, len(weights), step):
        yield weights[start : start + step]


def _gaps(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, value and zeros in front, from the row's start on, of each non-zero."""
    row, col = np.nonzero(weights)
    gaps = np.diff(col, prepend=0) - 1
    first = np.diff(row, prepend=-1) > 0
    gaps[first] = col[first]
    return row, weights[row, col], gaps


def _choose(weights: np.ndarray, forced: int | None) -> tuple[Layout, np.ndarray]:
    """The smallest layout, and each row's entries in it."""
    widths = range(MAX_PAIR) if forced is None else [forced]
    bands: list[np.ndarray] = []
    for part in _parts(weights):
        row, _, gaps = _gaps(part)
        most, nonzeros = int(gaps.max(initial=0)), np.bincount(row, minlength=len(part))
        bands.append(
            np.array(
                [
                    nonzeros + np.bincount(row, gaps >> w, len(part)).astype(np.int64)
                    if most >> w
                    else nonzeros
                    for w in widths
                ]
            )
        )
    nonzero = weights[weights != 0]
    low, high = int(nonzero.min(initial=127)), int(nonzero.max(initial=-128))
    best: tuple[int, Layout, np.ndarray] | None = None
    for gap_bits, entries in zip(widths, np.concatenate(bands, axis=1), strict=True):
        layout = _layout(gap_bits, low, high, entries, len(nonzero))
        if layout is not None and (best is None or layout.size(entries) < best[0]):
            best = layout.size(entries), layout, entries
    if best is None:
        raise bad_option(NAME, f"gaps of {forced} bits and these values do not fit {MAX_PAIR} bits")
    return best[1:]


def _layout(gap_bits: int, low: int, high: int, entries: np.ndarray, nonzero: int) -> Layout | None:
    """Of entries with values from low to high, and 0 where there are fillers; None past the widest."""
    if entries.sum() > nonzero or nonzero == 0:
        low, high = min(low, 0), max(high, 0)
    value_bits = max((high - low).bit_length(), MIN_PAIR - gap_bits)
    if gap_bits + value_bits > MAX_PAIR:
        return None
    return Layout(gap_bits, value_bits, min(low, 128 - (1 << value_bits)), 1 + (int(entries.max()) > 255))


def _fields(weights: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Fields and widths of some rows: each a count, its entries, and zeros to the byte's end."""
    row, values, gaps = _gaps(weights)
    w = layout.gap_bits
    fillers = gaps >> w
    entries = np.full(len(gaps) + int(fillers.sum()), -layout.least << w, np.int64)  # fillers: 2**w on
    entries[np.cumsum(fillers + 1) - 1] = (~gaps & (1 << w) - 1) | values.astype(np.int64) - layout.least << w
    counts = np.bincount(row, fillers + 1, len(weights)).astype(np.int64)
    at = np.cumsum(counts + 2)
    found = np.zeros(len(entries) + 2 * len(weights), np.int64)
    widths = np.full(len(found), layout.pair)
    ends = np.zeros(len(found), bool)
    first, last = at - counts - 2, at - 1
    found[first], widths[first] = counts, 8 * layout.wide
    widths[last] = -counts * layout.pair % 8
    ends[first] = ends[last] = True
    found[~ends] = entries
    return found, widths


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    layout = parse_header(encoded.data)
    starts, counts = _rows(encoded, layout)
    row = np.repeat(np.arange(encoded.rows), counts)
    inside = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    bits, at = unpack(encoded.data), 8 * starts[row] + inside * layout.pair
    steps = (1 << layout.gap_bits) - windows(bits, at, layout.gap_bits)
    values = windows(bits, at + layout.gap_bits, layout.value_bits) + layout.least
    ends = np.concatenate([[0], np.cumsum(steps)])
    col = ends[1:] - ends[np.cumsum(counts) - counts][row] - 1
    if col.max(initial=0) >= encoded.cols:
        raise damaged(NAME, "an offset past the row")
    weights = np.zeros((encoded.rows, encoded.cols), np.int8)
    weights[row, col] = values
    return weights


def parse_header(data: bytes) -> Layout:
    """The layout that a header describes."""
    if len(data) < HEADER_BYTES:
        raise damaged(NAME, "no header")
    layout = Layout(data[0] & 15, data[0] >> 4, (data[1] ^ 128) - 128, data[2])
    if not MIN_PAIR <= layout.pair <= MAX_PAIR or layout.value_bits > MAX_VALUE_BITS:
        raise damaged(NAME, f"fields of {layout.gap_bits} + {layout.value_bits} bits")
    if layout.least + (1 << layout.value_bits) > 128:
        raise damaged(NAME, "values past 127")
    if layout.wide not in (1, 2):
        raise damaged(NAME, f"counts of {layout.wide} bytes")
    return layout


def _rows(encoded: Encoded, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Where each row's entries start, in bytes, and how many there are."""
    at, starts, counts = HEADER_BYTES, [], []
    for _ in range(encoded.rows):
        count = int.from_bytes(encoded.data[at : at + layout.wide], "little")
        starts.append(at + layout.wide)
        counts.append(count)
        at = starts[-1] + (count * layout.pair + 7 >> 3)
        if at > len(encoded.data):
            raise damaged(NAME, "shorter than its rows")
    return np.array(starts), np.array(counts)


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """None for lists; a list in the other forms."""
    return 0 if form == "list" else 4 * encoded.row_max


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
