"""How near the XOR network comes to its limit, and a pruned layer of AlexNet's shape with its mask.

python -m bench.xor [--quick] [--fc6] [--json out/xor.json]

Random weights only, so that anybody gets the same numbers. Tables:
  planes   bits per weight of one plane at 91 % zeros, patches counted, where 0.09 matter: registers fed as
           many bits as matter (N_out = N_in / 0.09), then as many as the encoder chooses; "matched" is the
           share of the bits that matter which need no patch. A register of 16 bits is 8 new bits and a stage
           of 8 earlier ones. The paper's independent slices, by the ranks of random matrices, for comparison
  layer    4,096 x 4,096 weights (--fc6: 4,096 x 9,216), 91 % zeros, 1-bit values: a free mask of largest
           weights against low-rank masks of the same sparsity; "kept" is the share of the free mask's squared
           weights that the mask keeps before any training
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from math import comb
from pathlib import Path
from typing import Any

import numpy as np

from bench.codecs import show
from thimble.codecs import decode, encode, planes, xor_eliminate, xor_viterbi
from thimble.codecs.xor_network import REGISTERS, outputs, schedule

DENSITY = 0.09
SLICES = ((20, 192), (60, 608))  # N_in, N_out
FACTORS = ((32, 32), (64, 128), (64, 192))  # width of a tile, patterns


def plane_rows(n: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    for n_in, n_out in SLICES:
        yield _row(f"slices {n_in} / {n_out}", n_in / n_out, *independent_slices(n_in, n_out))
    care = rng.random(n) < DENSITY
    bits = rng.integers(0, 2, n).astype(np.uint16)
    matter = int(np.count_nonzero(care))
    for register in REGISTERS:
        fixed = round(4096 * matter / n)
        name = f"register of {register}, {'Viterbi' if register == xor_viterbi.REGISTER else 'elimination'}"
        for rate in (fixed, None):
            start = time.process_time()
            layout, out = planes.encode(bits, [care], rate=rate, register=register)
            seconds = time.process_time() - start
            matched = 1 - mismatches(care, bits, layout) / matter
            fed = layout.planes[0].rate / 4096
            yield _row(name, fed, matched, out.bits / n) | {"us_per_weight": 1e6 * seconds / n}


def _row(form: str, fed: float, matched: float, size: float) -> dict[str, Any]:
    return {
        "form": form,
        "fed": fed,
        "matched_percent": 100 * matched,
        "bits_per_weight": size,
        "excess_percent": 100 * (size / DENSITY - 1),
        "us_per_weight": None,
    }


def mismatches(care: np.ndarray, bits: np.ndarray, layout: planes.Layout) -> int:
    """Bits that matter which a plane's network gets wrong: its patches."""
    plane = layout.planes[0]
    places = np.flatnonzero(care)
    taken = schedule(-(-len(bits) // 32), plane.rate, plane.register)
    solver = xor_viterbi if plane.register == xor_viterbi.REGISTER else xor_eliminate
    stored = solver.solve(places, bits[places], taken, plane.register, layout.seed)
    made = outputs(stored, taken, plane.register, layout.seed)
    return int(np.count_nonzero((made[places >> 5] >> (places & 31) ^ bits[places]) & 1))


def independent_slices(n_in: int, n_out: int) -> tuple[float, float]:
    """Expected share matched, and bits per weight with a bit and a place per patch and a bit per slice."""
    rank = np.zeros(n_in + 1)
    rank[0] = 1.0
    dependent = 2.0 ** (np.arange(n_in + 1) - n_in)  # the next equation, by rank
    patches = expected = 0.0
    for count in range(n_out + 1):
        expected += comb(n_out, count) * DENSITY**count * (1 - DENSITY) ** (n_out - count) * patches
        patches += float(rank @ dependent) / 2
        rank = rank * dependent + np.concatenate([[0.0], (rank * (1 - dependent))[:-1]])
    bits = n_in + 1 + expected * (1 + (n_out - 1).bit_length())
    return 1 - expected / (DENSITY * n_out), bits / n_out


def layer_rows(rows: int, cols: int) -> Iterator[dict[str, Any]]:
    import torch

    from thimble.compress.projections.cheap_masks import project
    from thimble.compress.projections.magnitude import project as largest

    torch.set_num_threads(1)
    weight = torch.randn(rows, cols, generator=torch.Generator().manual_seed(1))
    keep = round(DENSITY * weight.numel())
    free = largest(weight, 1 - DENSITY)
    energy = float(free.square().sum())
    for factors in (None, *FACTORS):
        start = time.process_time()
        kept = free
        if factors is not None:
            kept = project(weight, keep, "low_rank", width=factors[0], patterns=factors[1])
        projected = time.process_time()
        integers = kept.sign().to(torch.int8).numpy()
        encoded = encode("xor", integers)
        done = time.process_time()
        assert np.array_equal(decode(encoded), integers)
        size = weight.numel()
        yield {
            "mask": "free" if factors is None else f"{factors[1]} patterns of {factors[0]}",
            "zeros_percent": 100 * (1 - np.count_nonzero(integers) / size),
            "kept": float(kept.square().sum()) / energy,
            "stored_as": encoded.info["mask"],
            "mask_bits": 8 * encoded.info["mask_bytes"] / size,
            "value_bits": 8 * encoded.info["value_bytes"] / size,
            "bits_per_weight": 8 * len(encoded.data) / size,
            "project_s": projected - start,
            "encode_s": done - projected,
        }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller planes, a layer of 2,048 x 1,024")
    parser.add_argument("--fc6", action="store_true", help="the layer of 4,096 x 9,216")
    parser.add_argument("--json", type=Path, help="write the rows there as well")
    options = parser.parse_args()
    rows, cols = (2048, 1024) if options.quick else (4096, 9216) if options.fc6 else (4096, 4096)
    results = {"planes": list(plane_rows(1 << (18 if options.quick else 20), np.random.default_rng(1)))}
    print("planes")
    show(results["planes"])
    results["layer"] = list(layer_rows(rows, cols))
    print(f"\nlayer of {rows} x {cols}")
    show(results["layer"])
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
