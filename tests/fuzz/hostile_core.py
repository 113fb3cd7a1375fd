"""The decoders on emulated cores, under the inputs of fuzz_decoder.c: unmapped pages for sanitizers."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
from fuzz_seeds import CORPUS

from thimble.codecs import CODECS, Codec
from thimble.emulate.core import Core
from thimble.emulate.decoders import link
from thimble.emulate.targets import target
from thimble.plan.image import lone

CORES = ("cortex-m4", "cortex-m0", "rv32imc")
HEAD = 8
MOST_WEIGHTS = 1024
_OPERATION = struct.Struct("<5H2x3I5B3x4I")  # tmb_fully_connected_t on a 32-bit core
_REGIONS = {"w": 48, "state": 96, "image": 1 << 16, "scratch": 1 << 14, "out": 1 << 18}


@attrs.frozen
class Input:
    """What fuzz_decoder.c makes of its bytes."""

    form: str
    rows: int
    cols: int
    row_max: int
    scratch: int  # words
    data: bytes

    @classmethod
    def of(cls, raw: bytes, codec: Codec) -> Input:
        """The input of at least ``HEAD`` bytes, in a form that the codec has."""
        kind, rows, cols, row_max, scratch = struct.unpack_from("<BBHHH", raw)
        form = ("list", "row", "fused", "list")[kind & 3]
        form = form if form in codec.forms else "list"
        is_long = kind >> 2 == 63
        cols = cols % (65535 if is_long else 512) + 1
        rows = min(rows % 64 + 1, 1 if is_long else MOST_WEIGHTS // cols)
        return cls(form, rows, cols, row_max % (cols + 256), scratch % 4096, raw[HEAD:])


class HostileCore:
    """All of a core's decoders in one program. Every buffer ends at an unmapped page; the next multiple of 4,
    where its size is none."""

    def __init__(self, name: str) -> None:
        symbols = []
        for codec in CODECS.values():
            symbols += [f"tmb_{codec.c_name}_list", f"tmb_{codec.c_name}_row"]
            symbols += [_fused(codec)] if "fused" in codec.forms else []
        with tempfile.TemporaryDirectory() as folder:
            self._core = Core(link(symbols, target(name), Path(folder)), target(name), _REGIONS)

    def _place(self, region: str, data: bytes) -> int:
        at = self._core.at[region] + _REGIONS[region] - (len(data) + 3 & ~3)
        self._core.write(at, data)
        return at

    def decode(self, codec: Codec, given: Input) -> None:
        """Decodes all rows and checks what the source promises.

        Raises:
            VerifyError: TMB6003 where the decoder leaves its buffers, TMB6004 where it does not end.
        """
        try:
            self._decode(codec, given)
        except Exception as error:
            error.add_note(f"input {given}")
            raise

    def _decode(self, codec: Codec, given: Input) -> None:
        image = self._place("image", lone(given.data))
        shape = (given.rows, given.cols, given.row_max, given.scratch, 0)
        if given.form == "fused":
            self._fused(codec, shape, image)
            return
        core = self._core
        weights, state = self._place("w", struct.pack("<5H", *shape)), self._place("state", b"\xa5" * 96)
        scratch = self._place("scratch", b"\xa5" * (4 * given.scratch))
        out = self._place("out", bytes(4 * given.row_max if given.form == "list" else given.cols))
        source = core.elf.symbol(f"tmb_{codec.c_name}_{given.form}").address
        open_at, next_at = (at & ~1 for at in struct.unpack("<2I", core.read(source, 8)))
        core.call(open_at, state, weights, image, scratch)
        for _ in range(given.rows):
            count = core.call(next_at, state, out)
            if given.form == "row":
                assert count == given.cols
                continue
            assert count <= given.row_max
            pairs = np.frombuffer(core.read(out, 4 * count), np.int16).reshape(count, 2)
            offsets = pairs[:, 0].view(np.uint16)
            assert (offsets < given.cols).all()
            assert len(np.unique(offsets)) == count
            assert ((pairs[:, 1] >= -128) & (pairs[:, 1] <= 127)).all()

    def _fused(self, codec: Codec, shape: tuple[int, ...], image: int) -> None:
        """Input, output and scratch each end at a page, far from each other; the arena starts at 0."""
        core, (rows, cols, _, words, _) = self._core, shape
        # a multiplier of 1/2 and a shift of 1 lie in the image's header, where no decoder looks
        core.write(image, struct.pack("<ib", 1 << 30, 1))
        x, y = self._place("out", b"\x81" * cols), self._place("state", bytes(rows))
        scratch = self._place("scratch", b"\xa5" * (4 * words))
        requant = (0, 0, 4, 0, 0, 0, 0x80, 0x7F)
        op = self._place("w", _OPERATION.pack(*shape, *requant, x, y, scratch, 0))
        core.call(_fused(codec), op, image, 0)


def _fused(codec: Codec) -> str:
    return f"tmb_fully_connected_{codec.c_name}_s8"


def hostile(codec: Codec, count: int) -> Iterator[bytes]:
    """A codec's seeds, all flips of the smallest one's bits, and so many random mutations."""
    seeds = [path.read_bytes() for path in sorted((CORPUS / codec.c_name).iterdir())]
    yield from seeds
    yield from flips(min(seeds, key=len))
    yield from mutations(seeds, count, 1)


def flips(raw: bytes) -> Iterator[bytes]:
    """An input with each of its data's bits flipped, each in one form only: the forms take turns."""
    for bit in range(8 * HEAD, 8 * len(raw)):
        data = bytearray(raw)
        data[0] = data[0] & ~3 | bit % 3
        data[bit // 8] ^= 1 << bit % 8
        yield bytes(data)


def mutations(seeds: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Seeds with a few bytes changed, some cut, some with another descriptor."""
    rng = np.random.default_rng(seed)
    for k in range(count):
        data = bytearray(seeds[k % len(seeds)])
        data[0] = data[0] & ~3 | int(rng.integers(3))
        for at in rng.integers(HEAD, len(data), rng.integers(1, 8)) if len(data) > HEAD else ():
            data[at] = rng.integers(256)
        if rng.random() < 0.3:
            data[int(rng.integers(1, HEAD))] = int(rng.integers(256))
        if rng.random() < 0.3:
            del data[int(rng.integers(HEAD, len(data) + 1)) :]
        yield bytes(data)
