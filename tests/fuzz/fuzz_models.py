"""Mutated .tflite and .onnx files, by the hundred thousand: only Thimble's own errors may come of them.

    PYTHONPATH=sdk python tests/fuzz/fuzz_models.py --runs 100000 [--first 0] [--jobs 2] [--out out/fuzz]

Every file goes as far as ``thimble build`` takes it before anything is planned: it is imported, quantised
on noise if it is float, optimised and lowered. A run fails that raises anything but a ThimbleError, takes
more than 5 s of processor time, or wants more than 2 GiB beside what the process holds at the start. Mutants
are numbered (see ``model_mutants``); those that fail are left in ``--out``, each with its traceback.
"""

from __future__ import annotations

import argparse
import ast
import collections
import faulthandler
import math
import mmap
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from model_mutants import Seed, mutant, seeds

from thimble.compress.imported import dequantize
from thimble.compress.rewrites.exact import optimize
from thimble.errors import ThimbleError
from thimble.frontend.load import load_file
from thimble.graph.graph import Graph
from thimble.quantize.lowering import lower
from thimble.quantize.post_training import quantize

SECONDS = 5.0
ALLOCATION = 2 << 30  # bytes
_SMALL = 1 << 16  # elements of all tensors: calibrating on more takes as long as a model is large, no longer

Outcome = tuple[str, str]  # what came of it; what to say of it if it failed


class HangError(BaseException):
    """Raised by the alarm; no ``except Exception`` swallows it."""


def read(path: Path) -> str:
    """Takes one file as commands do; "good", or the code of the error that a user would be told."""
    try:
        graph = load_file(path)
        if not graph.is_quantized:
            if sum(math.prod(tensor.shape) for tensor in graph.tensors.values()) > _SMALL:
                return "good, too large to calibrate here"
            graph = quantize(graph, _noise(graph), scales="per-channel")
        else:
            dequantize(graph)
        lower(optimize(graph))
    except ThimbleError as error:
        return error.code
    return "good"


def _noise(graph: Graph) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, *graph.tensors[name].shape)).astype(np.float32) for name in graph.inputs]


def attempt(work: Callable[[], str], seconds: float = SECONDS) -> Outcome:
    """The outcome of one run; a run that not even the alarm can stop ends the process a while later."""

    def ring(*_: Any) -> None:
        raise HangError

    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(4 * seconds, exit=True)
    try:
        return work(), ""
    except HangError:
        return "hang", traceback.format_exc()
    except MemoryError:
        return "memory", traceback.format_exc()
    except Exception as error:  # anything but a ThimbleError is what is looked for
        return f"escaped {type(error).__name__}", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()


def limit_memory(more: int = ALLOCATION) -> None:
    """Lets this process have so many bytes more than it holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))


def run(numbers: Sequence[int], models: list[Seed], out: Path, current: mmap.mmap) -> dict[str, int]:
    """Runs these mutants in this process, whose memory is limited from here on; failures go to ``out``."""
    limit_memory()
    warnings.simplefilter("error")
    counts: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            current[:8] = number.to_bytes(8, "little")
            suffix, content = mutant(number, models)
            path = Path(folder) / f"model{suffix}"
            path.write_bytes(content)
            outcome, detail = attempt(lambda: read(path))  # noqa: B023
            counts[f"{suffix} {outcome}"] += 1
            if detail:
                out.mkdir(parents=True, exist_ok=True)
                (out / f"{number}{suffix}").write_bytes(content)
                (out / f"{number}.txt").write_text(f"{outcome}\n{detail}")
    return dict(counts)


class Job:
    """A process of its own that runs some mutants."""

    def __init__(self, numbers: Sequence[int], models: list[Seed], out: Path) -> None:
        self._current = mmap.mmap(-1, 8)
        self._pipe, send = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.write(send, repr(run(numbers, models, out, self._current)).encode())
            finally:
                os._exit(0)
        os.close(send)

    def result(self) -> dict[str, int]:
        """What came of its mutants, once they have all run; of the one that ended the process if one did."""
        with os.fdopen(self._pipe, "rb") as pipe:
            text = pipe.read().decode()
        _, status = os.waitpid(self._pid, 0)
        number = int.from_bytes(self._current[:8], "little")
        return ast.literal_eval(text) if text else {f"mutant {number} ended its process ({status})": 1}


def is_failure(outcome: str) -> bool:
    return " TMB" not in outcome and " good" not in outcome


def main() -> int:
    """Runs mutants side by side and prints what came of them; 1 where one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    args = parser.parse_args()
    models = seeds()
    with tempfile.TemporaryDirectory() as folder:  # brings in what the limit on memory must not count
        for suffix, content in models[:: len(models) - 1]:
            (path := Path(folder) / f"model{suffix}").write_bytes(content)
            read(path)
    start = time.perf_counter()
    numbers = range(args.first, args.first + args.runs)
    jobs = [Job(numbers[k :: args.jobs], models, args.out) for k in range(args.jobs)]
    total: collections.Counter[str] = collections.Counter()
    for job in jobs:
        total.update(job.result())
    for outcome, count in total.most_common():
        print(f"{count:>9,}  {outcome}")
    print(f"{args.runs:,} mutants of {len(models)} models in {time.perf_counter() - start:.0f} s")
    return int(any(is_failure(outcome) for outcome in total))


if __name__ == "__main__":
    sys.exit(main())
