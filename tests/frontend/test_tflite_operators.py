"""Every operator of ``tflite_cases``, imported and compared with TFLite's reference kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench.tflite_data import run_samples
from tflite_cases import CASES, Case, Net

from thimble.frontend.tflite.load import HANDLERS, load_bytes
from thimble.quantize.float_interpreter import run_float
from thimble.quantize.interpreter import run

_SAMPLES = 12
_RUNS = [(case, dtype) for case in CASES for dtype in case.dtypes]


@pytest.mark.parametrize("case, dtype", _RUNS, ids=[f"{case.id} {dtype}" for case, dtype in _RUNS])
def test_equals_the_reference_kernels(case: Case, dtype: str):
    net = Net(dtype, seed=1)
    content = case.write(net)
    batches = net.samples(_SAMPLES)
    wanted = run_samples(content, batches, case.resolver)
    graph = load_bytes(content)
    assert graph.is_quantized == (dtype == "int8")
    inputs = [
        b.reshape(_SAMPLES, *graph.tensors[name].shape) for b, name in zip(batches, graph.inputs, strict=True)
    ]
    if dtype == "int8":
        got = run(graph, inputs)
    else:
        values = run_float(graph, inputs)
        got = [values[name] for name in graph.outputs]
    for mine, reference in zip(got, wanted, strict=True):
        reference = reference.reshape(mine.shape)
        assert len(np.unique(reference)) > 3  # the case says something
        if dtype == "int8":
            np.testing.assert_array_equal(mine, reference)
        else:
            np.testing.assert_allclose(mine, reference, rtol=1e-4, atol=1e-4)


def test_every_operator_has_a_case():
    assert {case.operator for case in CASES} == set(HANDLERS)


def test_every_operator_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "import-tflite.md").read_text()
    assert [name for name in HANDLERS if f"`{name}`" not in page] == []
