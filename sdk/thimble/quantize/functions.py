"""The real functions behind ``Unary``, for arrays of either floating dtype."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from thimble.graph.ops import Unary

_erfc = np.frompyfunc(math.erfc, 1, 1)


def evaluate(op: Unary, x: np.ndarray) -> np.ndarray:
    """The function of every element, in the dtype of ``x``; infinite or NaN where it is not defined."""
    with np.errstate(all="ignore"):
        if op.function == "leaky_relu":
            return np.where(x < 0, x.dtype.type(op.alpha) * x, x)
        if op.function == "elu":
            return np.where(x < 0, x.dtype.type(op.alpha) * np.expm1(np.minimum(x, 0)), x)
        return np.asarray(_FUNCTIONS[op.function](x), x.dtype)


def erfc(x: np.ndarray) -> np.ndarray:
    """The complementary error function, in the dtype of ``x``."""
    return np.asarray(_erfc(x), x.dtype)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * erfc(x * -math.sqrt(0.5))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


_FUNCTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "logistic": _logistic,
    "tanh": np.tanh,
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": lambda x: x * _logistic(x),
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "softplus": lambda x: np.logaddexp(x, 0),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "square": np.square,
    "abs": np.abs,
    "neg": np.negative,
}
