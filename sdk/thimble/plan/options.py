"""Every way to run a layer with weights on one core: codec x form x kernel, with exact bytes and scratch."""

from __future__ import annotations

from collections.abc import Iterator

from thimble.codecs import CODECS, Encoded, scratch_bytes
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import Conv2D
from thimble.plan.arena import align
from thimble.plan.cost import instructions
from thimble.plan.plan import Choice

DSP_CORES = frozenset({"cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"})
_NZ_BYTES = 4


def encode_all(layer: Layer) -> dict[str, Encoded]:
    """The layer's weights in every codec, ``{codec: Encoded}``."""
    rows = layer.weight.shape[0]
    matrix = layer.weight.reshape(rows, -1)
    return {name: codec.encode(matrix) for name, codec in CODECS.items()}


def options(layer: Layer, graph: Graph, encoded: dict[str, Encoded], core: str) -> Iterator[Choice]:
    """All choices for one layer that the runtime has kernels for."""
    find = _conv_kernels if isinstance(layer.op, Conv2D) else _fully_connected_kernels
    for codec, enc in encoded.items():
        for form, function in find(layer, graph, codec, core):
            yield Choice(
                codec=codec,
                form=form,
                function=function,
                source=None if form in ("fused", "resident") else f"tmb_{codec.replace('+', '_')}_{form}",
                encoded=enc,
                scratch=_scratch(layer, graph, enc, form, function),
                instructions=instructions(layer, graph, enc, form, core),
            )


def _fully_connected_kernels(
    layer: Layer, graph: Graph, codec: str, core: str
) -> Iterator[tuple[str, str]]:
    dsp = "_dsp" if core in DSP_CORES else ""
    if codec == "dense":
        yield "resident", f"tmb_fully_connected_resident{dsp}_s8"
        return
    yield "fused", f"tmb_fully_connected_{codec.replace('+', '_')}_s8"
    yield "row", f"tmb_fully_connected_row{dsp}_s8"


def _conv_kernels(layer: Layer, graph: Graph, codec: str, core: str) -> Iterator[tuple[str, str]]:
    dsp = "_dsp" if core in DSP_CORES else ""
    channels = graph.tensors[layer.inputs[0]].shape[2]
    if codec == "dense":
        if layer.op.groups == channels and layer.weight.shape[0] == channels:
            yield "resident", "tmb_depthwise_conv2d_resident_s8"
        else:
            yield "resident", f"tmb_conv2d_resident{dsp}_s8"
        return
    yield "list", f"tmb_conv2d_list{dsp}_s8"
    yield "row", f"tmb_conv2d_row{dsp}_s8"


def _scratch(layer: Layer, graph: Graph, enc: Encoded, form: str, function: str) -> int:
    own = {"fused": 0, "list": _NZ_BYTES * enc.row_max, "row": align(enc.cols), "resident": 0}[form]
    total = align(own) + align(scratch_bytes(enc, form))
    if function in PLANES:
        total += PLANES[function](layer, graph)
    return total


def _list_dsp_planes(layer: Layer, graph: Graph) -> int:
    raise NotImplementedError


PLANES = {}
