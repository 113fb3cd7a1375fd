"""``unified``: blocks of weights whose non-zeros share one magnitude (docs/formats/unified.md).

Each block names a symbol: a value, and whether zeros and both signs occur. Its weights then cost a mask bit,
a sign bit, both or nothing. Micro-structured weight unification, as in MPEG's compression of neural
networks (ISO/IEC 15938-17), leaves such blocks; the bits are our own.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from thimble.codecs.base import Codec, Encoded, as_matrix, bad_option, cannot_hold, damaged, row_max
from thimble.codecs.bits import BitWriter, unpack, windows

NAME = "unified"
HEADER_BYTES = 2
MASK, SIGNS = 1, 2  # modes: zeros occur, both signs occur
# (height, width) by code; height 0 is all rows
SHAPES = (
    (1, 4),
    (1, 8),
    (1, 16),
    (2, 4),
    (2, 8),
    (4, 4),
    (4, 8),
    (4, 16),
    (8, 4),
    (8, 8),
    (8, 16),
    (16, 4),
    (16, 8),
    (16, 16),
    (0, 4),
    (0, 16),
)
_MAX_SYMBOLS = 255
_CHUNK = 1 << 20  # weights packed at a time: bounds memory
_ZERO, _PLUS, _MINUS = 1, 2, 4  # what occurs in a block
_EMPTY = 4 * 128  # a zero block's value and mode as one number


@attrs.frozen(eq=False)
class Stats:
    """Of blocks ``[bands, blocks]``: largest and least magnitude but 0, what occurs, non-zeros, area."""

    largest: np.ndarray
    least: np.ndarray
    occurs: np.ndarray
    nonzero: np.ndarray
    area: np.ndarray

    @property
    def unify(self) -> bool:
        return bool(np.all((self.largest == 0) | (self.largest == self.least)))

    def merge(self, height: int, width: int) -> Stats:
        """The stats of blocks that many times as high and wide; 0 is all."""

        def reduce(join: np.ufunc, array: np.ndarray) -> np.ndarray:
            rows = np.arange(0, array.shape[0], height or array.shape[0])
            cols = np.arange(0, array.shape[1], width or array.shape[1])
            return np.asarray(join.reduceat(join.reduceat(array, rows, axis=0), cols, axis=1))

        return Stats(
            reduce(np.maximum, self.largest),
            reduce(np.minimum, self.least),
            reduce(np.bitwise_or, self.occurs),
            reduce(np.add, self.nonzero),
            reduce(np.add, self.area),
        )


@attrs.frozen(eq=False)
class Choice:
    """How a matrix will be stored, and in how many bits behind the header.

    ``pairs`` int16 ``[bands, blocks]`` are the blocks' value and mode as one number, ``codes`` those that are
    symbols; others are zero blocks, of which a bit says so.
    """

    shape: tuple[int, int]
    pairs: np.ndarray
    codes: np.ndarray
    zero_bit: bool
    bits: int

    @property
    def symbols(self) -> np.ndarray:
        """Values and modes, ``[K, 2]``."""
        return np.stack([self.codes // 4 - 128, self.codes % 4], axis=1)

    @property
    def index(self) -> np.ndarray:
        """The blocks' symbols; -1 for zero blocks that have none."""
        numbers = np.full(1024, -1, np.int16)
        numbers[self.codes] = np.arange(len(self.codes))
        return numbers[self.pairs]

    @property
    def index_bits(self) -> int:
        return (len(self.codes) - 1).bit_length()

    @property
    def header(self) -> bytes:
        """The symbols as stored: modes, four in a byte, then values."""
        values, modes = self.symbols[:, 0].astype(np.int8), self.symbols[:, 1]
        quads = np.pad(modes, (0, -len(modes) % 4)).reshape(-1, 4) << np.array([0, 2, 4, 6])
        return quads.sum(axis=1).astype(np.uint8).tobytes() + values.tobytes()


def encode(weights: np.ndarray, *, block: tuple[int, int] | None = None) -> Encoded:
    """Encodes int8 ``[rows, cols]``.

    Args:
        weights: the matrix.
        block: (height, width) out of ``SHAPES``; None for the one of fewest bytes.

    Raises:
        ModelError: TMB1301 for another array, TMB1303 where the forced shape's blocks do not unify, TMB1304
            where those of no shape do.
    """
    weights = as_matrix(weights)
    if block is not None and block not in SHAPES:
        raise bad_option(NAME, f"there is no block shape {block}; there are {SHAPES}")
    best: Choice | None = None
    for shape, stats in _unifying(weights):
        if block in (None, shape):
            for choice in _choices(shape, stats):
                if best is None or choice.bits < best.bits:
                    best = choice
    if best is None and block is not None:
        raise bad_option(NAME, f"blocks of {block} hold several magnitudes")
    if best is None:
        raise cannot_hold(NAME, "blocks of 1 x 4 weights hold several magnitudes")
    data, sign_bits = _pack(weights, best)
    value_bytes = len(best.codes) + sign_bits / 8
    rows, cols = weights.shape
    info = {
        "block": best.shape,
        "symbols": len(best.codes),
        "zero_bit": best.zero_bit,
        "header_bytes": HEADER_BYTES,
        "value_bytes": value_bytes,
        "mask_bytes": len(data) - HEADER_BYTES - value_bytes,
    }
    return Encoded(NAME, rows, cols, data, row_max(weights), info)


def _unifying(weights: np.ndarray) -> Iterator[tuple[tuple[int, int], Stats]]:
    """The shapes whose blocks unify, with their stats; larger blocks are looked at where smaller ones do."""
    rows, cols = weights.shape
    edges = np.arange(0, cols, 4)
    magnitude = np.abs(weights).view(np.uint8)  # -128 is 128
    largest = np.maximum.reduceat(magnitude, edges, axis=1)
    least = np.minimum.reduceat(np.where(magnitude, magnitude, np.uint8(255)), edges, axis=1)
    if not np.all((largest == 0) | (largest == least)):
        return
    occurs = np.array([_ZERO, _PLUS, _MINUS], np.uint8)[np.sign(weights)]
    area = np.broadcast_to(np.diff(edges, append=cols).astype(np.int64), largest.shape)
    nonzero = np.add.reduceat(magnitude != 0, edges, axis=1, dtype=np.int64)
    finest = Stats(largest, least, np.bitwise_or.reduceat(occurs, edges, axis=1), nonzero, area)
    failed: list[tuple[int, int]] = []
    for height, width in sorted(SHAPES, key=lambda s: (s[0] or rows, s[1])):
        high = height or rows
        if any(high % h == 0 and width % w == 0 for h, w in failed):
            continue
        stats = finest.merge(height, width // 4)
        if stats.unify:
            yield (height, width), stats
        else:
            failed.append((high, width))


def _choices(shape: tuple[int, int], stats: Stats) -> Iterator[Choice]:
    """Modes per block or alike for all, zero blocks by a bit or by a symbol: with their exact sizes."""
    empty = stats.largest == 0
    signed = (stats.occurs & (_PLUS | _MINUS)) == _PLUS | _MINUS
    own = (stats.occurs & _ZERO) * np.uint8(MASK) + signed * np.uint8(SIGNS)
    alike = np.bitwise_or.reduce(own[~empty], initial=0)
    value = np.where(stats.occurs & _PLUS, 1, -1) * stats.largest.astype(np.int16)
    for modes in (own, np.full_like(own, alike)):
        modes = modes * ~empty
        bits = int(stats.area[modes & MASK > 0].sum() + stats.nonzero[modes & SIGNS > 0].sum())
        # where signs are stored, blocks need not be told apart by the value's; -128 has but one
        plain = np.where((modes & SIGNS > 0) & (value > -128), np.abs(value), value)
        pairs = (plain + np.int16(128)) * np.int16(4) + modes
        counts = np.bincount(pairs.ravel(), minlength=1024)
        for zero_bit in (False, True) if 0 < counts[_EMPTY] < empty.size else (False,):
            codes = np.flatnonzero(counts)
            codes = codes[codes != _EMPTY] if zero_bit else codes
            if len(codes) > _MAX_SYMBOLS:
                continue
            width = (len(codes) - 1).bit_length()
            indices = (
                empty.size + (empty.size - int(counts[_EMPTY])) * width if zero_bit else empty.size * width
            )
            table = 8 * (len(codes) + -(-len(codes) // 4))
            yield Choice(shape, pairs, codes, zero_bit, bits + indices + table)


def _pack(weights: np.ndarray, choice: Choice) -> tuple[bytes, int]:
    """The encoded bytes, and how many bits of signs they hold."""
    rows, cols = weights.shape
    height, width = choice.shape[0] or rows, choice.shape[1]
    every = choice.index
    blocks = every.shape[1]
    widths = np.full(blocks, width)
    widths[-1] = cols - (blocks - 1) * width
    out = BitWriter()
    out.write(SHAPES.index(choice.shape) | choice.zero_bit << 4, 8)
    out.write(len(choice.codes) - 1, 8)
    out.write(np.frombuffer(choice.header, np.uint8), 8)
    values, modes = np.append(choice.symbols, [[0, 0]], axis=0).T  # index -1 is the last: a zero block
    sign_bits = 0
    step = max(1, _CHUNK // cols)
    places = np.arange(width)
    for start in range(0, rows, step):
        some = weights[start : start + step]
        cells = np.pad(some, ((0, 0), (0, blocks * width - cols))).reshape(len(some), blocks, width)
        row = np.arange(start, start + len(some))
        index = every[row // height]
        head = np.where(index < 0, 0, index << choice.zero_bit | choice.zero_bit)
        head_bits = np.where(index < 0, 0, choice.index_bits) + choice.zero_bit
        head_bits = head_bits * (row % height == 0)[:, None]
        mask = cells != 0
        inverted = mask & ((cells < 0) != (values[index] < 0)[:, :, None])
        rank = np.cumsum(mask, axis=2) - mask
        masked = widths * ((modes[index] & MASK) > 0)
        signed = mask.sum(axis=2) * ((modes[index] & SIGNS) > 0)
        fields = np.stack([head, (mask << places).sum(axis=2), (inverted << rank).sum(axis=2)], axis=2)
        lengths = np.stack([head_bits, masked, signed], axis=2)
        out.write(np.where(lengths, fields, 0).ravel(), lengths.ravel())
        sign_bits += int(signed.sum())
    return out.getvalue(), sign_bits


def decode(encoded: Encoded) -> np.ndarray:
    """int8 ``[rows, cols]``; ModelError TMB1302 for bits that no encoder wrote."""
    (height, width), zero_bit, values, modes, at = _parse(encoded.data, encoded.rows)
    rows, cols = encoded.rows, encoded.cols
    bits = unpack(encoded.data[at:])
    widths = [min(width, cols - col) for col in range(0, cols, width)]
    found = _walk(bits, rows, height, widths, zero_bit, np.where(values, modes, -1).tolist())
    row, block, symbol, mask_at, sign_at = np.array(found, np.int64).reshape(-1, 5).T
    places = np.arange(width)
    inside = places < np.array(widths)[block][:, None]
    bits = np.append(bits, np.zeros(2 * width, np.uint8))  # places that are not inside read beyond
    masked = (modes[symbol] & MASK > 0)[:, None]
    mask = inside & (~masked | (bits[mask_at[:, None] + places] > 0))
    rank = np.cumsum(mask, axis=1) - mask
    signed = (modes[symbol] & SIGNS > 0)[:, None]
    inverted = signed & (bits[sign_at[:, None] + rank] > 0)
    value = np.where(inverted, -values[symbol][:, None], values[symbol][:, None])[mask]
    if value.max(initial=0) > 127:
        raise damaged(NAME, "a value of 128")
    weights = np.zeros((rows, len(widths) * width), np.int8)
    at_row, at_place = np.nonzero(mask)
    weights[row[at_row], block[at_row] * width + at_place] = value
    return weights[:, :cols]


def _walk(
    bits: np.ndarray, rows: int, height: int, widths: list[int], zero_bit: bool, modes: list[int]
) -> list[tuple[int, int, int, int, int]]:
    """Per row of a block with weights: row, block, symbol, first bit of the mask, first of the signs.

    A mode of -1 says that the symbol is a zero block.
    """
    index_bits = (len(modes) - 1).bit_length()
    single, ones = bits.tolist(), [0, *np.cumsum(bits).tolist()]
    every = windows(bits, np.arange(max(len(bits) - index_bits + 1, 0)), index_bits).tolist()
    found = []
    symbols = [-1] * len(widths)
    at = 0
    for row in range(rows):
        for block, width in enumerate(widths):
            if row % height == 0:
                if at + zero_bit > len(bits):
                    raise damaged(NAME, "shorter than its blocks")
                symbols[block] = -1
                if not zero_bit or single[at]:
                    if at + zero_bit >= len(every) or every[at + zero_bit] >= len(modes):
                        raise damaged(NAME, "shorter than its blocks, or an index past the symbols")
                    symbols[block] = every[at + zero_bit]
                    at += index_bits
                at += zero_bit
            symbol = symbols[block]
            if symbol >= 0 and modes[symbol] >= 0:
                mask_at = at
                at += width * (modes[symbol] & MASK)
                if at > len(bits):
                    raise damaged(NAME, "shorter than its masks")
                sign_at = at
                count = ones[at] - ones[mask_at] if modes[symbol] & MASK else width
                at += count * (modes[symbol] >> 1)
                if at > len(bits):
                    raise damaged(NAME, "shorter than its signs")
                found.append((row, block, symbol, mask_at, sign_at))
    return found


def _parse(data: bytes, rows: int) -> tuple[tuple[int, int], bool, np.ndarray, np.ndarray, int]:
    """Height and width of a block, the zero bit, values and modes of the symbols, the stream's first byte."""
    if len(data) < HEADER_BYTES:
        raise damaged(NAME, "shorter than its header")
    count = data[1] + 1
    quads = -(-count // 4)
    at = HEADER_BYTES + quads + count
    if at > len(data) or count > _MAX_SYMBOLS:
        raise damaged(NAME, "symbols that do not fit")
    packed = np.frombuffer(data, np.uint8, quads, HEADER_BYTES)
    modes = (packed[:, None] >> np.array([0, 2, 4, 6]) & 3).ravel()[:count].astype(np.int64)
    values = np.frombuffer(data, np.int8, count, HEADER_BYTES + quads).astype(np.int64)
    height, width = SHAPES[data[0] & 15]
    return (height or rows, width), bool(data[0] & 16), values, modes, at


def scratch_bytes(encoded: Encoded, form: str) -> int:
    """A byte per block of a band, where bands have several rows; in every form. Never raises."""
    height, width = SHAPES[encoded.data[0] & 15] if encoded.data else SHAPES[0]
    blocks = -(-encoded.cols // width)
    return 0 if height == 1 else -(-blocks // 4) * 4


CODEC = Codec(NAME, ("fused", "list", "row"), encode, decode, scratch_bytes)
