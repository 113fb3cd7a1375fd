"""Samples in the source model's layout become the integers that the firmware would make."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from layers import graph_of

from thimble.errors import DataError, ModelError
from thimble.graph.graph import Graph, Quant
from thimble.graph.ops import MaxPool2D
from thimble.quantize.inputs import dequantize_values, own_integers, quantize_input, quantize_values
from thimble.quantize.interpreter import run


def network(shape: tuple[int, ...] = (3, 4, 2), layout: str = "NCHW", quant: Quant | None = None) -> Graph:
    quant = quant or Quant(0.5, 1)
    graph = graph_of(MaxPool2D((1, 1), (1, 1)), [shape], [quant], quant)
    return attrs.evolve(graph, meta={"input_layout": layout})


def test_channels_move_last() -> None:
    x = np.arange(2 * 2 * 3 * 4).reshape(2, 2, 3, 4) / 4
    q = quantize_input(network(), x)
    assert q.shape == (2, 3, 4, 2)
    assert q.flags.c_contiguous
    assert q[1, 2, 3, 0] == round(x[1, 0, 2, 3] / 0.5 + 1e-9) + 1
    np.testing.assert_array_equal(quantize_input(network(layout="NHWC"), x.transpose(0, 2, 3, 1)), q)
    run(network(), q)


def test_integers_are_taken_raw() -> None:
    x = np.arange(-24, 24).reshape(2, 2, 3, 4).astype(np.int8)
    np.testing.assert_array_equal(quantize_input(network(), x), x.transpose(0, 2, 3, 1))


def test_unsigned_integers_of_an_unsigned_model_are_taken_raw() -> None:
    graph = network(layout="NHWC")
    unsigned = attrs.evolve(graph, meta={**graph.meta, "input_types": ["uint8"], "output_types": ["uint8"]})
    x = np.arange(232, 256).reshape(1, 3, 4, 2).astype(np.uint8)
    q = quantize_input(unsigned, x)
    assert q.dtype == np.int8
    np.testing.assert_array_equal(q, x.astype(int) - 128)
    np.testing.assert_array_equal(own_integers(unsigned, q), x)
    assert own_integers(unsigned, q).dtype == np.uint8
    assert own_integers(graph, q) is q
    real = x.astype(np.float32)
    np.testing.assert_array_equal(quantize_input(unsigned, real), quantize_input(graph, real))
    for refused in (quantize_input, lambda _, x: quantize_input(graph, x.view(np.uint8))):
        with pytest.raises(DataError, match="TMB2006"):
            refused(unsigned, x.view(np.int8))


def test_every_integer_has_its_unsigned_twin() -> None:
    graph = network((1, 256, 1), layout="NHWC")
    unsigned = attrs.evolve(graph, meta={"input_types": ["uint8"], "output_types": ["uint8"]})
    every = np.arange(256, dtype=np.uint8).reshape(1, 1, 256, 1)
    np.testing.assert_array_equal(quantize_input(unsigned, every).reshape(-1), np.arange(-128, 128))
    np.testing.assert_array_equal(own_integers(unsigned, quantize_input(unsigned, every)), every)


def test_sequences_and_single_channels() -> None:
    assert quantize_input(network((1, 9, 2)), np.zeros((5, 2, 9))).shape == (5, 1, 9, 2)
    assert quantize_input(network((1, 9, 2)), np.zeros((5, 2, 1, 9))).shape == (5, 1, 9, 2)
    assert quantize_input(network((3, 4, 1)), np.zeros((5, 3, 4))).shape == (5, 3, 4, 1)


def test_halves_go_away_from_zero_and_values_saturate() -> None:
    x = np.array([0.25, -0.25, 0.75, -0.75, 0.2499999, 1e9, -1e9, 3e38], np.float32)
    assert quantize_values(x, Quant(0.5, 0)).tolist() == [1, -1, 2, -2, 0, 127, -128, 127]
    assert quantize_values(x, Quant(0.5, 100)).tolist()[:2] == [101, 99]
    assert quantize_values(np.array([1e300]), Quant(1e-20, 0)).tolist() == [127]
    assert dequantize_values(np.array([1, -3], np.int8), Quant(0.5, 1)).tolist() == [0.0, -2.0]


@pytest.mark.parametrize(
    "own, dtype, words",
    [
        ("int8", "uint8", "(x.astype('int16') - 128).astype('int8')"),
        ("uint8", "int8", "(x.astype('int16') + 128).astype('uint8')"),
        ("int8", "int64", "x.astype('int8')"),
        ("uint8", "int32", "x.astype('uint8')"),
        ("int8", "int16", "x.astype('float32') / 255"),
        ("uint8", "complex64", "float32 or uint8"),
        ("int8", "<U1", "float32 or int8"),
        ("int8", "bool", "float32 or int8"),
    ],
)
def test_the_wrong_kind_says_what_to_do(own: str, dtype: str, words: str) -> None:
    graph = attrs.evolve(network(), meta={**network().meta, "input_types": [own]})
    with pytest.raises(DataError, match="TMB2006") as info:
        quantize_input(graph, np.zeros((2, 2, 3, 4)).astype(dtype))
    assert words in info.value.hint


def test_the_hint_for_integers_of_the_other_sign_is_right() -> None:
    for own, other, move in (("int8", "uint8", -128), ("uint8", "int8", 128)):
        graph = attrs.evolve(network(), meta={**network().meta, "input_types": [own]})
        wanted = np.random.default_rng(0).integers(-128, 128, (2, 2, 3, 4)).astype(np.int8)
        x = (wanted.view(np.uint8) ^ 128) if other == "uint8" else wanted
        moved = (x.astype("int16") + move).astype(own)
        np.testing.assert_array_equal(quantize_input(graph, moved).transpose(0, 3, 1, 2), wanted)


@pytest.mark.parametrize(
    "x, code",
    [
        (np.zeros((0, 2, 3, 4)), "TMB2002"),
        (np.float32(3), "TMB2002"),
        (np.zeros((2, 3, 4, 2)), "TMB2004"),
        (np.zeros((2, 3, 4)), "TMB2004"),
        (np.zeros((2, 2, 3, 4), np.uint8), "TMB2006"),
        (np.zeros((2, 2, 3, 4), complex), "TMB2006"),
        (np.full((2, 2, 3, 4), np.nan), "TMB2003"),
        (np.full((2, 2, 3, 4), np.inf), "TMB2003"),
    ],
)
def test_bad_samples(x: np.ndarray, code: str) -> None:
    with pytest.raises(DataError, match=code) as info:
        quantize_input(network(), x)
    assert info.value.where == "input x0"


def test_float_graphs_and_raw_batches_of_the_wrong_kind() -> None:
    graph = network()
    tensors = {name: attrs.evolve(tensor, quant=None) for name, tensor in graph.tensors.items()}
    with pytest.raises(ModelError, match="TMB1201"):
        quantize_input(attrs.evolve(graph, tensors=tensors), np.zeros((1, 2, 3, 4)))
    for wrong in (np.zeros((1, 3, 4, 2)), np.zeros((1, 2, 3, 4), np.int8)):
        with pytest.raises(DataError, match="TMB2004"):
            run(graph, wrong)
    with pytest.raises(DataError, match="TMB2002"):
        run(graph, np.zeros((0, 3, 4, 2), np.int8))
