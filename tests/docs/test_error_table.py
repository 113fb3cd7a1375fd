"""docs/errors.md lists every code that the package raises, and no other."""

from __future__ import annotations

import re

from pages import ROOT, read, rows

from thimble import errors

CODE = re.compile(r"TMB\d{4}")
FAMILIES = ["ModelError", "DataError", "RecipeError", "FitError", "ToolError", "VerifyError"]
KINDS = dict(zip("1234569", [*FAMILIES, "UnexpectedError"], strict=True))


def table() -> list[list[str]]:
    return rows(read("docs/errors.md"), "code")


def raised() -> set[str]:
    """Every code that the package's source names."""
    return {code for path in (ROOT / "sdk").rglob("*.py") for code in CODE.findall(path.read_text())}


def test_every_code_is_listed_once():
    listed = [row[0] for row in table()]
    assert len(listed) == len(set(listed))
    assert listed == sorted(listed)
    assert raised() - set(listed) == set(), "codes that docs/errors.md lacks"
    assert set(listed) - raised() == set(), "codes that nothing raises"


def test_every_row_says_what_it_means_and_what_to_do():
    for row in table():
        assert len(row) == 3, row
        assert all(cell.endswith((".", "?")) for cell in row[1:]), row


def test_families_and_exit_codes_are_those_of_the_classes():
    for digit, name in KINDS.items():
        exit_code = getattr(errors, name).exit_code
        assert re.search(rf"{name} +TMB{digit}xxx  exit {exit_code}\b", read("docs/errors.md"))


def test_every_raise_uses_its_familys_class():
    call = re.compile(rf"\b({'|'.join(KINDS.values())})\(\s*f?\"TMB(\d)")
    calls = [c for path in (ROOT / "sdk").rglob("*.py") for c in call.findall(path.read_text())]
    assert len(calls) > 50
    assert all(KINDS[digit] == name for name, digit in calls)


def test_the_devices_status_codes_are_all_there():
    header = read("firmware/include/thimble.h")
    codes = re.findall(r"(TMB_(?:OK|ERR_\w+)) = (-?\d+)", header)
    listed = [(row[1].strip("`"), row[0]) for row in rows(read("docs/errors.md"), "value")]
    assert listed == codes
