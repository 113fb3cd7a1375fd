"""Validators of recipe values: each raises ValueError with a sentence that fits after "key: "."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Validator = Callable[[Any, Any, Any], None]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def whole(low: int, high: int) -> Validator:
    """A whole number from low to high."""

    def check(_: Any, __: Any, value: Any) -> None:
        if not _is_int(value) or not low <= value <= high:
            raise ValueError(f"must be a whole number from {low} to {high}, not {value!r}")

    return check


def power_of_two(low: int, high: int) -> Validator:
    """A power of 2 from low to high."""

    def check(_: Any, __: Any, value: Any) -> None:
        if not _is_int(value) or not low <= value <= high or value & (value - 1):
            raise ValueError(f"must be a power of 2 from {low} to {high}, not {value!r}")

    return check


def at_least(low: int) -> Validator:
    """A whole number that is not below low."""

    def check(_: Any, __: Any, value: Any) -> None:
        if not _is_int(value) or value < low:
            raise ValueError(f"must be a whole number of at least {low}, not {value!r}")

    return check


def positive(_: Any, __: Any, value: Any) -> None:
    """A finite number above zero."""
    if not _is_number(value) or not 0 < value < float("inf"):
        raise ValueError(f"must be a number above 0, not {value!r}")


def positive_or_none(_: Any, __: Any, value: Any) -> None:
    """A whole number above zero, or left out."""
    if value is not None and (not _is_int(value) or value < 1):
        raise ValueError(f"must be a whole number of at least 1, not {value!r}")


def fraction(_: Any, __: Any, value: Any) -> None:
    """A number from 0 to 1."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise ValueError(f"must be a number from 0 to 1, not {value!r}")


def flag(_: Any, __: Any, value: Any) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {value!r}")


def text(_: Any, __: Any, value: Any) -> None:
    """A string that is not empty."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be a text, not {value!r}")


def choice(*allowed: str) -> Validator:
    """One of a few words."""

    def check(_: Any, __: Any, value: Any) -> None:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}, not {value!r}")

    return check


def budget(*, low: float = 0.0, high: float = 1.0, counts: bool = False, table: bool = False) -> Validator:
    """A fraction, or a table of one per layer.

    counts: numbers above ``high`` are allowed too. table: only a table is.
    """

    def one(value: Any, where: str) -> None:
        if not _is_number(value) or not low <= value < float("inf") or (value > high and not counts):
            limits = f"of at least {low:g}" if counts else f"from {low:g} to {high:g}"
            raise ValueError(f"{where}must be a number {limits}, not {value!r}")

    def check(_: Any, __: Any, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                one(item, f"{key} ")
        elif table:
            raise ValueError(f"must be a table with one number per layer, not {value!r}")
        else:
            one(value, "")

    return check
