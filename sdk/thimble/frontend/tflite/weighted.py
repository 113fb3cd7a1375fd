"""Operators with weights: convolutions and fully connected layers, float and int8."""

from __future__ import annotations

import numpy as np

from thimble.frontend.tflite.build import Call, Operand, finite, unusable
from thimble.frontend.tflite.schema import SAME, VALID
from thimble.frontend.tflite.source import SourceTensor
from thimble.graph.graph import Quant
from thimble.graph.ops import Conv2D, FullyConnected, Pad, Padding, Pair
from thimble.quantize.lowering import requantization_factors

_MAX_STEP = 1 << 16  # of strides and dilations


def conv_2d(call: Call) -> None:
    """Weights ``[O][KH][KW][I / groups]``."""
    x, kernel, stride, dilation, padding = _geometry(call, 1)
    weight = _weights(call, 1, 4)
    if x.shape[2] % weight.shape[3]:
        raise call.damaged(f"weights {weight.shape} on {x.shape[2]} channels")
    groups = x.shape[2] // weight.shape[3]
    op = Conv2D(kernel, stride, padding, dilation, groups, call.clamp())
    call.emit(op, x.name, params=_params(call, x, weight, 0))


def depthwise_conv_2d(call: Call) -> None:
    """Weights ``[1][KH][KW][O]``; output channel ``o`` reads input channel ``o / depth_multiplier``."""
    x, kernel, stride, dilation, padding = _geometry(call, 1)
    weight = _weights(call, 1, 4)
    channels, multiplier = x.shape[2], call.option("depth_multiplier")
    if (
        weight.shape[0] != 1
        or weight.shape[3] % channels
        or multiplier not in (0, weight.shape[3] // channels)
    ):
        raise call.damaged(f"weights {weight.shape} and multiplier {multiplier} on {channels} channels")
    op = Conv2D(kernel, stride, padding, dilation, channels, call.clamp())
    call.emit(op, x.name, params=_params(call, x, np.moveaxis(weight, 3, 0).transpose(0, 2, 3, 1), 3))


def fully_connected(call: Call) -> None:
    """Weights ``[O][I]``; several rows of ``I`` inputs are a convolution of 1 x 1."""
    x, weight = call.activation(0), _weights(call, 1, 2)
    if call.option("weights_format"):
        raise call.unsupported(
            "its weights are shuffled",
            "convert with a newer converter: shuffled weights are a format of old ones",
        )
    size = call.build.tensors[x.name].size
    if size % weight.shape[1]:
        raise call.damaged(f"weights {weight.shape} on {size} inputs")
    rows = size // weight.shape[1]
    if rows == 1:
        call.emit(FullyConnected(call.clamp()), x.name, params=_params(call, x, weight, 0, single=True))
        return
    image = call.reshaped(x.name, (1, rows, weight.shape[1]))
    params = _params(call, x, weight[:, None, None, :], 0, single=True)
    call.emit(Conv2D((1, 1), clamp=call.clamp()), image, params=params)


def transpose_conv(call: Call) -> None:
    """Weights ``[O][KH][KW][I]``: zeros between the inputs, then a convolution with the flipped kernel."""
    x, weight = image(call, 2), _weights(call, 1, 4)
    stride = _pair(call, "stride")
    output = call.inner(call.output.shape)
    if len(output) != 3 or weight.shape[3] != x.shape[2]:
        raise call.damaged(f"weights {weight.shape} from {x.shape} to {output}")
    edges = []
    for axis in (0, 1):
        size, step, kernel, out = x.shape[axis], stride[axis], weight.shape[1 + axis], output[axis]
        # what the forward convolution, from the output to the input, pads before
        cut = max(0, (size - 1) * step + kernel - out) // 2 if same_padding(call) else 0
        before = kernel - 1 - cut
        after = out + kernel - 1 - ((size - 1) * step + 1) - before
        if min(before, after) < 0:
            raise call.unsupported(
                f"an output of {output} from {x.shape} with a kernel of {weight.shape[1:3]}",
                "give it the size that padding and stride imply",
            )
        edges += [before, after]
    padding: Padding = (edges[0], edges[1], edges[2], edges[3])
    if stride == (1, 1):
        op, source = Conv2D((weight.shape[1], weight.shape[2]), padding=padding, clamp=call.clamp()), x.name
    else:
        pad = Pad(padding, (stride[0] - 1, stride[1] - 1))
        source = call.step(pad, x.name, quant=x.quant)
        op = Conv2D((weight.shape[1], weight.shape[2]), clamp=call.clamp())
    call.emit(op, source, params=_params(call, x, weight[:, ::-1, ::-1, :], 0, bias=3))


def image(call: Call, k: int) -> Operand:
    """Input ``k`` as ``(H, W, C)``."""
    x = call.activation(k)
    if len(x.full) != 4 or x.full[0] != 1:
        raise call.unsupported(
            f"its input has shape {x.full}",
            "it needs images (1, H, W, C); convert the model with a batch of 1",
        )
    return x


def same_padding(call: Call) -> bool:
    """True for SAME, False for VALID."""
    kind = call.option("padding")
    if kind not in (SAME, VALID):
        raise call.damaged(f"padding {kind} is neither SAME nor VALID")
    return kind == SAME


def explicit_padding(call: Call, size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Padding:
    """SAME or VALID as rows and columns: SAME puts the odd one below and to the right."""
    same, edges = same_padding(call), []
    for axis in (0, 1):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        count = -(-size[axis] // stride[axis])
        total = max(0, (count - 1) * stride[axis] + reach - size[axis]) if same else 0
        edges += [total // 2, total - total // 2]
    return edges[0], edges[1], edges[2], edges[3]


def _pair(call: Call, name: str) -> Pair:
    pair = (call.option(f"{name}_h"), call.option(f"{name}_w"))
    if not 1 <= min(pair) <= max(pair) <= _MAX_STEP:
        raise call.damaged(f"{name} {pair}")
    return pair


def pool_geometry(call: Call) -> tuple[Operand, Pair, Pair, Padding]:
    """A pool's input, window, stride and padding."""
    x, kernel, stride = image(call, 0), _pair(call, "kernel"), _pair(call, "stride")
    return x, kernel, stride, explicit_padding(call, (x.shape[0], x.shape[1]), kernel, stride)


def _geometry(call: Call, weights: int) -> tuple[Operand, Pair, Pair, Pair, Padding]:
    x, shape = image(call, 0), call.source(weights).shape
    if len(shape) != 4:
        raise call.damaged(f"weights {shape}")
    kernel, stride, dilation = (shape[1], shape[2]), _pair(call, "stride"), _pair(call, "dilation")
    return (
        x,
        kernel,
        stride,
        dilation,
        explicit_padding(call, (x.shape[0], x.shape[1]), kernel, stride, dilation),
    )


def _weights(call: Call, k: int, rank: int) -> np.ndarray:
    """The weights, of the type that goes with the activations; no axis is empty.

    int8 weights of a layer that computes in float (dynamic-range quantisation) become the floats they mean.
    """
    tensor, real = call.source(k), call.output_quant() is None
    hybrid = real and tensor.dtype == "int8"
    weight = call.constant(k, "float32" if real and not hybrid else "int8", "weights")
    if weight.ndim != rank or weight.size == 0:
        raise call.damaged(f"weights {weight.shape}")
    call.build.parameters += weight.size
    if hybrid:
        axis = tensor.axis if 0 <= tensor.axis < rank else 0
        scale = _weight_scales(tensor, axis, weight.shape[axis])
        weight = weight * scale.reshape([-1 if k == axis else 1 for k in range(rank)])
    return finite(call, weight, "the weights")


def _params(
    call: Call, x: Operand, weight: np.ndarray, axis: int, *, single: bool = False, bias: int = 2
) -> dict[str, np.ndarray]:
    """The layer's parameters.

    Args:
        weight: in the graph's order, the output channels first.
        axis: of the output channels in the file's weights.
        single: the factor of a layer with one scale is taken from a product in float32, as FULLY_CONNECTED
            does; everywhere else products are in float64.
        bias: the bias's place among the inputs.
    """
    y = call.output_quant()
    rows = len(weight)
    if call.has(bias):
        values = call.constant(bias, "float32" if y is None else "int32", "biases").reshape(-1)
        call.build.parameters += rows
    else:
        values = np.zeros(rows, np.float32 if y is None else np.int32)
    if len(values) != rows:
        raise call.damaged(f"{len(values)} biases for {rows} output channels")
    params = {"weight": np.ascontiguousarray(weight), "bias": finite(call, values, "the biases")}
    if x.quant is None or y is None:
        return params
    scale = _weight_scales(call.source(1), axis, rows)
    if call.has(bias):
        _check_bias(call.source(bias), x.quant, scale, y)
    return {**params, "scale": scale, **_factors(call, x.quant, scale, y, single=single)}


def _weight_scales(tensor: SourceTensor, axis: int, rows: int) -> np.ndarray:
    scales, points = tensor.scales, tensor.zero_points
    if len(scales) not in (1, rows) or len(points) not in (0, len(scales)):
        raise unusable(tensor, f"{len(scales)} scales and {len(points)} zero points for {rows} channels")
    if len(scales) > 1 and tensor.axis != axis:
        raise unusable(tensor, f"its scales belong to axis {tensor.axis}, not {axis}")
    if points.any():
        raise unusable(tensor, f"weights have zero point 0, not {int(points[np.flatnonzero(points)[0]])}")
    if not ((scales > 2.0**-100) & (scales < 2.0**100)).all():
        raise unusable(tensor, "a scale is not a positive number")
    return scales.astype(np.float32)


def _check_bias(tensor: SourceTensor, x: Quant, scale: np.ndarray, y: Quant) -> None:
    """Biases count in units of the input's scale times the weights', within TFLite's tolerance."""
    if not len(tensor.scales):
        return
    if len(tensor.scales) not in (1, len(scale)) or tensor.zero_points.any():
        raise unusable(tensor, f"{len(tensor.scales)} scales for {len(scale)} channels, or a zero point")
    if not np.isfinite(tensor.scales).all():
        raise unusable(tensor, "a scale is NaN or infinite")
    given, wanted = tensor.scales.astype(np.float64), x.scale * scale.astype(np.float64)
    if not (np.abs(given - wanted) <= 0.02 * y.scale).all():
        raise unusable(tensor, "the biases' scale is not the input's times the weights'")


def _factors(call: Call, x: Quant, scale: np.ndarray, y: Quant, *, single: bool) -> dict[str, np.ndarray]:
    """``multiplier`` and ``shift`` of every scale, in TFLite's order of operations."""
    try:
        multiplier, shift = requantization_factors(
            x.scale, scale, y.scale, float32_product=single and len(scale) == 1
        )
    except ValueError as error:
        raise unusable(call.source(1), str(error)) from None
    return {"multiplier": multiplier, "shift": shift}
