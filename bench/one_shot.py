"""Compression without training on the shared models: `thimble build --max-drop` and `--flash`, as built.

python -m bench.one_shot [--docs]

For each model and target: flash of the whole firmware before and after, as `thimble build --optimize size`
has it for a Cortex-M4, and accuracy on samples that calibrated nothing. --docs writes the table between the
markers of docs/without-training.md.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from bench.readme import markdown_table
from bench.tflite_data import INT8_MODELS, Model
from thimble.commands.build import build

DOCS = Path(__file__).resolve().parents[1] / "docs" / "without-training.md"
BOARD = "nrf52840_dk"
_SAMPLES = 1000
_RUNS = (("kws", 0.5), ("kws", 1.0), ("kws", 3.0), ("vww", 1.0))  # model, points
_COLUMNS = ["model", "target", "flash before", "after", "accuracy before", "after", "samples"]


def row(model: Model, folder: Path, drop: float) -> list[str]:
    """A line of the table."""
    inputs = folder / f"{model.name}.npz"
    if not inputs.is_file():
        assert model.inputs is not None
        x, y = model.inputs(_SAMPLES)
        assert y is not None
        np.savez(inputs, x=x, y=y)
    out = folder / f"{model.name}_{drop}"
    made = build(model.path, BOARD, out, inputs=inputs, objective="size", max_drop=drop)["compressed"]
    return [
        model.name,
        f"{drop} points",
        f"{made['flash']['before']:,}",
        f"{made['flash']['after']:,}",
        f"{made['before']:.1f} %",
        f"{made['after']:.1f} %",
        str(made["measured_samples"]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--docs", action="store_true", help="write the table into docs/without-training.md")
    write = parser.parse_args().docs
    models = {model.name: model for model in INT8_MODELS}
    with tempfile.TemporaryDirectory() as folder:
        rows = [row(models[name], Path(folder), drop) for name, drop in _RUNS]
    table = markdown_table(_COLUMNS, rows)
    print(table)
    if write:
        start, end = "<!-- without-training -->", "<!-- /without-training -->"
        before, rest = DOCS.read_text().split(start)
        DOCS.write_text(f"{before}{start}\n\n{table}\n{end}{rest.split(end)[1]}")


if __name__ == "__main__":
    main()
