"""A network with several inputs and outputs, states, shared weights and uint8, on the host and on cores."""

import numpy as np
import pytest

from cli_calls import thimble
from quantized_networks import modern, noise
from thimble.codegen.project import write_project
from thimble.emulate import execute, measure
from thimble.graph.io import save
from thimble.plan.make import make_plan
from thimble.quantize.batches import joined
from thimble.quantize.interpreter import run

TARGETS = ("cortex-m0", "cortex-m4", "rv32imc")  # verify below runs it on the host
SAMPLES = 9
GRAPH = modern()
X = noise(GRAPH, SAMPLES)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    at = tmp_path_factory.mktemp("modern") / "p"
    return write_project(make_plan(GRAPH, "cortex-m4"), at, emulated=TARGETS, inputs=X)


@pytest.mark.parametrize("target", TARGETS)
def test_a_stream_has_the_references_bits(project, target):
    y = execute(project, target, joined(X))
    np.testing.assert_array_equal(y, joined(run(GRAPH, X)))


def test_counting_some_samples_does_not_part_the_stream(project):
    found = measure(project, "rv32imc", joined(X), emulator="qemu", counted=2)
    np.testing.assert_array_equal(found.outputs, joined(run(GRAPH, X)))
    assert found.instructions > 1000


def test_the_order_of_samples_matters():
    """Or else the test above would not tell whether states are kept."""
    backwards = run(GRAPH, [x[::-1] for x in X])
    assert any(np.any(a[::-1] != b) for a, b in zip(backwards, run(GRAPH, X), strict=True))


def test_verify_reads_and_writes_every_tensor(project, tmp_path):
    image, gate = X
    np.savez(tmp_path / "x.npz", x0=(image.astype(np.int16) + 128).astype(np.uint8), gate=gate)
    outcome = thimble(
        "verify", project, "--inputs", tmp_path / "x.npz", "--target", "host", "--outputs", tmp_path / "y.npz"
    )
    assert outcome.exit_code == 0
    assert outcome.document["targets"] == {"host": {"mismatches": 0, "max_abs_diff": 0}}
    first, second = run(GRAPH, X)
    with np.load(tmp_path / "y.npz") as file:
        np.testing.assert_array_equal(file["y0"], first)
        np.testing.assert_array_equal(file["y1"], second.astype(np.int16) + 128)
        assert (file["y0"].dtype, file["y1"].dtype) == (np.int8, np.uint8)
        assert file["y"].shape == (SAMPLES, 7)


@pytest.mark.parametrize(
    "arrays, code",
    [({"x0": X[0]}, "TMB2033"), ({"x0": X[0], "x1": X[1][:2]}, "TMB2033"), ({"x": X[0]}, "TMB2033")],
)
def test_inputs_that_are_not_all_there(project, tmp_path, arrays, code):
    np.savez(tmp_path / "x.npz", **arrays)
    outcome = thimble("verify", project, "--inputs", tmp_path / "x.npz", "--target", "host")
    assert (outcome.exit_code, outcome.document["error"]["code"]) == (1, code)


def test_a_model_file_keeps_it_all(tmp_path):
    save(GRAPH, tmp_path / "m.thimble")
    shown = thimble("inspect", tmp_path / "m.thimble")
    assert shown.exit_code == 0
