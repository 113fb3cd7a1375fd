"""Writes the README's results from what bench.networks measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[1] / "README.md"

_HEAD = """\
MNIST, 10,000 test images. Every number comes from `python -m bench.networks --readme`, which measures and
writes this section; `make bench` runs it. Every network is built with `--optimize size`. "float" is the dense
network before compression. The ratio counts every stored byte: weights, positions, biases, scales, tables,
headers, padding. RAM is arena, static data and the stack's high-water mark. The last column counts the output
elements that differ from the integer reference, over {samples} images on all {targets} targets.
"""


def update(results: Mapping[str, Mapping[str, Any]], samples: int) -> None:
    """Replaces what stands between the README's markers."""
    replace("results", _block(results, samples))


def replace(section: str, block: str) -> None:
    """Puts a block between the README's markers of one section, ``<!-- section -->`` and its end."""
    start, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    before, rest = README.read_text().split(start)
    after = rest.split(end)[1]
    README.write_text(f"{before}{start}\n\n{block}\n{end}{after}")


def _block(results: Mapping[str, Mapping[str, Any]], samples: int) -> str:
    cores = list(next(iter(results.values()))["bench"]["targets"])
    targets = len(next(iter(results.values()))["verify"]["targets"])
    head = _HEAD.format(samples=f"{samples:,}", targets=targets)
    rows = [_row(name, r) for name, r in results.items()]
    columns = [
        "network",
        "parameters",
        "stored bytes",
        "ratio",
        "float %",
        "int8 %",
        "M4 instructions",
        "M4 code",
        "M4 RAM",
        "mismatches",
    ]
    counts = [
        [name, *(f"{r['bench']['targets'][core]['instructions']:,}" for core in cores)]
        for name, r in results.items()
    ]
    short = [core.replace("cortex-m", "M") for core in cores]
    layers = [
        [
            name,
            layer["name"],
            f"{layer['nonzero']:,}",
            layer["codec"],
            f"{layer['stored_bytes']:,}",
            f"{layer['limit_bytes']:,.0f}",
        ]
        for name, r in results.items()
        for layer in r["summary"]["layers"]
    ]
    return "\n".join(
        [
            head,
            markdown_table(columns, rows),
            "Instructions of one inference, exact:\n",
            markdown_table(["network", *short], counts),
            "Bytes per layer, biases and scales included, beside the order-0 limit of the weights alone:\n",
            markdown_table(
                ["network", "layer", "non-zero", "codec", "stored bytes", "order-0 limit"], layers
            ),
        ]
    )


def _row(name: str, r: Mapping[str, Any]) -> list[str]:
    weights, m4 = r["summary"]["weights"], r["bench"]["targets"]["cortex-m4"]
    dense = r["summary"]["accuracy"].get("float")
    return [
        name,
        f"{weights['parameters']:,}",
        f"{weights['stored_bytes']:,}",
        f"{weights['ratio']:.1f}",
        "-" if dense is None else f"{dense:.2f}",
        f"{r['accuracy']:.2f}",
        f"{m4['instructions']:,}",
        f"{m4['flash']['code']:,}",
        f"{m4['ram']['total']:,}",
        f"{sum(t['mismatches'] for t in r['verify']['targets'].values()):,}",
    ]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, with a line end behind it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
