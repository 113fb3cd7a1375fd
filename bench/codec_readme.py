"""Writes the README's section of codecs from what bench.codec_table measured."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from bench.readme import markdown_table, replace

_WIDTH = 118
_HEAD = """
Whole networks, every layer stored in the codec that the row names. Every number comes from `python -m
bench.codec_table --readme`, which measures and writes this section. Bytes are those of the encoded weights,
tables and headers counted; an image adds 8 per layer, for any codec. In brackets the per cent over the
order-0 limit, the entropy of each layer's integers, zeros included. The last row takes the smallest codec
layer by layer.
"""
_READING = """
`rans` gets below the limit, because runs, signs and levels depend on their neighbours, and pays with 120 to
170 instructions per non-zero. `run-level` is made for speed: 14 on a Cortex-M4 in wide random rows; on
networks it takes the contexts that it can have, near the limit, and 25 to 90 instructions. `sri-flat` is
the fastest. Layers of a few hundred weights, as in the DS-CNN, do not reach the limit in any codec: headers
outweigh what contexts save.
"""
_COST = """
Instructions per non-zero, {cores}, decoding all layers into lists of non-zeros on emulated cores{dense}. What
came out was compared with the weights:
"""
_OTHERS = """
Bytes beside other formats, of the weights alone. CSR has int8 values and the narrowest columns that fit; the
relative index (EIE) has 4-bit runs, or each layer's best width, and a table of values that is not counted;
dCSR follows its paper; zlib packs the int8 bytes of each layer.
"""
_DEEPCABAC = """
DeepCABAC is the coder of `nncodec` (`pip install --no-deps nncodec`), at each layer's best parameters and
order of weights; no unit header is counted.
"""


def update(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Replaces what stands between the README's markers."""
    replace("codecs", block(results))


def block(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The section: bytes by codec, instructions by codec, bytes beside other formats."""
    networks = list(results.values())
    codecs = [codec for codec in networks[0]["codecs"] if any(n["codecs"][codec] for n in networks)]
    absent = [f"`{codec}`" for codec in networks[0]["codecs"] if codec not in codecs]
    rows = {codec: [n["codecs"][codec] for n in networks] for codec in codecs}
    rows["best per layer"] = [n["best"] for n in networks]
    cores = " / ".join(core.replace("cortex-m", "M") for core in networks[0]["best"]["instructions"])
    dense = [name for name, n in results.items() if n["unit"] == "weight"]
    note = f"; of {', '.join(dense)} per weight, into rows" if dense else ""
    limits = ["order-0 limit", *(f"{n['limit_bytes']:,.0f}" for n in networks)]
    return "\n".join(
        [
            _paragraph(_HEAD, f"No network fits whole into {', '.join(absent)}." if absent else ""),
            markdown_table(
                ["codec", *results],
                [limits, *([codec, *map(_size, totals)] for codec, totals in rows.items())],
            ),
            _paragraph(_COST.format(cores=cores, dense=note)),
            markdown_table(
                ["codec", *results], [[codec, *map(_cost, totals)] for codec, totals in rows.items()]
            ),
            _paragraph(_READING),
            _paragraph(_OTHERS, _DEEPCABAC if "DeepCABAC" in networks[0]["comparators"] else ""),
            _others(results),
        ]
    )


def _paragraph(*parts: str) -> str:
    return textwrap.fill(" ".join(" ".join(parts).split()), _WIDTH, break_on_hyphens=False) + "\n"


def _others(results: Mapping[str, Mapping[str, Any]]) -> str:
    comparators = list(next(iter(results.values()))["comparators"])
    columns = ["network", "weights", "zeros %", "order-0 limit", "best per layer", "best single codec"]
    return markdown_table(
        [*columns, *comparators],
        [
            [
                name,
                f"{n['weights']:,}",
                f"{100 * (1 - n['nonzero'] / n['weights']):.1f}",
                f"{n['limit_bytes']:,.0f}",
                f"{n['best']['bytes']:,}",
                f"{n['best_single']['bytes']:,} ({n['best_single']['codec']})",
                *(f"{n['comparators'][other]:,}" for other in comparators),
            ]
            for name, n in results.items()
        ],
    )


def _size(total: Mapping[str, Any] | None) -> str:
    if total is None:
        return "-"
    over = total["over_limit_percent"]
    return f"{total['bytes']:,} ({over:+,.1f})" if over < 99.95 else f"{total['bytes']:,} ({over:+,.0f})"


def _cost(total: Mapping[str, Any] | None) -> str:
    if total is None:
        return "-"
    return " / ".join(f"{n:.1f}" if n < 99.95 else f"{n:.0f}" for n in total["instructions"].values())
