"""Lowering: the integer constants of each quantised layer's kernel, in one place.

The interpreter computes with these objects and code generation stores them, so the reference and the
firmware cannot disagree on a fact. Field names are those of the C descriptors in
firmware/include/thimble_kernels.h; what is missing here (offsets, codecs, scratch) is the planner's.

Every requantisation is ``tmb_rescale``: a saturating rounding doubling high multiply by a Q31 multiplier,
then a rounding shift to the right, exactly TFLite's.
"""

from __future__ import annotations

import math

import attrs
import numpy as np

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    Clamp,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Pad,
    Reshape,
    Softmax,
    op_name,
)
from thimble.graph.shapes import concat_axis
from thimble.quantize.fixed_point import INT32_MAX, quantize_multiplier, round_half_away

ADD_LEFT_SHIFT = 20  # an addition's inputs are widened by this many bits before they are rescaled
SOFTMAX_INTEGER_BITS = 5  # differences to the maximum are Q5.26
SOFTMAX_QUANT = Quant(scale=1.0 / 256.0, zero_point=-128)  # the only output quantisation of a softmax
_U8, _U16 = 255, 65535


@attrs.frozen(eq=False)
class Requant:
    """``tmb_requant_t``: from an int32 accumulator to an int8 output, per channel or per tensor.

    ``y = clamp(rescale(acc, multiplier, shift) + zero_point, min, max)`` with
    ``acc = bias[o] + sum(w[o, i] * x[i])`` over the *raw* int8 inputs: ``bias`` is the layer's own minus
    ``zero_point_of_input * sum(w[o])``. Code generation stores this folded bias.
    """

    bias: np.ndarray  # int32 [rows], folded
    multiplier: np.ndarray  # int32 [rows] or [1], 0 .. 2^31 - 1
    shift: np.ndarray  # int8 [rows] or [1], -31 .. 30, positive is left
    zero_point: int
    min: int
    max: int

    @property
    def per_channel(self) -> bool:
        """True where multiplier and shift have one element per row (a single row counts as per tensor)."""
        return len(self.multiplier) > 1

    @property
    def bias_bytes(self) -> int:
        """The narrowest of 0 (all zero), 1, 2 and 4 bytes that holds every folded bias."""
        low, high = int(self.bias.min()), int(self.bias.max())
        if low == high == 0:
            return 0
        return next(n for n in (1, 2, 4) if -(1 << (8 * n - 1)) <= low and high < 1 << (8 * n - 1))


@attrs.frozen(eq=False)
class LoweredFullyConnected:
    """``tmb_fully_connected_t``: ``rows`` outputs from a flat input of ``cols`` elements."""

    weights: np.ndarray  # int8 [rows, cols]
    q: Requant


@attrs.frozen
class LoweredPad:
    """``tmb_pad_t``: the input framed by ``value``, which is its zero point.

    ``step_h - 1`` and ``step_w - 1`` such elements come between neighbours as well.
    """

    in_h: int
    in_w: int
    channels: int
    top: int
    bottom: int
    left: int
    right: int
    value: int
    step_h: int = 1
    step_w: int = 1


@attrs.frozen(eq=False)
class LoweredConv2D:
    """``tmb_conv2d_t``; ``in_h`` and ``in_w`` are those *after* ``pad``, a kernel that runs before it."""

    weights: np.ndarray  # int8 [rows, cols]: rows = out_c, cols = kernel_h * kernel_w * in_c / groups
    q: Requant
    pad: LoweredPad | None
    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    out_c: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    dilation_h: int
    dilation_w: int
    groups: int


@attrs.frozen
class LoweredPool2D:
    """``tmb_pool2d_t``. Windows are cut off at the input's border: padding is never read.

    ``average``: ``acc = sum``, ``n`` = elements of the window inside the input, ``y = (acc + n / 2) / n`` for
    ``acc > 0``, else ``(acc - n / 2) / n``, divisions truncating. Otherwise the maximum. Then the clamp.
    Input and output share one quantisation.
    """

    average: bool
    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_top: int
    pad_left: int
    min: int
    max: int


@attrs.frozen
class Rescale:
    """``tmb_rescale_t``: factor and zero point of one tensor."""

    multiplier: int
    shift: int
    zero_point: int


@attrs.frozen
class Spread:
    """How two inputs are walked for ``rows * cols`` outputs: element ``(r, c)`` of the output, which lies at
    ``r * cols + c``, meets ``a[r * a_row + c * a_col]`` and ``b[r * b_row + c * b_col]``. Two inputs of one
    shape are one row with steps of 1; a step of 0 repeats an element."""

    rows: int
    cols: int
    a_row: int
    a_col: int
    b_row: int
    b_col: int

    @property
    def size(self) -> int:
        """Elements of the output."""
        return self.rows * self.cols

    @property
    def plain(self) -> bool:
        """True where both inputs have the output's shape."""
        return self.rows == 1 and self.a_col == self.b_col == 1


@attrs.frozen
class LoweredAdd:
    """``tmb_add_t``: ``y = clamp(rescale(s, ro) + ro.zero_point, min, max)``, where
    ``s = rescale((a - ra.zero_point) << 20, ra) + rescale((b - rb.zero_point) << 20, rb)``, or their
    difference where ``subtract``.

    ``ra`` and ``rb`` bring both inputs to twice the larger input scale, ``ro`` to the output's over 2^20.
    """

    spread: Spread
    subtract: bool
    ra: Rescale
    rb: Rescale
    ro: Rescale
    min: int
    max: int


@attrs.frozen
class LoweredRequantize:
    """``tmb_requantize_t``: ``y = clamp(rescale(x - r.zero_point, r) + zero_point, min, max)``."""

    size: int
    r: Rescale
    zero_point: int
    min: int
    max: int


@attrs.frozen
class LoweredConcatInput:
    """``tmb_concat_t``: ``rows`` runs of ``bytes`` go to every ``stride``-th byte of the output, from ``at``.

    ``requantize`` runs first, into a tensor of its own, where the input's quantisation is not the output's.
    """

    rows: int
    bytes: int
    stride: int
    at: int
    requantize: LoweredRequantize | None


@attrs.frozen
class LoweredConcat:
    """One ``tmb_concat_t`` for each input, in order."""

    inputs: tuple[LoweredConcatInput, ...]


@attrs.frozen
class LoweredSoftmax:
    """``tmb_softmax_t``: over ``rows`` runs of ``cols``, after gemmlowp's fixed-point exponential.

    Per row: ``d = x - max(x)``; elements with ``d < diff_min`` count as zero and give -128; others are
    ``rescale(d, multiplier, shift)`` in Q5.26, and exp in Q0.31. Exponentials are summed in Q12.19.
    """

    rows: int
    cols: int
    multiplier: int
    shift: int
    diff_min: int


@attrs.frozen
class LoweredMul:
    """``tmb_mul_t``: ``y = clamp(rescale((a - a_zero) * (b - b_zero)) + zero_point, min, max)``."""

    spread: Spread
    a_zero: int
    b_zero: int
    multiplier: int
    shift: int
    zero_point: int
    min: int
    max: int


@attrs.frozen
class LoweredMean:
    """``tmb_mean_t``: of an input ``[outer][count][inner]`` the rescaled sum over ``count``.

    ``y = clamp(rescale(sum(x) + bias, multiplier, shift) + zero_point, -128, 127)`` in TFLite's own
    arithmetic for MEAN; what it is exactly, ``interpreter`` shows.
    """

    outer: int
    count: int
    inner: int
    bias: int
    multiplier: int
    shift: int
    zero_point: int


@attrs.frozen(eq=False)
class LoweredLookup:
    """``tmb_lookup_t``: ``y = table[x + 128]``."""

    size: int
    table: np.ndarray  # int8 [256]


@attrs.frozen
class LoweredGather:
    """``tmb_gather_t``: a transposition, slice or repetition: for every index of ``shape``, in C order,
    ``y = x[at + sum(index[k] * step[k])]``; at most 5 dimensions."""

    shape: tuple[int, ...]
    step: tuple[int, ...]
    at: int


@attrs.frozen
class LoweredResize:
    """``tmb_resize_t``: row ``y`` of the output is the input's row ``(2 * y * in_h + half_h) / (2 * out_h)``,
    or its last, columns alike; lowering has checked that these are TFLite's neighbours."""

    in_h: int
    in_w: int
    channels: int
    out_h: int
    out_w: int
    half_h: int  # 0, or in_h with half_pixel_centers
    half_w: int


@attrs.frozen(eq=False)
class LoweredConstant:
    """``tmb_constant_t``: copies the value from the image."""

    value: np.ndarray  # int8, flat


@attrs.frozen
class LoweredReshape:
    """The same bytes under another name; no kernel."""

    size: int


Lowered = (
    LoweredFullyConnected
    | LoweredConv2D
    | LoweredPool2D
    | LoweredPad
    | LoweredAdd
    | LoweredMul
    | LoweredMean
    | LoweredRequantize
    | LoweredConcat
    | LoweredSoftmax
    | LoweredLookup
    | LoweredGather
    | LoweredResize
    | LoweredConstant
    | LoweredReshape
)


def lower(graph: Graph) -> dict[str, Lowered]:
    """The integer constants of every layer of a quantised graph, by the layer's name, in order.

    Raises:
        ModelError: the graph is not quantised (TMB1201), a layer's numbers cannot be computed in int32 or
            do not fit their descriptor (TMB1202), or quantisations do not match (TMB1203).
    """
    return {layer.name: lower_layer(graph, layer) for layer in graph.layers}


def lower_layer(graph: Graph, layer: Layer) -> Lowered:
    """The integer constants of one layer; raises as ``lower`` does."""
    inputs = [graph.tensors[name] for name in layer.inputs]
    output = graph.tensors[layer.output]
    x = inputs[0]
    match layer.op:
        case FullyConnected():
            weights = layer.weight
            _fits(layer, weights.shape, _U16, "rows and columns")
            return LoweredFullyConnected(weights, _requant(layer, x, output, weights, layer.op.clamp))
        case Conv2D():
            return _conv2d(layer, layer.op, x, output)
        case MaxPool2D() | AvgPool2D():
            _same_quant(layer, x, output)
            return _pool2d(layer, layer.op, x, output)
        case Pad():
            _same_quant(layer, x, output)
            return _pad(layer, x, layer.op.padding)
        case Add():
            return _add(layer, layer.op, inputs, output)
        case Activation():
            return _requantize(layer, x, output, layer.op.clamp)
        case Concat():
            return _concat(layer, layer.op, inputs, output)
        case Softmax():
            return _softmax(layer, x, output)
        case Reshape():
            _same_quant(layer, x, output)
            return LoweredReshape(output.size)
    raise ModelError(
        "TMB1201",
        f"{op_name(layer.op)} has no integer form",
        where=_where(layer),
        hint="quantise the graph first; that folds batch normalisation into the layer before it",
    )


def clamp_bounds(clamp: Clamp, quant: Quant) -> tuple[int, int]:
    """A real-valued clamp in int8 units of a quantisation, each bound rounded half away from zero.

    The quotient is taken in float32, as TFLite takes it.
    """
    low, high = clamp
    return (
        -128 if low is None else max(-128, quant.zero_point + _in_units(low, quant)),
        127 if high is None else min(127, quant.zero_point + _in_units(high, quant)),
    )


def requantization_factors(
    input_scale: float, weight_scale: np.ndarray, output_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """The ``multiplier`` and ``shift`` parameters of a layer with weights, from its three scales.

    Args:
        input_scale, output_scale: of the activations.
        weight_scale: float32 ``[O]`` or ``[1]``.

    Returns:
        int32 multipliers and int8 shifts, as long as ``weight_scale``; the quotient is taken in float64.

    Raises:
        ValueError: a factor is outside ``quantize_multiplier``'s range.
    """
    factors = np.float64(input_scale) * weight_scale.astype(np.float64) / np.float64(output_scale)
    pairs = [quantize_multiplier(float(factor)) for factor in factors]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.int8)


def _in_units(bound: float, quant: Quant) -> int:
    with np.errstate(over="ignore"):
        quotient = float(np.float32(bound) / np.float32(quant.scale))
    return round_half_away(max(-1e6, min(1e6, quotient)))


def _quant(layer: Layer, tensor: Tensor) -> Quant:
    if tensor.quant is None:
        raise ModelError(
            "TMB1201",
            f"tensor {tensor.name} is not quantised",
            where=_where(layer),
            hint="quantise the graph first",
        )
    return tensor.quant


def _factor(layer: Layer, real: float) -> tuple[int, int]:
    try:
        return quantize_multiplier(real)
    except ValueError as error:
        raise ModelError(
            "TMB1202",
            str(error),
            where=_where(layer),
            hint="the scales of the layer's input and output are too far apart; calibrate on other data",
        ) from None


def _requant(layer: Layer, x: Tensor, output: Tensor, weights: np.ndarray, clamp: Clamp) -> Requant:
    quant, zero_point = _quant(layer, output), _quant(layer, x).zero_point
    wide = weights.astype(np.int64)
    bias = layer.params["bias"].astype(np.int64) - zero_point * wide.sum(axis=1)
    shift = layer.params["shift"]
    # the bound that every partial sum keeps, whatever the input and the order of summation
    bound = np.abs(bias) + 128 * np.abs(wide).sum(axis=1)
    if (bound << np.maximum(shift.astype(np.int64), 0)).max() > INT32_MAX:
        row = int(np.argmax(bound << np.maximum(shift.astype(np.int64), 0)))
        raise ModelError(
            "TMB1202",
            f"the 32-bit accumulator of output channel {row} could overflow",
            where=_where(layer),
            hint="its weights' scale is very small or its bias very large; use per-tensor scales or retrain",
        )
    low, high = clamp_bounds(clamp, quant)
    return Requant(
        bias=bias.astype(np.int32),
        multiplier=layer.params["multiplier"],
        shift=shift,
        zero_point=quant.zero_point,
        min=low,
        max=high,
    )


def _conv2d(layer: Layer, op: Conv2D, x: Tensor, output: Tensor) -> LoweredConv2D:
    weights = layer.weight.reshape(len(layer.weight), -1)
    _fits(layer, (*weights.shape, *x.shape, *output.shape), _U16, "sizes")
    _fits(layer, (*op.kernel, *op.stride, *op.dilation), _U8, "kernel, stride and dilation")
    pad = _pad(layer, x, op.padding) if any(op.padding) else None
    top, bottom, left, right = op.padding
    return LoweredConv2D(
        weights=weights,
        q=_requant(layer, x, output, weights, op.clamp),
        pad=pad,
        in_h=x.shape[0] + top + bottom,
        in_w=x.shape[1] + left + right,
        in_c=x.shape[2],
        out_h=output.shape[0],
        out_w=output.shape[1],
        out_c=output.shape[2],
        kernel_h=op.kernel[0],
        kernel_w=op.kernel[1],
        stride_h=op.stride[0],
        stride_w=op.stride[1],
        dilation_h=op.dilation[0],
        dilation_w=op.dilation[1],
        groups=op.groups,
    )


def _pool2d(layer: Layer, op: MaxPool2D | AvgPool2D, x: Tensor, output: Tensor) -> LoweredPool2D:
    _fits(layer, (*x.shape, *output.shape), _U16, "sizes")
    _fits(layer, (*op.kernel, *op.stride, *op.padding), _U8, "window, stride and padding")
    low, high = clamp_bounds(op.clamp, _quant(layer, output))
    return LoweredPool2D(
        average=isinstance(op, AvgPool2D),
        in_h=x.shape[0],
        in_w=x.shape[1],
        channels=x.shape[2],
        out_h=output.shape[0],
        out_w=output.shape[1],
        kernel_h=op.kernel[0],
        kernel_w=op.kernel[1],
        stride_h=op.stride[0],
        stride_w=op.stride[1],
        pad_top=op.padding[0],
        pad_left=op.padding[2],
        min=low,
        max=high,
    )


def _pad(layer: Layer, x: Tensor, padding: tuple[int, int, int, int]) -> LoweredPad:
    top, bottom, left, right = padding
    _fits(layer, (x.shape[0] + top + bottom, x.shape[1] + left + right, x.shape[2]), _U16, "padded sizes")
    _fits(layer, padding, _U8, "padding")
    return LoweredPad(
        in_h=x.shape[0],
        in_w=x.shape[1],
        channels=x.shape[2],
        top=top,
        bottom=bottom,
        left=left,
        right=right,
        value=_quant(layer, x).zero_point,
    )


def _add(layer: Layer, op: Add, inputs: list[Tensor], output: Tensor) -> LoweredAdd:
    a, b, y = _quant(layer, inputs[0]), _quant(layer, inputs[1]), _quant(layer, output)
    twice = 2.0 * max(a.scale, b.scale)
    result = twice / ((1 << ADD_LEFT_SHIFT) * y.scale)
    if result >= 1.0:
        raise ModelError(
            "TMB1202",
            f"the output scale {y.scale:g} is too small beside the inputs' {a.scale:g} and {b.scale:g}",
            where=_where(layer),
            hint="the calibration data leaves this sum almost constant; calibrate on other data",
        )
    low, high = clamp_bounds(op.clamp, y)
    return LoweredAdd(
        spread=Spread(1, output.size, 0, 1, 0, 1),
        subtract=False,
        ra=Rescale(*_factor(layer, a.scale / twice), a.zero_point),
        rb=Rescale(*_factor(layer, b.scale / twice), b.zero_point),
        ro=Rescale(*_factor(layer, result), y.zero_point),
        min=low,
        max=high,
    )


def _requantize(layer: Layer, x: Tensor, output: Tensor, clamp: Clamp) -> LoweredRequantize:
    before, after = _quant(layer, x), _quant(layer, output)
    multiplier, shift = _factor(layer, before.scale / after.scale)
    if shift > 31 - 9:  # a difference to the zero point has 9 bits
        raise ModelError(
            "TMB1202",
            f"the output scale {after.scale:g} is too small beside the input's {before.scale:g}",
            where=_where(layer),
            hint="calibrate on other data",
        )
    low, high = clamp_bounds(clamp, after)
    return LoweredRequantize(
        size=x.size,
        r=Rescale(multiplier, shift, before.zero_point),
        zero_point=after.zero_point,
        min=low,
        max=high,
    )


def _concat(layer: Layer, op: Concat, inputs: list[Tensor], output: Tensor) -> LoweredConcat:
    axis = concat_axis(op, len(output.shape))
    rows = math.prod(output.shape[:axis])
    stride = math.prod(output.shape[axis:])
    at, lowered = 0, []
    for x in inputs:
        length = math.prod(x.shape[axis:])
        same = _quant(layer, x) == _quant(layer, output)
        step = None if same else _requantize(layer, x, output, (None, None))
        lowered.append(LoweredConcatInput(rows=rows, bytes=length, stride=stride, at=at, requantize=step))
        at += length
    return LoweredConcat(tuple(lowered))


def _softmax(layer: Layer, x: Tensor, output: Tensor) -> LoweredSoftmax:
    if _quant(layer, output) != SOFTMAX_QUANT:
        raise ModelError(
            "TMB1203",
            f"softmax yields scale 1/256 and zero point -128, not {output.quant}",
            where=_where(layer),
            hint="give its output tensor Quant(1 / 256, -128)",
        )
    fraction_bits = 31 - SOFTMAX_INTEGER_BITS
    real = min(_quant(layer, x).scale * 2**fraction_bits, float(INT32_MAX))
    if real <= 1.0 or x.shape[-1] > 4096:  # sums of exponentials have 12 integer bits
        raise ModelError(
            "TMB1202",
            f"softmax over {x.shape[-1]} elements of scale {_quant(layer, x).scale:g} is outside its range",
            where=_where(layer),
            hint="at most 4096 elements, and an input scale above 2^-26",
        )
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * 2**31)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    largest = ((1 << SOFTMAX_INTEGER_BITS) - 1) * 2.0**fraction_bits / 2.0**shift
    return LoweredSoftmax(
        rows=x.size // x.shape[-1],
        cols=x.shape[-1],
        multiplier=multiplier,
        shift=shift,
        diff_min=-math.floor(largest),
    )


def _same_quant(layer: Layer, x: Tensor, output: Tensor) -> None:
    if _quant(layer, x) != _quant(layer, output):
        raise ModelError(
            "TMB1203",
            f"{op_name(layer.op)} keeps its input's quantisation, but {x.quant} becomes {output.quant}",
            where=_where(layer),
            hint="give both tensors one scale and zero point",
        )


def _fits(layer: Layer, values: tuple[int, ...], limit: int, what: str) -> None:
    if max(values) > limit:
        raise ModelError(
            "TMB1202",
            f"{what} {tuple(int(v) for v in values)} exceed {limit}",
            where=_where(layer),
            hint="firmware descriptors hold nothing larger; make the layer smaller",
        )


def _where(layer: Layer) -> str:
    return f"layer {layer.name}" + (f" ({layer.source})" if layer.source else "")
