"""Measures what every runtime function takes in flash and on the stack, per core.

Compiles firmware/src with the flags that projects are built with and writes
sdk/thimble/plan/runtime_costs.json, from which the planner bounds code and stack before any C is compiled.

Example: ``PYTHONPATH=sdk python -m bench.measure_runtime``
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.objects import Node, read_object
from thimble.emulate.targets import HOST, TARGETS, Target
from thimble.emulate.toolchain import Toolchain, toolchain
from thimble.paths import resource

OUT = Path(__file__).resolve().parents[1] / "sdk" / "thimble" / "plan" / "runtime_costs.json"
STRUCTS = (
    "tmb_fully_connected_t",
    "tmb_conv2d_t",
    "tmb_pool2d_t",
    "tmb_pad_t",
    "tmb_add_t",
    "tmb_add_broadcast_t",
    "tmb_mul_t",
    "tmb_mean_t",
    "tmb_lookup_t",
    "tmb_gather_t",
    "tmb_resize_nearest_t",
    "tmb_constant_t",
    "tmb_requantize_t",
    "tmb_concat_t",
    "tmb_softmax_t",
)
_FEW, _MANY = 4, 36


def measure(target: Target) -> dict[str, Any]:
    """The table of one core: ``nodes``, ``structs`` and ``model``, all in bytes."""
    tools = toolchain(target.arch)
    with tempfile.TemporaryDirectory(prefix="thimble-") as folder:
        nodes = _runtime(tools, target, Path(folder))
        nodes.update(_library(tools, target, nodes, Path(folder)))
        structs = _structs(tools, target, Path(folder))
        model = _model(tools, target, Path(folder))
    return {
        "nodes": {n.name: _entry(n) for n in sorted(nodes.values(), key=lambda n: n.name)},
        **structs,
        **model,
    }


def _entry(node: Node) -> dict[str, Any]:
    lists = {kind: sorted(getattr(node, kind)) for kind in ("calls", "jumps", "uses")}
    stack = {"stack": node.stack} if node.function else {}
    return {"bytes": node.bytes, **stack, **{kind: names for kind, names in lists.items() if names}}


def _include() -> list[str]:
    firmware = resource("firmware")
    return [f"-I{firmware / 'include'}", f"-I{firmware / 'src'}"]


def _runtime(tools: Toolchain, target: Target, folder: Path) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    root = resource("firmware") / "src"
    for source in sorted(root.rglob("*.c")):
        label = source.relative_to(root).as_posix()
        nodes.update(_compiled(tools, target, source, label, folder))
    return nodes


def _compiled(tools: Toolchain, target: Target, source: Path, label: str, folder: Path) -> dict[str, Node]:
    out = folder / (label.replace("/", "-") + ".o")
    tools.compile(source, out, target.flags, *_include(), "-fstack-usage")
    frames: dict[str, int] = {}
    for line in out.with_suffix(".su").read_text().splitlines():
        where, size, kind = line.split("\t")
        if kind == "dynamic":
            sys.exit(f"{where}: the stack frame has no bound")
        function = where.rpartition(":")[2].partition(".")[0]  # a clone's name goes on: .constprop, .isra
        frames[function] = max(int(size), frames.get(function, 0))
    return {node.name: node for node in read_object(out.read_bytes(), label, frames)}


def _undefined(nodes: dict[str, Node]) -> set[str]:
    named = {name for node in nodes.values() for name in node.calls | node.jumps | node.uses}
    return named - nodes.keys()


def _library(tools: Toolchain, target: Target, nodes: dict[str, Node], folder: Path) -> dict[str, Node]:
    """The nodes of libgcc and libc that the runtime reaches: what a linker would take."""
    wanted = sorted(_undefined(nodes))
    script = folder / "any.ld"
    script.write_text("SECTIONS { .text : { *(.text* .rodata* .data* .bss*) } }\n")
    empty = folder / "empty.c"
    empty.write_text("typedef int nothing_t;\n")
    out = folder / "library.elf"
    link_map = out.with_suffix(".map")
    pulled = [f"-Wl,-u,{name}" for name in wanted]
    flags = [*target.flags, *tools.specs, "-nostartfiles", "-Wl,--no-gc-sections", "-Wl,-e,0"]
    tools.run("gcc", *flags, f"-Wl,-Map,{link_map}", "-T", script, *pulled, empty, "-o", out)
    found: dict[str, Node] = {}
    for line in link_map.read_text().partition("Discarded input sections")[0].splitlines():
        if line.startswith("/") and "(" in line:
            archive, _, member = line.split()[0].rstrip(")").rpartition("(")
            data = subprocess.run(
                [f"{tools.prefix}ar", "p", archive, member], capture_output=True, check=True
            ).stdout
            label = f"{Path(archive).name}({member})"
            for node in read_object(data, label):
                found.setdefault(node.name, node)
    return _reached(wanted, found)


def _reached(roots: Iterable[str], nodes: dict[str, Node]) -> dict[str, Node]:
    reached: dict[str, Node] = {}
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in nodes and name not in reached:
            reached[name] = nodes[name]
            todo += nodes[name].calls | nodes[name].jumps | nodes[name].uses
    return reached


def _structs(tools: Toolchain, target: Target, folder: Path) -> dict[str, dict[str, int]]:
    source = folder / "structs.c"
    lines = [f"const char size_of_{name}[sizeof({name})] = {{0}};" for name in STRUCTS]
    source.write_text('#include "thimble_kernels.h"\n' + "\n".join(lines) + "\n")
    nodes = _compiled(tools, target, source, "structs.c", folder)
    return {"structs": {name: nodes[f"size_of_{name}"].bytes for name in STRUCTS}}


def _model(tools: Toolchain, target: Target, folder: Path) -> dict[str, dict[str, int]]:
    """Bytes and stack of a generated model's own functions: ``run`` grows with its number of steps, ``reset``
    with that of states; ``io`` is the function of one more input or output."""
    few, many = (_synthetic(tools, target, steps, folder) for steps in (_FEW, _MANY))
    step = -(-(many["run"].bytes - few["run"].bytes) // (_MANY - _FEW))
    fixed = sum(many[name].bytes for name in ("init", "contract", "input", "output"))
    state = -(-(many["reset"].bytes - few["reset"].bytes) // (_MANY - _FEW))
    stream = many["init_stream"].bytes - many["init"].bytes
    return {
        "model": {
            "fixed": fixed + few["run"].bytes - _FEW * step,
            "step": step,
            "io": many["input"].bytes,
            "state": state,
            "reset": few["reset"].bytes - _FEW * state + stream,
            "init_stack": max(many["init"].stack, many["init_stream"].stack),
            "run_stack": many["run"].stack,
        }
    }


def _synthetic(tools: Toolchain, target: Target, steps: int, folder: Path) -> dict[str, Node]:
    """A model with many steps, states and far offsets, of the form that templates/model.c.j2 writes."""
    source = folder / f"model{steps}.c"
    calls = "\n".join(f"    tmb_conv2d_list_s8(&op_{k}, net->image, net->arena);" for k in range(steps))
    descriptors = "\n".join(f"static const tmb_conv2d_t op_{k} = {{.input = {k}}};" for k in range(steps))
    states = "\n".join(f"    memset(net->arena + {70000 + 12345 * k}, {k}, 12345);" for k in range(steps))
    init = "(net_t *net, const uint8_t *image, size_t n, uint8_t *arena, size_t m)"
    source.write_text(
        f"""#include <string.h>
#include "thimble_kernels.h"
typedef struct {{ const uint8_t *image; int8_t *arena; }} net_t;
{descriptors}
extern const tmb_contract_t contract;
const tmb_contract_t contract = {{1, 2, 3, 4}};
tmb_status_t init{init};
{_init("init", init, "")}
void reset(net_t *net);
tmb_status_t init_stream{init};
{_init("init_stream", init, "    reset(net);")}
__attribute__((noinline)) void reset(net_t *net) {{
{states}
}}
int8_t *input(net_t *net);
int8_t *input(net_t *net) {{
    return net->arena + 123456;
}}
void run(net_t *net);
void run(net_t *net) {{
{calls}
}}
const int8_t *output(const net_t *net);
const int8_t *output(const net_t *net) {{
    return net->arena + 123456;
}}
"""
    )
    return _compiled(tools, target, source, source.name, folder)


def _init(name: str, parameters: str, reset: str) -> str:
    return f"""tmb_status_t {name}{parameters} {{
    if (net == NULL || image == NULL || arena == NULL) {{
        return TMB_ERR_ARGUMENT;
    }}
    if (m < 123456u || (uintptr_t)arena % TMB_ALIGNMENT != 0) {{
        return TMB_ERR_ARENA;
    }}
    net->image = image;
    net->arena = (int8_t *)arena;
{reset}
    return tmb_image_check(image, n, &contract);
}}"""


def firmware_hash() -> str:
    """sha256 over the runtime's sources and headers: a table with another one is stale."""
    digest = hashlib.sha256()
    root = resource("firmware")
    for path in sorted(p for folder in ("include", "src") for p in (root / folder).rglob("*.[ch]")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def main() -> None:
    cores = [target for name, target in TARGETS.items() if name != HOST]
    table = {
        "compilers": {arch: toolchain(arch).version for arch in ("arm", "riscv")},
        "firmware": firmware_hash(),
        "flags": " ".join(toolchain("arm").c_flags),
        "targets": {target.name: measure(target) for target in cores},
    }
    OUT.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    print(
        f"wrote {OUT.name}: {sum(len(t['nodes']) for t in table['targets'].values())} functions and objects"
    )


if __name__ == "__main__":
    main()
