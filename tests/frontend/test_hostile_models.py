"""Hostile .tflite and .onnx files by hand: one error of Thimble's own each, from the command line too."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx_cases
import pytest
import tflite
import tflite_cases
from onnx import TensorProto

from cli_calls import refused
from onnx_writer import Net
from tflite_writer import Writer
from thimble.codegen.project import write_project
from thimble.compress.rewrites.exact import optimize
from thimble.errors import ThimbleError
from thimble.frontend.load import load_file
from thimble.frontend.onnx import load_bytes as load_onnx_bytes
from thimble.frontend.tflite.load import load_bytes
from thimble.plan.make import make_plan
from thimble.quantize.post_training import quantize

SEEDS = {".tflite": tflite_cases.seeds()[0], ".onnx": onnx_cases.seeds()[0]}
NAMES = (
    "int",
    "int",
    "*/ #error /*",
    "/*",
    "quote\"'\\",
    "\x00\x1b[31m\n",
    "über→网络",
    "n" * 10_000,
    "",
    "%s%n",
    "../../x",
    "tmb_run",
)


def told(content: bytes) -> ThimbleError:
    """The error that a .tflite file gives."""
    with pytest.raises(ThimbleError) as caught:
        load_bytes(content)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("suffix", SEEDS)
def test_files_cut_at_every_64th_byte(tmp_path: Path, suffix: str):
    whole = SEEDS[suffix]
    path = tmp_path / f"model{suffix}"
    path.write_bytes(whole)
    load_file(path)
    for end in range(0, len(whole) - 8, 64):
        path.write_bytes(whole[:end])
        with pytest.raises(ThimbleError, match="TMB1120"):
            load_file(path)


@pytest.mark.parametrize("suffix", SEEDS)
def test_what_is_no_model_file(tmp_path: Path, suffix: str):
    other = next(content for kind, content in SEEDS.items() if kind != suffix)
    (tmp_path / "folder").with_suffix(suffix).mkdir()
    (tmp_path / "empty").with_suffix(suffix).write_bytes(b"")
    (tmp_path / "other").with_suffix(suffix).write_bytes(other)
    with zipfile.ZipFile((tmp_path / "zip").with_suffix(suffix), "w") as archive:
        archive.writestr("data", bytes(1000))
    (tmp_path / "locked").with_suffix(suffix).symlink_to("/proc/self/mem")
    for name, code in (("folder", 1110), ("missing", 1110), ("locked", 1110), ("empty", 1120)):
        refused(f"TMB{code}", "inspect", (tmp_path / name).with_suffix(suffix))
    for name in ("other", "zip"):
        refused("TMB1120", "inspect", (tmp_path / name).with_suffix(suffix))
    for name in ("model", "model.bin", f"model{suffix}.gz"):
        (tmp_path / name).write_bytes(SEEDS[suffix])
        refused("TMB1114", "inspect", tmp_path / name)


@contextmanager
def opened() -> Iterator[list[str]]:
    """The paths that are opened meanwhile, as Python sees them."""
    paths: list[str] = []
    active = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if active and event == "open":
            paths.append(str(arguments[0]))

    sys.addaudithook(hook)
    try:
        yield paths
    finally:
        active = False


@pytest.mark.parametrize("place", ["weight", "constant"])
@pytest.mark.parametrize("location", ["/etc/passwd", "../x", "x", ""])
def test_no_other_file_is_opened(tmp_path: Path, place: str, location: str):
    (tmp_path / "x").write_bytes(bytes(4000))
    net = Net((1, 3, 9, 7))
    value = net("Constant", value=TensorProto(data_type=1, dims=[1], raw_data=bytes(4)))
    model = net.model(net("Add", net.conv(net.x, 4, 3, 3, 3), value))
    tensor = model.graph.initializer[0] if place == "weight" else model.graph.node[0].attribute[0].t
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with opened() as paths, pytest.raises(ThimbleError, match="TMB1122"):
        load_file(path)
    assert [p for p in paths if not p.endswith((".py", ".pyc"))] == [str(path)]


class _Outside(Writer):
    """Puts its constants behind the tables, as large models do, at a place of the test's choice."""

    def __init__(self, start: int, size: int) -> None:
        super().__init__()
        self.start, self.size = start, size

    def _buffer(self, data: bytes) -> int:
        if not data:
            return super()._buffer(data)
        tflite.BufferStart(self._b)
        tflite.BufferAddOffset(self._b, self.start)
        tflite.BufferAddSize(self._b, self.size)
        return int(tflite.BufferEnd(self._b))


@pytest.mark.parametrize(
    ("start", "size"),
    [(10**9, 12), (2**64 - 1, 12), (2**64 - 12, 12), (16, 2**63), (16, 2**64 - 1), (16, 11), (16, 13)],
)
def test_buffers_outside_the_file(start: int, size: int):
    w = _Outside(start, size)
    x, y = w.tensor((1, 4), "int8", 0.1), w.tensor((1, 3), "int8", 0.1)
    w.op("FULLY_CONNECTED", [x, w.constant(np.ones((3, 4), np.int8), 0.1), -1], y)
    assert told(w.finish([x], [y])).code == "TMB1120"


def _convolution(place: str, scale: object = 0.1, zero: object = 0, axis: int = 0) -> bytes:
    """A convolution in which one tensor has another quantisation."""
    w = Writer()
    usual = {"input": (0.1, 0), "weight": (0.1, 0), "bias": (0.01, 0), "output": (0.1, 0)}
    usual[place] = (scale, zero)
    x = w.tensor((1, 4, 4, 3), "int8", *usual["input"])
    y = w.tensor((1, 4, 4, 2), "int8", *usual["output"])
    weight = w.constant(np.ones((2, 3, 3, 3), np.int8), *usual["weight"], axis=axis)
    bias = w.constant(np.zeros(2, np.int32), *usual["bias"])
    w.op("CONV_2D", [x, weight, bias], y, padding="SAME", stride_h=1, stride_w=1)
    return w.finish([x], [y])


@pytest.mark.parametrize("place", ["input", "weight", "bias", "output"])
@pytest.mark.parametrize("scale", [0.0, -0.1, np.nan, np.inf, -np.inf, 1e-45, 3e38, [0.1] * 3])
def test_scales_out_of_range(place: str, scale: object):
    assert told(_convolution(place, scale)).code in ("TMB1121", "TMB1202")


@pytest.mark.parametrize("place", ["input", "weight", "bias", "output"])
@pytest.mark.parametrize("zero", [-129, 128, 2**31, 2**40, -(2**63)])
def test_zero_points_out_of_range(place: str, zero: int):
    assert told(_convolution(place, 0.01 if place == "bias" else 0.1, zero)).code == "TMB1121"


@pytest.mark.parametrize("axis", [-1, 1, 3, 4, 2**31 - 1, -(2**31)])
def test_an_axis_of_scales_that_is_not_there(axis: int):
    assert told(_convolution("weight", [0.1, 0.2], axis=axis)).code == "TMB1121"


@pytest.mark.parametrize("size", [0, -1, 2**31 - 1, -(2**31), 2**26])
@pytest.mark.parametrize("axis", [0, 1, 3])
def test_sizes_out_of_range(size: int, axis: int):
    shape = [1, 4, 4, 3]
    shape[axis] = size
    w = Writer()
    x, y = w.tensor(shape, "int8", 0.1), w.tensor(shape, "int8", 0.1)
    w.op("RELU", [x], y)
    assert told(w.finish([x], [y])).code in ("TMB1101", "TMB1120")
    if size <= 0 and axis < 2:
        return  # an .onnx file leaves the batch open like this, which may stand second
    net = Net(tuple(shape))
    with pytest.raises(ThimbleError, match=r"TMB1(103|120)"):
        load_onnx_bytes(net.model(net("Relu", net.x)).SerializeToString())


@pytest.mark.parametrize(
    ("operators", "inputs", "outputs"),
    [
        ([((1,), 2), ((2,), 1)], [0], [1]),  # each waits for the other
        ([((0,), 0)], [0], [0]),  # writes what it reads
        ([((3,), 1)], [0], [1]),  # reads what nothing writes
        ([((0,), 1), ((0,), 1)], [0], [1]),  # two write one tensor
        ([((0,), 1)], [0, 0], [1]),
        ([((0,), 1)], [0], [3]),
        ([((0,), 1)], [], [1]),
        ([((0,), 1)], [0], []),
    ],
)
def test_tensors_that_lead_nowhere(operators, inputs, outputs):
    w = Writer()
    tensors = [w.tensor((1, 4), "int8", 0.1) for _ in range(4)]
    for reads, writes in operators:
        w.op("RELU", [tensors[k] for k in reads], tensors[writes])
    told(w.finish([tensors[k] for k in inputs], [tensors[k] for k in outputs]))


@pytest.mark.parametrize("count", [1500, 10_000])
def test_long_chains(count: int):
    w = Writer()
    x = first = w.tensor((1, 8), "int8", 0.1)
    for k in range(count):
        x, before = w.tensor((1, 8), "int8", 0.1), x
        w.op("TANH" if k % 2 else "RELU", [before], x)
    content = w.finish([first], [x])
    start = time.process_time()
    if count > 2000:
        told(content)
    else:
        optimize(load_bytes(content))
    assert time.process_time() - start < 5


def test_tensors_of_millions_of_channels():
    w = Writer()
    x = first = w.tensor((1, 1 << 22), "int8", 0.1)
    for k in range(15):
        x, before = w.tensor((1, 1 << 22), "int8", 0.1 + k / 100), x
        w.op("ADD", [before, first], x)
    content = w.finish([first], [x])
    start = time.process_time()
    make_plan(optimize(load_bytes(content)), "cortex-m4")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("factor", "code"), [(1e-42, None), (1e-30, None), (1e34, "TMB2003"), (1e38, "TMB2003")]
)
def test_weights_at_the_ends_of_float32(factor: float, code: str | None):
    net = Net((1, 3, 9, 7))
    weight = net.uniform(4, 3, 3, 3) * np.float32(factor)
    graph = load_onnx_bytes(
        net.model(net("Conv", net("Conv", net.x, weight), np.ones((2, 4, 1, 1)))).SerializeToString()
    )
    x = np.random.default_rng(0).normal(size=(4, 9, 7, 3)).astype(np.float32)
    if code is None:
        optimize(quantize(graph, x))
    else:
        with pytest.raises(ThimbleError, match=code):
            quantize(graph, x)


def test_a_gelu_whose_nodes_stand_twice():
    net = Net((1, 8))
    inner = net("Add", net("Erf", net("Div", net.x, np.sqrt(2.0))), 1.0)
    model = net.model(net("Mul", net("Mul", net.x, inner), 0.5))
    load_onnx_bytes(model.SerializeToString())
    model.graph.node.append(model.graph.node[1])
    with pytest.raises(ThimbleError, match="TMB1120"):
        load_onnx_bytes(model.SerializeToString())


def test_bounds_that_are_no_numbers():
    net = Net((1, 8), opset=9)
    with pytest.raises(ThimbleError, match="TMB1120"):
        load_onnx_bytes(net.model(net("Clip", net.x, min="a", max=1.0)).SerializeToString())


def _named_tflite() -> bytes:
    w = Writer()
    x = first = w.tensor((1, 8), "int8", 0.1, name=NAMES[0])
    for name in NAMES:
        y = w.tensor((1, 8), "int8", 0.1, name=name)
        w.op("FULLY_CONNECTED", [x, w.constant(np.eye(8, dtype=np.int8), 0.5, name=name), -1], y)
        x = y
    return w.finish([first], [x])


def _named_onnx() -> bytes:
    net = Net((1, 8))
    x = net.x
    for _ in NAMES:
        x = net("Gemm", x, net.normal(8, 8))
    model = net.model(x)
    for node, name in zip(model.graph.node, NAMES, strict=True):
        node.name = name
    renamed = {net.x: 'x"*/\n', x: "y" * 5000}
    model.graph.input[0].name, model.graph.output[0].name = renamed[net.x], renamed[x]
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    return model.SerializeToString()


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize(("suffix", "write"), [(".tflite", _named_tflite), (".onnx", _named_onnx)])
def test_any_name_gives_c_that_compiles(tmp_path: Path, suffix: str, write):
    path = tmp_path / f"while;'\"*{suffix}"
    path.write_bytes(write())
    graph = load_file(path)
    if not graph.is_quantized:
        graph = quantize(graph, np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32))
    assert len(graph.layers) == len(NAMES)
    at = write_project(make_plan(graph, "cortex-m4"), tmp_path / "p", emulated=("cortex-m4",))
    include = [f"-I{at / p}" for p in ("include", "lib/thimble/include")]
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-fsyntax-only"]
    command = ["gcc", *strict, *include, *map(str, at.glob("src/*.c"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
