"""The command `thimble`. Each command's work is in thimble.commands; here is only how it is called."""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from thimble import __version__
from thimble.commands.output import fail, finish
from thimble.errors import RecipeError

_UsageError: Any = typer.BadParameter.__bases__[0]  # click's, wherever this version of typer keeps it

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
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None: ...


@app.command()
def demo(
    board: Annotated[str, typer.Option(help="Board to build for.")] = "nucleo_l4r5zi",
    out: Out = Path("thimble-demo"),
    json: Json = False,
) -> None:
    """The main job on scikit-learn's bundled digits, start to finish, in under 3 minutes."""

    def work() -> dict[str, Any]:
        from thimble.commands.demo import demo as run

        return run(board, out)

    finish(work, as_json=json)


@app.command()
def compress(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train, prune and encode.")],
    out: Out,
    json: Json = False,
) -> None:
    """Train, prune, quantise and encode by a recipe; writes OUT/model.thimble."""

    def work() -> dict[str, Any]:
        from thimble.commands.compress import compress as run

        return run(recipe, out)

    finish(work, as_json=json)


@app.command()
def build(
    model: Model,
    out: Out,
    board: Annotated[
        str | None, typer.Option(help="Board to build for, if not the recipe's; `thimble boards` lists them.")
    ] = None,
    inputs: Inputs = None,
    optimize: Annotated[
        Objective | None, typer.Option(help="What to optimise for, if not the recipe's; balanced.")
    ] = None,
    flash: Annotated[
        str | None,
        typer.Option(help="Compress without training to this size, e.g. 64K; needs --inputs."),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Compress without training while accuracy drops by these points at most."),
    ] = None,
    states: Annotated[
        int,
        typer.Option(help="How many of a .pt2's last inputs its last outputs renew for the next run.", min=0),
    ] = 0,
    patches: Annotated[
        bool, typer.Option("--patches", help="Run the first layers strip by strip even where they fit whole.")
    ] = False,
    json: Json = False,
) -> None:
    """Write a PlatformIO project that runs MODEL on a board."""

    def work() -> dict[str, Any]:
        from thimble.commands.build import build as run

        objective = optimize.value if optimize else None
        return run(
            model,
            board,
            out,
            inputs=inputs,
            objective=objective,
            flash=flash,
            max_drop=max_drop,
            states=states,
            patches=patches,
        )

    finish(work, as_json=json)


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
    layers: Annotated[
        bool, typer.Option("--layers", help="Compare every layer with the float model too.")
    ] = False,
    json: Json = False,
) -> None:
    """Run a project in emulation and compare every output element with the reference."""

    def work() -> dict[str, Any]:
        from thimble.commands.verify import verify as run

        return run(folder, inputs, targets=target, outputs=outputs, layers=layers)

    finish(work, as_json=json)


_OF_DECODERS = ("codec", "density", "bits", "rows", "cols")


def _check_mode(context: typer.Context, decoders: bool) -> None:
    """Refuses options of the mode that `bench` is not in."""
    for name in ("inputs",) if decoders else _OF_DECODERS:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            mode = "a project's DIR" if decoders else "--decoders"
            raise typer.BadParameter(f"--{name} goes with {mode} only")


@app.command()
def bench(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A folder that `thimble build` wrote.")
    ] = None,
    target: Targets = [],  # noqa: B006
    inputs: Inputs = None,
    decoders: Annotated[
        bool, typer.Option("--decoders", help="Measure the codecs' decoders, not a project.")
    ] = False,
    codec: Annotated[list[str], typer.Option(help="With --decoders: only these codecs.")] = [],  # noqa: B006
    density: Annotated[float, typer.Option(min=0, max=1, help="With --decoders: share of non-zeros.")] = 0.1,
    bits: Annotated[int, typer.Option(min=1, max=8, help="With --decoders: width of the values.")] = 4,
    rows: Annotated[int, typer.Option(min=1, max=65535, help="With --decoders: the matrix's rows.")] = 64,
    cols: Annotated[
        list[int], typer.Option(min=1, max=65535, help="With --decoders: its columns, 784.")
    ] = [],  # noqa: B006
    json: Json = False,
) -> None:
    """Measure instructions, cycles, flash and RAM, per layer; or what decoding costs, per codec."""
    if decoders == (folder is not None):
        raise typer.BadParameter("give either a project's DIR or --decoders")
    _check_mode(context, decoders)

    def work() -> dict[str, Any]:
        if folder is None:
            from thimble.commands.bench_decoders import bench_decoders

            return bench_decoders(
                targets=target, codecs=codec, density=density, bits=bits, rows=rows, cols=cols
            )
        from thimble.commands.bench import bench as run

        return run(folder, targets=target, inputs=inputs)

    finish(work, as_json=json)


@app.command()
def inspect(model: Model, inputs: Inputs = None, json: Json = False) -> None:
    """Show a model's layers, and what every codec would cost; or what a .img file holds."""
    if inputs is not None and model.suffix.lower() == ".img":
        raise typer.BadParameter("--inputs goes with a model file only, not with an image")

    def work() -> dict[str, Any]:
        from thimble.commands.inspect import inspect as run

        return run(model, inputs)

    finish(work, as_json=json)


@app.command()
def image(
    model: Model,
    project: Annotated[Path, typer.Option("--project", help="A folder that `thimble build` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    inputs: Inputs = None,
    json: Json = False,
) -> None:
    """Write the image of MODEL's weights for the code of a project, to be flashed by itself."""

    def work() -> dict[str, Any]:
        from thimble.commands.image import image as run

        return run(model, project, out, inputs)

    finish(work, as_json=json)


@app.command()
def report(folder: Project, json: Json = False) -> None:
    """Write DIR/report.html: one page with everything known of the project."""

    def work() -> dict[str, Any]:
        from thimble.commands.report import report as run

        return run(folder)

    finish(work, as_json=json)


@app.command()
def boards(json: Json = False) -> None:
    """List the boards."""

    def work() -> dict[str, Any]:
        from thimble.commands.boards import boards as run

        return run()

    finish(work, as_json=json)


@app.command()
def ops(json: Json = False) -> None:
    """List the operators and where they run."""

    def work() -> dict[str, Any]:
        from thimble.commands.ops import ops as run

        return run()

    finish(work, as_json=json)


@app.command()
def flash(
    folder: Project, board: Annotated[str, typer.Option(help="Board to flash.")], json: Json = False
) -> None:
    """Build a project with PlatformIO and flash it; needs PlatformIO's registry once."""

    def work() -> dict[str, Any]:
        from thimble.commands.device import flash as run

        return run(folder, board)

    finish(work, as_json=json)


@app.command()
def monitor(folder: Project) -> None:
    """Show what a flashed board prints."""

    def work() -> dict[str, Any]:
        from thimble.commands.device import monitor as run

        return run(folder)

    finish(work, as_json=False)


def main() -> None:
    """The console script: as ``app``, and with ``--json`` wrong usage is told in JSON too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # cleans up as after Ctrl-C
    if "--json" not in sys.argv[1:]:
        app()
    try:
        sys.exit(app(standalone_mode=False))
    except _UsageError as error:
        context = error.ctx.command_path if error.ctx else "thimble"
        known = RecipeError("TMB3201", error.format_message(), where=context, hint=f"{context} --help")
        fail(known, as_json=True, exit_code=known.exit_code)


if __name__ == "__main__":
    main()
