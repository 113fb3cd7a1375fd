"""A decoder of `rans`, written from docs/formats/rans.md alone. It shares no code with Thimble."""

from __future__ import annotations

from stranger_bits import Bits

DIRECT = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
MANTISSAS = (64, 70, 76, 83, 91, 99, 108, 117)
Table = tuple[int, list[int]]  # M, frequencies


def tables(bits: Bits, count: int, symbols: int, m: int) -> list[Table]:
    """So many tables, the logarithms of each built on those of the one before."""
    logs, found = [64] * symbols, []
    for _ in range(count):
        rest, start, slope = bits.take((symbols - 1).bit_length()), bits.signed(5), bits.signed(6)
        rice, steps = bits.take(2), 0
        for i in range(symbols):
            if i and rice:
                z = (bits.unary(1) << (rice - 1)) + bits.take(rice - 1)
                steps += (z + 1) // 2 if z % 2 else -z // 2
            logs[i] = min(127, max(0, logs[i] + 4 * start + i * slope + 4 * steps))
        frequencies = [MANTISSAS[g % 8] << (g >> 3) >> 6 for g in logs]
        frequencies[rest] = 0
        frequencies[rest] = max(1, (1 << m) - sum(frequencies))
        found.append((m, frequencies))
    return found


class State:
    """The numeral system's."""

    def __init__(self, bits: Bits) -> None:
        self.bits = bits
        self.state = bits.take(32)

    def _fill(self) -> None:
        if self.state < 1 << 16:
            self.state = self.state << 16 | self.bits.take(16)

    def symbol(self, table: Table) -> int:
        m, frequencies = table
        slot, symbol = self.state % (1 << m), 0
        while slot >= frequencies[symbol]:
            slot -= frequencies[symbol]
            symbol += 1
        self.state = frequencies[symbol] * (self.state >> m) + slot
        self._fill()
        return symbol

    def raw(self, count: int) -> int:
        field = self.state % (1 << count)
        self.state >>= count
        self._fill()
        return field


def rans(data: bytes, rows: int, cols: int) -> list[list[int]]:
    bits = Bits(data)
    taps = bits.take(6) + 1 if bits.take(1) else 1
    signed, split, direct, shift = bits.take(1), bits.take(2), DIRECT[bits.take(4)], bits.take(3)
    buckets, skips, run_m, raw = bits.take(4), bits.take(1), bits.take(2) + 7, bits.take(2)
    by_run, ranges = bits.take(1), bits.take(2) + 1
    width = bits.take(2) if ranges > 1 else 0
    levels, level_m = bits.take(6) + 1, bits.take(2) + 5
    classes = [bits.take(1) if split == 2 else 0 for _ in range(rows)]
    symbols = (direct + buckets) * (1 + signed) + skips
    run_tables = tables(bits, 2 if split else 1, symbols, run_m)
    level_tables = tables(bits, ranges * (1 + by_run), levels, level_m)
    bits.at = (bits.at + 7) // 8 * 8
    state = State(bits)

    vector, at, run, sign, level, row = [0] * (rows * cols), 0, 1, 1, 0, 0
    while True:
        table = run_tables[(0, int(run != 0), classes[row])[split]]
        run, symbol = 0, state.symbol(table)
        while skips and symbol == symbols - 1:
            run, symbol = run + 32768, state.symbol(table)
        flip = 0
        if signed:
            symbol, flip = divmod(symbol, 2)
        j = symbol - direct
        count = j + shift if j >= 0 else 0
        field = state.raw(count + 1 - signed)
        run += direct + (((1 << j) - 1) << shift) + field % (1 << count) if j >= 0 else symbol
        at += run
        if at >= len(vector):
            break
        sign = sign * (1 - 2 * flip) if signed else 1 - 2 * (field >> count)
        level = state.symbol(
            level_tables[min(level >> width, ranges - 1) + (ranges if by_run and run else 0)]
        )
        vector[at] = sign * ((level << raw) + state.raw(raw) + 1)
        row, at = at // cols, at + 1

    channels = cols // taps
    return [
        [vector[r * cols + c % channels * taps + c // channels] for c in range(cols)] for r in range(rows)
    ]
