"""The table of ATen operations: each handler turns one Call into layers of the Graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from thimble.frontend.builder import Builder, Call, Value

Handler = Callable[[Builder, Call], Value | list[Value]]
HANDLERS: dict[str, Handler] = {}


def handles(*operations: str) -> Callable[[Handler], Handler]:
    """Registers a function for operations such as ``"aten.conv2d"``, every overload of them."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(operations, handler))
        return handler

    return register


def pair(value: Any, spatial: int) -> tuple[int, int]:
    """(vertical, horizontal) from an argument for one or two spatial axes; a sequence's height is 1."""
    numbers = [value] if isinstance(value, int) else list(value)
    if len(numbers) < spatial:
        numbers = numbers * spatial
    return (numbers[0], numbers[1]) if spatial == 2 else (1, numbers[0])


def zero_pair(value: Any, spatial: int) -> tuple[int, int]:
    """As ``pair`` for a padding, of which a sequence has none vertically."""
    vertical, horizontal = pair(value, spatial)
    return (vertical if spatial == 2 else 0), horizontal
