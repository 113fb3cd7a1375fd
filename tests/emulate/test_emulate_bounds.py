"""Code and stack are known before any C is compiled: the planner's bounds hold, and are tight."""

from __future__ import annotations

import json
import shutil

import pytest
from bench import measure_runtime

from quantized_networks import NETWORKS, noise
from thimble import emulate
from thimble.codegen.project import write_project
from thimble.emulate.toolchain import toolchain
from thimble.plan.footprint import bounds, footprint
from thimble.plan.make import make_plan

_COMPILER = {"arm": "arm-none-eabi-gcc", "riscv": "riscv64-unknown-elf-gcc"}
CORES = ("cortex-m0", "cortex-m4", "rv32imac")


def need(core: str) -> None:
    arch = emulate.target(core).arch
    if shutil.which(_COMPILER[arch]) is None:
        pytest.skip(f"{_COMPILER[arch]} is not installed")
    if toolchain(arch).version != footprint(core).compiler:
        pytest.skip("the table was measured with another compiler")


CASES = [
    *(("lenet", core, "auto") for core in CORES),
    *(("zoo", core, "auto") for core in ("cortex-m0", "cortex-m3", "cortex-m7", "rv32imc")),
    ("lenet", "cortex-m4", "sri"),
    ("lenet", "cortex-m33", "sri+xor"),
    ("tiny", "cortex-m0", "auto"),
]


@pytest.mark.parametrize("network, core, codec", CASES)
def test_bounds_hold_and_are_tight(tmp_path, network, core, codec):
    need(core)
    graph = NETWORKS[network]()
    plan = make_plan(graph, core, "balanced", codec)
    project = write_project(plan, tmp_path / "p", emulated=(core,))
    bound = bounds(core, plan.steps)
    program = emulate.build(project, [core])[core]
    code = emulate.sizes(project, core, program=program).code
    stack = emulate.measure(project, core, noise(graph, 4), program=program).stack_bytes
    assert code <= bound.code <= 1.03 * code
    assert stack <= bound.stack <= stack + 64


def test_the_table_is_of_these_sources():
    """Where it is not: ``PYTHONPATH=sdk python -m bench.measure_runtime``."""
    assert json.loads(measure_runtime.OUT.read_text())["firmware"] == measure_runtime.firmware_hash()


@pytest.mark.parametrize("core", ["cortex-m4", "rv32imc"])
def test_the_table_is_that_of_this_runtime(core):
    """Where it is not: ``PYTHONPATH=sdk python -m bench.measure_runtime``."""
    need(core)
    table = json.loads(measure_runtime.OUT.read_text())["targets"][core]
    assert json.loads(json.dumps(measure_runtime.measure(emulate.target(core)))) == table


def test_cores_that_were_not_measured_have_no_bounds():
    assert footprint("cortex-m99") is None
    assert bounds("cortex-m99", ()) is None
