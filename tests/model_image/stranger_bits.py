"""A bit stream as docs/formats.md says: lowest bit first, zeros behind its end."""

from __future__ import annotations


class Bits:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> int:
        field = 0
        for k in range(count):
            byte, bit = divmod(self.at, 8)
            if byte < len(self.data):
                field |= (self.data[byte] >> bit & 1) << k
            self.at += 1
        return field

    def signed(self, count: int) -> int:
        """Two's complement."""
        field = self.take(count)
        return field - (field >> (count - 1) << count)

    def unary(self, bit: int) -> int:
        """How many times this bit comes before the other one, which is taken as well."""
        count = 0
        while self.take(1) == bit:
            count += 1
            assert count < 1 << 16
        return count
