"""Recipes: TOML files that say which model, which data, which steps and which board.

>>> recipe = load_recipe("examples/mnist_lenet5/recipe.toml")
>>> [method_name(step) for step in recipe.compress]

Errors (all RecipeError, exit code 2): TMB3001 the file cannot be read; TMB3002 an unknown section or key;
TMB3003 an unknown method; TMB3004 a wrong value; TMB3005 something required is missing; TMB3006 a layer's
name that the model does not have; TMB3007 a Python object that cannot be imported.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from thimble import codecs
from thimble.compress.checks import choice, text, whole
from thimble.compress.steps import METHODS, Step, Train
from thimble.errors import RecipeError

CODECS = ("auto", *codecs.CODECS)


@attrs.frozen(kw_only=True)
class Model:
    """``[model]``: ``source`` is ``module.py:factory`` or a model file; ``weights`` an optional ``.pt``."""

    source: str = attrs.field(validator=text)
    weights: str | None = attrs.field(default=None, validator=attrs.validators.optional(text))
    name: str | None = attrs.field(default=None, validator=attrs.validators.optional(text))


@attrs.frozen(kw_only=True)
class Data:
    """``[data]``: ``loader`` is ``module.py:function`` that returns train, validation and test."""

    loader: str = attrs.field(validator=text)


@attrs.frozen(kw_only=True)
class Target:
    """``[target]``: a board's name and what to optimise for."""

    board: str | None = attrs.field(default=None, validator=attrs.validators.optional(text))
    optimize: str = attrs.field(default="balanced", validator=choice("size", "speed", "balanced"))


@attrs.frozen(kw_only=True)
class Quantize:
    """``[quantize]``: width of the weights' grid in bits (2 to 8) and who shares a scale."""

    weights: int = attrs.field(default=8, validator=whole(2, 8))
    scales: str = attrs.field(default="per-tensor", validator=choice("per-tensor", "per-channel"))


@attrs.frozen
class Encode:
    """``[encode]``: the codec of all layers, and of single ones by name."""

    codec: str = "auto"
    layers: Mapping[str, str] = attrs.field(factory=dict)

    def codec_of(self, layer: str) -> str:
        """The codec that a layer is to have; ``auto`` leaves it to the planner."""
        return self.layers.get(layer, self.codec)


@attrs.frozen(kw_only=True)
class Recipe:
    """A checked recipe; ``path`` is the file, and everything it names is relative to the file's folder."""

    path: Path
    model: Model
    data: Data | None
    target: Target
    train: Train
    compress: tuple[Step, ...]
    quantize: Quantize
    encode: Encode

    @property
    def folder(self) -> Path:
        return self.path.parent

    def resolve(self, name: str) -> Path:
        """A path named in the recipe, relative to the recipe's folder."""
        return (self.folder / name).resolve()

    def load_object(self, spec: str) -> Any:
        """The Python object that ``file.py:name`` or ``package.module:name`` names (see import_object)."""
        return import_object(spec, self.folder)

    def check_layers(self, layers: Iterable[str]) -> None:
        """Raises RecipeError TMB3006 if a per-layer table names a layer that is not among ``layers``."""
        known = list(layers)
        tables: list[tuple[str, Mapping[str, Any]]] = [("[encode]", self.encode.layers)]
        for index, step in enumerate(self.compress):
            for key in ("keep", "sparsity", "cost"):
                value = getattr(step, key, None)
                if isinstance(value, Mapping):
                    tables.append((f"[[compress]] step {index + 1}, {key}", value))
        for where, table in tables:
            for name in table:
                if name not in known:
                    raise RecipeError(
                        "TMB3006",
                        f"the model has no layer with weights named {name!r}",
                        where=f"{self.path.name}: {where}",
                        hint=suggest(name, known) or f"its layers are {', '.join(known)}",
                    )


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint with the known name that is nearest to a wrong one; empty where none is near."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else ""


def _build(cls: type, table: Any, where: str) -> Any:
    """An instance of a section's class from its TOML table, every key checked."""
    if not isinstance(table, dict):
        raise RecipeError(
            "TMB3004",
            f"must be a table, not {table!r}",
            where=where,
            hint="write the section as [name] and its keys below",
        )
    known = {field.name: field for field in attrs.fields(cls)}
    for key in table:
        if key not in known:
            raise RecipeError(
                "TMB3002",
                f"unknown key {key!r}",
                where=where,
                hint=suggest(key, known) or f"known keys: {', '.join(known) or 'none'}",
            )
    for key, field in known.items():
        if field.default is attrs.NOTHING and key not in table:
            raise RecipeError(
                "TMB3005",
                f"{key!r} is missing",
                where=where,
                hint="docs/recipe.md lists what each section and method needs",
            )
        if key in table and field.validator is not None:
            try:
                field.validator(None, field, table[key])
            except ValueError as error:
                raise RecipeError(
                    "TMB3004",
                    f"{key} {error}",
                    where=where,
                    hint="docs/recipe.md lists every key with its values",
                ) from None
    return cls(**table)


def _step(table: Any, where: str) -> Step:
    if not isinstance(table, dict) or "method" not in table:
        raise RecipeError(
            "TMB3005", "'method' is missing", where=where, hint=f"methods: {', '.join(METHODS)}"
        )
    method = table["method"]
    if not isinstance(method, str) or method not in METHODS:
        raise RecipeError(
            "TMB3003",
            f"unknown method {method!r}",
            where=where,
            hint=suggest(str(method), METHODS) or f"methods: {', '.join(METHODS)}",
        )
    return _build(METHODS[method], {k: v for k, v in table.items() if k != "method"}, f"{where} ({method})")


def _encode(table: Any, where: str) -> Encode:
    if not isinstance(table, dict):
        raise RecipeError(
            "TMB3004",
            f"must be a table, not {table!r}",
            where=where,
            hint="write the section as [name] and its keys below",
        )
    for key, value in table.items():
        if value not in CODECS:
            raise RecipeError(
                "TMB3004",
                f"{key} names the unknown codec {value!r}",
                where=where,
                hint=suggest(str(value), CODECS) or f"codecs: {', '.join(CODECS)}",
            )
    return Encode(codec=table.get("codec", "auto"), layers={k: v for k, v in table.items() if k != "codec"})


_SECTIONS = ("model", "data", "target", "train", "compress", "quantize", "encode")


def parse_recipe(document: Mapping[str, Any], path: Path) -> Recipe:
    """A Recipe from a parsed TOML document; ``path`` is used in messages and to resolve names."""
    for key in document:
        if key not in _SECTIONS:
            raise RecipeError(
                "TMB3002",
                f"unknown section [{key}]",
                where=path.name,
                hint=suggest(key, _SECTIONS) or f"sections: {', '.join(_SECTIONS)}",
            )
    if "model" not in document:
        raise RecipeError(
            "TMB3005",
            "section [model] is missing",
            where=path.name,
            hint="it names the model: source = 'model.py:Factory'",
        )
    steps = document.get("compress", [])
    if not isinstance(steps, list):
        raise RecipeError(
            "TMB3004",
            "compress must be a list of steps",
            where=path.name,
            hint="write [[compress]], with two brackets, before each step",
        )

    def section(cls: type, key: str) -> Any:
        return _build(cls, document.get(key, {}), f"{path.name}: [{key}]")

    return Recipe(
        path=path,
        model=section(Model, "model"),
        data=section(Data, "data") if "data" in document else None,
        target=section(Target, "target"),
        train=section(Train, "train"),
        compress=tuple(
            _step(table, f"{path.name}: [[compress]] step {index + 1}") for index, table in enumerate(steps)
        ),
        quantize=section(Quantize, "quantize"),
        encode=_encode(document.get("encode", {}), f"{path.name}: [encode]"),
    )


def load_recipe(path: str | Path) -> Recipe:
    """Reads and checks a recipe file; raises RecipeError (see the module's list)."""
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(
            "TMB3001", f"cannot read the recipe: {error.strerror}", where=str(path), hint="check the path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(
            "TMB3001",
            f"not valid TOML: {error}",
            where=str(path),
            hint="mend the line that the message names",
        ) from None
    return parse_recipe(document, path)


def import_object(spec: str, folder: Path) -> Any:
    """The object named by ``file.py:name`` (relative to ``folder``) or ``package.module:name``.

    The file's own folder can be imported from while it is loaded. Raises RecipeError TMB3007.
    """
    module_name, colon, name = spec.partition(":")
    hint = "write 'file.py:name', relative to the recipe"
    if not colon or not name:
        raise RecipeError("TMB3007", f"{spec!r} names no object", where=spec, hint=hint)
    try:
        if module_name.endswith(".py"):
            module = _import_file((folder / module_name).resolve())
        else:
            module = importlib.import_module(module_name)
    except FileNotFoundError:
        raise RecipeError("TMB3007", f"no file {module_name!r}", where=spec, hint=hint) from None
    except Exception as error:
        raise RecipeError(
            "TMB3007",
            f"importing {module_name!r} failed: {type(error).__name__}: {error}",
            where=spec,
            hint="import it by itself to see where it fails",
        ) from error
    if not hasattr(module, name):
        known = [n for n in vars(module) if not n.startswith("_")]
        raise RecipeError(
            "TMB3007",
            f"{module_name} has no {name!r}",
            where=spec,
            hint=suggest(name, known) or f"it has {', '.join(known[:8]) or 'nothing'}",
        )
    return getattr(module, name)


def _import_file(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(path)
    # a name of its own, so that two recipes' model.py never meet in sys.modules
    spec = importlib.util.spec_from_file_location(f"_thimble_user_{path.stem}_{abs(hash(path)):x}", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
