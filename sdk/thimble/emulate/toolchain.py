"""The cross-compilers and the flags that firmware is built with.

The flags are those of the emulated boards' PlatformIO platform (``boards/platform/flags.json``): one place
for both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import attrs

from thimble.emulate.cache import first_errors
from thimble.errors import ToolError
from thimble.paths import resource


@attrs.frozen
class Toolchain:
    """A GNU cross-compiler.

    Attributes:
        prefix: what goes before ``gcc``, with its folder.
        specs: the option that chooses the small libc; empty where there is none.
        c_flags, link_flags: for every file and every link, apart from those that choose the core.
        harness_flags: further ones for the harness's files.
    """

    prefix: str
    specs: tuple[str, ...]
    c_flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    harness_flags: tuple[str, ...]

    @property
    def version(self) -> str:
        """The compiler's own words, e.g. ``arm-none-eabi-gcc (15:12.2.rel1-1) 12.2.1 20221205``."""
        return self.run("gcc", "--version").splitlines()[0]

    def run(self, tool: str, *arguments: str | Path) -> str:
        """Runs ``gcc``, ``ar``, ``nm`` ...; returns its standard output.

        Raises:
            ToolError: TMB5004 with the first error lines where it fails.
        """
        command = [self.prefix + tool, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            name = Path(self.prefix).name + tool
            raise ToolError(
                "TMB5004",
                f"{name} failed:\n{first_errors(done.stderr)}",
                hint="mend the file if it is yours; otherwise build the project again",
            )
        return done.stdout

    def compile(self, source: Path, out: Path, cpu: Sequence[str], *flags: str) -> None:
        """Compiles one C file for the core that ``cpu`` chooses."""
        self.run("gcc", *cpu, *self.specs, *self.c_flags, *flags, "-c", source, "-o", out)


@cache
def toolchain(arch: str) -> Toolchain:
    """The cross-compiler for ``"arm"`` or ``"riscv"``: from PATH, else PlatformIO's own package.

    Raises:
        ToolError: TMB5007 where there is none, with the packages to install.
    """
    flags = json.loads((resource("boards") / "platform" / "flags.json").read_text())
    tools = flags["toolchains"][arch]
    home = Path(os.environ.get("PLATFORMIO_CORE_DIR") or Path.home() / ".platformio")
    package = home / "packages" / tools["package"] / "bin"
    for folder, prefix in ((f, p) for f in (None, package) for p in tools["prefixes"]):
        if shutil.which(prefix + "gcc", path=folder and str(folder)):
            found = str(folder / prefix) if folder else prefix
            break
    else:
        raise ToolError(
            "TMB5007",
            f"the compiler {tools['prefixes'][0]}gcc is not installed",
            hint=f"apt-get install {tools['apt']}",
        )
    return Toolchain(
        prefix=found,
        specs=_specs(found, tools["specs"]),
        c_flags=tuple(flags["c"]),
        link_flags=tuple(flags["link"]),
        harness_flags=tuple(flags["harness"]),
    )


def _specs(prefix: str, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        query = [prefix + "gcc", f"-print-file-name={name}"]
        # a bare name comes back where the compiler has no such file
        if os.path.isabs(subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()):
            return (f"--specs={name}",)
    return ()
