"""``run-level``: runs of zeros and the levels behind them, each pair one codeword of a small prefix code.

See docs/formats/run_level.md. The matrix is one row-major vector. A symbol is a bucket of runs and a level;
bits of a run within its bucket are stored as they are. Fillers, entries of value 0, break longer runs.
"""

from __future__ import annotations

import numpy as np

from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option
from thimble.codecs.bits import BitWriter, unpack, windows
from thimble.codecs.run_level_code import RunLevelCode, level_count, parse, starts_of, widths_of
from thimble.codecs.run_level_fit import Fixed, Runs, best_code, count_runs

NAME = "run-level"
_LIST = 128  # entries of a row that are decoded at once where the form is no list
_CHUNK = 1 << 18  # bits looked at in one go


def encode(
    weights: np.ndarray,
    *,
    table_bits: int | None = None,
    raw_bits: int | None = None,
    buckets: int | None = None,
    octave: int | None = None,
) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        table_bits: T, 0..9, of the longest codeword; 9 only where forced.
        raw_bits: k, 0..15, of a run stored as they are.
        buckets: of runs, 1..64.
        octave: how buckets widen, 0..3; 0 for not at all.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 where forced parameters cannot hold it.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    vector = weights.ravel()
    place = np.flatnonzero(vector)
    if len(place) == 0:
        nothing = {"fillers": 0, "header_bytes": 0, "mask_bytes": 0, "value_bytes": 0}
        return Encoded(NAME, rows, cols, b"", 0, nothing)
    values, zeros = vector[place], np.diff(place, prepend=-1) - 1
    runs = count_runs(zeros, values, vector.size - 1 - int(place[-1]))
    fixed = Fixed(table_bits, raw_bits, buckets, octave)
    code = best_code(runs, fixed)
    if code is None:
        raise bad_option(NAME, f"no code with {fixed}")
    out = BitWriter()
    code.write(out)
    header_bits = out.bits
    fillers, zeros = np.divmod(zeros, code.span)
    _write(out, code, fillers, zeros, values)
    data = bytearray(out.getvalue())
    data[0] |= -out.bits % 8
    value_bytes = _value_bits(runs) / 8
    info: dict[str, object] = {
        "table_bits": code.table_bits,
        "raw_bits": code.raw_bits,
        "buckets": code.buckets,
        "octave": code.octave,
        "levels": len(code.levels),
        "fillers": int(fillers.sum()),
        "header_bytes": header_bits / 8,
        "mask_bytes": len(data) - header_bits / 8 - value_bytes,
        "value_bytes": value_bytes,
    }
    return Encoded(
        NAME, rows, cols, bytes(data), _row_max(place, fillers, zeros, code.span, rows, cols), info
    )


def _value_bits(runs: Runs) -> float:
    """Entropy of the levels: the share of the values in codewords that say runs as well."""
    counts = np.bincount(runs.level, runs.count)
    return float((counts * np.log2(counts.sum() / counts)).sum())


def _row_max(
    place: np.ndarray, fillers: np.ndarray, zeros: np.ndarray, span: int, rows: int, cols: int
) -> int:
    """The most entries in a row, fillers among them."""
    entries = np.bincount(place // cols, minlength=rows)
    at = np.flatnonzero(fillers)
    often = fillers[at]
    nth = np.arange(int(often.sum())) - np.repeat(np.cumsum(often) - often, often)  # of a run's, from its end
    filled = np.repeat(place[at] - zeros[at] - 1, often) - nth * span
    return int((entries + np.bincount(filled // cols, minlength=rows)).max())


def _write(
    out: BitWriter, code: RunLevelCode, fillers: np.ndarray, zeros: np.ndarray, values: np.ndarray
) -> None:
    """Appends a field for each value and filler. A filler is the longest run, with a codeword of its own."""
    k, lengths, words = code.raw_bits, code.lengths(), code.codewords()
    starts, widths = starts_of(code.buckets, code.octave), widths_of(code.buckets, code.octave)
    count = len(code.levels)
    index = np.zeros(256, np.int64)
    index[code.levels + 128] = np.arange(count)
    for first in range(0, len(values), _CHUNK):
        part = slice(first, first + _CHUNK)
        last = np.cumsum(fillers[part] + 1) - 1
        run = np.full(int(last[-1]) + 1, code.span - 1)
        run[last] = zeros[part]
        bucket = np.searchsorted(starts, run >> k, "right") - 1
        symbol = np.full(len(run), code.buckets * count)
        symbol[last] = bucket[last] * count + index[values[part].astype(np.int64) + 128]
        length = lengths[symbol]
        over = (run >> k) - starts[bucket]
        field = run & ((1 << k) - 1) | words[symbol] << k | over << length + k
        out.write(field, k + length + widths[bucket])


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    weights = np.zeros(encoded.rows * encoded.cols, np.int8)
    if encoded.data:
        code, at, end = parse(encoded.data, NAME)
        place, level = _follow(encoded.data, code, at, end, weights.size)
        weights[place] = level
    return weights.reshape(encoded.rows, encoded.cols)


def _follow(data: bytes, code: RunLevelCode, at: int, end: int, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads entries until the matrix or the bits end: places in the vector, levels."""
    k, count, lengths = code.raw_bits, len(code.levels), code.lengths()
    symbol = np.full(1 << code.table_bits, -1)
    for i, (word, length) in enumerate(zip(code.codewords().tolist(), lengths.tolist(), strict=True)):
        symbol[word :: 1 << length] = i
    bucket = np.minimum(np.arange(len(lengths)) // count, code.buckets - 1)
    starts, widths = (
        starts_of(code.buckets, code.octave)[bucket],
        widths_of(code.buckets, code.octave)[bucket],
    )
    levels = np.append(np.tile(code.levels, code.buckets), 0)
    longest = int((k + lengths + widths).max())
    if longest == 0:  # one level everywhere
        return np.arange(total), np.full(total, levels[0])
    places, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    place = -1
    while at < end and place < total:
        first = at >> 3
        bits = unpack(data[first : first + (_CHUNK >> 3) + 4])
        bits = np.concatenate([bits, np.zeros(longest + code.table_bits, np.uint8)])
        field = np.arange(min(len(bits) - longest - code.table_bits, _CHUNK))
        entry = symbol[windows(bits, field + k, code.table_bits)]
        after = field + np.where(entry < 0, 1 << 40, (k + lengths + widths)[entry])
        seen = _walk(after.tolist(), at - 8 * first, end - 8 * first)
        at = 8 * first + seen.pop()
        field, entry = field[seen], entry[seen]
        over = windows(bits, field + k + lengths[entry], int(widths.max())) & (1 << widths[entry]) - 1
        run = (starts[entry] + over << k) + windows(bits, field, k)
        places.append(place + np.cumsum(run + 1))
        found.append(levels[entry])
        place = int(places[-1][-1]) if len(seen) else total
    places_, levels_ = np.concatenate(places), np.concatenate(found)
    inside = int(np.searchsorted(places_, total))
    return places_[:inside], levels_[:inside]


def _walk(next_: list[int], at: int, end: int) -> list[int]:
    """Where fields start that end by ``end``; last, where reading goes on, ``end`` when none is left."""
    seen: list[int] = []
    while at < len(next_):
        after = next_[at]
        if after > end:
            return [*seen, end]
        seen.append(at)
        at = after
    return [*seen, at]


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The table, what it is made from, and a list of up to 128 entries in all forms but the list's own."""
    return 4 * table_words(encoded.data) + (0 if form == "list" else 4 * min(encoded.row_max, _LIST))


def table_words(data: bytes) -> int:
    """Words of scratch for the table of a stream, and what it is made from; never raises."""
    header = int.from_bytes(data[:8], "little")
    table_bits, buckets, kind = header >> 3 & 15, (header >> 11 & 63) + 1, header >> 19 & 3
    levels = level_count(kind, header >> 21)
    return (1 << table_bits) + (buckets + 1) // 2 + (levels + 1) // 2


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
