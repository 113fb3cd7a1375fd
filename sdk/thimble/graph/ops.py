"""The operators a Graph is made of: one frozen class each, holding what is not a tensor.

Activations are NHWC without the batch: ``(H, W, C)`` or ``(N,)``. ``clamp`` is the fused activation as a
real-valued range, ``None`` on a side that is open: ReLU is ``(0, None)``, ReLU6 ``(0, 6)``.
"""

from __future__ import annotations

import attrs

Clamp = tuple[float | None, float | None]
Pair = tuple[int, int]
Padding = tuple[int, int, int, int]  # top, bottom, left, right

NO_CLAMP: Clamp = (None, None)
RELU: Clamp = (0.0, None)
NO_PADDING: Padding = (0, 0, 0, 0)


@attrs.frozen
class FullyConnected:
    """``y[o] = sum_i w[o, i] x[i] + b[o]``; weights ``[O][I]``; the input is read flat."""

    clamp: Clamp = NO_CLAMP


@attrs.frozen
class Conv2D:
    """Cross-correlation; weights ``[O][KH][KW][I / groups]``; depthwise is ``groups == I``."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Padding = NO_PADDING
    dilation: Pair = (1, 1)
    groups: int = 1
    clamp: Clamp = NO_CLAMP


@attrs.frozen
class MaxPool2D:
    """Largest element of each window; padding never wins."""

    kernel: Pair
    stride: Pair
    padding: Padding = NO_PADDING
    clamp: Clamp = NO_CLAMP


@attrs.frozen
class AvgPool2D:
    """Mean of each window over the elements that lie inside the input (TFLite's definition)."""

    kernel: Pair
    stride: Pair
    padding: Padding = NO_PADDING
    clamp: Clamp = NO_CLAMP


@attrs.frozen
class Pad:
    """Border of real zeros around the spatial axes."""

    padding: Padding


@attrs.frozen
class Add:
    """Element-wise sum of two tensors of one shape."""

    clamp: Clamp = NO_CLAMP


@attrs.frozen
class Concat:
    """Concatenation along ``axis`` of the NHWC shape (0 is H, -1 the channels)."""

    axis: int = -1


@attrs.frozen
class Softmax:
    """Softmax over the last axis."""


@attrs.frozen
class Reshape:
    """The same bytes in the same NHWC order under another shape; costs nothing."""


@attrs.frozen
class Activation:
    """A clamp on its own, where it could not be fused; quantised: a requantisation with a clamp."""

    clamp: Clamp


@attrs.frozen
class BatchNorm:
    """``gamma * (x - mean) / sqrt(var + epsilon) + beta`` per channel; quantisation folds it away."""

    epsilon: float = 1e-5


Op = (
    FullyConnected
    | Conv2D
    | MaxPool2D
    | AvgPool2D
    | Pad
    | Add
    | Concat
    | Softmax
    | Reshape
    | Activation
    | BatchNorm
)

OPS: dict[str, type] = {
    "fully_connected": FullyConnected,
    "conv2d": Conv2D,
    "max_pool2d": MaxPool2D,
    "avg_pool2d": AvgPool2D,
    "pad": Pad,
    "add": Add,
    "concat": Concat,
    "softmax": Softmax,
    "reshape": Reshape,
    "activation": Activation,
    "batch_norm": BatchNorm,
}
_NAMES = {cls: name for name, cls in OPS.items()}


def op_name(op: Op) -> str:
    """The operator's name as reports, files and templates spell it, e.g. ``"conv2d"``."""
    return _NAMES[type(op)]
