from __future__ import annotations

from pathlib import Path

import pytest
from bound_model import CoreModel, HostModel, compile_runtime
from image_nets import planned

from thimble.codegen.project import write_project
from thimble.plan.plan import Plan

CORES = ("cortex-m4", "rv32imc")


@pytest.fixture(scope="session")
def plans() -> dict[str, Plan]:
    return {core: planned(core) for core in CORES}


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory, plans: dict[str, Plan]) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("images")
    return {core: write_project(plan, folder / core, emulated=CORES) for core, plan in plans.items()}


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory, projects: dict[str, Path]) -> Path:
    return compile_runtime(projects["cortex-m4"], tmp_path_factory.mktemp("runtime"))


@pytest.fixture(scope="session")
def host_model(projects: dict[str, Path], runtime: Path) -> HostModel:
    return HostModel(projects["cortex-m4"], runtime)


@pytest.fixture(scope="session", params=CORES)
def core_model(request: pytest.FixtureRequest, projects: dict[str, Path]) -> CoreModel:
    return CoreModel(projects[request.param], request.param)
