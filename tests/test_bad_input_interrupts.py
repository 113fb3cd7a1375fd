"""Runs that end early: nothing half-written is left, and the same command goes on to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_calls import refused, thimble, tree
from quantized_networks import tiny
from small_recipe import write_recipe
from thimble.compress.checkpoint import Checkpoint
from thimble.compress.progress import Bar
from thimble.graph.io import save

SDK = Path(__file__).resolve().parents[1] / "sdk"
BOARD = "nucleo_l4r5zi"
EPOCHS = 6  # of small_recipe's: dense, magnitude, qat


@pytest.fixture(autouse=True)
def ctrl_c():
    """A shell that starts the tests in the background has SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return write_recipe(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """The model of a run that nothing disturbs."""
    out = tmp_path_factory.mktemp("whole")
    assert thimble("compress", recipe, "--out", out).exit_code == 0
    return tree(out)


def press_ctrl_c(*_arguments, **_options):
    os.kill(os.getpid(), signal.SIGINT)


def at_call(number, function, action):
    """``function``, but its n-th call does ``action`` first."""
    calls = []

    def wrapped(*arguments, **options):
        calls.append(1)
        if len(calls) == number:
            action(*arguments)
        return function(*arguments, **options)

    return wrapped


def resume(recipe, out, whole, monkeypatch, *, epochs):
    """Runs the command again: it trains only what is left, and ends with the bytes of a whole run."""
    trained = []
    monkeypatch.setattr(Bar, "epoch", lambda self, facts: trained.append(facts))
    assert thimble("compress", recipe, "--out", out).exit_code == 0
    assert tree(out) == whole
    assert len(trained) == epochs


@pytest.mark.parametrize("epoch", [1, 3, EPOCHS])
def test_ctrl_c_while_it_trains(recipe, whole, tmp_path, epoch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "save_epoch", at_call(epoch, Checkpoint.save_epoch, press_ctrl_c))
        refused(
            "TMB9002", "compress", recipe, "--out", tmp_path, exit_code=130, says=("run the same command",)
        )
    assert set(tree(tmp_path)) == ({"checkpoint.pt"} if epoch > 1 else set())
    with pytest.MonkeyPatch.context() as patch:
        resume(recipe, tmp_path, whole, patch, epochs=EPOCHS - epoch + 1)


def test_ctrl_c_while_a_checkpoint_is_written(recipe, whole, tmp_path, monkeypatch):
    import torch

    def half(value, file):
        file.write(b"half")
        press_ctrl_c()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thimble.compress.checkpoint.torch.save", at_call(3, torch.save, half))
        refused("TMB9002", "compress", recipe, "--out", tmp_path, exit_code=130)
    assert set(tree(tmp_path)) == {"checkpoint.pt"}
    resume(recipe, tmp_path, whole, monkeypatch, epochs=4)


def test_ctrl_c_between_training_and_the_model(recipe, whole, tmp_path, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("thimble.commands.compress.smallest_plan", press_ctrl_c)
        refused("TMB9002", "compress", recipe, "--out", tmp_path, exit_code=130)
    assert set(tree(tmp_path)) == {"checkpoint.pt"}
    resume(recipe, tmp_path, whole, monkeypatch, epochs=0)


KILLED = """
import os, signal, sys, torch
import thimble.compress.checkpoint as checkpoint
from thimble.cli import main

torch_save, calls = torch.save, []

def save(value, file):
    calls.append(1)
    if len(calls) == 4:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    torch_save(value, file)

checkpoint.torch.save = save
main()
"""


def python(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(SDK)}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_killed_while_a_checkpoint_is_written(recipe, whole, tmp_path, monkeypatch):
    done = python(KILLED, "compress", recipe, "--out", tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert "model.thimble" not in tree(tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    assert before != b"half"
    resume(recipe, tmp_path, whole, monkeypatch, epochs=4)


def test_a_damaged_checkpoint_is_started_anew(recipe, whole, tmp_path, monkeypatch):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 no checkpoint")
    (tmp_path / "checkpoint.pt.part").write_bytes(b"half")
    resume(recipe, tmp_path, whole, monkeypatch, epochs=EPOCHS)


@pytest.mark.parametrize("call", [1, 5, 10])
@pytest.mark.parametrize("old", [False, True], ids=["new", "again"])
def test_ctrl_c_while_a_project_is_written(tmp_path, monkeypatch, call, old):
    from thimble.codegen import project

    save(tiny(), tmp_path / "tiny.thimble")
    arguments = ("build", tmp_path / "tiny.thimble", "--board", BOARD, "--out", tmp_path / "p")
    if old:
        assert thimble(*arguments).exit_code == 0
    before = tree(tmp_path)
    monkeypatch.setattr(project, "render", at_call(call, project.render, press_ctrl_c))
    refused("TMB9002", *arguments, exit_code=130)
    assert tree(tmp_path) == before


TERMINATED = """
import os, signal
from thimble.cli import main
from thimble.codegen import project

def render(*arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)

project.render = render
main()
"""


def test_terminated_while_a_project_is_written(tmp_path):
    save(tiny(), tmp_path / "tiny.thimble")
    before = tree(tmp_path)
    done = python(TERMINATED, "build", tmp_path / "tiny.thimble", "--board", BOARD, "--out", tmp_path / "p")
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    assert "interrupted" in done.stderr
    assert tree(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.thimble"]
