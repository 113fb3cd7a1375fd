"""Runs a firmware's model inside this process, instruction by instruction exact (Unicorn).

The ELF that `pio run` built is loaded as it is; ``<model>_init``, ``_run`` and the functions of inputs and
outputs are called by symbol. The stack, the model's struct, the arena and a copy of the image each lie alone
between unmapped pages; a second machine sets their start against such a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from thimble.emulate.core import Core
from thimble.emulate.cycles import modelled_cycles
from thimble.emulate.elf import read_elf
from thimble.emulate.measurement import Measurement
from thimble.emulate.probe import Profile
from thimble.emulate.project import Project, flat_inputs
from thimble.emulate.targets import Target
from thimble.errors import VerifyError


class Machine(Core):
    """One emulated core with one model loaded and initialised.

    Args:
        elf_path: the firmware.
        target: its core.
        project: what the firmware was built from.
        at_end: an unmapped page follows each region; otherwise, one precedes it.

    Raises:
        ToolError: TMB5008 on an ELF without the model's functions.
        VerifyError: TMB6002 where init refuses the image, TMB6003 on an access out of bounds.
    """

    def __init__(self, elf_path: Path, target: Target, project: Project, *, at_end: bool = True) -> None:
        symbol, name = read_elf(elf_path).symbol, project.name
        image = symbol(f"{name}_image")
        regions = {"net": symbol("tmb_net").size, "arena": symbol("tmb_arena").size, "image": image.size}
        super().__init__(elf_path, target, regions, at_end=at_end)
        self.name, self.project = name, project
        self._constants = self.read(image.address, image.size)
        self.write(self.at["image"], self._constants)
        self._start()

    def _start(self) -> None:
        at, size = self.at, self._size
        status = self.call(
            f"{self.name}_init", at["net"], at["image"], size["image"], at["arena"], size["arena"]
        )
        if status != 0:
            signed = status - (1 << 32) if status >> 31 else status
            raise VerifyError("TMB6002", f"{self.name}_init answers {signed}", where=self.target.name)
        self._inputs = self._places(self.project.inputs)
        self._outputs = self._places(self.project.outputs)

    def _places(self, sizes: Mapping[str, int]) -> list[tuple[int, int]]:
        """Where each input or output lies, and its bytes."""
        return [(self.call(f"{self.name}_{io}", self.at["net"]), size) for io, size in sizes.items()]

    def infer(self, sample: bytes) -> bytes:
        """One inference: int8 bytes of all inputs in, int8 bytes of all outputs out."""
        start = 0
        for at, size in self._inputs:
            self.write(at, sample[start : start + size])
            start += size
        self.call(f"{self.name}_run", self.at["net"])
        return b"".join(self.read(at, size) for at, size in self._outputs)

    def count(self, sample: bytes) -> tuple[bytes, Profile]:
        """One inference with every instruction counted."""
        run = self.elf.symbol(f"{self.name}_run")
        self.start_counting((run.address, run.address + run.size))
        try:
            output = self.infer(sample)
        finally:
            profile = self.stop_counting()
        return output, profile

    def check_constants(self) -> None:
        """Makes sure that nothing wrote to flash.

        Raises:
            VerifyError: TMB6003.
        """
        for what, at, wanted in (
            ("the program", self._origin, self._code),
            ("the image", self.at["image"], self._constants),
        ):
            if self.read(at, len(wanted)) != wanted:
                raise VerifyError("TMB6003", f"out of bounds: writes to {what}", where=self.target.name)


def measure(project: Project, elf: Path, target: Target, x: np.ndarray, *, counted: int = 2) -> Measurement:
    """Runs samples on an emulated core; counts the first ``counted`` of them.

    Args:
        x: int8, N samples of ``input_len`` elements.

    Returns:
        Outputs of all samples; instructions, layers and cycles of the dearest sample counted.

    Raises:
        VerifyError: TMB6002 to TMB6004, see ``Machine``.
    """
    samples = [sample.tobytes() for sample in flat_inputs(project, x)]
    Machine(elf, target, project, at_end=False).infer(samples[0])
    machine = Machine(elf, target, project)
    outputs, profiles = [], []
    for sample in samples[:counted]:
        output, profile = machine.count(sample)
        outputs.append(output)
        profiles.append(profile)
    outputs += [machine.infer(sample) for sample in samples[counted:]]
    machine.check_constants()
    result = np.frombuffer(b"".join(outputs), np.int8).reshape(len(samples), project.output_len)
    if not profiles:
        return Measurement(target.name, "isa", result, stack_bytes=machine.stack_bytes())
    dearest = max(profiles, key=lambda profile: profile.instructions)
    cycles, model = modelled_cycles(target.cycles, dearest)
    return Measurement(
        target=target.name,
        emulator="isa",
        outputs=result,
        instructions=dearest.instructions,
        layers=dearest.layers,
        cycles=cycles,
        cycle_model=model,
        stack_bytes=machine.stack_bytes(min(profile.lowest_sp for profile in profiles)),
    )
