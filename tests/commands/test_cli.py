"""How commands are called and how they answer: one JSON document, exit codes, help, and our own bugs."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli_calls import PARTS, refused, thimble, tree
from quantized_networks import tiny
from thimble import __version__
from thimble.board import boards
from thimble.cli import app
from thimble.errors import ThimbleError
from thimble.graph.io import save
from thimble.graph.ops import OPS

SDK = Path(__file__).resolve().parents[2] / "sdk"
COMMANDS = [
    "demo",
    "compress",
    "build",
    "verify",
    "bench",
    "inspect",
    "image",
    "report",
    "boards",
    "ops",
    "flash",
    "monitor",
]


def shell(*arguments, debug=False):
    """The console script in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(SDK), **({"THIMBLE_DEBUG": "1"} if debug else {})}
    command = [sys.executable, "-m", "thimble.cli", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_without_arguments_it_explains_itself():
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert all(command in result.output for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert ("--json" in result.output) == (command != "monitor")
    registered = next(c for c in app.registered_commands if c.callback.__name__ == command)
    assert registered.callback.__doc__.strip() in result.output


def test_the_version():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"thimble {__version__}\n")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((), "--json"),
        (("build",), "MODEL"),
        (("build", "m.thimble", "--board", "pico"), "--out"),
        (("build", "m.thimble", "--out", "p", "--board", "pico", "--optimize", "fast"), "balanced"),
        (("bild",), "build"),
        (("verify", "p", "--input", "x.npz"), "--inputs"),
    ],
)
def test_wrong_usage_is_told_in_json_too(arguments, words):
    done = shell(*arguments, "--json")
    assert done.returncode == 2
    assert done.stdout.count("\n") == 1
    error = json.loads(done.stdout)["error"]
    assert set(error) == PARTS
    assert error["code"] == "TMB3201"
    assert words in error["what"]
    assert "--help" in error["hint"]


def test_wrong_usage_without_json_leaves_stdout_empty():
    done = shell("build")
    assert (done.returncode, done.stdout) == (2, "")
    assert "MODEL" in done.stderr


def test_the_console_script_works_with_and_without_json():
    plain, document = shell("boards"), shell("boards", "--json")
    assert (plain.returncode, plain.stdout) == (0, "")
    assert "nucleo_l4r5zi" in plain.stderr
    assert document.returncode == 0
    assert len(json.loads(document.stdout)["boards"]) == len(boards())


def test_lists():
    assert {row["name"] for row in thimble("boards").document["boards"]} == {b.name for b in boards()}
    ops = thimble("ops")
    assert {row["op"] for row in ops.document["ops"]} == set(OPS)
    assert "fully_connected" in ops.stderr


FAILING = {
    "demo": (["--board", "zzz"], "TMB3101", 2),
    "compress": (["absent.toml", "--out", "o"], "TMB3001", 2),
    "build": (["absent.thimble", "--board", "pico", "--out", "o"], "TMB1001", 1),
    "verify": (["absent", "--inputs", "x.npz"], "TMB2031", 1),
    "bench": (["absent"], "TMB2031", 1),
    "inspect": (["absent.thimble"], "TMB1001", 1),
    "image": (["m.thimble", "--project", "absent", "--out", "x.img"], "TMB2031", 1),
    "report": (["absent"], "TMB2031", 1),
    "flash": (["absent", "--board", "pico"], "TMB2031", 1),
}


@pytest.mark.parametrize("command", FAILING)
def test_a_failure_is_one_document_or_one_message(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    arguments, code, exit_code = FAILING[command]
    error = refused(code, command, *arguments, exit_code=exit_code)
    outcome = thimble(command, *arguments, as_json=False)
    assert outcome.exit_code == exit_code
    assert outcome.stderr.startswith(f"error {code}: {error['what']}")
    assert f"hint: {error['hint']}" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert tree(tmp_path) == {}


def test_a_monitor_of_nothing(tmp_path):
    outcome = thimble("monitor", tmp_path, as_json=False)
    assert outcome.exit_code == 1
    assert "TMB2031" in outcome.stderr


def test_a_bug_of_ours_is_one_document_too(monkeypatch, tmp_path):
    def stumble(*_arguments, **_options):
        print("something on stdout")
        return {}["missing"]

    for command, function in (("boards", "boards.all_boards"), ("ops", "ops.as_rows")):
        monkeypatch.setattr(f"thimble.commands.{function}", stumble)
        error = refused("TMB9001", command, says=("this is a bug in thimble", "KeyError: 'missing'"))
        assert error["where"].startswith(f"commands/{command}.py:")
        assert "THIMBLE_DEBUG=1" in error["hint"]
        assert "Traceback" not in thimble(command).stderr
    monkeypatch.setenv("THIMBLE_DEBUG", "1")
    assert "Traceback" in thimble("boards").stderr


@pytest.mark.parametrize("value", [float("nan"), np.int64(3), object()])
def test_a_document_that_is_no_json_is_a_bug(monkeypatch, value):
    monkeypatch.setattr("thimble.commands.inspect.inspect", lambda *_: {"value": value})
    refused("TMB9001", "inspect", "m.thimble")


def test_what_the_system_refuses(tmp_path, monkeypatch):
    save(tiny(), tmp_path / "tiny.thimble")
    (tmp_path / "file").write_text("mine")
    under = tmp_path / "file" / "p"
    refused("TMB2035", "build", tmp_path / "tiny.thimble", "--board", "pico", "--out", under, says=("file",))

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device", "p/src/tiny.c")

    monkeypatch.setattr("thimble.codegen.project.render", full)
    model, out = tmp_path / "tiny.thimble", tmp_path / "p"
    error = refused("TMB2035", "build", model, "--board", "pico", "--out", out, says=("No space",))
    assert error["where"] == str(out)
    assert set(tree(tmp_path)) == {"tiny.thimble", "file"}
    assert not (tmp_path / "p").exists()


def test_debugging_shows_the_traceback_beside_the_document(tmp_path):
    done = shell("inspect", tmp_path / "absent.thimble", "--json", debug=True)
    assert json.loads(done.stdout)["error"]["code"] == "TMB1001"
    assert "Traceback" in done.stderr
    assert done.returncode == 1


def test_every_error_of_the_package_has_a_hint():
    """VerifyError brings its own."""
    kinds = {cls.__name__ for cls in ThimbleError.__subclasses__()} - {"VerifyError"}
    bare = []
    for path in SDK.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
            if called and node.args and "hint" not in {keyword.arg for keyword in node.keywords}:
                bare.append(f"{path.relative_to(SDK)}:{node.lineno}")
    assert bare == []
