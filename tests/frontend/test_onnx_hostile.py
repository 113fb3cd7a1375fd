"""Damaged and hostile .onnx files: only Thimble's own errors, at once, and no other file is opened."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper
from onnx_cases import CASES, IMAGE, seeds

from onnx_writer import Net
from thimble.errors import ModelError
from thimble.frontend.onnx import load_bytes, load_onnx

SEEDS = seeds()
NUMBERS = (0, 1, -1, 2, 3, 127, 255, 4096, 1 << 20, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63))
OPERATIONS = sorted(
    {case.operator for case in CASES} | {"If", "Loop", "Scan", "ConstantOfShape", "Tile", "Shape"}
)


def load(content: bytes) -> bool:
    """True where the file is taken; anything but a ModelError fails the test."""
    try:
        load_bytes(content)
    except ModelError as error:
        assert error.code[:5] in ("TMB10", "TMB11", "TMB12")  # noqa: PT017
        return False
    return True


def refused(model: ModelProto) -> ModelError:
    start = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        load_bytes(model.SerializeToString())
    assert time.perf_counter() - start < 5
    return caught.value


@settings(deadline=None, max_examples=300)
@given(
    seed=st.sampled_from(SEEDS),
    patches=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=5),
    end=st.floats(0, 4),
)
def test_patched_and_cut_files(seed, patches, end):
    content = bytearray(seed)
    for where, patch in patches:
        at = int(where * len(content))
        content[at : at + len(patch)] = patch
    load(bytes(content[: int(end * len(content))]))


@settings(deadline=None, max_examples=400)
@given(seed=st.sampled_from(SEEDS), data=st.data())
def test_files_that_parse_but_lie(seed, data):
    """Sizes, attributes, operators and names changed within a well-formed file."""
    model = ModelProto.FromString(seed)
    graph = model.graph
    names = [name for node in graph.node for name in (*node.input, *node.output)]
    for _ in range(data.draw(st.integers(1, 4))):
        node = data.draw(st.sampled_from(graph.node))
        match data.draw(st.integers(0, 5)):
            case 0:
                node.op_type = data.draw(st.sampled_from(OPERATIONS))
            case 1 if node.input:
                node.input[data.draw(st.integers(0, len(node.input) - 1))] = data.draw(st.sampled_from(names))
            case 2 if node.attribute:
                attribute = data.draw(st.sampled_from(node.attribute))
                attribute.i = data.draw(st.sampled_from(NUMBERS))
                if attribute.ints:
                    attribute.ints[-1] = data.draw(st.sampled_from(NUMBERS))
            case 3 if graph.initializer:
                tensor = data.draw(st.sampled_from(graph.initializer))
                tensor.dims[:] = data.draw(st.lists(st.sampled_from(NUMBERS), max_size=5))
            case 4 if graph.initializer:
                tensor = data.draw(st.sampled_from(graph.initializer))
                if tensor.data_type == TensorProto.INT64:
                    count = len(tensor.raw_data) // 8
                    numbers = data.draw(st.lists(st.sampled_from(NUMBERS), min_size=count, max_size=count))
                    tensor.raw_data = np.array(numbers, np.int64).tobytes()
                tensor.data_type = data.draw(st.integers(0, 23))
            case _:
                dim = data.draw(st.sampled_from(graph.input)).type.tensor_type.shape.dim
                if dim:
                    dim[-1].dim_value = data.draw(st.sampled_from(NUMBERS))
    load(model.SerializeToString())


@pytest.mark.parametrize("content", [b"", b"\x08", b"ONNX", bytes(100), b"\xff" * 100])
def test_what_is_no_onnx_file(content):
    assert not load(content)


@pytest.mark.parametrize(
    "path", [b"\x3a", b"\x3a\x0a", b"\x3a\x0a\x2a", b"\x3a\x2a"], ids=["nodes", "inputs", "deep", "sizes"]
)
def test_files_of_empty_messages(path):
    """Two bytes each in the file, a hundred in memory."""
    content = b"\x0a\x00" * (1 << 20)
    for key in reversed(path):
        length = len(content)
        groups = [length >> shift & 127 for shift in range(0, 28, 7)]
        content = bytes([key, *(group | 128 for group in groups[:3]), groups[3]]) + content
    start = time.perf_counter()
    assert not load(content)
    assert time.perf_counter() - start < 5


def test_names_that_are_no_text():
    model = ModelProto.FromString(SEEDS[0])
    content = model.SerializeToString().replace(b"Conv", b"Con\xff")
    assert not load(content)


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match="TMB1110"):
        load_onnx(tmp_path / "none.onnx")


def test_weights_in_another_file_are_not_opened(tmp_path):
    net = Net(IMAGE)
    model = net.model(net.conv(net.x, 4, 3, 3, 3))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    assert refused(model).code == "TMB1122"


def _exploding(body: Callable[[Net], str]) -> ModelProto:
    net = Net(IMAGE)
    return net.model(net("Add", net.conv(net.x, 4, 3, 3, 3), body(net)))


def _shape(*sizes: int) -> np.ndarray:
    return np.array(sizes, np.int64)


@pytest.mark.parametrize(
    "body",
    [
        lambda net: net("ConstantOfShape", _shape(1 << 20, 1 << 20)),
        lambda net: net("Expand", np.float32([1]), _shape(1 << 40)),
        lambda net: net("Tile", np.float32([1, 2]), _shape(1 << 31)),
        lambda net: net("Cast", net("Range", np.array(0), np.array(1 << 50), np.array(1)), to=1),
        lambda net: net("Resize", net.x, "", "", _shape(1, 3, 1 << 20, 1 << 20), mode="nearest"),
        lambda net: net("Pad", net.x, _shape(0, 0, 1 << 19, 1 << 19, 0, 0, 0, 0)),
        lambda net: net("ConvTranspose", net.x, net.normal(3, 4, 3, 3), strides=[1 << 18, 1 << 18]),
        lambda net: net("Mul", net("ConstantOfShape", _shape(9999, 1)), net("ConstantOfShape", _shape(9999))),
    ],
    ids=["ConstantOfShape", "Expand", "Tile", "Range", "Resize", "Pad", "ConvTranspose", "broadcast"],
)  # fmt: skip
def test_small_files_that_ask_for_much(body):
    assert refused(_exploding(body)).code in ("TMB1101", "TMB1103", "TMB1120")


@pytest.mark.parametrize("count", [1900, 2500, 11_000])
def test_a_long_chain_takes_no_time(count):
    net = Net(IMAGE)
    x = net.conv(net.x, 4, 3, 3, 3)
    for _ in range(count):
        x = net("Relu", x)
    content = net.model(x).SerializeToString()
    start = time.process_time()
    assert load(content) == (count < 2000)
    assert time.process_time() - start < 5


def test_a_cycle_and_a_name_twice():
    net = Net(IMAGE)
    model = net.model(net("Relu", net.conv(net.x, 4, 3, 3, 3)))
    model.graph.node[0].input[0] = model.graph.node[1].output[0]
    assert refused(model).code == "TMB1120"
    model.graph.node[0].input[0] = "nowhere"
    assert refused(model).code == "TMB1120"
    model.graph.node[0].output[0] = model.graph.node[1].output[0]
    assert refused(model).code == "TMB1120"


@pytest.mark.parametrize(
    ("operation", "word"), [("If", "branches"), ("Einsum", "MatMul"), ("Nonsense", "thimble ops")]
)
def test_unsupported_operators_come_with_a_hint(operation, word):
    net = Net(IMAGE)
    node = helper.make_node(operation, [net.x], ["y"])
    net.nodes.append(node)
    error = refused(net.model("y"))
    assert error.code == "TMB1101"
    assert operation in error.what
    assert word in error.hint


def test_weights_that_are_not_finite():
    net = Net(IMAGE)
    weight = net.normal(4, 3, 3, 3)
    weight[0, 0, 0, 0] = np.nan
    assert refused(net.model(net("Conv", net.x, weight))).code == "TMB1102"


@pytest.mark.parametrize("shape", [(1, 3, "H", "W"), (2, 3, 9, 7)])
def test_sizes_must_be_known_and_the_batch_one(shape):
    net = Net(shape)
    assert refused(net.model(net.conv(net.x, 4, 3, 3, 3))).code == "TMB1103"


def test_weights_with_a_zero_point():
    net = Net(IMAGE)
    weight = net("DequantizeLinear", np.ones((4, 3, 3, 3), np.int8), 0.1, np.array(5, np.int8))
    parameters = [net.weight(np.float32(0.1)), net.weight(np.array(0, np.int8))]
    x = net("DequantizeLinear", net("QuantizeLinear", net.x, *parameters), *parameters)
    error = refused(net.model(net("Conv", x, weight)))
    assert error.code == "TMB1101"
    assert "symmetric" in error.hint
