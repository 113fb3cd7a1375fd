"""`thimble image`, and `thimble inspect` of what it writes: model images by themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thimble.codegen.project import read_project
from thimble.commands.load import load_model
from thimble.commands.output import table
from thimble.commands.targets import HOST, plan_for
from thimble.errors import ModelError
from thimble.files import write_whole
from thimble.plan.read_image import ModelImage, read_image
from thimble.plan.update import image_for

SUFFIX = ".img"


def image(model: Path, project: Path, out: Path, inputs: Path | None = None) -> dict[str, Any]:
    """Writes the image of other weights for the code of a project.

    Args:
        model: a model file of the project's structure.
        project: what ``thimble build`` wrote; it stays as it is.
        out: the file.
        inputs: an npz with samples ``x``, which a float model is quantised with.

    Raises:
        ModelError: TMB1415, TMB1416, the project's code cannot run this model; what ``load_model`` says.
        DataError: TMB2031, no project.
    """
    _, manifest = read_project(project)
    plan = plan_for(project, HOST)
    linked = read(project / f"{manifest['name']}{SUFFIX}")
    made = read_image(image_for(plan, load_model(model, inputs)).data)
    if linked.signature != made.signature:
        raise ModelError(
            "TMB1415",
            "this version of thimble would generate other code than the project's",
            where=str(project),
            hint="build the project again, and flash its code as well",
        )
    write_whole(out, made.data)
    return show(made)


def inspect_image(path: Path) -> dict[str, Any]:
    """The header and the sections of an image file.

    Raises:
        ModelError: TMB1410 to TMB1414, as ``read_image``.
    """
    return show(read(path))


def read(path: Path) -> ModelImage:
    """An image file, checked."""
    try:
        return read_image(path.read_bytes())
    except ModelError as error:
        raise ModelError(error.code, error.what, where=str(path), hint=error.hint) from None


def show(found: ModelImage) -> dict[str, Any]:
    """The JSON document of an image; prints its sections."""
    sections = [
        {
            "codec": section.codec,
            "number": section.number,
            "rows": section.rows,
            "cols": section.cols,
            "offset": section.offset,
            "bytes": len(section.data),
        }
        for section in found.sections
    ]
    head = {
        "bytes": len(found.data),
        "crc": f"{found.crc:08x}",
        "signature": f"{found.signature:08x}",
        "constants": len(found.constants),
    }
    table("image", list(head), [list(head.values())])
    table("encoded weights", list(sections[0]) if sections else [], [list(s.values()) for s in sections])
    return {"image": head, "sections": sections}
