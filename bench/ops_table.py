"""Writes what is supported, from the tests' case tables: ``python -m bench.ops_table``.

Every case is imported, and each front end's handlers are watched: which operator of the file gave which
layers. The result goes to ``operators.json``, which `thimble ops` prints, and to ``docs/operators.md``.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from thimble.commands.ops import HEADS, IMPORT_HEADS, TABLE, as_rows, import_rows, spelled
from thimble.emulate.targets import TARGETS
from thimble.frontend import handlers
from thimble.frontend.onnx import load_onnx, node
from thimble.frontend.tflite import load as tflite
from thimble.frontend.torch_export import from_module
from thimble.graph.graph import Graph
from thimble.graph.ops import OPS
from thimble.paths import resource

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "tests/frontend")]

import families  # noqa: E402
import onnx_cases  # noqa: E402
import tflite_cases  # noqa: E402
import torch_cases  # noqa: E402

import quantized_networks  # noqa: E402
import test_streams_on_targets  # noqa: E402

PAGE = ROOT / "docs" / "operators.md"
NAMES = {cls: name for name, cls in OPS.items()}
TABLES: dict[str, tuple[dict[str, Any], Callable[[Any], list[Any]]]] = {
    "tflite": (tflite.HANDLERS, lambda first: first.build.layers),
    "onnx": (node.HANDLERS, lambda first: first.layers),
    "pytorch": (handlers.HANDLERS, lambda first: first.layers),
}
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

Found = dict[str, set[str]]  # a file's operator -> the Graph's operators that it gave


@contextmanager
def watched(kind: str) -> Iterator[Found]:
    """While inside, every handler of one front end notes what it adds."""
    table, layers_of = TABLES[kind]
    found: Found = {}
    original = dict(table)

    def watch(name: str, handler: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *rest: Any) -> Any:
            before = len(layers_of(first))
            result = handler(first, *rest)
            found.setdefault(name, set()).update(NAMES[type(x.op)] for x in layers_of(first)[before:])
            return result

        return call

    table.update({name: watch(name, handler) for name, handler in original.items()})
    try:
        yield found
    finally:
        table.update(original)


def _of_tflite(dtypes: tuple[str, ...]) -> Found:
    with watched("tflite") as found:
        for case in tflite_cases.CASES:
            for dtype in set(case.dtypes) & set(dtypes):
                tflite.load_bytes(case.write(tflite_cases.Net(dtype, 1)))
    return found


def _of_onnx() -> Found:
    with watched("onnx") as found, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        for case in onnx_cases.CASES:
            path.write_bytes(case.make().SerializeToString())
            load_onnx(path)
    return found


def _of_pytorch() -> Found:
    with watched("pytorch") as found, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same'")
        for case in torch_cases.CASES.values():
            from_module(case.module, torch.zeros(2, *case.shape), "net")
    return found


def _families() -> tuple[list[dict[str, Any]], Found]:
    rows = []
    with watched("pytorch") as found:
        for name, family in families.FAMILIES.items():
            inputs = tuple(torch.zeros(1, *shape) for shape in family.shapes)
            graph = from_module(families.make(family), inputs, name, states=family.states)
            rows.append({"family": name, "operators": sorted(_used(graph)), "states": len(graph.states)})
    return rows, found


def _used(*graphs: Graph) -> set[str]:
    used = {NAMES[type(layer.op)] for graph in graphs for layer in graph.layers}
    return used | ({"lookup"} if "unary" in used else set())  # a table in either case


def _targets() -> dict[str, list[str]]:
    """Operator -> the targets on which a network with it is held to the reference."""
    everywhere = _used(*(make() for make in quantized_networks.NETWORKS.values()))
    some = _used(quantized_networks.modern())
    streamed = {"host", *test_streams_on_targets.TARGETS}
    return {
        name: [t for t in TARGETS if name in everywhere or (name in some and t in streamed)] for name in OPS
    }


def measured() -> dict[str, Any]:
    """What the tests' tables give: the document that `thimble ops --json` prints."""
    rows, of_families = _families()
    of_pytorch = _of_pytorch()
    for name, kinds in of_families.items():
        of_pytorch.setdefault(name, set()).update(kinds)
    formats = {"tflite": _of_tflite(("int8", "float32")), "onnx": _of_onnx(), "pytorch": of_pytorch}
    exact, targets = _of_tflite(("int8",)), _targets()
    kernels = _KERNEL.findall((resource("firmware") / "include" / "thimble_kernels.h").read_text())
    ops = []
    for name, cls in OPS.items():
        own = _KERNEL_OF.get(name, name)
        ops.append(
            {
                "op": name,
                "meaning": (cls.__doc__ or "").splitlines()[0].replace("`", ""),
                "kernels": [k for k in kernels if own and re.fullmatch(rf"(depthwise_)?{own}(_\w+)?", k)],
                "targets": targets[name],
                "exact": sorted(k for k, kinds in exact.items() if name in kinds),
                "from": {
                    kind: sorted(k for k, kinds in found.items() if name in kinds)
                    for kind, found in formats.items()
                },
            }
        )
    return {"ops": ops, "formats": {kind: sorted(found) for kind, found in formats.items()}, "families": rows}


def untested(document: dict[str, Any]) -> dict[str, list[str]]:
    """The operators that a front end would take but that no case has, by format."""
    return {kind: sorted(set(table) - set(document["formats"][kind])) for kind, (table, _) in TABLES.items()}


def _markdown(heads: Sequence[str], rows: list[list[str]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def page(document: dict[str, Any]) -> str:
    """The page for people, from the same document."""
    names = {kind: ", ".join(spelled(kind, taken)) for kind, taken in document["formats"].items()}
    family_rows = [
        [f["family"], ", ".join(f["operators"]), str(f["states"] or "")] for f in document["families"]
    ]
    return f"""# Operators

`python -m bench.ops_table` writes this page, and `thimble ops` prints it, from the tables of cases that the
tests run: what stands here is what is tested, and nothing else is taken. The limits of each operator are on
the pages of the formats: [.tflite](import-tflite.md), [.onnx](import-onnx.md), [PyTorch](import-pytorch.md).

## What there is

On every target named, a network with the operator runs as firmware and is compared with Thimble's integer
reference bit for bit. A `pad`, `batch_norm`,
`activation` or `constant` often costs nothing: it goes into a neighbour's weights, biases or clamp. `lookup`
is what functions become when they are joined: [exact optimisations](optimisations.md).

{_markdown(HEADS, as_rows(document))}

## What imports to them

An operator of a file may give several layers, and stands in every row that it reaches. Of the .tflite
operators in the second column a case compares the int8 form with TFLite's kernels
[bit for bit](import-tflite.md#int8-models); those in the third are taken in float models alone.

{_markdown(IMPORT_HEADS, import_rows(document))}

## All that a file may hold

- **.tflite**: {names["tflite"]}
- **ONNX**: {names["onnx"]}; of constants and shapes more, see [.onnx](import-onnx.md#operators)
- **PyTorch** (ATen, in place or not): {names["pytorch"]}

## Families

Whole networks, from the PyTorch module to int8; `python -m bench.families` builds each as firmware.

{_markdown(["family", "operators", "states"], family_rows)}
"""


def main() -> None:
    torch.set_num_threads(1)
    document = measured()
    TABLE.write_text(json.dumps(document, indent=1) + "\n")
    PAGE.write_text(page(document))
    for kind, names in untested(document).items():
        if names:
            print(f"{kind}: no case has {', '.join(names)}", file=sys.stderr)


if __name__ == "__main__":
    main()
