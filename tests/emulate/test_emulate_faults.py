"""Firmware that misbehaves, and tools that are missing, give one clear error."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import pytest
from toy_project import write_toy

from thimble import emulate
from thimble.emulate import host, platformio, qemu, toolchain
from thimble.errors import DataError, ToolError, VerifyError

pytestmark = pytest.mark.skipif(
    not shutil.which("arm-none-eabi-gcc"), reason="arm-none-eabi-gcc is not installed"
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("broken") / "toy")


def built(toy, monkeypatch, core, flags):
    monkeypatch.setenv("PLATFORMIO_BUILD_FLAGS", flags)
    return emulate.build(toy.folder, [core])[core]


@pytest.mark.parametrize(
    "core, flags, what",
    [
        ("cortex-m4", "-DTOY_OVERREAD=1", "reads 1 bytes at image+160 (of 160)"),
        ("cortex-m4", "-DTOY_STRAY=16", "writes 1 bytes at arena+32 (of 32)"),
        ("cortex-m4", "-DTOY_STRAY=-17", "writes 1 bytes at arena-1 (of 32)"),
    ],
)
def test_an_access_out_of_bounds_is_located(broken, monkeypatch, core, flags, what):
    program = built(broken, monkeypatch, core, flags)
    with pytest.raises(VerifyError) as caught:
        emulate.measure(broken.folder, core, broken.x, emulator="isa", program=program)
    assert caught.value.code == "TMB6003"
    assert what in caught.value.what
    assert "toy_kernel+0x" in caught.value.where


def test_endless_loops_end(broken, monkeypatch):
    program = built(broken, monkeypatch, "cortex-m4", "-DTOY_HANG")
    monkeypatch.setattr("thimble.emulate.core._TIMEOUT_US", 200_000)
    with pytest.raises(VerifyError, match="TMB6004"):
        emulate.measure(broken.folder, "cortex-m4", broken.x, emulator="isa", program=program)
    if shutil.which("qemu-system-arm"):
        project = emulate.load_project(broken.folder)
        with pytest.raises(ToolError, match="TMB5006"):
            qemu.execute(project, program, emulate.target("cortex-m4"), broken.x, timeout_s=0.5)


@pytest.mark.skipif(not shutil.which("qemu-system-arm"), reason="qemu-system-arm is not installed")
def test_qemu_refuses_what_the_core_lacks(broken, monkeypatch):
    program = built(broken, monkeypatch, "cortex-m3", "-DTOY_DSP")
    with pytest.raises(VerifyError) as caught:
        emulate.measure(broken.folder, "cortex-m3", broken.x, emulator="qemu", counted=0, program=program)
    assert caught.value.code == "TMB6005"
    assert "the core faults" in caught.value.what


def test_the_sanitizers_stop_an_overread(broken):
    project = emulate.load_project(broken.folder)
    program = host.build(project, flags=("-O1", "-g", "-DTOY_OVERREAD=1", *host.SANITIZERS))
    with pytest.raises(VerifyError, match="TMB6001") as caught:
        host.measure(project, program, broken.x)
    assert "AddressSanitizer" in caught.value.what


def test_a_compile_error_is_shown(tmp_path):
    toy = write_toy(tmp_path / "toy")
    (toy.folder / "src" / "toy.c").write_text("int broken(void) { return missing; }\n")
    for core in ("cortex-m4", "host"):
        with pytest.raises(ToolError, match="TMB5004") as caught:
            emulate.build(toy.folder, [core])
        assert "undeclared" in caught.value.what


@pytest.mark.parametrize(
    "core, package", [("cortex-m4", "gcc-arm-none-eabi"), ("rv32imc", "gcc-riscv64-unknown-elf")]
)
def test_a_missing_compiler_names_its_package(toy, tmp_path, monkeypatch, core, package):
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.path.dirname(sys.executable)}")
    with pytest.raises(ToolError) as caught:
        emulate.build(toy.folder, [core])
    assert caught.value.code == "TMB5007"
    assert package in caught.value.hint
    toolchain.toolchain.cache_clear()
    with pytest.raises(ToolError) as caught:
        toolchain.toolchain(emulate.target(core).arch)
    assert (caught.value.code, package in caught.value.hint) == ("TMB5007", True)


def test_a_missing_qemu_names_its_package(toy, tmp_path, monkeypatch):
    elf = emulate.build(toy.folder, ["cortex-m0"])["cortex-m0"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="TMB5010") as caught:
        qemu.command(emulate.target("cortex-m0"), elf)
    assert "qemu-system-arm" in caught.value.hint


def test_no_host_compiler(toy, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="TMB5001"):
        emulate.build(toy.folder, ["host"])


def test_what_is_no_project_is_refused(tmp_path):
    with pytest.raises(ToolError, match="TMB5005"):
        emulate.build(tmp_path, ["host"])
    with pytest.raises(ToolError, match="TMB5005"):
        platformio.run(tmp_path, ["cortex-m4"])


def test_nothing_is_asked_of_the_network(tmp_path, monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("THIMBLE_CACHE", str(tmp_path / "cache"))
    toy = write_toy(tmp_path / "toy")
    program = emulate.build(toy.folder, ["cortex-m4"])["cortex-m4"]
    got = emulate.measure(toy.folder, "cortex-m4", toy.x, emulator="isa", program=program)
    np.testing.assert_array_equal(got.outputs, toy.y)


def test_unknown_targets_are_refused(toy):
    with pytest.raises(ToolError, match="TMB5002"):
        emulate.measure(toy.folder, "cortex-m99", toy.x)


@pytest.mark.parametrize("x", [np.zeros((2, 16)), np.zeros((2, 15), np.int8), np.zeros((0, 16), np.int8)])
def test_wrong_inputs_are_refused(toy, x):
    program = emulate.build(toy.folder, ["cortex-m4"])["cortex-m4"]
    with pytest.raises(DataError, match="TMB2001"):
        emulate.measure(toy.folder, "cortex-m4", x, program=program)


@pytest.mark.skipif(not shutil.which("qemu-system-arm"), reason="qemu-system-arm is not installed")
@pytest.mark.parametrize("ram, machine", [(1000, "microbit"), (20_000, "mps2-an385")])
def test_firmware_beyond_the_microbit_runs_on_a_larger_machine(broken, monkeypatch, ram, machine):
    monkeypatch.setenv("PLATFORMIO_BUILD_FLAGS", f"-DTOY_ARENA_BYTES={ram}")
    elf = emulate.build(broken.folder, ["cortex-m0"])["cortex-m0"]
    assert machine in qemu.command(emulate.target("cortex-m0"), elf)
    got = emulate.measure(broken.folder, "cortex-m0", broken.x, emulator="qemu", counted=0, program=elf)
    np.testing.assert_array_equal(got.outputs, broken.y)
