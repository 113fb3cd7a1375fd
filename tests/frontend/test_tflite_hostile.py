"""Damaged and hostile .tflite files: only Thimble's own errors, at once, and without much memory."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
import tflite
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_cases import seeds

from tflite_writer import Writer
from thimble.errors import ModelError
from thimble.frontend.tflite.load import load_bytes
from thimble.frontend.tflite.reader import parse
from thimble.frontend.tflite.schema import TENSOR_TYPES

SEEDS = seeds()
_VALUES = (0, 1, 2, 127, 128, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1, 0x7F800000, 0x7FC00000, 0x80000000)


def load(content: bytes) -> bool:
    """True where the file is taken; anything but a ModelError fails the test."""
    try:
        load_bytes(content)
    except ModelError as error:
        refusal = error
    else:
        return True
    assert refusal.code in ("TMB1101", "TMB1102", "TMB1103", "TMB1120", "TMB1121")
    assert refusal.hint
    return False


@settings(deadline=None, max_examples=400)
@given(
    seed=st.sampled_from(SEEDS),
    patches=st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from(_VALUES), st.sampled_from((1, 2, 4))), max_size=6
    ),
    end=st.floats(0, 4),
)
def test_patched_and_cut_files(seed: bytes, patches: list[tuple[float, int, int]], end: float):
    content = bytearray(seed)
    for where, value, size in patches:
        at = int(where * (len(content) - 4))
        content[at : at + size] = value.to_bytes(4, "little")[:size]
    load(bytes(content[: int(end * len(content))]))


def test_every_byte_of_a_small_file_once():
    seed = _relu_chain(3)
    taken = 0
    for at in range(len(seed)):
        for value in (0, 0x7F, 0xFF):
            content = bytearray(seed)
            content[at] = value
            taken += load(bytes(content))
    assert 0 < taken < 3 * len(seed)


def test_every_prefix_of_a_small_file():
    seed = _relu_chain(3)
    assert load(seed)
    assert not any(load(seed[:end]) for end in range(len(seed) - 8))


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", bytes(8), bytes(4) + b"TFL3", b"\xff" * 100, b"\x08\0\0\0TFL3" * 9]
)
def test_tiny_files(content: bytes):
    assert not load(content)


def test_limits_hold_in_time_and_memory():
    start = time.perf_counter()
    assert load(_relu_chain(1500))
    assert not load(_relu_chain(2500))  # too many operators
    w = Writer()
    x = first = w.tensor((1, 1000), "float32")
    weight = w.constant(np.ones((1000, 1000), np.float32))
    for _ in range(200):  # a file of 4 MB that asks for 800
        x, before = w.tensor((1, 1000), "float32"), x
        w.op("FULLY_CONNECTED", [before, weight, -1], x)
    content = w.finish([first], [x])
    tracemalloc.start()
    try:
        assert not load(content)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(content)
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - start < 20


def test_a_tensor_is_written_once():
    w = Writer()
    x, y = w.tensor((1, 4), "int8", 0.1), w.tensor((1, 4), "int8", 0.1)
    w.op("RELU", [x], y)
    w.op("RELU6", [x], y)
    assert not load(w.finish([x], [y]))


def test_operators_run_in_the_order_of_the_file():
    w = Writer()
    x, y, z = (w.tensor((1, 4), "int8", 0.1) for _ in range(3))
    w.op("RELU", [y], z)
    w.op("RELU", [x], y)
    assert not load(w.finish([x], [z]))


@pytest.mark.parametrize("seed", SEEDS[::7])
def test_the_reader_reads_what_the_generated_classes_read(seed: bytes):
    model = parse(seed)
    graph = tflite.Model.GetRootAsModel(seed, 0).Subgraphs(0)
    assert model.inputs == tuple(graph.InputsAsNumpy())
    assert model.outputs == tuple(graph.OutputsAsNumpy())
    assert len(model.tensors) == graph.TensorsLength()
    for mine, theirs in zip(model.tensors, map(graph.Tensors, range(graph.TensorsLength())), strict=True):
        assert mine.name == theirs.Name().decode()
        assert mine.shape == tuple(theirs.Shape(k) for k in range(theirs.ShapeLength()))
        assert (
            getattr(tflite.TensorType, mine.dtype.upper()) == theirs.Type() == TENSOR_TYPES.index(mine.dtype)
        )
        quant = theirs.Quantization()
        assert mine.scales.tolist() == ([quant.Scale(k) for k in range(quant.ScaleLength())] if quant else [])
    for mine, theirs in zip(
        model.operators, map(graph.Operators, range(graph.OperatorsLength())), strict=True
    ):
        assert (mine.inputs, mine.outputs) == (tuple(theirs.InputsAsNumpy()), tuple(theirs.OutputsAsNumpy()))


def _relu_chain(count: int) -> bytes:
    w = Writer()
    x = first = w.tensor((1, 8), "int8", 0.1)
    for _ in range(count):
        x, before = w.tensor((1, 8), "int8", 0.1), x
        w.op("RELU", [before], x)
    return w.finish([first], [x])
