"""The README's first model: its files and commands as they stand there, then the C example, then the report.

One run serves all tests of this file.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import ROOT, blocks, inline, read, rows, section

from thimble.graph.io import load
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run

README = read("README.md")
STRICT = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
MAIN = """
#include <stdio.h>

int main(void) {
    float pixels[DIGITS_INPUT_LEN];
    if (!start()) return 1;
    while (fread(pixels, sizeof pixels, 1, stdin) == 1) printf("%d\\n", (int)classify(pixels));
    return 0;
}
"""
NOT_HERE = {  # documented keys that a good run leaves out, and a model without anything to remove
    "verify": ["failed"],
    "compress": ["before", "after"],
    "inspect": ["model", "before", "after"],
}


def thimble(folder: Path, command: str) -> dict[str, Any]:
    """Runs one command line of the documentation; returns its JSON document."""
    words = shlex.split(command)
    assert words[0] == "thimble"
    path = os.pathsep.join(filter(None, [str(ROOT / "sdk"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "thimble.cli", *words[1:], "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The three files, written as the README has them."""
    at = tmp_path_factory.mktemp("first")
    text = section(README, "A first model of your own")
    model, data = blocks(text, "python")
    (recipe,) = blocks(text, "toml")
    for name, content in {"model.py": model, "data.py": data, "recipe.toml": recipe}.items():
        assert f"`{name}`" in text
        (at / name).write_text(content)
    return at


@pytest.fixture(scope="module")
def documents(folder):
    """What the commands print, by command."""
    (commands,) = blocks(section(README, "A first model of your own"), "sh")
    lines = commands.splitlines()
    assert [line.split()[1] for line in lines] == ["compress", "build", "verify"]
    found = {line.split()[1]: thimble(folder, line) for line in lines}
    found["inspect"] = thimble(folder, "thimble inspect out/model.thimble")
    found["bench"] = thimble(folder, "thimble bench firmware --target cortex-m4")
    found["report"] = thimble(folder, "thimble report firmware")
    found["boards"] = thimble(folder, "thimble boards")
    found["ops"] = thimble(folder, "thimble ops")
    return found


def test_it_is_short(folder):
    lines = [
        line
        for name in ("model.py", "data.py", "recipe.toml")
        for line in (folder / name).read_text().splitlines()
        if line.strip()
    ]
    assert len(lines) <= 20


def test_it_is_small_accurate_and_exact(documents):
    assert documents["compress"]["weights"]["ratio"] > 18  # of the smallest firmware, its decoders counted
    assert documents["compress"]["accuracy"]["int8"] > 90
    assert documents["build"]["fits"] is True
    verified = documents["verify"]
    assert verified["samples"] == 100
    assert set(verified["targets"]) == {"host", "cortex-m4", "rv32imac"}
    assert all(target["mismatches"] == 0 for target in verified["targets"].values())
    assert verified["accuracy"] == verified["accuracy_reference"] > 85


def test_the_promise_about_constants_holds(documents):
    weights = documents["compress"]["weights"]["stored_bytes"]
    measured = documents["bench"]["targets"]["cortex-m4"]
    assert measured["flash"]["total"] == measured["flash"]["code"] + measured["flash"]["weights"]
    # both count code beside constants, so either may store a few bytes more to save code
    assert measured["flash"]["weights"] >= 0.95 * weights
    assert sum(layer["instructions"] for layer in measured["layers"]) == measured["instructions"]


def test_the_c_example_compiles_and_classifies(documents, folder):
    assert documents
    (example,) = blocks(section(README, "In C"), "c")
    at = folder / "firmware"
    (at / "src" / "main.c").write_text(example + MAIN)
    include = [f"-I{at / part}" for part in ("include", "lib/thimble/include", "lib/thimble/src")]
    sources = [*(at / "src").glob("*.c"), *(at / "lib" / "thimble" / "src").rglob("*.c")]
    program = folder / "classify"
    subprocess.run(["gcc", *STRICT, *include, *map(str, sources), "-o", str(program)], check=True)
    with np.load(folder / "samples.npz") as file:
        x = file["x"]
    done = subprocess.run([program], input=x.tobytes(), capture_output=True, check=True)
    graph = load(at / "model.thimble")
    wanted = run(graph, quantize_input(graph, x))[0].argmax(axis=1)
    assert [int(line) for line in done.stdout.split()] == wanted.tolist()


def test_the_projects_files_are_those_that_the_manual_lists(documents, folder):
    assert documents
    at = folder / "firmware"
    table = rows(section(read("docs/cli.md"), "`thimble build`"), "path")
    listed = {name.replace("<model>", "digits").rstrip("/") for row in table for name in inline(row[0])}
    assert all((at / name).exists() for name in listed)
    top = {path.name for path in at.iterdir() if not path.name.startswith(".")} - {"report.html"}
    assert top == {name.split("/")[0] for name in listed}


def keys(value: Any) -> set[str]:
    """The names of all keys in a JSON document, but for those that are targets, codecs or boards."""
    if isinstance(value, list):
        return set().union(*map(keys, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    found = set()
    for key, item in value.items():
        found.add(key)
        named = key == "targets" and isinstance(item, dict)
        inner = item.values() if named else [] if key == "candidates" else [item]
        found |= set().union(*map(keys, inner)) if inner else set()
    return found


@pytest.mark.parametrize(
    "command", ["compress", "build", "verify", "inspect", "bench", "report", "boards", "ops"]
)
def test_json_keys_are_documented(documents, command):
    text = section(read("docs/cli.md"), f"`thimble {command}`")
    if command == "inspect":  # "the JSON is that of compress"
        text += section(read("docs/cli.md"), "`thimble compress`")
    words = {word for piece in inline(text) for word in re.findall(r"\w+", piece)}
    real = keys(documents[command])
    assert real <= words
    cells = [row[0] for row in rows(text, "key")]
    named = {word for cell in cells for piece in inline(cell) for word in re.findall(r"\w+", piece)}
    never = {"T", *NOT_HERE.get(command, ())}
    assert named - never <= real
