"""Whole networks on every target: every output element equals the reference's, sizes equal the plan's."""

import numpy as np
import pytest

from quantized_networks import NETWORKS, noise
from thimble.codecs import CODECS
from thimble.codegen.project import write_project
from thimble.commands.bench import bench
from thimble.commands.targets import plan_for, project_for
from thimble.emulate import TARGETS, execute
from thimble.plan.make import all_ways, make_plan
from thimble.quantize.interpreter import run

CORES = tuple(name for name in TARGETS if name != "host")
SAMPLES = 12


def check(folder, graph, target):
    x = noise(graph, SAMPLES)
    y = execute(project_for(folder, target), target, x)
    np.testing.assert_array_equal(y, run(graph, x)[0].reshape(y.shape))


@pytest.fixture(scope="module", params=NETWORKS)
def project(request, tmp_path_factory):
    graph = NETWORKS[request.param]()
    at = tmp_path_factory.mktemp(request.param) / "p"
    return write_project(make_plan(graph, "cortex-m4"), at, emulated=CORES), graph


@pytest.mark.parametrize("target", TARGETS)
def test_bits_are_equal(project, target):
    check(*project, target)


@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m0", "rv32imc"])
def test_what_was_planned_is_what_is_linked(project, target):
    folder, _ = project
    plan = plan_for(folder, target)
    measured = bench(folder, targets=[target])["targets"][target]
    assert measured["flash"]["weights"] == plan.image_bytes
    assert measured["ram"]["arena"] == plan.arena_bytes
    assert sum(layer["instructions"] for layer in measured["layers"]) == measured["instructions"]


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("network", ["lenet", "zoo"])
def test_every_codec_on_two_cores_and_the_host(tmp_path, network, codec):
    graph = NETWORKS[network]()
    held = [name for name, candidates in all_ways(graph, "cortex-m4")[1].items() if codec in candidates]
    if not held:
        pytest.skip(f"{codec} can hold no layer of this network")
    for core in ("cortex-m4", "rv32imc"):
        plan = make_plan(graph, core, "speed", dict.fromkeys(held, codec))
        at = write_project(plan, tmp_path / core, emulated=CORES)
        x = noise(graph, SAMPLES)
        y = execute(at, core, x)
        np.testing.assert_array_equal(y, run(graph, x)[0].reshape(y.shape))
    y = execute(at, "host", x)
    np.testing.assert_array_equal(y, run(graph, x)[0].reshape(y.shape))
