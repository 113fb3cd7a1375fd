"""The Plan: what to run, on which bytes, at which addresses, for one core and objective."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from thimble.codecs import Encoded
from thimble.graph.graph import Graph
from thimble.plan.arena import Arena, Buffer
from thimble.plan.image import Image
from thimble.plan.objective import UNLIMITED, Limits
from thimble.plan.overlap import Overlap
from thimble.plan.views import View

STATIC_BYTES = 8  # the model's own struct: two pointers


@attrs.frozen(eq=False)
class Choice:
    """One way to run a layer: a codec, the form its weights reach the kernel in, and the kernel.

    ``bytes`` is exact, ``scratch`` is exact, ``instructions`` is the estimate the choice rests on;
    ``overlap`` says how the output may lie over the input; ``block`` is the descriptor's, where it has one.
    """

    codec: str
    form: str  # fused | list | row | resident
    function: str
    source: str | None  # C name of the decoder, where the kernel takes one
    encoded: Encoded
    scratch: int
    instructions: int
    overlap: Overlap | None = None
    block: int = 0

    @property
    def bytes(self) -> int:
        return len(self.encoded.data)


@attrs.frozen(eq=False)
class Step:
    """One kernel call: its descriptor, ready for a template, and what a reader wants to know of it."""

    layer: str
    op: str
    symbol: str  # C name of the descriptor
    function: str
    struct: str
    fields: Mapping[str, Any]  # int, str (a C expression), a tuple of int or a mapping of all these
    inputs: tuple[str, ...]
    output: str
    macs: int = 0
    macs_executed: int = 0
    choice: Choice | None = None
    comment: str = ""


@attrs.frozen
class Bounds:
    """Upper bounds in bytes on what only the compiler decides, from the measured table of one compiler."""

    code: int
    stack: int
    compiler: str


@attrs.frozen(eq=False)
class Plan:
    """Everything that code generation needs; all sizes in bytes and final but for code and stack.

    ``views`` has for every tensor the buffer that holds its bytes; ``candidates`` the bytes of every codec;
    ``ways`` every choice that each layer had, for those who ask why; ``limits`` what it was to fit.
    """

    graph: Graph
    core: str
    objective: str
    steps: tuple[Step, ...]
    buffers: tuple[Buffer, ...]
    views: Mapping[str, View]
    arena: Arena
    image: Image
    candidates: Mapping[str, Mapping[str, int]]  # layer -> codec -> bytes
    bounds: Bounds | None = None  # None where the table has no such core
    ways: Mapping[str, tuple[Choice, ...]] = attrs.field(factory=dict)
    limits: Limits = UNLIMITED

    @property
    def arena_bytes(self) -> int:
        return self.arena.bytes

    @property
    def flash_bytes(self) -> int:
        """Image and code, an upper bound; without code on a core that was not measured."""
        return self.image_bytes + (self.bounds.code if self.bounds else 0)

    @property
    def ram_bytes(self) -> int:
        """Arena, stack and static data, an upper bound; without stack on a core that was not measured."""
        return self.arena_bytes + STATIC_BYTES + (self.bounds.stack if self.bounds else 0)

    @property
    def image_bytes(self) -> int:
        """All that the firmware stores for the model: encoded weights, biases, scales, headers, padding."""
        return len(self.image.data)

    @property
    def ratio(self) -> float:
        """float32 bytes of the original parameters over all stored bytes."""
        return self.graph.fp32_bytes / self.image_bytes

    def offset(self, tensor: str) -> int:
        """Where a tensor lies in the arena."""
        view = self.views[tensor]
        return self.arena.offsets[view.buffer] + view.at

    def stored_bytes(self, layer: str) -> int:
        """Bytes of the image that belong to one layer, padding and header not included."""
        return sum(len(s.data) for s in self.image.sections if s.name.rpartition("/")[0] == layer)
