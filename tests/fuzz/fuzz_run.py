"""Fuzzes decoders and `init`, and prints a table.

PYTHONPATH=sdk:tests:tests/model_image python tests/fuzz/fuzz_run.py --runs 10000000
PYTHONPATH=sdk:tests:tests/model_image python tests/fuzz/fuzz_run.py --runs 100000 sri huffman
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import attrs
import fuzz_lines
from fuzz_build import HERE, build, missing, targets

CORPUS = HERE / "corpus"
ROOT = HERE.parents[1]
TIMEOUT_S = 5  # of one execution, some microseconds long, on a machine that may be busy
MAX_BYTES = 640  # of an input that is made; seeds may be longer


@attrs.frozen
class Result:
    """What a run of one target came to; ``edges`` are the branches that it reached, sanitizers' apart."""

    target: str
    runs: int
    seconds: float
    edges: int
    findings: tuple[Path, ...]
    log: str


def fuzz(
    target: str,
    program: Path,
    seeds: Path,
    runs: int,
    out: Path,
    *,
    seed: int = 1,
    timeout_s: int = TIMEOUT_S,
) -> Result:
    """Runs a target over its seeds and what libFuzzer makes of them; ends at the first finding.

    What reached new code is kept in ``out/corpus-<target>``, findings as ``out/found-<target>-*``.
    """
    kept = out / f"corpus-{target}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for old in out.glob(f"found-{target}-[a-z]*-*"):
        old.unlink()
    longest = max(path.stat().st_size for path in seeds.iterdir())
    flags = [f"-runs={runs}", f"-seed={seed}", f"-timeout={timeout_s}", "-detect_leaks=0"]
    flags += [f"-max_len={max(MAX_BYTES, longest)}", f"-artifact_prefix={out}/found-{target}-"]
    start = time.monotonic()
    done = subprocess.run(
        [program, *flags, "-print_final_stats=1", kept, seeds], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - start
    log = done.stderr
    (out / f"{target}.log").write_text(log)
    executed = re.search(r"number_of_executed_units: (\d+)", log)
    if executed is None:
        raise RuntimeError(f"{target} did not run:\n{log[-3000:]}")
    edges = max(map(int, re.findall(r"\bcov: (\d+)", log)), default=0)
    findings = tuple(sorted(out.glob(f"found-{target}-[a-z]*-*")))
    if done.returncode and not findings:
        raise RuntimeError(f"{target} failed:\n{log[-3000:]}")
    return Result(target, int(executed[1]), seconds, edges, findings, log)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(targets())}; all, where none is named")
    parser.add_argument("--runs", type=int, default=1_000_000, help="executions of each target")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "fuzz")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if why := missing():
        print(why, file=sys.stderr)
        return 1
    chosen = options.targets or list(targets())
    programs = build(chosen, options.out)
    covered = fuzz_lines.programs(chosen, options.out) if fuzz_lines.available() else {}
    print("| target | executions | seconds | lines reached | findings |\n|---|---|---|---|---|")
    found = 0
    for name in chosen:
        seeds = CORPUS / targets()[name]
        result = fuzz(name, programs[name], seeds, options.runs, options.out, seed=options.seed)
        found += len(result.findings)
        what = ", ".join(path.name for path in result.findings) or "none"
        lines = "?"
        if name in covered:
            corpora = (options.out / f"corpus-{name}", seeds)
            lines = "{} of {}".format(*fuzz_lines.reached(name, covered[name], corpora))
        print(f"| `{name}` | {result.runs:,} | {result.seconds:.0f} | {lines} | {what} |", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
