"""What a report can say, as plain values: bytes, counts, per cents; None where nothing was measured."""

from __future__ import annotations

import attrs


@attrs.frozen
class CodecCost:
    """One layer's weights in one codec: bytes, exact, and the estimated instructions of its best form."""

    codec: str
    bytes: int
    chosen: bool
    instructions: int | None = None


@attrs.frozen
class LayerFacts:
    """A layer with weights: how it is stored and why so.

    ``limit_bytes`` is the order-0 entropy of its integers. ``constant_bytes`` are bias, multiplier and shift.
    ``settings`` is what the encoder chose; ``mask_bytes`` and ``value_bytes`` say where the encoded bytes
    went, where the codec tells them apart.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    nonzero: int
    codec: str
    form: str
    weight_bytes: int
    constant_bytes: int
    limit_bytes: float
    costs: tuple[CodecCost, ...]
    why: str
    settings: str
    mask_bytes: float | None = None
    value_bytes: float | None = None

    @property
    def weights(self) -> int:
        """Weights, zeros included."""
        n = 1
        for extent in self.shape:
            n *= extent
        return n


@attrs.frozen
class StepFacts:
    """One kernel call.

    ``estimate`` is the planner's guess, ``instructions`` was counted on the plan's core.
    """

    name: str
    op: str
    output: tuple[int, ...]
    macs: int
    macs_executed: int
    estimate: int | None
    instructions: int | None

    @property
    def macs_skipped(self) -> int:
        """Products with a zero weight that are not computed."""
        return self.macs - self.macs_executed


@attrs.frozen
class BufferFacts:
    """A stretch of the arena over the steps ``first`` to ``last``.

    ``kind`` is ``input``, ``output``, ``activation`` or ``scratch``; ``over`` names the buffers of whose
    bytes this one takes what is read no more.
    """

    name: str
    kind: str
    offset: int
    bytes: int
    first: int
    last: int
    over: tuple[str, ...] = ()


@attrs.frozen
class ArenaFacts:
    """The arena: its bytes, the lower bound on them (the largest live set) and all buffers by offset."""

    bytes: int
    live_bytes: int
    buffers: tuple[BufferFacts, ...]


@attrs.frozen
class Part:
    """Bytes of flash or RAM under one name.

    ``predicted`` is exact or, where ``bound`` is set, an upper bound; ``measured`` was read from the ELF or
    seen in emulation of the plan's core. The measurement, where there is one, is what counts.
    """

    name: str
    predicted: int | None
    measured: int | None
    bound: bool = False

    @property
    def bytes(self) -> int | None:
        """The best that is known."""
        return self.predicted if self.measured is None else self.measured


@attrs.frozen
class MemoryFacts:
    """One memory: what lies in it and how many bytes the board has (None without a board)."""

    name: str
    parts: tuple[Part, ...]
    have: int | None

    @property
    def need(self) -> int:
        """Sum of what is known."""
        return sum(part.bytes or 0 for part in self.parts)

    @property
    def complete(self) -> bool:
        """Whether every part is known."""
        return all(part.bytes is not None for part in self.parts)


@attrs.frozen
class TargetFacts:
    """What ``thimble bench`` measured on one target; bytes, instructions exact, cycles modelled."""

    name: str
    instructions: int | None
    cycles: int | None
    cycle_model: str | None
    code: int | None
    weights: int | None
    flash: int | None
    arena: int | None
    stack: int | None
    static: int | None
    ram: int | None
    layers: tuple[tuple[str, int | None], ...]


@attrs.frozen
class VerifyTarget:
    """Elements that one target computed otherwise than the reference, and by how much at most."""

    name: str
    mismatches: int | None
    max_abs_diff: int | None


@attrs.frozen
class VerifyFacts:
    """What ``thimble verify`` found; accuracies in per cent where the inputs had labels."""

    samples: int
    targets: tuple[VerifyTarget, ...]
    accuracy: float | None
    accuracy_reference: float | None

    @property
    def exact(self) -> bool:
        """Whether every target that was run agrees in every element."""
        return bool(self.targets) and all(t.mismatches == 0 for t in self.targets)
