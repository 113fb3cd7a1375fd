"""What emulation yields."""

from __future__ import annotations

import attrs
import numpy as np


@attrs.frozen(eq=False)
class Measurement:
    """Samples run on one target.

    Attributes:
        target: the target's name.
        emulator: ``"host"``, ``"isa"`` or ``"qemu"``.
        outputs: int8, ``(N, output_len)``.
        instructions: executed by one inference, exact; of the dearest sample counted. None on the host.
        layers: the same, per planned step in order; sums to ``instructions``.
        cycles: modelled for that inference at zero wait states; None where there is no model.
        cycle_model: what the cycles rest on and how far they may be off.
        stack_bytes: deepest stack of ``run`` over all samples; None where it is not seen.
    """

    target: str
    emulator: str
    outputs: np.ndarray
    instructions: int | None = None
    layers: tuple[int, ...] = ()
    cycles: int | None = None
    cycle_model: str | None = None
    stack_bytes: int | None = None
