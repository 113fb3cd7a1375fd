"""Every ONNX operator of the table: the imported graph computes what onnxruntime computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto
from onnx_cases import CASES, Case

from thimble.frontend.onnx import load_onnx
from thimble.graph.graph import Graph
from thimble.quantize.float_interpreter import run_float
from thimble.quantize.inputs import dequantize_values, quantize_values, to_storage_layout
from thimble.quantize.interpreter import run
from thimble.quantize.post_training import quantize


def imported(model: ModelProto, folder: Path) -> Graph:
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return load_onnx(path)


def reference(model: ModelProto, x: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, x)


def random_inputs(model: ModelProto, seed: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = {tensor.name for tensor in model.graph.initializer}
    return {
        x.name: rng.normal(size=[d.dim_value or 1 for d in x.type.tensor_type.shape.dim]).astype(np.float32)
        for x in model.graph.input
        if x.name not in weights
    }


def in_storage(graph: Graph, x: dict[str, np.ndarray]) -> list[np.ndarray]:
    """onnxruntime's inputs as the graph's."""
    result = []
    for name in graph.inputs:
        shape = graph.tensors[name].shape
        value = x[name]
        if graph.meta["input_layout"] == "NHWC" or len(shape) != 3:
            value = value.reshape(1, *shape)
        result.append(to_storage_layout(graph, value, name))
    return result


def as_source(result: np.ndarray, shape: tuple[int, ...], image: bool) -> np.ndarray:
    """A graph's output in the layout of onnxruntime's of that shape."""
    if image and len(shape) == 4:
        return result.reshape(shape[0], shape[2], shape[3], shape[1]).transpose(0, 3, 1, 2)
    if image and len(shape) == 3:
        return result.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1)
    return result.reshape(shape)


def assert_equal(graph: Graph, model: ModelProto) -> None:
    x = random_inputs(model)
    values = run_float(graph, in_storage(graph, x))
    for name, wanted in zip(graph.outputs, reference(model, x), strict=True):
        result = values[name]
        either = [as_source(result, wanted.shape, image) for image in (True, False)]
        errors = [np.abs(candidate - wanted).max() for candidate in either]
        assert min(errors) < 1e-4 * max(1.0, np.abs(wanted).max()), errors


def assert_close(graph: Graph, model: ModelProto, off: float) -> None:
    """A quantised graph's results to one step of its output."""
    x = random_inputs(model)
    samples = [
        quantize_values(part, graph.tensors[name].quant)
        for name, part in zip(graph.inputs, in_storage(graph, x), strict=True)
    ]
    quant = graph.tensors[graph.outputs[0]].quant
    wanted = reference(model, x)[0]
    result = dequantize_values(run(graph, samples)[0], quant)
    either = [np.abs(as_source(result, wanted.shape, image) - wanted) for image in (True, False)]
    errors = min(either, key=np.max)
    assert errors.max() <= 1.01 * quant.scale
    assert (errors > 0.5 * quant.scale).mean() <= off


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_graph_computes_what_onnxruntime_computes(case: Case, tmp_path):
    model = case.make()
    assert any(case.operator == node.op_type for node in model.graph.node) or case.operator == "Gelu"
    graph = imported(model, tmp_path)
    if graph.is_quantized:
        assert_close(graph, model, case.off)
    else:
        assert_equal(graph, model)


FLOAT_CASES = [case for case in CASES if "Linear" not in case.operator and case.operator != "QGemm"]


@pytest.mark.parametrize("case", FLOAT_CASES, ids=lambda case: case.name)
def test_calibrated_integers_stay_close(case: Case, tmp_path):
    """The int8 graph's error is noise of a few steps: under 6 % of the outputs' spread."""
    model = case.make()
    graph = imported(model, tmp_path)
    samples = [in_storage(graph, random_inputs(model, seed)) for seed in range(24)]
    calibration = [np.concatenate(parts) for parts in zip(*samples, strict=True)]
    small = quantize(graph, calibration, scales="per-channel")
    integers = [
        quantize_values(x, small.tensors[name].quant)
        for name, x in zip(small.inputs, calibration, strict=True)
    ]
    wanted = run_float(graph, calibration)
    for name, q in zip(small.outputs, run(small, integers), strict=True):
        error = dequantize_values(q, small.tensors[name].quant) - wanted[name]
        assert np.sqrt(np.square(error).mean()) < 0.06 * max(wanted[name].std(), 1e-3)


def test_the_page_names_every_operator():
    page = (Path(__file__).parents[2] / "docs" / "import-onnx.md").read_text()
    assert [case.operator for case in CASES if f"`{case.operator}`" not in page] == []
