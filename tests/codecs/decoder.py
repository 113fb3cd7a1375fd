"""The C decoders, compiled for the host with sanitisers, as a process that tests talk to."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import numpy as np

from thimble.codecs import CODECS, Encoded, scratch_bytes
from thimble.plan.image import lone

ROOT = Path(__file__).resolve().parents[2]
CODEC_IDS = {name: i for i, name in enumerate(CODECS)}
FORM_IDS = {"list": 0, "row": 1, "fused": 2}
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]


def sources() -> list[str]:
    """Every C file of the codecs."""
    return sorted(str(p) for p in (ROOT / "firmware/src/codecs").glob("*.c"))


def include_flags() -> list[str]:
    return [f"-I{ROOT / 'firmware/include'}", f"-I{ROOT / 'firmware/src'}"]


def codec_table() -> str:
    """``codecs.inc``: what the driver needs of each registered codec."""
    lines = []
    for codec in CODECS.values():
        fused = f"tmb_fully_connected_{codec.c_name}_s8" if "fused" in codec.forms else "NULL"
        lines.append(f"{{&tmb_{codec.c_name}_list, &tmb_{codec.c_name}_row, {fused}}},\n")
    return "".join(lines)


def build(folder: Path, *flags: str) -> Path:
    """Compiles the driver, with further flags; returns the executable."""
    exe = folder / "decoder_driver"
    (folder / "codecs.inc").write_text(codec_table())
    command = ["gcc", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *STRICT]
    command += [
        *flags,
        *include_flags(),
        f"-I{folder}",
        str(Path(__file__).with_name("decoder_driver.c")),
        *sources(),
        "-o",
        str(exe),
    ]
    subprocess.run(command, check=True)
    return exe


class Decoder:
    """The running driver. A finding of a sanitiser ends it and raises AssertionError with its report."""

    def __init__(self, exe: Path) -> None:
        self.scratch_of: Encoded | None = None  # whose scratch to give, where not the decoded weights' own
        self._exe = exe
        self._start()

    def _start(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([self._exe], stdin=pipe, stdout=pipe, stderr=pipe)

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, encoded: Encoded, form: str, extra: bytes = b"") -> None:
        image = lone(encoded.data)
        head = (
            CODEC_IDS[encoded.codec],
            FORM_IDS[form],
            encoded.rows,
            encoded.cols,
            encoded.row_max,
            len(image),
            scratch_bytes(self.scratch_of or encoded, form),
            0,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(struct.pack("<8I", *head) + image + extra)
        self._process.stdin.flush()

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        data = self._process.stdout.read(size)
        if len(data) != size:
            report = self._process.communicate()[1].decode()
            self._start()
            raise AssertionError(f"the C decoder failed:\n{report}")
        return data

    def lists(self, encoded: Encoded) -> np.ndarray:
        """The matrix from the list form; checks offsets and row_max."""
        self._ask(encoded, "list")
        weights = np.zeros((encoded.rows, encoded.cols), np.int16)
        for row in weights:
            (count,) = struct.unpack("<I", self._read(4))
            assert count <= encoded.row_max
            pairs = np.frombuffer(self._read(4 * count), np.int16).reshape(count, 2)
            offsets = pairs[:, 0].view(np.uint16) if count else np.zeros(0, np.uint16)
            offsets = offsets.astype(np.int64)
            assert len(np.unique(offsets)) == count
            assert np.all(offsets < encoded.cols)
            row[offsets] = pairs[:, 1]
        return weights

    def rows(self, encoded: Encoded) -> np.ndarray:
        """The matrix from the row form."""
        self._ask(encoded, "row")
        data = self._read(encoded.rows * encoded.cols)
        return np.frombuffer(data, np.int8).reshape(encoded.rows, encoded.cols)

    def fully_connected(self, encoded: Encoded, x: np.ndarray) -> np.ndarray:
        """int8 ``weights @ x``, clamped, by the fused loop."""
        self._ask(encoded, "fused", x.astype(np.int8).tobytes())
        return np.frombuffer(self._read(encoded.rows), np.int8)
