"""Bytes of DeepCABAC (ISO/IEC 15938-17), by the entropy coder of PyPI's ``nncodec`` where that is installed.

    pip install --no-deps nncodec

Only its compiled coder is loaded: what else the package asks for (torch, pandas, ...) is not needed. Used for
comparison in bench/ only; nothing of the product imports it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np

INSTALL = "DeepCABAC is left out: pip install --no-deps nncodec"
_UNARY_LENGTHS = (1, 3, 7, 11, 16)  # magnitudes coded bit by bit before the Golomb codes start
_PROFILES = ((0, 0), (1, 0), (1, 1))  # (general_profile_idc, row_skip_flag)


@cache
def coder() -> ModuleType | None:
    """The compiled coder; None where ``nncodec`` is not installed."""
    package = importlib.util.find_spec("nncodec")
    for folder in package.submodule_search_locations or () if package else ():
        for suffix in EXTENSION_SUFFIXES:
            file = Path(folder) / "extensions" / f"deepCABAC{suffix}"
            spec = importlib.util.spec_from_file_location("deepCABAC", file) if file.exists() else None
            if spec is not None and spec.loader is not None:
                module = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(module)
                return module
    return None


def size(scans: Sequence[np.ndarray]) -> int:
    """Bytes of one layer, the best over the coder's parameters and over these orders of its weights.

    Args:
        scans: the same integers as ``[rows, cols]`` matrices, in orders to be tried.

    No unit header and no parameter is counted, which favours DeepCABAC.
    """
    parameters = product(scans, _UNARY_LENGTHS, (0, 1), _PROFILES)
    return min(_size(np.ascontiguousarray(scan, np.int32), *rest) for scan, *rest in parameters)


def _size(weights: np.ndarray, unary: int, optimise: int, profile: tuple[int, int]) -> int:
    module = coder()
    assert module is not None
    general, row_skip = profile
    empty = (~weights.any(axis=1)).astype(np.int32) if general else np.zeros(len(weights), np.int32)
    encoder = module.Encoder()
    encoder.initCtxModels(unary, optimise)
    off, none = module.HdspMode.AlwaysOff, np.zeros(2, np.int8)
    encoder.encodeLayer(weights, 0, 0, general, 0, row_skip, empty, off, none, 0, 0)
    return len(encoder.finish())
