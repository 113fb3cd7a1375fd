"""A Plan as a template sees it: strings and integers ready to be placed, nothing left to compute."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from thimble import __version__
from thimble.errors import ModelError
from thimble.graph.graph import Tensor
from thimble.plan.image import HEADER, RECORD, VERSION, Image
from thimble.plan.names import c_name, plain
from thimble.plan.plan import Plan, Step

_BYTES_PER_LINE = 18


@attrs.frozen
class IoSpec:
    """The model's input or output."""

    macro: str
    shape: str  # a C initialiser
    size: int
    scale: str  # a C float literal
    zero_point: int
    offset: int


@attrs.frozen
class ImageRun:
    """One section of the image: what it is and its bytes as C source lines."""

    comment: str
    lines: tuple[str, ...]


@attrs.frozen
class ModelSpec:
    """All that templates of a model's C files may name."""

    name: str
    macro: str
    title: str
    made_by: str
    core: str
    compiler: str
    init_indent: str
    arena_bytes: int
    image_bytes: int
    stack_bytes: int | None
    flash_bytes: int | None
    contract: Mapping[str, int]
    image_version: int
    input: IoSpec
    output: IoSpec
    steps: tuple[Step, ...]
    image_runs: tuple[ImageRun, ...]


def model_spec(plan: Plan, sha256: str) -> ModelSpec:
    """The spec of a plan.

    Args:
        plan: a plan with one input and one output.
        sha256: of the ``.thimble`` file, so that generated files name what they were made from.

    Raises:
        ModelError: TMB1402, more than one input or output.
    """
    graph = plan.graph
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ModelError(
            "TMB1402",
            f"the model has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs",
            where=graph.name,
            hint="generated C has one of each; join outputs with a concatenation",
        )
    name = c_name(graph.name)
    macro = name.upper()
    return ModelSpec(
        name=name,
        macro=macro,
        title=f"{plain(graph.name)}, planned for {plan.core}, {plan.objective}",
        made_by=f"made by thimble {__version__} from {name}.thimble (sha256 {sha256[:16]})",
        core=plan.core,
        compiler=plan.bounds.compiler if plan.bounds else "",
        init_indent=" " * len(f"tmb_status_t {name}_init("),
        arena_bytes=plan.arena_bytes,
        image_bytes=plan.image_bytes,
        stack_bytes=plan.bounds.stack if plan.bounds else None,
        flash_bytes=plan.bounds.code + plan.image_bytes if plan.bounds else None,
        contract=attrs.asdict(plan.image.contract),
        image_version=VERSION,
        input=_io(f"{macro}_INPUT", graph.tensors[graph.inputs[0]], plan),
        output=_io(f"{macro}_OUTPUT", graph.tensors[graph.outputs[0]], plan),
        steps=plan.steps,
        image_runs=_runs(plan.image),
    )


def _io(macro: str, tensor: Tensor, plan: Plan) -> IoSpec:
    assert tensor.quant is not None
    return IoSpec(
        macro=macro,
        shape="{" + ", ".join(str(n) for n in tensor.shape) + "}",
        size=tensor.size,
        scale=float_literal(tensor.quant.scale),
        zero_point=tensor.quant.zero_point,
        offset=plan.offset(tensor.name),
    )


def float_literal(value: float) -> str:
    """The shortest C float literal that reads back as the same float32."""
    text = np.format_float_scientific(np.float32(value), unique=True)
    return f"{text}f"


def _runs(image: Image) -> tuple[ImageRun, ...]:
    header = "header: magic, version, CRC-32, length, signature, sections and constants"
    runs = [ImageRun(header, hex_lines(image.data[: HEADER.size]))]
    at = HEADER.size
    for k in range((image.header_bytes - at) // RECORD.size):
        record = image.data[at : at + RECORD.size]
        runs.append(ImageRun(f"record {k}: rows, columns, codec, end", hex_lines(record)))
        at += RECORD.size
    for section in image.sections:
        start = image.offsets[section.name]
        if start > at:
            runs.append(ImageRun("padding", hex_lines(image.data[at:start])))
        at = start + len(section.data)
        layer, _, kind = section.name.rpartition("/")
        runs.append(ImageRun(f"{plain(layer)}/{kind}, {len(section.data)} bytes", hex_lines(section.data)))
    return tuple(runs)


def hex_lines(data: bytes) -> tuple[str, ...]:
    """Bytes as C source lines, each with its trailing comma."""
    return tuple(
        " ".join(f"0x{b:02x}," for b in data[k : k + _BYTES_PER_LINE])
        for k in range(0, len(data), _BYTES_PER_LINE)
    )
