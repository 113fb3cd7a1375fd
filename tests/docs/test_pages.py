"""The documentation names only what exists: links, files, make targets, commands, options, targets."""

from __future__ import annotations

import json
import re
import shlex

import pytest
import typer
from pages import PAGES, ROOT, anchors, code, inline, links, prose, read, rows, section

from thimble.cli import app
from thimble.emulate.targets import TARGETS

COMMANDS = typer.main.get_command(app).commands
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
every_page = pytest.mark.parametrize("page", PAGES, ids=IDS)
INVENTED = ("rice", "leaky_relu", "my_board", "<")  # what the walk-throughs add


def options(command: str) -> set[str]:
    names = {name for parameter in COMMANDS[command].params for name in parameter.opts}
    return {name for name in names if name.startswith("--")}


@every_page
def test_relative_links_resolve(page):
    for link in links(page.read_text()):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{link}: no such heading"


@every_page
def test_paths_exist(page):
    paths = re.compile(r"(?:sdk|firmware|boards|templates|tests|bench|examples|docs|tools)/[\w./-]+")
    for text in code(page.read_text()):
        for path in paths.findall(text):
            if not any(name in text for name in INVENTED):
                assert (ROOT / path.rstrip(".")).exists(), f"{path} does not exist"


@every_page
def test_make_targets_exist(page):
    known = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    for text in code(page.read_text()):
        for target in re.findall(r"(?:^|\s)make ([a-z]+)\b", text):
            assert target in known, f"make {target}"


@every_page
def test_commands_and_options_exist(page):
    for text in code(page.read_text()):
        if not text.startswith("thimble ") or "COMMAND" in text:
            continue
        words = shlex.split(re.sub(r"[\[\]]|\.\.\.", " ", text))
        if words[1].startswith("--"):
            assert words[1] == "--version"
            continue
        assert words[1] in COMMANDS, text
        unknown = {word for word in words if word.startswith("--")} - options(words[1])
        assert not unknown, f"{text}: {unknown}"


@every_page
def test_modules_to_run_exist(page):
    for text in code(page.read_text()):
        for module in re.findall(r"python -m (bench[\w.]*)", text):
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


@every_page
def test_nothing_is_left_to_do_outside_the_results(page):
    text = re.sub(r"<!-- results -->.*?<!-- /results -->", "", page.read_text(), flags=re.DOTALL)
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b", text)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_described_with_its_options(command):
    text = section(read("docs/cli.md"), f"`thimble {command}`")
    described = {name for text in inline(text) for name in re.findall(r"--[a-z][a-z-]*", text)}
    named = {row[0].split()[0].strip("`") for row in rows(text, "option") + rows(text, "argument, option")}
    named = {name for name in named if name.startswith("--")}
    own = options(command) - {"--json", "--help"}
    assert named == own
    assert described <= own | {"--json"}


def test_only_monitor_has_no_json():
    assert [name for name in COMMANDS if "--json" not in options(name)] == ["monitor"]


def test_the_synopsis_is_complete():
    lines = [line for line in code(read("docs/cli.md")) if line.startswith("thimble ") and "--" in line]
    text = read("docs/cli.md").split("```")[1]
    for command in COMMANDS:
        ways = re.findall(rf"^thimble {command}\b.*(?:\n +.*)*", text, re.MULTILINE)
        assert set(re.findall(r"--[a-z][a-z-]*", "".join(ways))) == options(command) - {"--json", "--help"}
    assert lines


def test_targets_are_all_there():
    table = rows(section(read("README.md"), "Targets"), "target")
    assert {name for row in table for name in inline(row[0])} == set(TARGETS)
    in_process = {name for row in table if "in-process" in row[2] for name in inline(row[0])}
    assert in_process == {name for name, target in TARGETS.items() if "isa" in target.emulators}
    listed = re.search(r"Targets: (.*?)\. A project", prose(read("docs/cli.md")), re.DOTALL)
    assert inline(listed[1]) == list(TARGETS)


def test_the_registrys_toolchains_are_those_that_the_platform_looks_for():
    flags = json.loads(read("boards/platform/flags.json"))
    wanted = {tools["package"] for tools in flags["toolchains"].values()}
    text = section(read("README.md"), "Install")
    assert set(re.findall(r"pio pkg install -g -t platformio/([\w-]+)", text)) == wanted
    assert {name for name in wanted if f"packages/{name}/bin" in text} == wanted
