"""A generated project, as far as emulation needs to know it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import attrs
import numpy as np

from thimble.errors import DataError, ToolError


@attrs.frozen
class Project:
    """Where a generated project is and what its model is called.

    Attributes:
        path: the folder that holds platformio.ini.
        name: the model's C name; its functions are ``<name>_init``, ``<name>_run`` and so on.
        inputs, outputs: elements of each, by its name behind the model's: ``<name>_input`` is a function.
        core: the target that the project was planned for.
        stateful: a run depends on the runs before.
    """

    path: Path
    name: str
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    core: str = "cortex-m4"
    stateful: bool = False

    @property
    def input_len(self) -> int:
        """int8 elements of one sample, all inputs together."""
        return sum(self.inputs.values())

    @property
    def output_len(self) -> int:
        """int8 elements of one sample's outputs together."""
        return sum(self.outputs.values())


def load_project(path: Path | str) -> Project:
    """Reads a project's thimble.json.

    Raises:
        ToolError: TMB5005 where the folder holds no generated project.
    """
    path = Path(path).resolve()
    try:
        facts = json.loads((path / "thimble.json").read_text())
        inputs, outputs = ({str(io): int(n) for io, n in facts[kind]} for kind in ("inputs", "outputs"))
        core, stateful = str(facts.get("core", "cortex-m4")), bool(facts.get("stateful"))
        return Project(path, str(facts["name"]), inputs, outputs, core, stateful)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ToolError(
            "TMB5005",
            "not a project that thimble generated: no usable thimble.json",
            where=str(path),
            hint="thimble build MODEL --board B --out DIR makes one",
        ) from error


def flat_inputs(project: Project, x: np.ndarray) -> np.ndarray:
    """Samples as contiguous int8 ``(N, input_len)``.

    Raises:
        DataError: TMB2001 where the dtype or the shape does not suit the model.
    """
    x = np.asarray(x)
    if x.dtype != np.int8 or x.ndim < 1 or x.size != len(x) * project.input_len or not len(x):
        raise DataError(
            "TMB2001",
            f"inputs are {x.dtype} {x.shape}; {project.name} takes int8 samples of {project.input_len}",
            where=str(project.path),
            hint="quantise the samples first",
        )
    return np.ascontiguousarray(x).reshape(len(x), project.input_len)
