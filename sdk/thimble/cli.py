"""The command `thimble`. Each command's work is in thimble.commands; here is only how it is called."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from thimble import __version__
from thimble.commands.output import finish

app = typer.Typer(
    help="Makes a neural network fit on a microcontroller.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Out = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
Inputs = Annotated[
    Path | None, typer.Option("--inputs", help="npz with x (batch first) and optionally y (labels).")
]
Targets = Annotated[list[str], typer.Option("--target", help="host or a core; may be given more than once.")]
Project = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `thimble build` wrote.")]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")]


class Objective(StrEnum):
    """What `build` optimises for."""

    size = "size"
    speed = "speed"
    balanced = "balanced"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"thimble {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None: ...


@app.command()
def demo(
    board: Annotated[str, typer.Option(help="Board to build for.")] = "nucleo_l4r5zi",
    out: Out = Path("thimble-demo"),
    json: Json = False,
) -> None:
    """The main job on scikit-learn's bundled digits, start to finish, in under 3 minutes."""
    from thimble.commands.demo import demo as work

    finish(lambda: work(board, out), as_json=json)


@app.command()
def compress(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train, prune and encode.")],
    out: Out,
    json: Json = False,
) -> None:
    """Train, prune, quantise and encode by a recipe; writes OUT/model.thimble."""
    from thimble.commands.compress import compress as work

    finish(lambda: work(recipe, out), as_json=json)


@app.command()
def build(
    model: Model,
    board: Annotated[str, typer.Option(help="Board to build for; `thimble boards` lists them.")],
    out: Out,
    inputs: Inputs = None,
    optimize: Annotated[Objective, typer.Option(help="What to optimise for.")] = Objective.balanced,
    json: Json = False,
) -> None:
    """Write a PlatformIO project that runs MODEL on a board."""
    from thimble.commands.build import build as work

    finish(lambda: work(model, board, out, inputs=inputs, objective=optimize.value), as_json=json)


@app.command()
def verify(
    folder: Project,
    inputs: Annotated[
        Path, typer.Option("--inputs", help="npz with x (batch first) and optionally y (labels).")
    ],
    target: Targets = [],  # noqa: B006
    outputs: Annotated[
        Path | None, typer.Option(help="npz to write the reference's integers to, as y.")
    ] = None,
    json: Json = False,
) -> None:
    """Run a project in emulation and compare every output element with the reference."""
    from thimble.commands.verify import verify as work

    finish(lambda: work(folder, inputs, targets=target, outputs=outputs), as_json=json)


@app.command()
def bench(folder: Project, target: Targets = [], inputs: Inputs = None, json: Json = False) -> None:  # noqa: B006
    """Measure instructions, cycles, flash and RAM, per layer."""
    from thimble.commands.bench import bench as work

    finish(lambda: work(folder, targets=target, inputs=inputs), as_json=json)


@app.command()
def inspect(model: Model, json: Json = False) -> None:
    """Show a model's layers, and what every codec would cost."""
    from thimble.commands.inspect import inspect as work

    finish(lambda: work(model), as_json=json)


@app.command()
def report(folder: Project, json: Json = False) -> None:
    """Write DIR/report.html: one page with everything known of the project."""
    from thimble.commands.report import report as work

    finish(lambda: work(folder), as_json=json)


@app.command()
def boards(json: Json = False) -> None:
    """List the boards."""
    from thimble.commands.boards import boards as work

    finish(work, as_json=json)


@app.command()
def ops(json: Json = False) -> None:
    """List the operators and where they run."""
    from thimble.commands.ops import ops as work

    finish(work, as_json=json)


@app.command()
def flash(
    folder: Project, board: Annotated[str, typer.Option(help="Board to flash.")], json: Json = False
) -> None:
    """Build a project with PlatformIO and flash it; needs PlatformIO's registry once."""
    from thimble.commands.device import flash as work

    finish(lambda: work(folder, board), as_json=json)


@app.command()
def monitor(folder: Project) -> None:
    """Show what a flashed board prints."""
    from thimble.commands.device import monitor as work

    finish(lambda: work(folder), as_json=False)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
