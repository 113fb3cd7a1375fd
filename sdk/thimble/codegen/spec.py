"""A Plan as a template sees it: strings and integers ready to be placed, nothing left to compute."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import numpy as np

from thimble import __version__
from thimble.graph.graph import Tensor
from thimble.plan.image import HEADER, RECORD, VERSION, Image
from thimble.plan.names import c_name, plain, unique_c_names
from thimble.plan.plan import Plan, Step
from thimble.plan.states import state_buffer

_BYTES_PER_LINE = 18


@attrs.frozen
class IoSpec:
    """One of the model's inputs or outputs.

    ``name`` is its C name behind the model's: ``input``, or ``input_<tensor>`` where there are several.
    """

    name: str
    macro: str
    title: str  # of the tensor, for comments
    shape: str  # a C initialiser
    size: int
    scale: str  # a C float literal
    zero_point: int
    uint8: bool  # of the source model; its bytes are 128 larger than the firmware's
    offset: int


@attrs.frozen
class StateSpec:
    """A tensor that lives across runs."""

    title: str
    offset: int
    size: int
    zero_point: int


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
    inputs: tuple[IoSpec, ...]
    outputs: tuple[IoSpec, ...]
    states: tuple[StateSpec, ...]
    steps: tuple[Step, ...]
    image_runs: tuple[ImageRun, ...]

    @property
    def ios(self) -> tuple[IoSpec, ...]:
        return self.inputs + self.outputs


def model_spec(plan: Plan, sha256: str) -> ModelSpec:
    """The spec of a plan.

    Args:
        plan: what to generate.
        sha256: of the ``.thimble`` file, so that generated files name what they were made from.
    """
    graph = plan.graph
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
        inputs=_ios("input", graph.inputs, macro, plan),
        outputs=_ios("output", graph.outputs, macro, plan),
        states=tuple(_state(graph.tensors[before], plan) for before, _ in graph.states),
        steps=plan.steps,
        image_runs=_runs(plan.image),
    )


def _ios(kind: str, tensors: tuple[str, ...], macro: str, plan: Plan) -> tuple[IoSpec, ...]:
    names = (kind,) if len(tensors) == 1 else unique_c_names(tensors, prefix=f"{kind}_")
    types = plan.graph.meta.get(f"{kind}_types", ())
    return tuple(
        _io(name, macro, plan.graph.tensors[tensor], plan, uint8=types[k : k + 1] == ["uint8"])
        for k, (name, tensor) in enumerate(zip(names, tensors, strict=True))
    )


def _io(name: str, macro: str, tensor: Tensor, plan: Plan, *, uint8: bool) -> IoSpec:
    assert tensor.quant is not None
    return IoSpec(
        name=name,
        macro=f"{macro}_{name.upper()}",
        title=plain(tensor.name),
        shape="{" + ", ".join(str(n) for n in tensor.shape) + "}",
        size=tensor.size,
        scale=float_literal(tensor.quant.scale),
        zero_point=tensor.quant.zero_point,
        uint8=uint8,
        offset=plan.offset(tensor.name),
    )


def _state(tensor: Tensor, plan: Plan) -> StateSpec:
    assert tensor.quant is not None
    return StateSpec(
        plain(tensor.name),
        plan.offset(state_buffer(tensor.name, plan.views)),
        tensor.size,
        tensor.quant.zero_point,
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
