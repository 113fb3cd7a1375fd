"""The numeral system of ``rans``: steps of known frequency in a 32-bit state and 16-bit words.

A step is a slot range [start, start + frequency) of ``2**bits`` slots. Raw bits are a step as well: their
value is the start of a range of one slot.
"""

from __future__ import annotations

import attrs
import numpy as np

_LOWEST = 1 << 16  # of the state between steps
_STARTS = 1 << 17  # last states that are tried
_TOGETHER = 1 << 16  # steps turned into Python integers at a time
_WINDOW = 64  # steps in which the first word must come, so that a try is cheap


@attrs.frozen(eq=False)
class Steps:
    """Steps in decoding order, int64 arrays of one length; bits are 1..16."""

    frequency: np.ndarray
    start: np.ndarray
    bits: np.ndarray

    @property
    def cost(self) -> np.ndarray:
        """Bits that each step takes."""
        return np.asarray(self.bits - np.log2(self.frequency))


def encode(steps: Steps) -> bytes:
    """The state before the first step, 4 bytes, then words; zero bytes at the end are left out."""
    state = _last_state(steps)
    words: list[int] = []
    for end in range(len(steps.bits), 0, -_TOGETHER):
        part = slice(max(end - _TOGETHER, 0), end)
        frequency, start, bits = (a[part][::-1] for a in (steps.frequency, steps.start, steps.bits))
        full, gain = frequency << (32 - bits), (1 << bits) - frequency
        columns = (a.tolist() for a in (frequency, start, full, gain))
        for f, first, most, more in zip(*columns, strict=True):
            if state >= most:
                words.append(state & 0xFFFF)
                state >>= 16
            state += state // f * more + first  # (state // f << bits) + state % f + first
    stream = np.array(words[::-1], "<u2").tobytes()
    return (int(state).to_bytes(4, "little") + stream).rstrip(b"\0")


def _last_state(steps: Steps) -> int:
    """A state after the last step for which the last word is 0, so that it need not be stored."""
    state = np.arange(_LOWEST, _LOWEST + _STARTS, dtype=np.int64)
    origin, n = state.copy(), len(steps.bits)
    for i in range(n - 1, max(n - 1 - _WINDOW, -1), -1):
        frequency, bits = int(steps.frequency[i]), int(steps.bits[i])
        full = state >= frequency << (32 - bits)
        lucky = origin[full & (state & 0xFFFF == 0)]
        if len(lucky):
            return int(lucky[0])
        state, origin = state[~full], origin[~full]
        if not len(state):
            break
        state = (state // frequency << bits) + state % frequency + int(steps.start[i])
    return _LOWEST


class Decoder:
    """Takes steps back out of a stream; past its end come zeros."""

    def __init__(self, data: bytes) -> None:
        padded = data + bytes(4 + len(data) % 2)
        self.state = int.from_bytes(padded[:4], "little")
        self._words = iter(np.frombuffer(padded[4:], "<u2").tolist())

    def slot(self, bits: int) -> int:
        """The slot that the next step lies in."""
        return self.state & ((1 << bits) - 1)

    def take(self, frequency: int, start: int, bits: int) -> None:
        """Removes a step that the slot was found to lie in."""
        self.state = frequency * (self.state >> bits) + self.slot(bits) - start
        if self.state < _LOWEST:
            self.state = self.state << 16 | next(self._words, 0)

    def raw(self, bits: int) -> int:
        """Takes raw bits; none of them takes nothing."""
        value = self.slot(bits)
        if bits:
            self.take(1, value, bits)
        return value
