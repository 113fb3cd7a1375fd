"""`thimble ops`: the operators, the kernels that the runtime has for them, and what each format brings."""

from __future__ import annotations

import re
from typing import Any

from thimble.commands.output import table
from thimble.graph.ops import OPS
from thimble.paths import resource

_KERNEL = re.compile(r"^void tmb_(\w+)_s8\(", re.MULTILINE)
_KERNEL_OF = {  # where it bears another name, or none: folded, or the same bytes
    "activation": "requantize",
    "batch_norm": None,
    "reshape": None,
    "slice": "gather",
    "sub": "add",
    "transpose": "gather",
    "unary": "lookup",
}


def ops() -> dict[str, Any]:
    """Operators with their meaning and kernels, read from the runtime's own header, and by format the names
    of what its front end takes."""
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
    formats = taken()
    table(
        "what each format's operators may be",
        ["format", "operators"],
        [[name, ", ".join(names)] for name, names in formats.items()],
    )
    return {"ops": rows, "formats": formats}


def taken() -> dict[str, list[str]]:
    """The operators that each front end has a handler for, by the format's own names, sorted."""
    import thimble.frontend.onnx.importer
    import thimble.frontend.torch_export  # noqa: F401  they fill their tables
    from thimble.frontend import handlers
    from thimble.frontend.onnx import node
    from thimble.frontend.tflite import load

    return {
        "tflite": sorted(load.HANDLERS),
        "onnx": sorted(node.HANDLERS),
        "pytorch": sorted(handlers.HANDLERS),
    }
