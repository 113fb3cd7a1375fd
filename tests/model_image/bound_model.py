"""A generated model that images are bound to: on the host under sanitizers, and on emulated cores."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from thimble.emulate import build, load_project
from thimble.emulate.core import Core
from thimble.emulate.host import SANITIZERS, include_dirs, sources
from thimble.emulate.targets import target

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")
COMPILE = ("gcc", "-std=c99", "-O1", "-g", *WARNINGS, *SANITIZERS)


def compile_runtime(folder: Path, out: Path) -> Path:
    """The runtime of a project under sanitizers, compiled once for all: an archive in ``out``."""
    project = load_project(folder)
    runtime = [path for path in sources(project) if "lib" in path.relative_to(folder).parts]
    flags = [f"-I{path}" for path in include_dirs(project)]
    subprocess.run([*COMPILE, *flags, "-c", *runtime], cwd=out, check=True)
    objects = sorted(out.glob("*.o"))
    assert len(objects) == len(runtime), "two files of one name"
    subprocess.run(["ar", "rcs", "runtime.a", *objects], cwd=out, check=True)
    return out / "runtime.a"


class HostModel:
    """The generated C with image_driver.c for its main, and without the image: that comes from outside."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        project = load_project(folder)
        macro = project.name.upper()
        self.output_len = project.output_len
        self.program = folder / "image_driver"
        main = Path(__file__).with_name("image_driver.c")
        flags = [f"-I{path}" for path in include_dirs(project)]
        flags += [f"-DMODEL={project.name}", f'-DHEADER="{project.name}.h"', f"-D{macro}_IMAGE_EXTERNAL"]
        flags += [f"-D{what}={macro}_{what}" for what in ("ARENA_BYTES", "INPUT_LEN", "OUTPUT_LEN")]
        own = sorted((folder / "src").glob(f"{project.name}*.c"))
        subprocess.run([*COMPILE, *flags, main, *own, runtime, "-o", self.program], check=True)

    def run(self, images: Sequence[bytes], shift: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Status of each image, and the outputs ``[images, output_len]`` of those that were accepted."""
        requests = b"".join(struct.pack("<2I", shift, len(image)) + image for image in images)
        done = subprocess.run([self.program], input=requests, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        answers = np.frombuffer(done.stdout, np.int8).reshape(len(images), 1 + self.output_len)
        return answers[:, 0], answers[:, 1:]


def host_input(size: int) -> np.ndarray:
    """The sample that image_driver.c runs."""
    return (np.arange(size) * 37).astype(np.uint8).view(np.int8)


class CoreModel:
    """The linked firmware on an emulated core; the image lies alone between unmapped pages."""

    def __init__(self, folder: Path, core: str) -> None:
        self.project = load_project(folder)
        elf = build(folder, [core])[core]
        self._core = Core(elf, target(core), {"net": 8, "arena": 1 << 16, "image": 1 << 16})
        self._end = self._core.at["image"] + (1 << 16)
        self._arena = self._core.elf.symbol("tmb_arena").size

    def run(self, image: bytes, shift: int = 0) -> tuple[int, np.ndarray]:
        """Status of an image that ends ``shift`` bytes before an unmapped page, and the output."""
        core, name = self._core, self.project.name
        net, arena = core.at["net"], core.at["arena"] + (1 << 16) - (self._arena + 3 & ~3)
        at = self._end - shift - (len(image) + 3 & ~3)
        core.write(at, image)
        status = core.call(f"{name}_init", net, at, len(image), arena, self._arena)
        if status:
            return status - (1 << 32), np.zeros(self.project.output_len, np.int8)
        core.write(core.call(f"{name}_input", net), host_input(self.project.input_len).tobytes())
        core.call(f"{name}_run", net)
        output = core.read(core.call(f"{name}_output", net), self.project.output_len)
        return 0, np.frombuffer(output, np.int8)
