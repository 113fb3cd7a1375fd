"""A small hand-written project with the interface that generated projects have."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import numpy as np

from thimble.paths import resource

TOY = Path(__file__).with_name("toy")
CORES = (
    "cortex-m0",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "cortex-m55",
    "rv32imc",
    "rv32imac",
    "rv32imafc",
)
INI = """[emulated]
platform = symlink://./emulated/platform
build_src_filter = +<*> -<main.c> +<../emulated/main.c>
build_flags = {flags}
"""


@attrs.frozen(eq=False)
class Toy:
    """The project, samples, and what they must give."""

    folder: Path
    x: np.ndarray
    y: np.ndarray


def toy_reference(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    w1, w2 = weights[:128].reshape(8, 16).astype(int), weights[128:].reshape(4, 8).astype(int)
    hidden = np.clip((x.astype(int) @ w1.T) >> 6, -128, 127)
    return np.clip((hidden @ w2.T) >> 6, -128, 127).astype(np.int8)


def write_toy(folder: Path, flags: str = "") -> Toy:
    rng = np.random.default_rng(7)
    weights = rng.integers(-40, 41, 160, dtype=np.int8) * (rng.random(160) < 0.7)
    shutil.copytree(TOY, folder)
    shutil.copytree(resource("boards") / "platform", folder / "emulated" / "platform")
    library = folder / "lib" / "thimble"
    shutil.copytree(resource("firmware") / "include", library / "include")
    shutil.copy(resource("firmware") / "src" / "tmb_math.h", library / "src")
    (folder / "src" / "toy_image.inc").write_text(", ".join(str(int(w) & 255) for w in weights) + "\n")
    envs = "".join(f"\n[env:{core}]\nextends = emulated\nboard = {core}\n" for core in CORES)
    (folder / "platformio.ini").write_text(INI.format(flags=flags) + envs)
    x = rng.integers(-128, 128, (6, 16), dtype=np.int8)
    return Toy(folder, x, toy_reference(weights.astype(np.int8), x))
