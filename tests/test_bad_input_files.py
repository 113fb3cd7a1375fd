"""Files that are truncated, corrupt, hostile or of another kind: one clear error, nothing written."""

from __future__ import annotations

import struct
import zipfile

import attrs
import numpy as np
import pytest

from cli_calls import refused, thimble, tree
from quantized_networks import Builder, tiny
from thimble.board import boards
from thimble.graph.io import dumps, save

BOARD = "nucleo_l4r5zi"
WHOLE = dumps(tiny())


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "tiny.thimble"
    save(tiny(), path)
    return path


@pytest.fixture
def project(model, tmp_path):
    assert thimble("build", model, "--board", BOARD, "--out", tmp_path / "p").exit_code == 0
    return tmp_path / "p"


DAMAGE = {
    "empty": (b"", "TMB1002"),
    "another kind of file": (b"\x7fELF" + bytes(200), "TMB1002"),
    "the header cut": (WHOLE[:20], "TMB1004"),
    "the end cut": (WHOLE[:-1], "TMB1004"),
    "half": (WHOLE[: len(WHOLE) // 2], "TMB1004"),
    "a bit flipped": (WHOLE[:-5] + bytes([WHOLE[-5] ^ 1]) + WHOLE[-4:], "TMB1005"),
    "something appended": (WHOLE + b"\n", "TMB1005"),
    "another version": (WHOLE[:8] + struct.pack("<H", 9) + WHOLE[10:], "TMB1003"),
}


@pytest.mark.parametrize("command", ["build", "inspect"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_model(tmp_path, kind, command):
    content, code = DAMAGE[kind]
    path = tmp_path / "model.thimble"
    path.write_bytes(content)
    options = ["--board", BOARD, "--out", tmp_path / "p"] if command == "build" else []
    refused(code, command, path, *options, says=("model.thimble",))
    assert tree(tmp_path) == {"model.thimble": content}


@pytest.mark.parametrize(
    "name, code",
    [("absent.thimble", "TMB1001"), (".", "TMB1114"), ("model.bin", "TMB1114"), ("absent.pt2", "TMB1110")],
)
def test_a_model_that_is_none(tmp_path, name, code):
    refused(code, "inspect", tmp_path / name)


def test_a_damaged_exported_program(tmp_path):
    path = tmp_path / "net.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/models/model.json", '{"graph_module": ')
    content = path.read_bytes()
    refused("TMB1110", "build", path, "--board", BOARD, "--out", tmp_path / "p", says=("net.pt2",))
    path.write_bytes(content[:50])
    refused("TMB1110", "inspect", path)
    assert tree(tmp_path) == {"net.pt2": content[:50]}


def test_a_model_that_computes_nothing(tmp_path):
    b = Builder("noop", (2, 3, 1))
    save(b.graph(b.flatten("x")), tmp_path / "noop.thimble")
    refused("TMB1404", "inspect", tmp_path / "noop.thimble")


@pytest.mark.parametrize(
    "meta, words",
    [({"codecs": 3}, "codecs"), ({"accuracy": [1]}, "accuracy"), ({"parameters": -1}, "parameters")],
)
def test_malformed_meta_is_refused_when_a_model_is_written_or_read(tmp_path, meta, words):
    from thimble.errors import ModelError

    with pytest.raises(ModelError, match=words) as caught:
        dumps(attrs.evolve(tiny(), meta=meta))
    assert caught.value.code == "TMB1007"


@pytest.mark.parametrize("meta", [{"codecs": "gzip"}, {"codecs": {"fc0": "gzip"}}])
def test_an_unknown_codec_in_a_model(tmp_path, meta):
    save(attrs.evolve(tiny(), meta=meta), tmp_path / "m.thimble")
    refused("TMB3020", "inspect", tmp_path / "m.thimble", exit_code=2, says=("gzip", "sri+xor"))


SAMPLES = np.zeros((4, 6), np.float32)
NAN, INFINITE = SAMPLES.copy(), SAMPLES.copy()
NAN[2, 1], INFINITE[3, 0] = np.nan, -np.inf
INPUTS = {
    "NaN": ({"x": NAN}, "TMB2003", "sample 2"),
    "infinity": ({"x": INFINITE}, "TMB2003", "sample 3"),
    "another shape": ({"x": SAMPLES[:, :5]}, "TMB2004", "(4, 5)"),
    "no batch": ({"x": SAMPLES[0]}, "TMB2004", "(6,)"),
    "a scalar": ({"x": np.float32(1)}, "TMB2033", "x"),
    "no samples": ({"x": SAMPLES[:0]}, "TMB2033", "empty"),
    "no x": ({"images": SAMPLES}, "TMB2033", "no array x"),
    "pixels": ({"x": SAMPLES.astype(np.uint8)}, "TMB2006", "uint8"),
    "complex numbers": ({"x": SAMPLES.astype(np.complex64)}, "TMB2006", "complex64"),
    "texts": ({"x": np.full((4, 6), "a")}, "TMB2006", "<U1"),
    "objects": ({"x": np.array([None, {}], object)}, "TMB2032", "pickle"),
    "too few labels": ({"x": SAMPLES, "y": np.zeros(3, int)}, "TMB2034", "4 samples"),
    "labels that are no integers": ({"x": SAMPLES, "y": np.zeros(4)}, "TMB2034", "float64"),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs_that_do_not_suit(model, tmp_path, kind):
    arrays, code, words = INPUTS[kind]
    inputs = tmp_path / "x.npz"
    np.savez(inputs, **arrays)
    before = tree(tmp_path)
    refused(
        code, "build", model, "--board", BOARD, "--out", tmp_path / "p", "--inputs", inputs, says=(words,)
    )
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["absent", "a folder", "npy", "text", "empty", "cut", "damaged"])
def test_inputs_that_are_no_npz(project, tmp_path, kind):
    inputs = tmp_path / "x.npz"
    np.savez_compressed(inputs, x=np.random.default_rng(0).random((50, 6)))
    content = inputs.read_bytes()
    if kind == "a folder":
        inputs = tmp_path
    elif kind == "absent":
        inputs.unlink()
    elif kind == "npy":
        inputs = tmp_path / "x.npy"
        np.save(inputs, SAMPLES)
    else:
        damaged = content[:300] + bytes(20) + content[320:]
        inputs.write_bytes({"text": b"1,2\n", "empty": b"", "cut": content[:-30], "damaged": damaged}[kind])
    before = tree(tmp_path)
    refused("TMB2032", "verify", project, "--inputs", inputs, "--outputs", tmp_path / "y.npz")
    refused("TMB2032", "bench", project, "--inputs", inputs)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "manifest, code",
    [
        ("", "TMB2031"),
        ("[]", "TMB2031"),
        ('{"name": "tiny"}', "TMB2031"),
        ('{"name": 3, "core": "cortex-m4", "objective": "size"}', "TMB2031"),
        (None, "TMB2031"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "bench", "report", "flash"])
def test_a_project_with_a_damaged_manifest(project, tmp_path, manifest, code, command):
    if manifest is None:
        (project / "thimble.json").unlink()
    else:
        (project / "thimble.json").write_text(manifest)
    np.savez(tmp_path / "x.npz", x=SAMPLES)
    options = {"verify": ["--inputs", tmp_path / "x.npz"], "flash": ["--board", BOARD]}.get(command, [])
    before = tree(tmp_path)
    refused(code, command, project, *options, says=("thimble.json",))
    assert tree(tmp_path) == before


def test_a_project_with_a_damaged_model(project):
    (project / "model.thimble").write_bytes(WHOLE[:60])
    refused("TMB1004", "bench", project)
    refused("TMB1004", "report", project)


def test_an_unknown_board_is_asked_back(model, tmp_path):
    for name, hint in (("nucleo-l4r5zi", "did you mean 'nucleo_l4r5zi'?"), ("zzz", "thimble boards")):
        refused(
            "TMB3101", "build", model, "--board", name, "--out", tmp_path / "p", exit_code=2, says=(hint,)
        )
        refused("TMB3101", "demo", "--board", name, "--out", tmp_path / "d", exit_code=2, says=(hint,))
    assert list(tmp_path.iterdir()) == [model]


def test_an_unknown_target_is_asked_back(project, tmp_path):
    np.savez(tmp_path / "x.npz", x=SAMPLES)
    for name, hint in (("cortex_m4", "did you mean 'cortex-m4'?"), ("z80", "targets: host, ")):
        refused("TMB3103", "bench", project, "--target", name, exit_code=2, says=(hint,))
        options = ["--inputs", tmp_path / "x.npz", "--target", "host", "--target", name]
        refused("TMB3103", "verify", project, *options, exit_code=2, says=(hint,))


def large(side, channels):
    b = Builder("large", (side, side, channels))
    return b.graph(b.conv2d("x", 2 * channels, (1, 1), levels=127))


def vast():
    b = Builder("vast", (1200,))
    return b.graph(b.fully_connected(b.fully_connected("x", 1200), 10))


@pytest.mark.parametrize(
    "graph, code, kind",
    [(vast(), "TMB4001", "flash"), (large(80, 8), "TMB4002", "RAM")],
    ids=["flash", "RAM"],
)
def test_a_board_that_is_too_small(tmp_path, graph, code, kind):
    save(graph, tmp_path / "m.thimble")
    board = min(boards(), key=lambda b: b.flash_bytes if kind == "flash" else b.ram_bytes)
    outcome = thimble("build", tmp_path / "m.thimble", "--board", board.name, "--out", tmp_path / "p")
    assert outcome.exit_code == 1
    assert outcome.error["code"] == code
    facts = outcome.document
    assert facts["fits"] is False
    assert set(facts) == {"error", "fits", "flash", "ram"}
    assert facts["flash"]["have"] == board.flash_bytes
    assert facts["ram"]["have"] == board.ram_bytes
    short = facts[kind.lower()]
    assert short["need"] > short["have"]
    assert f"{short['need']:,} bytes of {kind}" in outcome.error["what"]
    assert f"{short['have']:,}" in outcome.error["what"]
    assert board.title in outcome.error["where"]
    assert "board with more" in outcome.error["hint"]
    assert set(tree(tmp_path)) == {"m.thimble"}
