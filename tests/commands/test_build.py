"""`thimble build`, `inspect` and `report`: which boards, what they answer, which folders they leave alone."""

from __future__ import annotations

import configparser
import json

import attrs
import numpy as np
import pytest

from cli_calls import refused, thimble, tree
from quantized_networks import Builder, lenet, noise, tiny
from thimble.board import boards, load_board
from thimble.codegen.project import read_project
from thimble.commands.build import check_fit
from thimble.commands.evidence import keep, kept
from thimble.commands.targets import plan_for
from thimble.errors import FitError
from thimble.graph.io import save
from thimble.plan.make import make_plan


@pytest.fixture
def model(tmp_path):
    save(lenet(), tmp_path / "lenet.thimble")
    return tmp_path / "lenet.thimble"


def build(model, board, out, *more):
    return thimble("build", model, "--board", board, "--out", out, *more)


@pytest.mark.parametrize("board", [board.name for board in boards()])
def test_every_board_gets_a_project_or_a_reason(tmp_path, board):
    save(tiny(), tmp_path / "tiny.thimble")
    outcome = build(tmp_path / "tiny.thimble", board, tmp_path / "p")
    assert outcome.exit_code == 0
    facts = load_board(board)
    assert outcome.document["fits"] is True
    assert outcome.document["flash"]["have"] == facts.flash_bytes
    assert outcome.document["ram"]["have"] == facts.ram_bytes
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(tmp_path / "p" / "platformio.ini")
    assert "env:native" in ini
    assert f"env:{facts.target}" in ini
    assert ini["platformio"]["default_envs"] == facts.target
    if facts.platformio is not None:
        own = ini[f"env:{board}"]
        assert (own["platform"], own["board"]) == (facts.platformio.platform, facts.platformio.board)
    manifest = json.loads((tmp_path / "p" / "thimble.json").read_text())
    assert (manifest["board"], manifest["core"]) == (board, facts.target)


def test_need_is_the_plans(model, tmp_path):
    document = build(model, "nucleo_l4r5zi", tmp_path / "p").document
    plan = plan_for(tmp_path / "p", "host")
    assert plan.bounds is not None
    assert document["flash"]["need"] == plan.bounds.code + plan.image_bytes
    assert document["ram"]["need"] == plan.arena_bytes + plan.bounds.stack + 8


def test_objectives_differ(tmp_path):
    b = Builder("wide", (28, 28, 1))
    save(b.graph(b.fully_connected("x", 64)), tmp_path / "wide.thimble")  # values of 4 bits
    plans = {}
    for objective in ("size", "balanced", "speed"):
        out = tmp_path / objective
        assert build(tmp_path / "wide.thimble", "pico", out, "--optimize", objective).exit_code == 0
        plans[objective] = plan_for(out, "host")
    constants = {objective: plan.image_bytes for objective, plan in plans.items()}
    assert constants["size"] <= constants["balanced"] <= constants["speed"]
    work = {o: sum(step.choice.instructions for step in p.steps if step.choice) for o, p in plans.items()}
    assert work["speed"] <= work["balanced"] <= work["size"]
    assert constants["size"] < constants["speed"]
    assert work["speed"] < work["size"]


def test_samples_become_golden_tests(model, tmp_path):
    x = noise(lenet(), 5)
    np.savez(tmp_path / "x.npz", x=x)
    assert build(model, "pico", tmp_path / "p", "--inputs", tmp_path / "x.npz").exit_code == 0
    golden = (tmp_path / "p" / "test" / "test_golden" / "golden.h").read_text()
    assert " ".join(f"{v}," for v in x[2].reshape(-1)[:12]) in golden


@pytest.mark.parametrize("kind", ["a file", "foreign files", "a hidden file"])
def test_what_is_not_ours_is_left_alone(model, tmp_path, kind):
    out = tmp_path / "p"
    if kind == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / ("thesis.tex" if kind == "foreign files" else ".git")).write_text("mine")
    before = tree(tmp_path)
    refused("TMB2030", "build", model, "--board", "pico", "--out", out, says=("p",))
    assert tree(tmp_path) == before


def test_the_current_folder_is_not_replaced(model, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    refused("TMB2030", "build", model, "--board", "pico", "--out", ".")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_link_to_a_folder_stays_a_link(model, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert build(model, "pico", tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "platformio.ini").is_file()


def test_inspect_says_what_every_codec_would_cost(model):
    outcome = thimble("inspect", model)
    document = outcome.document
    assert document["name"] == "lenet"
    assert document["weights"]["parameters"] == lenet().meta["parameters"]
    assert document["weights"]["ratio"] > 1
    for layer in document["layers"]:
        assert {"name", "op", "shape", "nonzero", "codec", "stored_bytes", "limit_bytes"} <= set(layer)
        assert layer["candidates"][layer["codec"]] <= layer["stored_bytes"]
        assert layer["name"] in outcome.stderr


@pytest.mark.filterwarnings("ignore")  # torch.export's own
def test_an_exported_program_is_quantised_with_the_samples(tmp_path):
    import torch

    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(2, 6),)), tmp_path / "net.pt2")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((40, 6), np.float32))
    with_samples = ["--inputs", tmp_path / "x.npz"]
    outcome = build(tmp_path / "net.pt2", "hifive1-revb", tmp_path / "p", *with_samples)
    assert outcome.exit_code == 0
    assert (tmp_path / "p" / "include" / "net.h").is_file()
    document = thimble("inspect", tmp_path / "net.pt2", *with_samples).document
    assert document["weights"]["parameters"] == 6 * 8 + 8 + 8 * 3 + 3
    refused("TMB1115", "inspect", tmp_path / "net.pt2", says=("--inputs",))
    refused("TMB1115", "build", tmp_path / "net.pt2", "--board", "pico", "--out", tmp_path / "q")
    assert not (tmp_path / "q").exists()


def test_a_report_needs_no_measurement_and_forgets_those_of_another_model(model, tmp_path):
    project = tmp_path / "p"
    build(model, "pico", project)
    keep(project, "verify", {"samples": 4711, "targets": {"host": {"mismatches": 0, "max_abs_diff": 0}}})
    outcome = thimble("report", project)
    assert outcome.document["report"] == str(project / "report.html")
    assert "4,711" in (project / "report.html").read_text()
    build(model, "pico", project)
    assert kept(project, "verify") is not None
    build(model, "pico", project, "--optimize", "size")
    assert kept(project, "verify") is None
    thimble("report", project)
    assert "4,711" not in (project / "report.html").read_text()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"of": 3}'])
def test_a_damaged_measurement_counts_as_none(model, tmp_path, text):
    build(model, "pico", tmp_path / "p")
    (tmp_path / "p" / ".thimble").mkdir(exist_ok=True)
    (tmp_path / "p" / ".thimble" / "bench.json").write_text(text)
    assert thimble("report", tmp_path / "p").exit_code == 0


def test_board_and_objective_default_to_the_recipes(tmp_path):
    graph, out = tiny(), tmp_path / "p"
    target = {"board": "nrf52840_dk", "optimize": "speed"}
    save(attrs.evolve(graph, meta={**graph.meta, "target": target}), tmp_path / "m.thimble")
    assert thimble("build", tmp_path / "m.thimble", "--out", out).exit_code == 0
    _, manifest = read_project(out)
    assert (manifest["board"], manifest["objective"]) == ("nrf52840_dk", "speed")
    build(tmp_path / "m.thimble", "pico", out, "--optimize", "size")
    _, manifest = read_project(out)
    assert (manifest["board"], manifest["objective"]) == ("pico", "size")


def test_no_board_anywhere_is_wrong_usage(tmp_path):
    save(tiny(), tmp_path / "m.thimble")
    done = thimble("build", tmp_path / "m.thimble", "--out", tmp_path / "p")
    assert done.exit_code == 2
    assert done.error["code"] == "TMB3023"
    assert not (tmp_path / "p").exists()


def test_a_core_that_was_not_measured_is_no_fit():
    plan = attrs.evolve(make_plan(tiny(), "cortex-m4"), bounds=None)
    with pytest.raises(FitError, match="TMB4004"):
        check_fit(plan, load_board("nucleo_l4r5zi"))
