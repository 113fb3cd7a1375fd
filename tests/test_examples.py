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
from thimble.recipe import import_object

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("THIMBLE_DATA", ROOT.parent / "shared" / "data"))
CORES = tuple(name for name in TARGETS if name != "host")
LENET5 = "examples/mnist_lenet5/lenet5.thimble"
LENET300 = "examples/mnist_lenet300/lenet300.thimble"
DNS = "examples/pruned_dns_lenet/convert.py"  # others' weights: not in the repository
RESNET = "examples/cifar10_resnet20/resnet20.thimble"
WORDS = "examples/spoken_digits/spoken_digits.thimble"
FP32_BYTES = {LENET5: 1_724_320, LENET300: 1_066_440, DNS: 1_066_440, RESNET: 1_078_888, WORDS: 92_200}
LOADERS = {RESNET: "data.py:cifar10", WORDS: "data.py:digits"}  # of those that are not on MNIST
PIXEL = {DNS: 256}  # what pixels were divided by in training, if not by 255
SAMPLES = 20
FEW = 2  # of a network that takes 40 million instructions


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


@cache
def held_out(name):
    """An example's own test split, x in the model's layout and y."""
    folder = (ROOT / name).parent
    try:
        return import_object(LOADERS[name], folder)()[2]
    except FileNotFoundError as missing:
        pytest.skip(f"no {Path(missing.filename).name}: THIMBLE_DATA should name a folder that holds it")


def images(name):
    """Some inputs that suit the model: real digits, or normally distributed, as its own loader's are."""
    if name in LOADERS:
        graph = model(name)
        height, width, channels = graph.tensors[graph.inputs[0]].shape
        x = np.random.default_rng(5).normal(size=(SAMPLES, channels, height, width)).astype(np.float32)
        return x[:FEW] if name == RESNET else x
    path = DATA / "mnist" / "mnist_test.npz"
    return mnist()[0][:SAMPLES] if path.is_file() else digits()


@pytest.mark.parametrize(
    "name,codecs,ratio",
    [
        (LENET5, AUTO, 300),
        (LENET5, "rans", 520),
        (LENET5, "sri+xor", 250),
        (LENET300, AUTO, 100),
        (DNS, AUTO, 40),
        (RESNET, AUTO, 22),
        (WORDS, AUTO, 25),
        (WORDS, "rans", 33),
    ],
)
def test_ratio_counts_every_byte(name, codecs, ratio):
    graph = model(name)
    plan = make_plan(graph, "cortex-m4", "balanced", codecs)
    assert graph.fp32_bytes == FP32_BYTES[name]
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


@pytest.mark.parametrize("name,least", [(RESNET, 91.0), (WORDS, 98.0)])
def test_accuracy_on_what_compression_has_not_seen(name, least):
    x, y = held_out(name)
    graph = model(name)
    outputs = [run(graph, quantize_input(graph, x[k : k + 50]))[0] for k in range(0, len(x), 50)]
    right = 100 * float((np.concatenate(outputs).argmax(axis=1) == y).mean())
    assert right >= least
    assert right == pytest.approx(graph.meta["accuracy"]["int8"], abs=0.005)


@pytest.mark.parametrize("name,least", [(RESNET, 0.85), (WORDS, 0.92)])
def test_most_weights_are_zero_and_the_rest_on_four_bits(name, least):
    graph = model(name)
    weights = [layer.weight for layer in graph.weighted]
    assert sum(np.count_nonzero(w) for w in weights) <= (1 - least) * graph.meta["parameters"]
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) <= 8


PROJECTS = [(LENET5, AUTO), (LENET5, "sri+xor"), (LENET300, AUTO), (DNS, AUTO), (RESNET, AUTO), (WORDS, AUTO)]
ONE_OF_EACH = ("host", "cortex-m4", "rv32imc")  # for the large network, whose planning takes seconds per core


@pytest.fixture(scope="module")
def project(request, tmp_path_factory):
    name, codecs = request.param
    graph = model(name, codecs)
    at = tmp_path_factory.mktemp("example") / "p"
    plan = make_plan(graph, "cortex-m4", "balanced", codecs)
    return write_project(plan, at, emulated=CORES), graph, images(name)


@pytest.mark.parametrize(
    "project,target",
    [(p, target) for p in PROJECTS for target in (ONE_OF_EACH if p[0] == RESNET else TARGETS)],
    indirect=["project"],
)
def test_every_core_computes_the_same_bits(project, target):
    folder, graph, samples = project
    x = quantize_input(graph, samples)
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
