"""Bytes of every codec against the order-0 limit, XOR efficiency, and the time to encode large layers.

python -m bench.codecs [--quick] [--json out/codecs.json]

Random matrices only, so that anybody gets the same numbers. Tables:
  random masks       1,000 x 1,000 and 175 x 200 weights, 2**bits values: excess of the smallest codec over
                     H(density) + density * bits, at 80 to 99 % zeros and 1 to 5 bits
  masks and values   1,000 x 1,000 weights of +-1 .. +-16: excess over H(density) + density * 5 bits
  clustered          the same with whole columns or 4 x 4 blocks pruned: against the order-0 entropy
  small network      four layers as of a pruned LeNet-5, weights of +-1 .. +-7
  large layer        processor seconds to encode 4,096 x 4,096 weights
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from thimble.codecs import encode, limit_bytes, scratch_bytes

SPARSE = ("bitmap", "sri", "sri-flat", "run-level", "rans", "xor", "sri+xor")
DENSITIES = (0.2, 0.15, 0.1, 0.09, 0.07, 0.05, 0.03, 0.02)
LENET5 = ((8, 25, 70), (20, 200, 900), (200, 320, 2000), (10, 200, 150))  # rows, cols, non-zeros


def uniform(rows: int, cols: int, density: float, rng: np.random.Generator) -> np.ndarray:
    """int8 weights, non-zeros uniform over +-1 .. +-16."""
    values = rng.integers(1, 17, (rows, cols)) * rng.choice([-1, 1], (rows, cols))
    return np.where(rng.random((rows, cols)) < density, values, 0).astype(np.int8)


def laplacian(rows: int, cols: int, nonzero: int, rng: np.random.Generator) -> np.ndarray:
    """int8 weights with so many non-zeros, +-1 .. +-7, small ones more often."""
    weights = np.zeros(rows * cols, np.int8)
    magnitude = np.clip(np.ceil(rng.exponential(2.2, nonzero)), 1, 7)
    weights[rng.choice(rows * cols, nonzero, replace=False)] = magnitude * rng.choice([-1, 1], nonzero)
    return weights.reshape(rows, cols)


def entropy_bytes(density: float, size: int) -> float:
    """Of a mask of that density, in bytes."""
    parts = [p * np.log2(1 / p) for p in (density, 1 - density) if p > 0]
    return size * float(sum(parts)) / 8


def random_masks(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for rows, cols in ((1000, 1000), (175, 200)):
        for density in (0.2, 0.1, 0.05, 0.02, 0.01):
            row: dict[str, Any] = {"weights": rows * cols, "zeros_percent": round(100 * (1 - density))}
            for bits in range(1, 6):
                half = 1 << (bits - 1)
                values = rng.choice(np.array([*range(-half, 0), *range(1, half + 1)]), (rows, cols))
                weights = np.where(rng.random((rows, cols)) < density, values, 0).astype(np.int8)
                found = np.count_nonzero(weights) / weights.size
                limit = entropy_bytes(found, weights.size) + found * weights.size * bits / 8
                sizes = {name: len(encode(name, weights).data) for name in ("run-level", "rans")}
                row[f"{bits} bits"] = 100 * (min(sizes.values()) / limit - 1)
            yield row


def masks_and_values(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for density in DENSITIES:
        weights = uniform(1000, 1000, density, rng)
        found = np.count_nonzero(weights) / weights.size
        mask = entropy_bytes(found, weights.size)
        limit = mask + found * weights.size * 5 / 8
        row: dict[str, Any] = {"zeros_percent": round(100 * (1 - density))}
        for name in SPARSE:
            encoded = encode(name, weights)
            row[f"{name}_excess_percent"] = 100 * (len(encoded.data) / limit - 1)
            if name == "sri":
                row["sri_mask_excess_percent"] = 100 * (encoded.info["mask_bytes"] / mask - 1)
        yield row


def clustered(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for pattern in ("columns", "4 x 4 blocks"):
        weights = uniform(1000, 1000, 0.3, rng)
        if pattern == "columns":
            weights *= rng.random(1000) < 0.2
        else:
            weights *= np.kron(rng.random((250, 250)) < 0.2, np.ones((4, 4), bool))
        row: dict[str, Any] = {"pattern": pattern, "limit_bytes": round(limit_bytes(weights))}
        for name in SPARSE:
            encoded = encode(name, weights)
            row[f"{name}_bytes"] = len(encoded.data)
            if name == "sri":
                row["sri_block"] = str(encoded.info["block"])
        yield row


def small_network(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    total: dict[str, Any] = {"layer": "all", "limit_bytes": 0.0, **{f"{name}_bytes": 0 for name in SPARSE}}
    for rows, cols, nonzero in LENET5:
        weights = laplacian(rows, cols, nonzero, rng)
        row: dict[str, Any] = {"layer": f"{rows} x {cols}, {nonzero}", "limit_bytes": limit_bytes(weights)}
        for name in SPARSE:
            encoded = encode(name, weights)
            row[f"{name}_bytes"] = len(encoded.data)
            row[f"{name}_value_bits"] = 8 * encoded.info["value_bytes"] / nonzero
            row[f"{name}_scratch"] = scratch_bytes(encoded, "list")
            total[f"{name}_bytes"] += len(encoded.data)
        total["limit_bytes"] += row["limit_bytes"]
        yield row
    yield total


def large_layer(rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for density in (0.02, 0.09, 0.5, 1.0):
        for name in ("dense", "packed", "huffman", *SPARSE):
            weights = uniform(4096, 4096, density, rng)
            start = time.process_time()
            encoded = encode(name, weights)
            seconds = time.process_time() - start
            yield {
                "density": density,
                "codec": name,
                "bytes": len(encoded.data),
                "limit_bytes": round(limit_bytes(weights)),
                "seconds": seconds,
            }


def show(rows: list[dict[str, Any]]) -> None:
    """Prints rows as a table, columns as in the first."""
    keys = list(rows[0])
    cells = [keys] + [[_text(row.get(key)) for key in keys] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    for line in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return (
        f"{value:.4g}"
        if isinstance(value, float) and value < 100
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="leave the large layers out")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    options = parser.parse_args()
    tables = [random_masks, masks_and_values, clustered, small_network] + (
        [] if options.quick else [large_layer]
    )
    results = {}
    for table in tables:
        print(f"\n{table.__name__.replace('_', ' ')}")
        results[table.__name__] = rows = list(table(np.random.default_rng(1)))
        show(rows)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
