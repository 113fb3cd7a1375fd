"""Every codec on whole networks: bytes against the order-0 limit, instructions to decode, other formats.

python -m bench.codec_table [--quick] [--json out/codec_table.json] [--readme]

Every layer of a network is stored in every codec and decoded by the C decoder on emulated cores, into lists
of non-zeros where most weights are zeros, else into rows. A codec that cannot hold one of the layers has no
total. The limit is the sum over layers of the order-0 entropy of their integers, zeros included.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import codec_readme, comparators, deepcabac
from bench.codec_networks import NETWORKS, Layer, Missing
from thimble.codecs import CODECS, limit_bytes
from thimble.commands.output import note, table
from thimble.emulate.decoders import decode
from thimble.emulate.targets import target
from thimble.errors import VerifyError
from thimble.plan.candidates import encode_layers

CORES = ("cortex-m4", "cortex-m0", "rv32imc")
QUICK = ("LeNet-5", "spoken digits DS-CNN")

COMPARATORS: dict[str, Callable[[np.ndarray], int]] = {
    "CSR": comparators.csr,
    "relative index, 4 bits": comparators.relative_index,
    "relative index, best width": comparators.best_relative_index,
    "dCSR": comparators.dcsr,
    "zlib -9": comparators.deflate,
}


def measure(layers: Sequence[Layer], cores: Sequence[str]) -> dict[str, Any]:
    """Sizes and costs of one network's weights, in all codecs and in other formats."""
    weights = sum(layer.matrix.size for layer in layers)
    nonzero = sum(int(np.count_nonzero(layer.matrix)) for layer in layers)
    sparse = 2 * nonzero < weights
    costs = [layer_costs(layer.matrix, "list" if sparse else "row", cores) for layer in layers]
    limit = sum(limit_bytes(layer.matrix) for layer in layers)
    smallest = [min(cost, key=lambda codec: cost[codec]["bytes"]) for cost in costs]
    units = nonzero if sparse else weights
    codecs = {codec: _totals([cost.get(codec) for cost in costs], limit, units, cores) for codec in CODECS}
    others = {name: sum(size(layer.matrix) for layer in layers) for name, size in COMPARATORS.items()}
    if deepcabac.coder():
        others["DeepCABAC"] = sum(deepcabac.size((layer.matrix, layer.channels_first)) for layer in layers)
    return {
        "layers": len(layers),
        "weights": weights,
        "nonzero": nonzero,
        "unit": "non-zero" if sparse else "weight",
        "limit_bytes": limit,
        "codecs": codecs,
        "best": _totals(
            [cost[codec] for cost, codec in zip(costs, smallest, strict=True)], limit, units, cores
        ),
        "best_single": best_single(codecs),
        "chosen": {layer.name: codec for layer, codec in zip(layers, smallest, strict=True)},
        "comparators": others,
    }


def layer_costs(weights: np.ndarray, form: str, cores: Sequence[str]) -> dict[str, dict[str, Any]]:
    """int8 ``[rows, cols]`` in every codec that holds it: bytes, and instructions by core.

    Raises:
        VerifyError: TMB6007 where a decoder gives back other weights.
    """
    costs = {}
    for codec, encoded in encode_layers({"": weights})[""].items():
        counts = {}
        for core in cores:
            run = decode(encoded, form, target(core))
            if not np.array_equal(run.weights, weights):
                what = f"the {form} decoder of '{codec}' gives back other weights"
                raise VerifyError("TMB6007", what, where=core)
            counts[core] = run.instructions
        costs[codec] = {"bytes": len(encoded.data), "instructions": counts}
    return costs


def _totals(
    costs: Sequence[Mapping[str, Any] | None], limit: float, units: int, cores: Sequence[str]
) -> dict[str, Any] | None:
    """Bytes, per cent over the limit, instructions per non-zero or weight; None where a layer has no cost."""
    held = [cost for cost in costs if cost is not None]
    if len(held) < len(costs):
        return None
    size = sum(cost["bytes"] for cost in held)
    return {
        "bytes": size,
        "over_limit_percent": 100 * (size / limit - 1),
        "instructions": {core: sum(cost["instructions"][core] for cost in held) / units for core in cores},
    }


def best_single(codecs: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """The codec that is smallest where all layers have the same, and its bytes."""
    sizes = {codec: total["bytes"] for codec, total in codecs.items() if total is not None}
    codec = min(sizes, key=lambda name: sizes[name])
    return {"codec": codec, "bytes": sizes[codec]}


def show(results: Mapping[str, Mapping[str, Any]]) -> None:
    """Both tables, on stderr."""
    for name, network in results.items():
        cores = list(network["best"]["instructions"])
        rows = {**network["codecs"], "best per layer": network["best"]}
        note(
            f"\n{name}: {network['layers']} layers, {network['weights']:,} weights, {network['nonzero']:,} "
            f"non-zeros, limit {network['limit_bytes']:,.0f} bytes; instructions per {network['unit']}"
        )
        table(
            "",
            ["codec", "bytes", "over limit %", *cores],
            [
                [codec, r["bytes"], r["over_limit_percent"], *(r["instructions"][core] for core in cores)]
                if r
                else [codec, *[None] * (2 + len(cores))]
                for codec, r in rows.items()
            ],
        )
    columns = list(next(iter(results.values()))["comparators"])
    note("\nbytes beside other formats")
    table(
        "",
        ["network", "order-0 limit", "best per layer", "best single codec", "which", *columns],
        [
            [
                name,
                round(network["limit_bytes"]),
                network["best"]["bytes"],
                network["best_single"]["bytes"],
                network["best_single"]["codec"],
                *(network["comparators"][column] for column in columns),
            ]
            for name, network in results.items()
        ],
    )
    if "DeepCABAC" not in columns:
        note(deepcabac.INSTALL)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="two small networks, cortex-m4 only")
    parser.add_argument("--json", type=Path, help="write the results there as well")
    parser.add_argument("--readme", action="store_true", help="write the README's section of codecs")
    options = parser.parse_args()
    cores = CORES[:1] if options.quick else CORES
    results = {}
    for network in NETWORKS:
        if options.quick and network.name not in QUICK:
            continue
        try:
            layers = network.load()
        except Missing as why:
            note(f"{network.name} is left out: {why}")
            continue
        note(f"{network.name} ...")
        results[network.name] = measure(layers, cores)
    show(results)
    if options.readme:
        codec_readme.update(results)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
