"""Tensors that live across runs: every plan is run in its own arena, layer by layer, for several samples."""

import numpy as np
import pytest

from quantized_networks import Builder, modern, noise
from thimble.graph.graph import Quant
from thimble.graph.ops import NO_CLAMP, Add, Mul
from thimble.plan.make import make_plan
from thimble.plan.states import state_buffer
from thimble.quantize.batches import joined
from thimble.quantize.interpreter import run, run_layer
from thimble.quantize.lowering import lower

Q = Quant(0.0625, -3)


def start():
    b = Builder("stream", (4,), seed=6)
    return b, b.source("old", (4,), Q)


def accumulator():
    """The new value is the old one's last reader."""
    b, old = start()
    new = b.plain(Add(), b.fully_connected("x", 4), old, quant=Q)
    return b.graph(b.fully_connected(new, 3, clamp=NO_CLAMP), states=((old, new),))


def read_later():
    """The old value is read once more after the new one is known."""
    b, old = start()
    new = b.plain(Add(), "x", old, quant=Q)
    return b.graph(b.plain(Mul(), b.fully_connected(new, 4), old), states=((old, new),))


def delay():
    """Three runs back: each state takes the one before it."""
    b, old = start()
    older, oldest = b.source("older", (4,), Q), b.source("oldest", (4,), Q)
    new = b.fully_connected("x", 4, quant=Q)
    y = b.plain(Add(), b.plain(Add(), old, oldest), older)
    return b.graph(y, states=((old, new), (older, old), (oldest, older)))


def ring():
    """Two states change places; only one is changed in between."""
    b, old = start()
    other = b.source("other", (4,), Q)
    new = b.plain(Add(), "x", old, quant=Q)
    return b.graph(b.plain(Mul(), new, other), states=((old, other), (other, new)))


def swap():
    b, old = start()
    other = b.source("other", (4,), Q)
    third = b.source("third", (4,), Q)
    y = b.plain(Add(), b.plain(Add(), "x", third), b.plain(Mul(), old, other))
    new = b.plain(Add(), y, third, quant=Q)
    return b.graph(y, states=((old, other), (other, old), (third, new)))


def shown():
    """The old value itself, and a reshape of another's, are outputs."""
    b, old = start()
    other = b.source("other", (4,), Q)
    new = b.plain(Add(), "x", old, quant=Q)
    return b.graph(old, b.flatten(other), new, states=((old, new), (other, old)))


NETWORKS = (accumulator, read_later, delay, ring, swap, shown, modern)


def streamed(graph, samples):
    """The outputs of ``joined``, from the bytes of an arena that starts as noise."""
    plan, lowered = make_plan(graph, "cortex-m4"), lower(graph)
    arena = np.random.default_rng(1).integers(-128, 128, plan.arena_bytes).astype(np.int8)

    def part(tensor):
        at = plan.offset(tensor)
        size = graph.tensors[tensor].size if tensor in graph.tensors else 4
        return arena[at : at + size]

    for before, _ in graph.states:
        part(state_buffer(before, plan.views))[:] = graph.tensors[before].quant.zero_point
    outputs = []
    for sample in zip(*samples, strict=True):
        for name, x in zip(graph.inputs, sample, strict=True):
            part(name)[:] = x.ravel()
        for step in plan.steps:
            inputs = [part(name).copy() for name in step.inputs]
            if step.op == "copy":
                part(step.output)[:] = inputs[0]
                continue
            layer = graph.layer(step.layer)
            inputs = [part(n).copy().reshape(1, *graph.tensors[n].shape) for n in layer.inputs]
            shape = graph.tensors[layer.output].shape
            y = run_layer(lowered[layer.name], inputs or [np.zeros((1, 1), np.int8)], shape)
            part(layer.output)[:] = y.ravel()
        outputs.append(np.concatenate([part(name).copy() for name in graph.outputs]))
    return np.array(outputs)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_stream_in_the_arena_gives_the_references_outputs(network):
    graph = network()
    x = noise(graph, 7)
    samples = [x] if isinstance(x, np.ndarray) else x
    np.testing.assert_array_equal(streamed(graph, samples), joined(run(graph, samples)))


def copies(network):
    return sum(step.op == "copy" for step in make_plan(network(), "cortex-m4").steps)


def test_only_what_must_be_copied_is():
    assert [copies(n) for n in (accumulator, read_later, delay)] == [0, 1, 3]


def test_nothing_lies_over_a_state():
    plan = make_plan(modern(), "cortex-m4")
    end = len(plan.steps)
    for before, _ in plan.graph.states:
        buffer = next(b for b in plan.buffers if b.name == before)
        assert (buffer.first, buffer.last, buffer.over) == (0, end, {})


def test_the_first_step_does_not_lay_a_state_over_its_input():
    b, old = start()
    new = b.plain(Add(), "x", "x", quant=Q)
    y = b.fully_connected(new, 3, clamp=NO_CLAMP)
    graph = b.graph(y, states=((old, new),))
    plan = make_plan(graph, "cortex-m4")
    assert abs(plan.offset(old) - plan.offset("x")) >= 4
