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
    """Border of real zeros around the spatial axes, and ``interior`` zeros between neighbours.

    A transposed convolution is a ``Pad`` with ``interior = stride - 1`` before a convolution of stride 1.
    """

    padding: Padding
    interior: Pair = (0, 0)


@attrs.frozen
class Add:
    """Element-wise sum of two tensors, broadcast against each other (see ``shapes.broadcast``)."""

    clamp: Clamp = NO_CLAMP


@attrs.frozen
class Sub:
    """Element-wise difference of two tensors, broadcast as ``Add``'s."""

    clamp: Clamp = NO_CLAMP


@attrs.frozen
class Mul:
    """Element-wise product of two tensors, broadcast as ``Add``'s."""

    clamp: Clamp = NO_CLAMP


@attrs.frozen
class Concat:
    """Concatenation along ``axis`` of the NHWC shape (0 is H, -1 the channels)."""

    axis: int = -1


@attrs.frozen
class Mean:
    """Mean over adjacent ``axes`` of the NHWC shape, which stay as 1 where ``keep_dims``.

    Its input and output may differ in quantisation (TFLite's MEAN); an ``AvgPool2D`` keeps it.
    """

    axes: tuple[int, ...]  # ascending, not negative, adjacent
    keep_dims: bool = True


@attrs.frozen
class Softmax:
    """Softmax of ``beta * x`` over the last axis."""

    beta: float = 1.0


UNARY = (
    *("logistic", "tanh", "hard_swish", "leaky_relu", "elu", "gelu", "gelu_tanh", "silu", "hard_sigmoid"),
    *("hard_tanh", "softplus", "exp", "log", "sqrt", "rsqrt", "reciprocal", "square", "abs", "neg"),
)


@attrs.frozen
class Unary:
    """A function of each element, one of ``UNARY``, named as in PyTorch but for ``logistic``.

    ``alpha`` is ``leaky_relu``'s slope and ``elu``'s scale; the others have none. Quantised it is a table of
    256 entries.
    """

    function: str
    alpha: float = 0.0


@attrs.frozen
class Lookup:
    """``y = table[x + 128]`` of each element, with ``params["table"]``.

    Exact rewrites make it of functions that follow each other; a float graph has none.
    """


@attrs.frozen
class Transpose:
    """Axes in another order: output axis ``k`` is input axis ``axes[k]``, the batch not counted."""

    axes: tuple[int, ...]


@attrs.frozen
class Slice:
    """Along each axis every ``stride``-th element from ``begin`` until before ``end``; strides > 0."""

    begin: tuple[int, ...]
    end: tuple[int, ...]  # begin < end <= size
    stride: tuple[int, ...]


@attrs.frozen
class ResizeNearest:
    """Nearest-neighbour resampling of the spatial axes to ``size``, with TFLite's choice of neighbours."""

    size: Pair
    align_corners: bool = False
    half_pixel_centers: bool = False


@attrs.frozen
class Constant:
    """A tensor that does not depend on the input: no inputs, ``params["value"]``."""


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
    | Sub
    | Mul
    | Mean
    | Concat
    | Softmax
    | Unary
    | Lookup
    | Reshape
    | Transpose
    | Slice
    | ResizeNearest
    | Constant
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
    "sub": Sub,
    "mul": Mul,
    "mean": Mean,
    "concat": Concat,
    "softmax": Softmax,
    "unary": Unary,
    "lookup": Lookup,
    "reshape": Reshape,
    "transpose": Transpose,
    "slice": Slice,
    "resize_nearest": ResizeNearest,
    "constant": Constant,
    "activation": Activation,
    "batch_norm": BatchNorm,
}
_NAMES = {cls: name for name, cls in OPS.items()}


def op_name(op: Op) -> str:
    """The operator's name as reports, files and templates spell it, e.g. ``"conv2d"``."""
    return _NAMES[type(op)]
