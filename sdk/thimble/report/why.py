"""Why a layer is stored the way it is, in a sentence that the numbers beside it bear out."""

from __future__ import annotations

from collections.abc import Mapping

from thimble.plan.plan import Choice


def why(
    layer: str,
    choice: Choice,
    costs: Mapping[str, int],
    objective: str,
    wanted: str | Mapping[str, str],
) -> str:
    """One sentence.

    Args:
        layer: its name.
        choice: what the planner took.
        costs: encoded bytes of every codec.
        objective: ``size``, ``speed`` or ``balanced``.
        wanted: the recipe's codecs, ``"auto"`` or one for all or one per layer.
    """
    named = wanted if isinstance(wanted, str) else wanted.get(layer, "auto")
    others = {codec: n for codec, n in costs.items() if codec != choice.codec}
    if not others:
        return "The only codec there is."
    best, least = min(others.items(), key=lambda item: (item[1], item[0]))
    against = _against(choice.bytes, best, least)
    if named != "auto":
        return f"Named by the recipe: {against}."
    if choice.bytes <= least:
        return f"Fewest bytes: {against}."
    return f"Fewer instructions: {against}, which {objective!r} accepts for speed.".replace("'", "")


def _against(n: int, other: str, least: int) -> str:
    if n == least:
        return f"as many as {other}"
    side = "fewer" if n < least else "more"
    share = abs(n - least) / max(1, least)
    return f"{abs(n - least):,} ({share:.1%}) {side} than {other}".replace("%", " %")
