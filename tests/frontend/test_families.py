"""Whole families of networks, from the PyTorch module to the firmware's bits.

Those that are built stand side by side in one program: that takes one compilation for each target.
"""

from __future__ import annotations

import functools
import io

import attrs
import numpy as np
import pytest
import torch
from families import FAMILIES, Family, make
from torch_check import nhwc

from thimble.codegen.project import write_project
from thimble.compress.rewrites.exact import optimize
from thimble.emulate import execute
from thimble.frontend.load import load_program
from thimble.frontend.torch_export import from_module
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.plan.make import make_plan
from thimble.quantize.batches import joined
from thimble.quantize.float_interpreter import run_float
from thimble.quantize.inputs import dequantize_values, quantize_values
from thimble.quantize.interpreter import run
from thimble.quantize.post_training import quantize

SAMPLES = 12


def samples(family: Family) -> list[np.ndarray]:
    """Inputs without the states, batch first, in the module's layout."""
    rng = np.random.default_rng(3)
    count = len(family.shapes) - family.states
    return [rng.normal(size=(SAMPLES, *shape)).astype(np.float32) for shape in family.shapes[:count]]


def stored(graph: Graph, x: list[np.ndarray]) -> list[np.ndarray]:
    return [nhwc(part) if graph.meta["input_layout"] == "NCHW" else part for part in x]


@functools.cache
def imported(name: str) -> Graph:
    family = FAMILIES[name]
    examples = tuple(torch.zeros(1, *shape) for shape in family.shapes)
    return from_module(make(family), examples, name, states=family.states)


@functools.cache
def quantized(name: str) -> Graph:
    graph = imported(name)
    return optimize(quantize(graph, stored(graph, samples(FAMILIES[name])), scales="per-channel"))


def expected(name: str) -> np.ndarray:
    """What the module returns, a stream's samples one after the other."""
    family, module = FAMILIES[name], make(FAMILIES[name])
    x = [torch.from_numpy(part) for part in samples(family)]
    with torch.no_grad():
        if not imported(name).states:
            return module(*x).numpy()
        states = [torch.zeros(1, *shape) for shape in family.shapes[len(x) :]]
        results = []
        for at in range(SAMPLES):
            result = module(*(part[at : at + 1] for part in x), *states)
            first, *states = result if isinstance(result, tuple) else (result,)
            results.append(first)
        return torch.cat(results).numpy()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_float_graph_computes_what_the_module_does(name: str) -> None:
    graph = imported(name)
    result = run_float(graph, stored(graph, samples(FAMILIES[name])))[graph.outputs[0]]
    np.testing.assert_allclose(result, nhwc(expected(name)).reshape(result.shape), atol=1e-4)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_quantised_graph_is_near(name: str) -> None:
    graph, exact = quantized(name), expected(name)
    x = stored(graph, samples(FAMILIES[name]))
    integers = [
        quantize_values(part, graph.tensors[i].quant) for part, i in zip(x, graph.inputs, strict=True)
    ]
    result = dequantize_values(run(graph, integers)[0], graph.tensors[graph.outputs[0]].quant)
    error = np.abs(result - nhwc(exact).reshape(result.shape))
    assert error.max() <= 0.06 * np.abs(exact).max()


@pytest.mark.parametrize("name", ["gru", "gru_two_layers", "lstm"])
def test_all_steps_have_the_same_integers(name: str) -> None:
    """Each cell has its products with input and state, a GRU's in two parts; the head comes last."""
    parts = {"gru": 4, "gru_two_layers": 16, "lstm": 2}[name] + 1
    keys = ("weight", "bias", "multiplier", "shift")
    seen = {tuple(layer.params[key].tobytes() for key in keys) for layer in quantized(name).weighted}
    assert len(seen) == parts


def test_a_saved_program_gives_the_same_graph(tmp_path) -> None:
    family = FAMILIES["gru_step"]
    program = torch.export.export(make(family), tuple(torch.zeros(1, *shape) for shape in family.shapes))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    path = tmp_path / "step.pt2"
    path.write_bytes(buffer.getvalue())
    graph, other = load_program(path, states=1), imported("gru_step")
    assert graph.states == other.states
    for a, b in zip(graph.layers, other.layers, strict=True):
        assert (a.op, a.inputs, a.output) == (b.op, b.inputs, b.output)
        assert all(np.array_equal(a.params[key], b.params[key]) for key in a.params)


def side_by_side(graphs: list[Graph]) -> Graph:
    """One graph of independent ones."""
    tensors, layers, inputs, outputs, states = {}, [], [], [], []
    for graph in graphs:

        def own(name: str, prefix: str = graph.name) -> str:
            return f"{prefix}.{name}"

        tensors |= {own(t.name): Tensor(own(t.name), t.shape, t.quant) for t in graph.tensors.values()}
        layers += [
            Layer(own(x.name), x.op, tuple(map(own, x.inputs)), own(x.output), x.params) for x in graph.layers
        ]
        inputs += map(own, graph.inputs)
        outputs += map(own, graph.outputs)
        states += [(own(before), own(after)) for before, after in graph.states]
    first = graphs[0]
    return attrs.evolve(
        first,
        name="families",
        tensors=tensors,
        layers=tuple(layers),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        states=tuple(states),
        meta={},
    )


# the operators and the wiring that only imported networks have; bench.families runs every family
BUILT = ("squeeze_excite", "autoencoder_transposed", "gru_step", "streaming")


def test_the_firmware_computes_the_same_bits(tmp_path) -> None:
    graph = side_by_side([quantized(name) for name in BUILT])
    rng = np.random.default_rng(1)
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    x = [rng.integers(-128, 128, (SAMPLES, *shape)).astype(np.int8) for shape in shapes]
    folder = write_project(make_plan(graph, "cortex-m4"), tmp_path / "p", emulated=("cortex-m4",))
    wanted = joined(run(graph, x))
    for target in ("host", "cortex-m4"):
        np.testing.assert_array_equal(execute(folder, target, joined(x)), wanted)
