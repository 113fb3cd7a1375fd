"""``n:m``: at most N non-zeros in each group of M consecutive weights of a row (docs/formats/n_m.md).

A group is a head, the gaps of a list, and its values. The head is the index of the set of positions in a
table of all such sets, or the number of positions; a list then gives each of them. Where all groups have N
members (fillers of value zero included) sets of fewer drop out, and a list needs no head. M, N and
these choices are made by exact size.
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import attrs
import numpy as np

from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, cannot_hold, damaged, row_max
from thimble.codecs.bits import BitWriter, unpack, windows
from thimble.codecs.values import ValueCode
from thimble.codecs.whole_values import best_whole_code, decode_values, kind_of, parse_code, table_bytes

NAME = "n:m"
HEADER_BYTES = 2
GROUPS = (2, 4, 8, 16, 32)
MAX_MEMBERS = 4
_MAX_GAP_BITS = 16  # of a group: the C decoder reads them at once
_MAX_SETS = 256
_MAX_TABLE_GROUP = 16
_CHUNK = 1 << 18  # groups packed at a time: bounds memory


@attrs.frozen
class Form:
    """``members`` N of ``group`` M; ``full``: every group has exactly N; ``table``: heads index sets."""

    members: int
    group: int
    full: bool
    table: bool

    @property
    def sets(self) -> int:
        """How many sets of positions a head can name."""
        least = self.members if self.full else 0
        return sum(comb(self.group, k) for k in range(least, self.members + 1))

    @property
    def head_bits(self) -> int:
        if self.table:
            return (self.sets - 1).bit_length()
        return 0 if self.full else self.members.bit_length()

    @property
    def gap_bits(self) -> int:
        return 0 if self.table else self.group.bit_length() - 1

    @property
    def allowed(self) -> bool:
        if self.group not in GROUPS or not 1 <= self.members <= self.group // 2:
            return False
        if self.table and (self.sets > _MAX_SETS or self.group > _MAX_TABLE_GROUP):
            return False
        return self.members * (self.group.bit_length() - 1) <= _MAX_GAP_BITS

    def codes(self) -> np.ndarray:
        """All sets in order as masks, bit i for position i: by size, then by their positions."""
        least = self.members if self.full else 0
        sizes = range(least, self.members + 1)
        return np.array([sum(1 << i for i in c) for k in sizes for c in combinations(range(self.group), k)])


def encode(
    weights: np.ndarray,
    *,
    group: int | None = None,
    members: int | None = None,
    full: bool | None = None,
    table: bool | None = None,
) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        group: M, out of ``GROUPS``.
        members: N, at most M / 2, and log2 M * N at most 16.
        full: whether every group gets N members, zeros among them.
        table: whether positions are indices of sets.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 where a forced parameter cannot store it, TMB1304
            where no (N, M) can.
    """
    weights = as_matrix(weights)
    rows, cols = weights.shape
    most = _most(weights != 0)
    nonzero = weights[weights != 0]
    code = best_whole_code(nonzero)
    if not len(nonzero):
        raise cannot_hold(NAME, "it has no non-zeros")
    # with fillers: a zero more, so that counting again is not needed
    filled = best_whole_code(np.append(nonzero, np.int8(0)))
    best: tuple[int, Form, ValueCode] | None = None
    for form in _forms(most, group, members, full, table):
        groups = rows * -(-cols // form.group)
        stored = len(nonzero)
        values = code
        if form.full:
            if 0 < cols % form.group < form.members:
                continue  # no room for fillers in the last group
            stored = groups * form.members
            values = code if stored == len(nonzero) else filled
        bits = groups * form.head_bits + stored * (form.gap_bits + values.bits) + 8 * len(values.header())
        if best is None or bits < best[0]:
            best = bits, form, values
    if best is None:
        forced = {k: v for k, v in (("group", group), ("members", members), ("full", full)) if v is not None}
        if forced or table is not None:
            raise bad_option(NAME, f"these weights do not fit {forced or {'table': table}}")
        raise cannot_hold(NAME, f"up to {most[32]} non-zeros in 32 weights of a row")
    _, form, values = best
    data, stored = _pack(weights, form, values)
    value_bits = 8 * len(values.header()) + values.bits * stored
    info = {
        "members": form.members,
        "group": form.group,
        "full": form.full,
        "table": form.table,
        "value_bits": values.bits,
        "codebook": len(values.table),
        "header_bytes": HEADER_BYTES,
        "value_bytes": value_bits / 8,
        "mask_bytes": len(data) - HEADER_BYTES - value_bits / 8,
    }
    return Encoded(NAME, rows, cols, data, row_max(weights), info)


def _most(mask: np.ndarray) -> dict[int, int]:
    """The most non-zeros in a group of a row, by M."""
    most = {}
    counts = mask.view(np.uint8)
    for group in GROUPS:
        if counts.shape[1] % 2:
            counts = np.pad(counts, ((0, 0), (0, 1)))
        counts = counts[:, ::2] + counts[:, 1::2]
        most[group] = int(counts.max())
    return most


def _forms(
    most: dict[int, int], group: int | None, members: int | None, full: bool | None, table: bool | None
) -> list[Form]:
    """What can hold the matrix, and agrees with the forced parameters; those of least scratch first."""
    found = []
    for m in GROUPS if group is None else (group,):
        n = max(most.get(m, 0), 1) if members is None else members
        for with_table in (False, True) if table is None else (table,):
            for every in (True, False) if full is None else (full,):
                form = Form(n, m, every, with_table)
                if form.allowed and n >= most[m]:
                    found.append(form)
    return found


def _pack(weights: np.ndarray, form: Form, values: ValueCode) -> tuple[bytes, int]:
    """The encoded bytes, and how many values they hold."""
    m = form.group
    padded = weights if weights.shape[1] % m == 0 else np.pad(weights, ((0, 0), (0, -weights.shape[1] % m)))
    cells = padded.reshape(-1, m)
    out = BitWriter()
    out.write(kind_of(values) | (m.bit_length() - 2) << 5, 8)
    out.write(form.members - 1 | form.full << 3 | form.table << 4, 8)
    out.write(np.frombuffer(values.header(), np.uint8), 8)
    codes = form.codes() if form.table else np.zeros(0, np.int64)
    rank = np.zeros(1 << m if form.table else 0, np.int64)
    rank[codes] = np.arange(len(codes))
    stored = 0
    for start in range(0, len(cells), _CHUNK):
        stored += _pack_groups(out, cells[start : start + _CHUNK], form, values, rank)
    return out.getvalue(), stored


def _pack_groups(out: BitWriter, cells: np.ndarray, form: Form, values: ValueCode, rank: np.ndarray) -> int:
    """Appends groups ``[n, M]``; returns the number of values. ``rank`` is a set's index by its mask."""
    mask = cells != 0
    if form.full:
        missing = form.members - np.count_nonzero(mask, axis=1)
        mask |= np.cumsum(~mask, axis=1) * ~mask - 1 < missing[:, None]
    owner, position = np.nonzero(mask)
    counts = np.bincount(owner, minlength=len(cells))
    head_at, gap_at, value_at, order = _layout(counts)
    fields = np.empty(len(cells) + 2 * len(owner), np.int64)
    widths = np.empty(len(fields), np.int64)
    fields[head_at], widths[head_at] = counts, form.head_bits
    if form.table:
        fields[head_at] = rank[(mask << np.arange(form.group)).sum(axis=1)]
    elif form.full:
        fields[head_at] = 0
    widths[gap_at], widths[value_at] = form.gap_bits, values.bits
    fields[gap_at] = np.where(order == 0, position, np.diff(position, prepend=0) - 1) if form.gap_bits else 0
    fields[value_at] = values.encode(cells[owner, position])
    out.write(fields, widths)
    return len(owner)


def _layout(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the fields of groups with so many members: heads, gaps, values; and members' ranks."""
    before = np.cumsum(counts) - counts
    heads = np.arange(len(counts)) + 2 * before
    order = np.arange(int(counts.sum())) - np.repeat(before, counts)
    gaps = np.repeat(heads + 1, counts) + order
    return heads, gaps, gaps + np.repeat(counts, counts), order


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    form, values, at = _parse(encoded.data)
    per_row = -(-encoded.cols // form.group)
    groups = encoded.rows * per_row
    bits = unpack(encoded.data[at:])
    codes = form.codes() if form.table else np.zeros(0, np.int64)
    member = form.gap_bits + values.bits
    if form.full:
        stride = form.head_bits + form.members * member
        start, counts = np.arange(groups) * stride, np.full(groups, form.members)
        if len(bits) < groups * stride:
            raise damaged(NAME, "shorter than its groups")
        heads = windows(bits, start, form.head_bits)
    else:
        sizes = [c.bit_count() for c in codes.tolist()] if form.table else list(range(form.members + 1))
        start, heads = _walk(bits, groups, form.head_bits, member, sizes)
        counts = np.array(sizes)[heads]
    owner = np.repeat(np.arange(groups), counts)
    order = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    if form.table:
        if heads.max(initial=0) >= len(codes):
            raise damaged(NAME, "a set that does not exist")
        position = np.nonzero(codes[heads][:, None] >> np.arange(form.group) & 1)[1]
    else:
        gaps = windows(bits, start[owner] + form.head_bits + order * form.gap_bits, form.gap_bits) + 1
        ends = np.cumsum(gaps)
        position = ends - np.repeat((ends - gaps)[order == 0], counts[counts > 0]) - 1
    value_at = start[owner] + form.head_bits + counts[owner] * form.gap_bits + order * values.bits
    row, col = owner // per_row, owner % per_row * form.group + position
    if position.max(initial=0) >= form.group or col.max(initial=0) >= encoded.cols:
        raise damaged(NAME, "a position outside its group")
    weights = np.zeros((encoded.rows, encoded.cols), np.int8)
    weights[row, col] = decode_values(values, windows(bits, value_at, values.bits), NAME)
    return weights


def _walk(
    bits: np.ndarray, groups: int, head_bits: int, member: int, sizes: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Where groups of different length start, and their heads; ``sizes`` are their members by head."""
    every = windows(bits, np.arange(max(len(bits) - head_bits + 1, 0)), head_bits).tolist()
    starts, heads, at = [], [], 0
    for _ in range(groups):
        if at >= len(every) or every[at] >= len(sizes):
            raise damaged(NAME, "shorter than its groups, or a set that does not exist")
        starts.append(at)
        heads.append(every[at])
        at += head_bits + member * sizes[every[at]]
    if at > len(bits):
        raise damaged(NAME, "shorter than its groups")
    return np.array(starts, np.int64), np.array(heads, np.int64)


def _parse(data: bytes) -> tuple[Form, ValueCode, int]:
    """The form, the values' code, and where the groups start, in bytes."""
    if len(data) < HEADER_BYTES:
        raise damaged(NAME, "shorter than its header")
    form = Form((data[1] & 7) + 1, 2 << (data[0] >> 5), bool(data[1] & 8), bool(data[1] & 16))
    if not form.allowed:
        raise damaged(NAME, f"{form.members} of {form.group}")
    return form, *parse_code(data[0] & 31, data, HEADER_BYTES, NAME)


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """The table of values where fields are signed, then 2 bytes per head; in every form. Never raises."""
    head = encoded.data[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0")
    layout = Form((head[1] & 7) + 1, 2 << (head[0] >> 5), bool(head[1] & 8), bool(head[1] & 16))
    heads = 1 << layout.head_bits if layout.table and layout.allowed else 0
    return table_bytes(head[0] & 31) + -(-heads // 2) * 4


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
