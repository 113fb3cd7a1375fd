"""Patch-wise execution: the first layers of a network on one strip of rows after the other.

The largest tensors of a network that sees images are those of its first layers. Run on strips, they are never
whole: a strip of the input and of every tensor behind it live at a time, and the strips of the last one are
computed in their places. Rows at the strips' borders are computed twice. It is an exact rewrite of the
quantised graph: the same integers, by the same weights, which the image stores once.

After Lin et al., "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning" (NeurIPS 2021);
strips instead of squares, since whole rows need no copies.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.ops import Activation, AvgPool2D, Concat, Conv2D, MaxPool2D, Slice, Unary

STRIPS = (2, 3, 4, 6, 8, 12, 16)

Windowed = Conv2D | MaxPool2D | AvgPool2D


@attrs.frozen
class Patches:
    """How the first layers run: how many they are, and on how many strips."""

    layers: int
    strips: int

    @classmethod
    def of(cls, graph: Graph) -> Patches:
        """What ``patched`` did to a graph."""
        facts = graph.meta["patches"]
        return cls(facts["layers"], facts["strips"])


@attrs.frozen
class _Rows:
    """Rows ``begin`` to ``end`` of a tensor, and the padding above and below that a layer sees there."""

    begin: int
    end: int
    top: int = 0
    bottom: int = 0


def ways_to_patch(graph: Graph) -> Iterator[Patches]:
    """All that ``patched`` can do with a graph."""
    for layers in range(1, len(_prefix(graph)) + 1):
        height = graph.tensors[graph.layers[layers - 1].output].shape[0]
        yield from (Patches(layers, strips) for strips in STRIPS if strips <= height)


def patched(graph: Graph, patches: Patches) -> Graph:
    """The same function, the first layers computed strip by strip.

    ``meta["patches"]`` says of the new graph what was done, and the MACs as a part of what they were.
    """
    prefix = _prefix(graph)[: patches.layers]
    output = graph.tensors[prefix[-1].output]
    height = output.shape[0]
    tensors = dict(graph.tensors)
    layers: list[Layer] = []
    ends: list[str] = []
    for k in range(patches.strips):
        strip = _Rows(k * height // patches.strips, (k + 1) * height // patches.strips)
        new = list(_strip(graph, prefix, strip, f"strip{k}"))
        layers += [layer for layer, _ in new]
        tensors |= {tensor.name: tensor for _, tensor in new}
        ends.append(new[-1][1].name)
    for layer in prefix[:-1]:
        del tensors[layer.output]
    layers.append(Layer(f"{prefix[-1].name}/strips", Concat(0), tuple(ends), output.name))
    rewritten = attrs.evolve(graph, tensors=tensors, layers=(*layers, *graph.layers[patches.layers :]))
    facts = {**attrs.asdict(patches), "macs": round(macs(rewritten) / max(1, macs(graph)), 4)}
    return attrs.evolve(rewritten, meta={**graph.meta, "patches": facts})


def macs(graph: Graph) -> int:
    """Products of all layers with weights, zeros included."""
    total = 0
    for layer in graph.weighted:
        shape = graph.tensors[layer.output].shape
        positions = shape[0] * shape[1] if isinstance(layer.op, Conv2D) else 1
        total += positions * layer.weight.size
    return total


def _prefix(graph: Graph) -> list[Layer]:
    """The layers from the input on that can run on rows of it: a chain, each layer of one of a few kinds."""
    if len(graph.inputs) != 1 or graph.states:
        return []
    found: list[Layer] = []
    tensor = graph.inputs[0]
    for layer in graph.layers:
        local = isinstance(layer.op, Windowed | Activation | Unary) and len(graph.tensors[tensor].shape) == 3
        if not local or layer.inputs != (tensor,) or tensor in graph.outputs:
            break
        if len(graph.consumers(tensor)) != 1:
            break
        found.append(layer)
        tensor = layer.output
    return found


def _strip(graph: Graph, prefix: list[Layer], rows: _Rows, suffix: str) -> Iterator[tuple[Layer, Tensor]]:
    """The layers that compute some rows of the last layer's output, from a slice of the input on."""
    needs = [rows]
    for layer in reversed(prefix):
        needs.append(_needed(graph, layer, needs[-1]))
    needs.reverse()  # of the input, then of every layer's output
    source = graph.tensors[prefix[0].inputs[0]]
    name = f"{prefix[0].name}/{suffix}/rows"
    slice_op = Slice((needs[0].begin, 0, 0), (needs[0].end, *source.shape[1:]), (1, 1, 1))
    yield Layer(name, slice_op, (source.name,), name), _of_rows(source, name, needs[0])
    for layer, before, after in zip(prefix, needs, needs[1:], strict=False):
        new = f"{layer.output}/{suffix}"
        op = layer.op
        if isinstance(op, Windowed):
            op = attrs.evolve(op, padding=(before.top, before.bottom, *op.padding[2:]))
        yield (
            attrs.evolve(layer, name=f"{layer.name}/{suffix}", op=op, inputs=(name,), output=new),
            _of_rows(graph.tensors[layer.output], new, after),
        )
        name = new


def _needed(graph: Graph, layer: Layer, rows: _Rows) -> _Rows:
    """The rows of a layer's input that some rows of its output depend on."""
    op = layer.op
    if not isinstance(op, Windowed):
        return _Rows(rows.begin, rows.end)
    height = graph.tensors[layer.inputs[0]].shape[0]
    dilation = op.dilation[0] if isinstance(op, Conv2D) else 1
    begin = rows.begin * op.stride[0] - op.padding[0]
    end = (rows.end - 1) * op.stride[0] - op.padding[0] + (op.kernel[0] - 1) * dilation + 1
    return _Rows(max(begin, 0), min(end, height), max(-begin, 0), max(end - height, 0))


def _of_rows(tensor: Tensor, name: str, rows: _Rows) -> Tensor:
    return attrs.evolve(tensor, name=name, shape=(rows.end - rows.begin, *tensor.shape[1:]))
