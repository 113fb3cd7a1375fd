"""Boards are complete, consistent, and found by name."""

from __future__ import annotations

from itertools import pairwise

import pytest
from bench import boards_table

from thimble.board import boards, load_board, read_board
from thimble.emulate.targets import HOST, TARGETS
from thimble.errors import RecipeError
from thimble.paths import resource

CORES = {  # core -> the target that runs its code
    "cortex-m0": "cortex-m0",
    "cortex-m0plus": "cortex-m0",
    "cortex-m3": "cortex-m3",
    "cortex-m4": "cortex-m4",
    "cortex-m7": "cortex-m7",
    "cortex-m33": "cortex-m33",
    "cortex-m55": "cortex-m55",
    "rv32imc": "rv32imc",
    "rv32imac": "rv32imac",
    "rv32imafc": "rv32imafc",
}
NAMES = [board.name for board in boards()]


def test_there_are_enough_real_boards():
    assert sum(not board.emulated for board in boards()) >= 14


@pytest.mark.parametrize("name", NAMES)
def test_facts_are_consistent(name):
    board = load_board(name)
    assert board.target == CORES[board.core]
    assert board.mve == (board.core == "cortex-m55")
    assert board.dsp == (board.core in ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"))
    assert 1_000_000 <= board.clock_hz <= 1_000_000_000
    assert board.sources
    regions = sorted((*board.flash, *board.ram), key=lambda r: r.origin)
    for low, high in pairwise(regions):
        assert low.origin + low.size <= high.origin, f"{low.name} overlaps {high.name}"
    assert all(region.origin % 4 == 0 and region.size % 4 == 0 for region in regions)


@pytest.mark.parametrize("name", [board.name for board in boards() if not board.emulated])
def test_each_fact_names_two_sources_or_says_that_it_has_one(name):
    board = load_board(name)
    needed = {"core", "clock", "flash", "ram"}
    needed |= {"wait_states"} if any(r.wait_states is not None for r in board.flash) else set()
    needed |= {"platformio"} if board.platformio else set()
    assert needed <= set(board.sources)
    for fact, where in board.sources.items():
        assert "; " in where or where.startswith("one source"), fact


def test_the_page_of_boards_is_up_to_date():
    assert boards_table.page() == boards_table.PAGE.read_text(), "run python -m bench.boards_table"


@pytest.mark.parametrize("name", [name for name in TARGETS if name != HOST])
def test_emulated_boards_agree_with_their_platform(name):
    board, target = load_board(name), TARGETS[name]
    assert board.emulated
    assert (board.flash[0].origin, board.flash[0].size) == target.flash
    assert (board.ram[0].origin, board.ram[0].size) == target.ram
    assert board.compiler_flags == target.flags
    assert (board.dsp, board.mve, board.fpu != "none") == (target.dsp, target.mve, target.fpu)


@pytest.mark.parametrize(
    "name, hint",
    [("nucleo-l4r5zi", "nucleo_l4r5zi"), ("NRF52840_DK", "nrf52840_dk"), ("zzz", "thimble boards")],
)
def test_unknown_board_suggests_a_name(name, hint):
    with pytest.raises(RecipeError) as caught:
        load_board(name)
    assert caught.value.code == "TMB3101"
    assert hint in caught.value.hint


@pytest.mark.parametrize("text", ["", "title = 1", "not toml", "[[flash]]\nsize = 1\n[[ram]]\nsize = 1"])
def test_a_file_that_is_no_board_is_refused(tmp_path, text):
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(RecipeError, match="TMB3102"):
        read_board(tmp_path / "x.toml")


def test_the_walk_through_shows_the_file_as_it_is():
    page = (resource("boards").parent / "docs" / "adding_a_board.md").read_text()
    facts, _, sources = (resource("boards") / "nucleo_l4r5zi.toml").read_text().partition("[sources]\n")
    assert facts in page
    assert next(line for line in sources.splitlines() if line.startswith("fpu")) in page


def test_an_arena_lies_in_the_fastest_region_that_has_room():
    board = load_board("nucleo_h743zi")
    assert board.arena_region(100_000, 1_000).name == "dtcm"
    assert board.arena_region(200_000, 1_000).name == "axi_sram"
    assert board.arena_region(board.ram_bytes, 1_000) is None
    drone = load_board("crazyflie_2_1")
    assert drone.arena_region(65_536, 1_000).name == "ccm"
    assert drone.arena_region(65_537, 1_000).name == "sram"
    plain = load_board("nucleo_l4r5zi")
    assert plain.arena_region(plain.ram_bytes - 1_000, 1_000).name == plain.ram[0].name
    assert plain.arena_region(plain.ram_bytes - 1_000, 1_001) is None
