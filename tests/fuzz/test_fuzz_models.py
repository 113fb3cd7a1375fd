"""Some hundred mutated model files; a hang, a stray exception and a large allocation would be seen."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import fuzz_models
import numpy as np
import pytest
from fuzz_models import Job, attempt, is_failure, limit_memory
from model_mutants import mutant, seeds

RUNS = 400


@pytest.fixture(scope="module")
def models():
    return seeds()


def test_a_short_run_finds_nothing(models, tmp_path: Path):
    counts = Job(range(RUNS), models, tmp_path).result()
    assert not list(tmp_path.iterdir()), next(tmp_path.glob("*.txt")).read_text()
    assert not any(map(is_failure, counts)), counts
    assert sum(counts.values()) == RUNS
    good = sum(count for outcome, count in counts.items() if "good" in outcome)
    assert RUNS / 10 < good < RUNS / 2  # mutants are neither harmless nor hopeless


def test_a_number_is_one_mutant(models):
    assert mutant(11, models) == mutant(11, models) != mutant(12, models)


@pytest.mark.parametrize("seed", [".tflite", ".onnx"])
def test_the_seeds_are_good(models, seed, tmp_path: Path):
    for k, (_, content) in list(enumerate(m for m in models if m[0] == seed))[::25]:
        path = tmp_path / f"{k}{seed}"
        path.write_bytes(content)
        assert fuzz_models.read(path).startswith("good")


def in_a_process(work: Callable[[], str]) -> str:
    """The outcome of ``attempt`` in a process of its own, with a limit on its memory."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        limit_memory(256 << 20)
        os.write(send, attempt(work, seconds=0.3)[0].encode())
        os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as pipe:
        outcome = pipe.read().decode()
    os.waitpid(child, 0)
    return outcome


def _hang() -> str:
    while True:
        try:
            while True:
                pass
        except Exception:  # what is not let through is seen nevertheless
            continue


def _escape() -> str:
    raise IndexError


def _allocate() -> str:
    return str(np.zeros(1 << 30, np.int8).nbytes)


@pytest.mark.parametrize(
    ("work", "outcome"), [(_hang, "hang"), (_escape, "escaped IndexError"), (_allocate, "memory")]
)
def test_failures_are_seen(work, outcome):
    assert in_a_process(work) == outcome
    assert is_failure(f".onnx {outcome}")


def test_a_process_that_ends_is_seen(models, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(fuzz_models, "read", lambda path: os._exit(3))
    (outcome,) = Job(range(5, 9), models, tmp_path).result()
    assert outcome.startswith("mutant 5 ended its process")
    assert is_failure(outcome)


def test_a_process_that_waits_is_ended():
    assert in_a_process(lambda: time.sleep(60) or "good") == ""
