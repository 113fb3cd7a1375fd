"""Every board's firmware links at the board's own addresses."""

from __future__ import annotations

import shutil

import attrs
import pytest
from toy_project import write_toy

from quantized_networks import tiny
from thimble.board import boards, load_board
from thimble.commands.build import build
from thimble.emulate.bare import link
from thimble.emulate.elf import read_elf
from thimble.errors import FitError
from thimble.graph.io import save

_COMPILER = {"arm": "arm-none-eabi-gcc", "riscv": "riscv64-unknown-elf-gcc"}
REAL = [board.name for board in boards() if not board.emulated]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("bare") / "toy").folder


def needs_compiler(board):
    if shutil.which(_COMPILER[board.arch]) is None:
        pytest.skip(f"{_COMPILER[board.arch]} is not installed")


@pytest.mark.parametrize("name", REAL)
def test_it_links_into_the_boards_regions(project, name):
    board = load_board(name)
    needs_compiler(board)
    firmware = link(project, board)
    assert firmware.weights == 160
    assert 0 < firmware.code < 400
    assert firmware.code + firmware.weights < firmware.flash < firmware.code + firmware.weights + 600
    assert 32 + 8 <= firmware.ram <= 64
    elf = read_elf(firmware.path)
    for physical, _, data, _ in elf.segments:
        if data:
            assert any(
                r.origin <= physical and physical + len(data) <= r.origin + r.size for r in board.flash
            )
    ram = board.ram[0]
    assert ram.origin <= elf.symbol("arena").address < ram.origin + ram.size
    first = min(board.flash, key=lambda r: r.holds == "constants").origin
    assert min(physical for physical, _, data, _ in elf.segments if data and physical >= first) == first


def test_an_arena_is_linked_into_the_fastest_ram(tmp_path):
    board = load_board("nucleo_h743zi")
    needs_compiler(board)
    save(tiny(), tmp_path / "tiny.thimble")
    assert build(tmp_path / "tiny.thimble", board.name, tmp_path / "p")["ram"]["region"] == "dtcm"
    elf = read_elf(link(tmp_path / "p", board).path)
    axi, dtcm = board.ram[:2]
    assert dtcm.origin <= elf.symbol("arena").address < dtcm.origin + dtcm.size
    assert axi.origin <= elf.symbol("net").address < axi.origin + axi.size


@pytest.mark.parametrize("kind", ["flash", "ram"])
def test_a_board_too_small_is_refused_with_the_bytes(project, kind):
    board = load_board("nucleo_f446re")
    needs_compiler(board)
    small = attrs.evolve(board, **{kind: (attrs.evolve(getattr(board, kind)[0], size=32),)})
    with pytest.raises(FitError, match="TMB4003") as caught:
        link(project, small)
    assert getattr(board, kind)[0].name in caught.value.what
    assert "bytes" in caught.value.what
