"""The trained models of the repository: small enough, right often enough, and the same bits on every core."""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import attrs
import numpy as np
import pytest

from thimble.codegen.project import write_project
from thimble.commands.bench import bench
from thimble.commands.summary import smallest_plan, summary
from thimble.commands.targets import project_for
from thimble.emulate import TARGETS, execute, sizes
from thimble.graph.io import load
from thimble.plan.make import AUTO, make_plan
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("THIMBLE_DATA", ROOT.parent / "shared" / "data"))
CORES = tuple(name for name in TARGETS if name != "host")
LENET5 = "examples/mnist_lenet5/lenet5.thimble"
LENET300 = "examples/mnist_lenet300/lenet300.thimble"
DNS = "examples/pruned_dns_lenet/convert.py"  # others' weights: not in the repository
PIXEL = {DNS: 256}  # what pixels were divided by in training, if not by 255
SAMPLES = 20


def model(name, codecs=AUTO):
    graph = load(ROOT / name) if name.endswith(".thimble") else converted()
    return attrs.evolve(graph, meta={**graph.meta, "codecs": codecs})


@cache
def converted():
    """The network of Dynamic Network Surgery, its pruned weights taken as they are."""
    if not (DATA / "pruned_dns_lenet").is_dir():
        pytest.skip("no pruned_dns_lenet: THIMBLE_DATA should name a folder that holds it")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dns.thimble"
        subprocess.run([sys.executable, str(ROOT / DNS), "--out", str(out)], check=True)
        return load(out)


def digits():
    """Real digits that need no data set: scikit-learn's, enlarged to 28x28, float 0..1."""
    from sklearn.datasets import load_digits

    small = load_digits().images[:SAMPLES] / 16.0
    large = np.zeros((SAMPLES, 28, 28), np.float32)
    large[:, 2:26, 2:26] = small.repeat(3, axis=1).repeat(3, axis=2)
    return large


def mnist():
    path = DATA / "mnist" / "mnist_test.npz"
    if not path.is_file():
        pytest.skip(f"no MNIST: THIMBLE_DATA should name a folder that holds {path.parent.name}/{path.name}")
    with np.load(path) as file:
        return file["x"].astype(np.float32) / 255.0, file["y"].astype(np.int64)


def images():
    path = DATA / "mnist" / "mnist_test.npz"
    return mnist()[0][:SAMPLES] if path.is_file() else digits()


@pytest.mark.parametrize(
    "name,codecs,ratio",
    [(LENET5, AUTO, 300), (LENET5, "sri+xor", 250), (LENET300, AUTO, 100), (DNS, AUTO, 40)],
)
def test_ratio_counts_every_byte(name, codecs, ratio):
    graph = model(name)
    plan = make_plan(graph, "cortex-m4", "balanced", codecs)
    assert graph.fp32_bytes == {LENET5: 1_724_320}.get(name, 1_066_440)
    assert graph.fp32_bytes / len(plan.image.data) >= ratio


@pytest.mark.parametrize("name,least", [(LENET5, 99.0), (LENET300, 98.0), (DNS, 97.5)])
def test_accuracy_over_the_whole_test_set(name, least):
    x, y = mnist()
    graph = model(name)
    right = 0
    for k in range(0, len(x), 1000):
        batch = x[k : k + 1000] * np.float32(255 / PIXEL.get(name, 255))
        outputs = run(graph, quantize_input(graph, batch))[0]
        right += int((outputs.reshape(len(outputs), -1).argmax(axis=1) == y[k : k + 1000]).sum())
    assert len(x) == 10_000
    assert right / 100 >= least
    assert right / 100 == pytest.approx(graph.meta["accuracy"]["int8"], abs=0.005)


@pytest.fixture(scope="module", params=[(LENET5, AUTO), (LENET5, "sri+xor"), (LENET300, AUTO), (DNS, AUTO)])
def project(request, tmp_path_factory):
    graph = model(*request.param)
    at = tmp_path_factory.mktemp("example") / "p"
    return write_project(
        make_plan(graph, "cortex-m4", "balanced", request.param[1]), at, emulated=CORES
    ), graph


@pytest.mark.parametrize("target", TARGETS)
def test_every_core_computes_the_same_bits(project, target):
    folder, graph = project
    x = quantize_input(graph, images())
    y = execute(project_for(folder, target), target, x)
    assert np.count_nonzero(y != run(graph, x)[0].reshape(y.shape)) == 0


def test_lenet5_on_a_cortex_m4(tmp_path):
    plan = make_plan(model(LENET5), "cortex-m4", "balanced")
    folder = write_project(plan, tmp_path / "p", emulated=CORES)
    measured = bench(folder, targets=["cortex-m4"])["targets"]["cortex-m4"]
    assert measured["instructions"] <= 1_000_000
    assert measured["flash"]["code"] < 12_000
    assert measured["ram"]["total"] < 16_000
    assert measured["flash"]["weights"] == plan.image_bytes
    assert measured["ram"]["arena"] == plan.arena_bytes
    assert plan.bounds is not None
    assert measured["flash"]["code"] <= plan.bounds.code <= 1.03 * measured["flash"]["code"]
    assert measured["ram"]["stack"] <= plan.bounds.stack <= measured["ram"]["stack"] + 64


@pytest.mark.parametrize("name", [LENET5, LENET300])
def test_what_compress_reports_is_what_is_linked(name, tmp_path):
    graph = model(name)
    reported = summary(smallest_plan(graph))["weights"]["stored_bytes"]
    folder = write_project(make_plan(graph, "cortex-m4", "size"), tmp_path / "p", emulated=CORES)
    assert sizes(folder, "cortex-m4").weights == reported
