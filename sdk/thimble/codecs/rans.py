"""``rans``: runs of zeros, signs and levels of a sparse matrix in contexts, by an asymmetric numeral system.

See docs/formats/rans.md. The smallest codec for most sparse layers: static frequency tables whose description
is counted, a 32-bit state, one look-up per symbol, no loop over bits. The numeral system is J. Duda's (arXiv
1311.2540) in its range variant.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from thimble.codecs import rans_choose as choose
from thimble.codecs import rans_model as model
from thimble.codecs import rans_stream as stream
from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, cannot_hold, damaged, row_max
from thimble.codecs.bits import BitWriter, unpack
from thimble.codecs.rans_model import EXACT, SKIP, Levels, Runs, Vector
from thimble.codecs.rans_stream import Steps
from thimble.codecs.rans_table import Reader, Table

NAME = "rans"
_MOST_WORDS = 65535  # of scratch
_HEADER = {  # field: bits, in order; fields of a name in brackets only where the one before is not 0
    "transposed": 1,
    "(taps)": 6,
    "signed": 1,
    "split": 2,
    "exact": 4,
    "shift": 3,
    "buckets": 4,
    "skips": 1,
    "run_bits": 2,
    "raw": 2,
    "by_run": 1,
    "ranges": 2,
    "(width)": 2,
    "levels": 6,
    "level_bits": 2,
}


@attrs.frozen(eq=False)
class _Parameters:
    """All that the header says."""

    taps: int
    runs: Runs
    buckets: int
    skips: bool
    levels: Levels
    classes: np.ndarray  # of rows, empty without
    run_tables: list[Table]
    level_tables: list[Table]

    @property
    def skip(self) -> int:
        """The skip symbol, where there is one."""
        return self.buckets * (1 + self.runs.signed)

    def header(self) -> bytes:
        fields = {
            "transposed": self.taps > 1,
            "(taps)": self.taps - 1,
            "signed": self.runs.signed,
            "split": self.runs.split,
            "exact": EXACT.index(self.runs.exact),
            "shift": self.runs.shift,
            "buckets": self.buckets - self.runs.exact,
            "skips": self.skips,
            "run_bits": self.run_tables[0].bits - model.RUN_SIZES.start,
            "raw": self.levels.raw,
            "by_run": self.levels.by_run,
            "ranges": self.levels.ranges - 1,
            "(width)": self.levels.width,
            "levels": len(self.level_tables[0].frequencies) - 1,
            "level_bits": self.level_tables[0].bits - model.LEVEL_SIZES.start,
        }
        out = BitWriter()
        present = True
        for name, bits in _HEADER.items():
            if present or name[0] != "(":
                out.write(int(fields[name]), bits)
            present = bool(fields[name])
        out.write_bits(self.classes)
        for table in (*self.run_tables, *self.level_tables):
            table.write(out)
        return out.getvalue()


def _parse(data: bytes, rows: int, cols: int) -> tuple[_Parameters, bytes]:
    """The parameters, and the stream behind them."""
    reader = Reader(unpack(data), NAME)
    f, present = {}, True
    for name, bits in _HEADER.items():
        f[name] = reader.take(bits) if present or name[0] != "(" else 0
        present = bool(f[name])
    taps = f["(taps)"] + 1
    if f["exact"] >= len(EXACT) or f["split"] > 2 or cols % taps or (taps > 1 and cols > SKIP):
        raise damaged(NAME, "a header that makes no sense")
    runs = Runs(EXACT[f["exact"]], f["shift"], bool(f["signed"]), f["split"])
    levels = Levels(f["raw"], bool(f["by_run"]), f["ranges"] + 1, f["(width)"])
    buckets = f["buckets"] + runs.exact
    if runs.first(buckets - 1)[1] > 15:
        raise damaged(NAME, "runs that are too long")
    classes = np.array([reader.take(1) for _ in range(rows)] if runs.split == 2 else [], np.int64)
    n, bits = buckets * (1 + runs.signed) + f["skips"], f["run_bits"] + model.RUN_SIZES.start
    run_tables = reader.tables(2 if runs.split else 1, bits, n)
    bits = f["level_bits"] + model.LEVEL_SIZES.start
    level_tables = reader.tables(levels.contexts, bits, f["levels"] + 1)
    parameters = _Parameters(taps, runs, buckets, bool(f["skips"]), levels, classes, run_tables, level_tables)
    return parameters, data[-(-reader.at // 8) :]


def encode(weights: np.ndarray, *, taps: int | None = None) -> Encoded:
    """Encodes int8 ``[rows, cols]``; takes about two microseconds per non-zero.

    Args:
        weights: the matrix.
        taps: a divisor of cols, 1..64, by which a row is read channel by channel; found by default.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 for impossible taps, TMB1304 for so many non-zeros in a
            row that a list of them does not fit the decoder's scratch.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    if taps is None:
        taps = choose.choose_taps(weights)
    elif not 1 <= taps <= model.MAX_TAPS or cols % taps or (taps > 1 and cols > SKIP):
        raise bad_option(NAME, f"{taps} taps in {cols} columns")
    seq = model.sequence(weights, taps)
    runs, classes, run_tables = choose.choose_runs(seq, rows)
    levels, level_tables = choose.choose_levels(seq)
    buckets, skips = runs.buckets(model.longest(seq)), model.has_skips(seq)
    p = _Parameters(taps, runs, buckets, skips, levels, classes, run_tables, level_tables)
    if row_max(weights) + sum(t.words for t in (*run_tables, *level_tables)) > _MOST_WORDS:
        raise cannot_hold(NAME, f"{row_max(weights)} non-zeros in a row")
    header = p.header()
    steps, of_values = _steps(p, seq)
    data = stream.encode(steps)
    value_bytes = len(data) * float(steps.cost[of_values].sum() / max(steps.cost.sum(), 1e-9))
    info: dict[str, Any] = {
        "taps": taps,
        "runs": attrs.asdict(runs),
        "levels": attrs.asdict(levels),
        "header_bytes": len(header),
        "mask_bytes": len(data) - value_bytes,
        "value_bytes": value_bytes,
    }
    return Encoded(NAME, rows, cols, header + data, row_max(weights), info)


def _cheapest_tail(p: _Parameters, tail: int) -> int:
    """The run of at least ``tail`` zeros that takes the fewest bits: all of them pass the matrix's end."""
    runs = []
    for bucket in range(p.buckets):
        first, raw = p.runs.first(bucket)
        run = first + (1 << raw) - 1
        if run >= tail % SKIP:
            frequency = p.run_tables[0].frequencies[bucket << p.runs.signed]
            runs.append((raw - np.log2(frequency), run))
    return min(runs)[1] + tail // SKIP * SKIP


def _steps(p: _Parameters, seq: Vector) -> tuple[Steps, np.ndarray]:
    """All steps in decoding order, and which of them say what a value is."""
    n = len(seq.runs)
    whole = model.with_tail(seq, _cheapest_tail(p, seq.tail))
    symbols = model.run_symbols(p.runs, whole)
    skips = whole.runs // SKIP
    table = model.run_context(p.runs, whole, p.classes)
    _, raw, raw_bits = p.runs.bucket(whole.runs % SKIP)
    if not p.runs.signed:
        raw, raw_bits = raw | (whole.values < 0) << raw_bits, raw_bits + 1
    levels = np.abs(seq.values) - 1
    level_symbols = levels >> p.levels.raw
    level_table = p.levels.context(seq.runs, level_symbols)

    # per non-zero: skips, run, raw bits, level, its raw bits; the tail has the first three
    each = skips + 2 + np.append(np.full(n, 2), 0)
    first = np.cumsum(each) - each
    run_at = first + skips
    total = int(each.sum())
    frequency, start, bits = np.ones(total, np.int64), np.zeros(total, np.int64), np.zeros(total, np.int64)
    of_values = np.zeros(total, bool)

    def put(at: np.ndarray, tables: list[Table], which: np.ndarray, symbol: np.ndarray) -> None:
        frequencies = np.stack([t.frequencies for t in tables])
        starts = np.cumsum(frequencies, axis=1) - frequencies
        frequency[at], start[at], bits[at] = frequencies[which, symbol], starts[which, symbol], tables[0].bits

    inner = np.repeat(first, skips) + np.arange(skips.sum()) - np.repeat(np.cumsum(skips) - skips, skips)
    put(inner, p.run_tables, np.repeat(table, skips), np.full(len(inner), p.skip if p.skips else 0))
    put(run_at, p.run_tables, table, symbols)
    start[run_at + 1], bits[run_at + 1] = raw, raw_bits
    level_at = run_at[:n] + 2
    put(level_at, p.level_tables, level_table, level_symbols)
    start[level_at + 1], bits[level_at + 1] = levels & ((1 << p.levels.raw) - 1), p.levels.raw
    of_values[level_at] = of_values[level_at + 1] = True
    some = bits > 0
    return Steps(frequency[some], start[some], bits[some]), of_values[some]


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    rows, cols = encoded.rows, encoded.cols
    p, data = _parse(encoded.data, rows, cols)
    run_slots, level_slots = _slots(p.run_tables), _slots(p.level_tables)
    decoder = stream.Decoder(data)
    at, negative, run, symbol = -1, 0, 1, 0
    places: list[int] = []
    values: list[int] = []
    while True:
        row = max(at, 0) // cols
        table = {0: 0, 1: int(run > 0), 2: int(p.classes[row]) if p.runs.split == 2 else 0}[p.runs.split]
        run = 0
        while (found := _symbol(decoder, run_slots[table])) == p.skip:
            run += SKIP
            if run > rows * cols:
                raise damaged(NAME, "skips without end")
        first, raw_bits = p.runs.first(found >> p.runs.signed)
        raw = decoder.raw(raw_bits + (not p.runs.signed))
        run += first + (raw & ((1 << raw_bits) - 1))
        negative = negative ^ (found & 1) if p.runs.signed else raw >> raw_bits
        at += run + 1
        if at >= rows * cols:
            break
        context = p.levels.ranges * (p.levels.by_run and run > 0)
        context += min(symbol >> p.levels.width, p.levels.ranges - 1)
        symbol = _symbol(decoder, level_slots[context])
        level = symbol << p.levels.raw | decoder.raw(p.levels.raw)
        if level + 1 > 127 + negative:
            raise damaged(NAME, "a value that does not fit")
        places.append(at)
        values.append(-level - 1 if negative else level + 1)
    weights = np.zeros(rows * cols, np.int8)
    weights[places] = values
    if p.taps > 1:
        weights = weights.reshape(rows, cols // p.taps, p.taps).transpose(0, 2, 1)
    return np.ascontiguousarray(weights.reshape(rows, cols))


Slots = list[tuple[int, int, int, int]]


def _slots(tables: list[Table]) -> list[Slots]:
    """By table and slot: symbol, its frequency and first slot, the table's bits."""
    found = []
    for t in tables:
        symbol = np.repeat(np.arange(len(t.frequencies)), t.frequencies)
        start = np.cumsum(t.frequencies) - t.frequencies
        columns = (symbol, t.frequencies[symbol], start[symbol], np.full(len(symbol), t.bits))
        found.append(list(zip(*(c.tolist() for c in columns), strict=True)))
    return found


def _symbol(decoder: stream.Decoder, slots: Slots) -> int:
    symbol, frequency, start, bits = slots[decoder.slot(slots[0][3])]
    decoder.take(frequency, start, bits)
    return symbol


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """A byte per slot and a word per symbol of every table; rows and fused decode by way of a list."""
    p, _ = _parse(encoded.data, encoded.rows, encoded.cols)
    words = sum(t.words for t in (*p.run_tables, *p.level_tables))
    return 4 * (words + (0 if form == "list" else encoded.row_max))


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
