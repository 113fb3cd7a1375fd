"""Names of models, layers and tensors as an attacker, or a stranger to C, would choose them."""

from __future__ import annotations

import re
import shutil
import subprocess

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli_calls import refused, thimble
from quantized_networks import noise, tiny, zoo
from thimble.codegen.project import write_project
from thimble.graph.io import dumps, loads, save
from thimble.plan.make import make_plan
from thimble.plan.names import c_name, plain, unique_c_names

LAYERS = (
    "*/ int x; /*",
    "/* open",
    "a\"b'c",
    "слой→ünï",
    "int",
    "x" * 900,
    "a b",
    "a_b",
    "A.B",
    "%s%n${sysenv.HOME}",
    "??/",
    "back\\",
    "#error",
)
MODELS = (
    "*/ #error no /*",
    "thimble",
    "golden",
    "string",
    "size",
    "uint8",
    "INT_LEAST16",
    "op",
    "op_int",
    "tmb",
    "tmb_image",
    "${sysenv.HOME}",
    "код",
    "9lives",
    "m" * 900,
    "while",
    "wchar",
    "harness",
)
GCC = ["gcc", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-std=c99", "-fsyntax-only"]


def hostile(name, graph=None):
    """The network with every operator, and names from the list above for its layers."""
    graph = graph or zoo()
    layers = (attrs.evolve(layer, name=new) for layer, new in zip(graph.layers, LAYERS, strict=True))
    return loads(dumps(attrs.evolve(graph, name=name, layers=tuple(layers))))


@pytest.fixture(scope="module")
def plan():
    return make_plan(hostile("model"), "cortex-m4", "size")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize("name", MODELS)
def test_any_name_gives_c_that_compiles(tmp_path, plan, name):
    graph = attrs.evolve(plan.graph, name=name)
    at = write_project(attrs.evolve(plan, graph=graph), tmp_path / "p", emulated=("cortex-m4",))
    include = [f"-I{at / p}" for p in ("include", "lib/thimble/include", "emulated/platform/rt")]
    sources = [*at.glob("src/*.c"), at / "emulated" / "main.c", *at.glob("test/*/*.c")]
    assert len(sources) == 5
    done = subprocess.run([*GCC, *include, *map(str, sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for path in (*sources, at / "platformio.ini", *at.glob("include/*.h")):
        text = path.read_text()
        assert text.isascii()
        assert "sysenv" not in text or "${sysenv" not in text
        assert max(len(line) for line in text.splitlines()) < 400


def test_hostile_names_run_bit_for_bit_and_are_shown_as_they_are(tmp_path):
    graph = hostile("*/ int x; [/red]")
    save(graph, tmp_path / "m.thimble")
    np.savez(tmp_path / "x.npz", x=noise(graph, 3))
    out = tmp_path / "with space ünï 'n' \"q\""
    built = thimble("build", tmp_path / "m.thimble", "--board", "cortex-m4", "--out", out)
    assert built.exit_code == 0
    done = thimble("verify", out, "--inputs", tmp_path / "x.npz", "--target", "host")
    assert done.document["targets"] == {"host": {"mismatches": 0, "max_abs_diff": 0}}
    shown = thimble("inspect", tmp_path / "m.thimble")
    assert shown.document["name"] == "*/ int x; [/red]"
    assert {layer["name"] for layer in shown.document["layers"]} <= set(LAYERS)
    assert "*/ int x; [/red]" in shown.stderr
    assert thimble("report", out).exit_code == 0


def test_two_layers_with_one_c_name_get_two():
    names = unique_c_names(["a b", "a.b", "A-B", "a_b_2", "", "日本"], prefix="op_")
    assert len(set(names)) == 6


@pytest.mark.parametrize("name", ["conv1/scratch", "concat7/scaled0"])
def test_a_tensor_may_not_take_the_name_of_a_buffer(tmp_path, name):
    graph = zoo()

    def new(tensor):
        return name if tensor == "conv0_out" else tensor

    graph = attrs.evolve(
        graph,
        tensors={new(key): attrs.evolve(t, name=new(key)) for key, t in graph.tensors.items()},
        layers=tuple(
            attrs.evolve(layer, inputs=tuple(map(new, layer.inputs)), output=new(layer.output))
            for layer in graph.layers
        ),
    )
    save(graph, tmp_path / "m.thimble")
    refused("TMB1403", "inspect", tmp_path / "m.thimble", says=(name,))


def test_a_layer_may_not_take_the_name_of_an_added_step(tmp_path):
    graph = zoo()
    layers = (attrs.evolve(a, name="concat7/requantize0") if a.name == "conv2" else a for a in graph.layers)
    save(attrs.evolve(graph, layers=tuple(layers)), tmp_path / "m.thimble")
    refused("TMB1403", "inspect", tmp_path / "m.thimble", says=("concat7/requantize0",))


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00b", "\u202e", "x" * 1001])
def test_names_that_cannot_be_printed_are_refused(name):
    from thimble.errors import ModelError

    for change in ({"name": name}, {"layers": (attrs.evolve(tiny().layers[0], name=name),)}):
        with pytest.raises(ModelError, match="TMB1007"):
            dumps(attrs.evolve(tiny(), **change))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"[a-z_0-9]{1,20}", fullmatch=True))
def test_c_names_are_identifiers_of_their_own(name):
    ident = c_name(name)
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", ident)
    assert not ident.startswith(("tmb_", "op_"))
    assert re.fullmatch(r"[0-9A-Za-z_./+-]{0,80}", plain(name))
    assert "*/" not in plain(name)
