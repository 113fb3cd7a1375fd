"""Machines on which a compiler, an emulator or PlatformIO is missing: which one, and how to get it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from cli_calls import refused, thimble, tree
from quantized_networks import noise, tiny
from thimble.graph.io import save

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project below a folder whose name a shell would read something into."""
    at = tmp_path_factory.mktemp("tools (x) y'z")
    save(tiny(), at / "tiny.thimble")
    np.savez(at / "x.npz", x=noise(tiny(), 3))
    built = thimble("build", at / "tiny.thimble", "--board", "nucleo_l4r5zi", "--out", at / "p")
    assert built.exit_code == 0
    return at


@pytest.fixture
def without(tmp_path, monkeypatch):
    """Takes tools out of PATH; all others stay."""

    def take(*missing):
        links = tmp_path / "bin"
        links.mkdir()
        for folder in os.environ["PATH"].split(os.pathsep):
            for tool in Path(folder).iterdir() if Path(folder).is_dir() else ():
                if tool.name not in missing and not os.path.lexists(links / tool.name):
                    (links / tool.name).symlink_to(tool)
        monkeypatch.setenv("PATH", str(links))
        monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "none"))
        monkeypatch.delenv("CC", raising=False)

    return take


def sources(project):
    """What the user sees: not the caches."""
    return {name: data for name, data in tree(project).items() if "/.pio/" not in name}


@pytest.mark.parametrize(
    "target, compiler, package",
    [
        ("cortex-m4", "arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("rv32imac", "riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf"),
    ],
)
def test_a_missing_cross_compiler(project, without, target, compiler, package):
    without(compiler, "riscv-none-elf-gcc", "riscv32-unknown-elf-gcc")
    before = {name: data for name, data in sources(project).items() if "/.thimble/" not in name}
    for command in ("verify", "bench"):
        options = ["--inputs", project / "x.npz", "--target", target]
        refused("TMB5007", command, project / "p", *options, says=(compiler, f"apt-get install {package}"))
    after = {name: data for name, data in sources(project).items() if "/.thimble/" not in name}
    assert after == before
    assert not (project / "p" / ".thimble" / "verify.json").exists()


def test_a_missing_host_compiler(project, without):
    without("gcc", "cc", "clang", "c99")
    before = sources(project)
    options = ["--inputs", project / "x.npz", "--target", "host"]
    refused("TMB5001", "verify", project / "p", *options, says=("apt-get install gcc",))
    assert sources(project) == before


@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="arm-none-eabi-gcc is not installed")
def test_a_missing_qemu(project, without):
    options = ["--inputs", project / "x.npz", "--target", "cortex-m4"]
    without("qemu-system-arm")
    before = sources(project)
    refused("TMB5010", "verify", project / "p", *options, says=("qemu-system-arm",))
    assert sources(project) == before
    # measuring needs the in-process emulator alone
    assert thimble("bench", project / "p", "--target", "cortex-m4").exit_code == 0


def test_a_missing_platformio(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "platformio", None)
    options = ["--inputs", project / "x.npz", "--target", "cortex-m4"]
    refused("TMB5003", "verify", project / "p", *options, says=("pip install platformio",))


def test_source_that_does_not_compile_is_shown(project, tmp_path):
    shutil.copytree(project / "p", tmp_path / "p", ignore=shutil.ignore_patterns(".pio"))
    with (tmp_path / "p" / "src" / "tiny.c").open("a") as file:
        file.write("\nint 3;\n")
    options = ["--inputs", project / "x.npz", "--target", "host"]
    refused("TMB5004", "verify", tmp_path / "p", *options, says=("tiny.c", "error:"))


def test_flash_needs_the_projects_own_real_board(project):
    refused("TMB3120", "flash", project / "p", "--board", "pico", exit_code=2, says=("nucleo_l4r5zi",))
    refused("TMB3121", "flash", project / "p", "--board", "cortex-m4", exit_code=2, says=("verify",))
