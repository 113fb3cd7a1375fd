"""`thimble ops`: the operators, and the kernels that the runtime has for them."""

from __future__ import annotations

import re
from typing import Any

from thimble.commands.output import table
from thimble.graph.ops import OPS
from thimble.paths import resource

_KERNEL = re.compile(r"^void tmb_(\w+)_s8\(", re.MULTILINE)
_KERNEL_OF = {"activation": "requantize", "reshape": None, "batch_norm": None}  # folded or relabelled


def ops() -> dict[str, Any]:
    """Operators with their meaning and kernels, read from the runtime's own header."""
    header = (resource("firmware") / "include" / "thimble_kernels.h").read_text()
    kernels = _KERNEL.findall(header)
    rows = []
    for name, cls in OPS.items():
        prefix = _KERNEL_OF.get(name, name)
        found = [k for k in kernels if prefix and re.fullmatch(rf"(depthwise_)?{prefix}(_\w+)?", k)]
        rows.append(
            {"op": name, "meaning": (cls.__doc__ or "").splitlines()[0].replace("`", ""), "kernels": found}
        )
    table(
        "operators",
        ["operator", "meaning", "kernels"],
        [[row["op"], row["meaning"], ", ".join(row["kernels"]) or "needs none"] for row in rows],
    )
    return {"ops": rows}
