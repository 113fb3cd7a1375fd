"""docs/recipe.md lists every section, method, key and default of a recipe, and no other."""

from __future__ import annotations

import tomllib
from pathlib import Path

import attrs
import pytest
from pages import ROOT, blocks, inline, read, rows, section

from thimble.compress.steps import METHODS, FineTune, Train
from thimble.recipe import CODECS, Data, Model, Quantize, Target, load_recipe, parse_recipe

SECTIONS = {"model": Model, "data": Data, "target": Target, "train": Train, "quantize": Quantize}
SHARED = {field.name: field for field in attrs.fields(FineTune)}
PAGE = read("docs/recipe.md")


def check(table: list[list[str]], fields: dict[str, attrs.Attribute]) -> None:
    listed = {name: row[1] for row in table for name in inline(row[0])}
    assert set(listed) == set(fields)
    for name, text in listed.items():
        default = fields[name].default
        assert (text == "required") == (default is attrs.NOTHING), name
        try:
            value = tomllib.loads(f"x = {text.strip('`')}")["x"]
        except tomllib.TOMLDecodeError:
            continue  # in words
        assert value == default, name


@pytest.mark.parametrize("name", SECTIONS)
def test_sections(name):
    text = section(PAGE, f"`[{name}]`")
    check(rows(text, "key"), {field.name: field for field in attrs.fields(SECTIONS[name])})


@pytest.mark.parametrize("name", METHODS)
def test_methods(name):
    fields = {field.name: field for field in attrs.fields(METHODS[name])}
    own = {key: field for key, field in fields.items() if key not in SHARED}
    check(rows(section(PAGE, f"`{name}`"), "key"), own)
    assert set(SHARED) <= set(fields) or name == "dead_channels"


def test_shared_keys():
    text = section(PAGE, "`[[compress]]`").split("###")[0]
    check(rows(text, "key"), SHARED)


def test_codecs():
    named = [name for row in rows(read("docs/formats.md"), "codec") for name in inline(row[0])]
    assert sorted(["auto", *named]) == sorted(CODECS)


@pytest.mark.parametrize("block", [*blocks(PAGE, "toml"), *blocks(read("README.md"), "toml")])
def test_examples_are_recipes(block):
    parse_recipe(tomllib.loads(block), Path("recipe.toml"))


def test_the_examples_recipes_load():
    found = sorted((ROOT / "examples").glob("*/recipe.toml"))
    assert len(found) >= 2
    for path in found:
        load_recipe(path)
