"""`thimble bench --decoders`: what each codec's decoder costs on random matrices, on emulated cores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from thimble.codecs import CODECS, Encoded, encode, scratch_bytes
from thimble.codecs import decode as oracle
from thimble.commands.output import note, table
from thimble.commands.targets import check_targets
from thimble.errors import ModelError, RecipeError, VerifyError
from thimble.recipe import suggest

DEFAULT_TARGETS = ("cortex-m4", "cortex-m0", "rv32imc")
ANCHOR = "cortex-m4"
MOST_WEIGHTS = 1 << 22  # of a matrix: more than a microcontroller's flash holds
DENSE_DEVIATION = 9  # of the dense matrix's weights: 5.2 bits of entropy, as layers quantised to int8 have
_UNIT = {"list": "nonzero", "row": "weight"}


@attrs.frozen(eq=False)
class Case:
    """A matrix, the form that it is decoded in, and its limit in bytes."""

    form: str
    weights: np.ndarray
    limit_bytes: float

    @property
    def units(self) -> int:
        """What instructions are divided by: non-zeros of a list, weights of rows."""
        return int(np.count_nonzero(self.weights)) if self.form == "list" else self.weights.size


def sparse(rows: int, cols: int, density: float, bits: int, seed: int = 0) -> np.ndarray:
    """int8 ``[rows, cols]``: non-zeros with that probability each, uniform over all numbers of so many bits
    in two's complement but 0 (1 bit is -1)."""
    rng = np.random.default_rng(seed)
    half = 1 << (bits - 1)
    numbers = np.array([n for n in range(-half, half) if n], np.int8)
    return np.where(rng.random((rows, cols)) < density, rng.choice(numbers, (rows, cols)), 0).astype(np.int8)


def dense(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """int8 ``[rows, cols]``, normally distributed."""
    values = np.random.default_rng(seed).normal(0, DENSE_DEVIATION, (rows, cols))
    return np.clip(np.rint(values), -128, 127).astype(np.int8)


def limit(weights: np.ndarray, bits: float) -> float:
    """Bytes of H(d) + d * bits per weight, at the matrix's own density d."""
    share = np.count_nonzero(weights) / weights.size
    mask = sum(p * np.log2(1 / p) for p in (share, 1 - share) if p > 0)
    return float((mask + share * bits) * weights.size / 8)


def bench_decoders(
    *,
    targets: Sequence[str] = (),
    codecs: Sequence[str] = (),
    density: float = 0.1,
    bits: int = 4,
    rows: int = 64,
    cols: Sequence[int] = (),
) -> dict[str, Any]:
    """Encodes random matrices in every codec and decodes them on every target, by list and by row.

    Raises:
        RecipeError: TMB3020 an unknown codec, TMB3103 an unknown target, TMB3104 one that cannot count,
            TMB3105 more than ``MOST_WEIGHTS``.
        VerifyError: TMB6003, TMB6004, or TMB6007 where other weights come out.
    """
    from thimble.emulate.targets import TARGETS

    names = check_targets(targets, DEFAULT_TARGETS)
    for name in names:
        if "isa" not in TARGETS[name].emulators:
            able = [t for t in TARGETS if "isa" in TARGETS[t].emulators]
            raise RecipeError(
                "TMB3104",
                f"instructions are not counted on '{name}'",
                where="--target",
                hint="targets: " + ", ".join(able),
            )
    for codec in codecs:
        if codec not in CODECS:
            hint = suggest(codec, CODECS) or "codecs: " + ", ".join(CODECS)
            raise RecipeError("TMB3020", f"no codec '{codec}'", where="--codec", hint=hint)
    widths = tuple(dict.fromkeys(cols)) or (784,)
    if rows * max(widths) > MOST_WEIGHTS:
        raise RecipeError(
            "TMB3105",
            f"{rows:,} x {max(widths):,} weights are too many to emulate their decoding",
            where="--rows and --cols",
            hint=f"at most {MOST_WEIGHTS:,} weights, e.g. --rows 64",
        )
    kinds = tuple(dict.fromkeys(codecs)) or tuple(CODECS)
    document: dict[str, Any] = {
        "density": density,
        "bits": bits,
        "rows": rows,
        "targets": list(names),
        "cases": [
            measure(case, [c for c in kinds if case.form in CODECS[c].forms], names)
            for width in widths
            for case in _cases(rows, width, density, bits)
        ],
    }
    show(document)
    return document


def _cases(rows: int, cols: int, density: float, bits: int) -> list[Case]:
    from thimble.codecs import limit_bytes

    some, all_ = sparse(rows, cols, density, bits), dense(rows, cols)
    return [Case("list", some, limit(some, bits)), Case("row", all_, limit_bytes(all_))]


def measure(case: Case, codecs: Sequence[str], targets: Sequence[str]) -> dict[str, Any]:
    """One matrix in these codecs on these targets; codecs that cannot hold it are left out."""
    found: dict[str, Any] = {}
    for codec in codecs:
        try:
            encoded = encode(codec, case.weights)
        except ModelError as error:
            note(f"{codec}: {error.what}")
            continue
        size = len(encoded.data)
        found[codec] = {
            "bytes": size,
            "over_limit_percent": 100 * (size / case.limit_bytes - 1) if case.limit_bytes else None,
            "scratch_bytes": scratch_bytes(encoded, case.form),
            "targets": _on_targets(case, encoded, targets),
        }
    return {
        "form": case.form,
        "rows": case.weights.shape[0],
        "cols": case.weights.shape[1],
        "nonzero": int(np.count_nonzero(case.weights)),
        "limit_bytes": case.limit_bytes,
        "codecs": found,
    }


def _on_targets(case: Case, encoded: Encoded, targets: Sequence[str]) -> dict[str, Any]:
    from thimble.emulate.decoders import decode
    from thimble.emulate.targets import target

    expected = oracle(encoded)
    runs = {name: decode(encoded, case.form, target(name)) for name in targets}
    for name, run in runs.items():
        if not np.array_equal(run.weights, expected) or not np.array_equal(expected, case.weights):
            raise VerifyError(
                "TMB6007",
                f"the {case.form} decoder of '{encoded.codec}' gives back other weights",
                where=name,
                hint="please report this, with the command",
            )
    anchor = runs[ANCHOR].instructions if ANCHOR in runs else 0
    return {
        name: {
            "instructions": run.instructions,
            f"per_{_UNIT[case.form]}": run.instructions / case.units if case.units else None,
            f"to_{ANCHOR.replace('-', '_')}": run.instructions / anchor if anchor else None,
            "code_bytes": run.code_bytes,
            "stack_bytes": run.stack_bytes,
        }
        for name, run in runs.items()
    }


def show(document: dict[str, Any]) -> None:
    """The document as one table per matrix, on stderr."""
    names = document["targets"]
    for case in document["cases"]:
        unit = _UNIT[case["form"]]
        table(
            f"{case['form']} form, {case['rows']} x {case['cols']}, {case['nonzero']:,} non-zeros, limit "
            f"{case['limit_bytes']:,.0f} bytes; instructions per {unit.replace('z', '-z')}; "
            "code, scratch and stack in bytes",
            [
                "codec",
                "bytes",
                "over limit %",
                *names,
                *(f"{name} / {ANCHOR}" for name in names if name != ANCHOR and ANCHOR in names),
                f"code {names[0]}",
                "scratch",
                f"stack {names[0]}",
            ],
            [
                [
                    codec,
                    row["bytes"],
                    row["over_limit_percent"],
                    *(row["targets"][name][f"per_{unit}"] for name in names),
                    *(
                        row["targets"][name]["to_cortex_m4"]
                        for name in names
                        if name != ANCHOR and ANCHOR in names
                    ),
                    row["targets"][names[0]]["code_bytes"],
                    row["scratch_bytes"],
                    row["targets"][names[0]]["stack_bytes"],
                ]
                for codec, row in case["codecs"].items()
            ],
        )
