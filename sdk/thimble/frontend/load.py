"""Models as users have them: ``model.py:factory`` with a ``.pt`` of weights, and model files by suffix.

Files are data: nothing in them is executed. (A ``model.py`` is the user's own program, and is.)
"""

from __future__ import annotations

import difflib
import importlib.util
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Graph

if TYPE_CHECKING:
    from torch import Tensor, nn


MODEL_FILES = (".pt2", ".tflite", ".onnx")


def load_file(path: str | os.PathLike[str], name: str | None = None, *, states: int = 0) -> Graph:
    """The graph of a ``.pt2``, ``.tflite`` or ``.onnx`` file, float or quantised as the file is.

    Args:
        name: of the graph; the file's own if None.
        states: of a ``.pt2``, see ``from_module``.

    Raises:
        ModelError: what the front ends say; TMB1114 where the suffix is none of these.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".pt2":
        return load_program(path, name, states=states)
    if suffix == ".tflite":
        from thimble.frontend.tflite.load import load_tflite

        graph = load_tflite(path)
    elif suffix == ".onnx":
        from thimble.frontend.onnx import load_onnx

        graph = load_onnx(path)
    else:
        raise ModelError(
            "TMB1114",
            f"{suffix or Path(path).name!r} is no model format",
            where=os.fspath(path),
            hint="MODEL is a .thimble, a .tflite, an .onnx or a .pt2 file",
        )
    if states:
        raise ModelError(
            "TMB1101",
            f"states cannot be declared for a {suffix} file",
            where=os.fspath(path),
            hint="only the last inputs and outputs of a .pt2 can be",
        )
    return graph if name is None else attrs.evolve(graph, name=name)


def load_source(
    source: str, weights: str | os.PathLike[str] | None, example_input: np.ndarray | Tensor, name: str
) -> Graph:
    """The graph of a recipe's ``[model]``: ``module.py:factory`` with optional weights, or a model file.

    A quantised file gives a quantised graph.

    Args:
        source: path and factory, or a path.
        weights: a ``.pt`` or ``.pth`` with a state dict; None keeps what the factory made.
        example_input: one batch of floats in the module's own layout; a file brings its own.
        name: of the graph.

    Raises:
        ModelError: as ``load_module``, ``load_weights``, ``load_file`` and ``from_module``.
    """
    if source.lower().endswith(MODEL_FILES):
        return load_file(source, name)
    import torch

    from thimble.frontend.torch_export import from_module

    module = load_module(source)
    if weights is not None:
        load_weights(module, weights)
    return from_module(module, torch.as_tensor(example_input, dtype=torch.float32), name)


def load_module(source: str) -> nn.Module:
    """What the factory in a Python file makes.

    Args:
        source: ``path/to/model.py:factory``; the factory is a function or class without required arguments.

    Raises:
        ModelError: the file or the factory is missing (TMB1110), the user's code raised (TMB1112, with its
            line), or the result is no module (TMB1112).
    """
    from torch import nn

    path_text, _, factory_name = source.rpartition(":")
    path = Path(path_text)
    if not path_text or path.suffix != ".py" or not path.is_file():
        raise ModelError(
            "TMB1110",
            f"there is no Python file in {source!r}",
            where=source,
            hint='write it as "model.py:Factory", relative to the recipe',
        )
    try:
        with _importable(path.parent):
            spec = importlib.util.spec_from_file_location(f"_thimble_user_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            user = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(user)
            if not hasattr(user, factory_name):
                raise _missing(source, factory_name, user)
            module = getattr(user, factory_name)()
    except ModelError:
        raise
    except Exception as error:  # the user's own code may raise anything
        frames = [
            f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).parent == path.parent
        ]
        line = f"{path.name}:{frames[-1].lineno}" if frames else path.name
        raise ModelError(
            "TMB1112",
            f"the model's code failed: {type(error).__name__}: {error}",
            where=line,
            hint="see its line",
        ) from error
    if not isinstance(module, nn.Module):
        raise ModelError(
            "TMB1112",
            f"{factory_name} makes a {type(module).__name__}, not a torch.nn.Module",
            where=source,
            hint="return the module itself",
        )
    return module


def load_weights(module: nn.Module, path: str | os.PathLike[str]) -> None:
    """Fills a module from a ``.pt`` or ``.pth`` file, read with ``weights_only=True``.

    The file holds a state dict, alone or under ``state_dict``, ``model_state_dict`` or ``model``; a
    ``module.`` in front of every name (of DataParallel) is dropped.

    Raises:
        ModelError: unreadable (TMB1110), holding code (TMB1111), or not this module's (TMB1113).
    """
    state = _read_weights(os.fspath(path))
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        raise ModelError(
            "TMB1113",
            f"the file holds a {type(state).__name__}, not a state dict",
            where=os.fspath(path),
            hint="write it with torch.save(model.state_dict(), path)",
        )
    if state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        detail = " ".join(str(error).split())
        raise ModelError(
            "TMB1113",
            f"the weights are not this model's: {detail:.300}",
            where=os.fspath(path),
            hint="check that the file belongs to this factory",
        ) from None


def load_program(path: str | os.PathLike[str], name: str | None = None, *, states: int = 0) -> Graph:
    """The float graph of a ``.pt2`` file that ``torch.export.save`` wrote; ``states`` as in ``from_module``.

    Raises:
        ModelError: unreadable (TMB1110), holding pickled objects or expressions (TMB1111), or as
            ``from_program``.
    """
    import torch

    from thimble.frontend.pt2 import refuse_code
    from thimble.frontend.torch_export import from_program

    where = os.fspath(path)
    try:
        refuse_code(where)
        with _weights_only(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(where)
    except ModelError:
        raise
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise _refused(error, where) from None
    except Exception as error:  # torch's reader answers damage with whatever it stumbles over
        raise _unreadable(error, where) from None
    return from_program(program, name or Path(path).stem, states=states)


def _read_weights(where: str) -> Any:
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(where, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise _refused(error, where) from None
    except Exception as error:  # damage makes torch's reader raise EOFError, KeyError, ValueError and others
        raise _unreadable(error, where) from None


def _refused(error: Exception, where: str) -> ModelError:
    # torch's message names what it refused; a bare pickle of a newer protocol it does not even look into
    bare = isinstance(error, pickle.UnpicklingError) and Path(where).read_bytes()[:1] == b"\x80"
    if not bare and "GLOBAL" not in str(error) and "nsupported class" not in str(error):
        return _unreadable(error, where)
    return ModelError(
        "TMB1111",
        "the file holds Python objects, which could run code, beside its weights",
        where=where,
        hint="write the weights alone, with torch.save(model.state_dict(), path)",
    )


def _unreadable(error: Exception, where: str) -> ModelError:
    detail = error.strerror if isinstance(error, OSError) else (str(error).splitlines() or ["damaged"])[0]
    return ModelError(
        "TMB1110",
        f"cannot read the file: {detail:.200}",
        where=where,
        hint="check the path; if it is right, the file is damaged or no PyTorch file",
    )


def _missing(source: str, factory: str, user: Any) -> ModelError:
    names = [name for name in vars(user) if not name.startswith("_")]
    close = difflib.get_close_matches(factory, names, 1)
    hint = f"did you mean {close[0]}?" if close else f"the file defines {', '.join(names[:8]) or 'nothing'}"
    return ModelError("TMB1110", f"the file defines no {factory!r}", where=source, hint=hint)


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Lets a user's file import its neighbours."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


@contextmanager
def _weights_only() -> Iterator[None]:
    """Makes every torch.load inside torch.export.load refuse pickled objects."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
