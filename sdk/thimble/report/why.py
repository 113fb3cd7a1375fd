"""Why a layer is stored the way it is, in a sentence that the numbers beside it bear out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thimble.report.facts import CodecCost
from thimble.report.text import THIN, plural, share

AUTO = "auto"


def why(layer: str, costs: Sequence[CodecCost], objective: str, wanted: str | Mapping[str, str]) -> str:
    """One sentence.

    Args:
        layer: its name.
        costs: every codec's cost, exactly one of them chosen.
        objective: ``size``, ``speed`` or ``balanced``.
        wanted: the recipe's codecs: ``"auto"``, one for all layers, or one per layer.
    """
    named = wanted if isinstance(wanted, str) else wanted.get(layer, AUTO)
    chosen = next(cost for cost in costs if cost.chosen)
    others = [cost for cost in costs if not cost.chosen]
    if not others:
        return "No other codec can hold it."
    best = min(others, key=lambda cost: (cost.bytes, cost.codec))
    against = f"{_bytes(chosen.bytes, best)}{_instructions(chosen, best)}"
    if named != AUTO:
        return f"Named by the recipe: {against}."
    if chosen.bytes <= best.bytes:
        return f"Fewest bytes: {against}."
    if (chosen.instructions or 0) < (best.instructions or 0):
        return f"Fewer instructions, which count too ({objective}): {against}."
    return f"Another decoder would take more code than it saves: {against}."


def _bytes(n: int, best: CodecCost) -> str:
    if n == best.bytes:
        return f"as many bytes as {best.codec}"
    side = "fewer" if n < best.bytes else "more"
    apart = abs(n - best.bytes)
    return f"{plural(apart, 'byte')} ({share(apart, best.bytes)}) {side} than {best.codec}"


def _instructions(chosen: CodecCost, best: CodecCost) -> str:
    if chosen.instructions is None or not best.instructions:
        return ""
    change = 100 * (chosen.instructions / best.instructions - 1)
    if abs(change) < 0.5:
        return ", about as many instructions"
    return f", an estimated {abs(change):.0f}{THIN}% {'fewer' if change < 0 else 'more'} instructions"
