"""Convolutions and products with weights."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.frontend.builder import Value
from thimble.frontend.onnx.layout import arranged, from_image, plain, to_image
from thimble.frontend.onnx.node import Fixed, Node, OnnxBuilder, handles
from thimble.graph.ops import Conv2D, FullyConnected, Pad, Padding

_NONE: Padding = (0, 0, 0, 0)


@handles("Conv")
def convolution(b: OnnxBuilder, node: Node) -> Value:
    weight = node.fixed(1)
    spatial = weight.array.ndim - 2
    if spatial not in (1, 2) or weight.array.dtype.kind != "f" or weight.array.size == 0:
        raise node.unsupported(
            f"a convolution with weights of shape {weight.array.shape}", "1-D and 2-D ones are supported"
        )
    x = node.value()
    if len(x.shape) != spatial + 2:
        raise node.malformed(f"weights of shape {weight.array.shape} on an input of shape {x.shape}")
    kernel = weight.array.shape[2:]
    window = read_window(node, x.shape[2:], kernel)
    image, padding = _before_padding(b, to_image(b, node, x), window.padding)
    op = Conv2D(
        kernel=_flat(kernel, 1),
        stride=_flat(window.stride, 1),
        padding=padding,
        dilation=_flat(window.dilation, 1),
        groups=_groups(node),
    )
    bias = None if node.operand(2) is None else node.fixed(2)
    output = b.weighted(node, op, image, weight, bias, _channels_last)
    return from_image(b, output, spatial + 2)


@handles("ConvTranspose")
def transposed_convolution(b: OnnxBuilder, node: Node) -> Value:
    """A convolution over the input with ``stride - 1`` zeros between its pixels, with flipped kernels."""
    weight, x, groups = node.fixed(1), node.value(), _groups(node)
    spatial = weight.array.ndim - 2
    if spatial not in (1, 2) or weight.array.dtype.kind != "f" or len(x.shape) != spatial + 2:
        raise node.unsupported(
            f"a transposed convolution with weights of shape {weight.array.shape}",
            "1-D and 2-D ones are supported",
        )
    kernel = weight.array.shape[2:]
    if weight.array.size == 0 or weight.array.shape[0] != x.shape[1] or weight.array.shape[0] % groups:
        raise node.malformed(f"weights of shape {weight.array.shape} on {x.shape[1]} channels")
    if weight.integers is not None and weight.scale is not None and len(weight.scale) > 1 and groups > 1:
        raise node.unsupported(
            "scales per channel in a grouped transposed convolution", "quantise per tensor"
        )
    strides, dilations = node.sizes("strides", spatial, 1), node.sizes("dilations", spatial, 1)
    extra = node.sizes("output_padding", spatial, 0, low=0)
    pads = _transposed_pads(node, x.shape[2:], kernel, strides, dilations, extra)
    frame = []
    for axis in range(spatial):
        reach = dilations[axis] * (kernel[axis] - 1)
        frame += [reach - pads[axis], reach - pads[spatial + axis] + extra[axis]]
    if min(frame) < 0:
        raise node.unsupported(
            f"a transposed convolution with pads {pads}", "pad less than the kernel reaches"
        )
    padding = (frame[0], frame[1], frame[2], frame[3]) if spatial == 2 else (0, 0, frame[0], frame[1])
    image = to_image(b, node, x)
    interior = _flat(tuple(s - 1 for s in strides), 0)
    if any(interior):
        image, padding = b.layer(node, Pad(padding, interior), image, suffix="spread"), _NONE
    op = Conv2D(_flat(kernel, 1), padding=padding, dilation=_flat(tuple(dilations), 1), groups=groups)

    def flipped(w: np.ndarray) -> np.ndarray:
        w = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
        return _channels_last(np.flip(w.reshape(-1, *w.shape[2:]), axis=tuple(range(2, 2 + spatial))))

    bias = None if node.operand(2) is None else node.fixed(2)
    output = b.weighted(node, op, image, weight, bias, flipped, axis=1)
    return from_image(b, output, spatial + 2)


def _transposed_pads(
    node: Node,
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    strides: list[int],
    dilations: list[int],
    extra: list[int],
) -> list[int]:
    """What is cut off the result: all begins, then all ends."""
    spatial, auto = len(kernel), node.text("auto_pad", "NOTSET")
    wanted = node.integers("output_shape")
    if auto in ("NOTSET", "VALID") and wanted is None:
        return node.sizes("pads", 2 * spatial, 0, low=0)
    if auto in ("SAME_UPPER", "SAME_LOWER") and wanted is None:
        wanted = [n * s for n, s in zip(sizes, strides, strict=True)]
    if wanted is None or len(wanted) < spatial:
        raise node.malformed(f"auto_pad {auto!r:.40} of a transposed convolution")
    begins, ends = [], []
    for axis, target in enumerate(wanted[-spatial:]):
        full = strides[axis] * (sizes[axis] - 1) + dilations[axis] * (kernel[axis] - 1) + 1 + extra[axis]
        total = max(0, full - target)
        first = total - total // 2 if auto == "SAME_LOWER" else total // 2
        begins.append(first)
        ends.append(total - first)
    return begins + ends


@attrs.frozen
class Window:
    """What a convolution or pool reads: vertical and horizontal, or horizontal alone; padding in full."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Padding


def read_window(node: Node, sizes: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
    """Stride, dilation and padding of a node with one or two spatial axes of these sizes."""
    spatial = len(sizes)
    if tuple(node.integers("kernel_shape") or kernel) != tuple(kernel):
        raise node.malformed(f"kernel_shape of {node.operation} is not its weights'")
    strides, dilations = node.sizes("strides", spatial, 1), node.sizes("dilations", spatial, 1)
    auto = node.text("auto_pad", "NOTSET")
    begins, ends = [0] * spatial, [0] * spatial
    if auto == "NOTSET":
        pads = node.sizes("pads", 2 * spatial, 0, low=0)
        begins, ends = pads[:spatial], pads[spatial:]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in range(spatial):
            reach = dilations[axis] * (kernel[axis] - 1) + 1
            count = -(-sizes[axis] // strides[axis])
            total = max(0, (count - 1) * strides[axis] + reach - sizes[axis])
            begins[axis] = total // 2 if auto == "SAME_UPPER" else total - total // 2
            ends[axis] = total - begins[axis]
    elif auto != "VALID":
        raise node.malformed(f"auto_pad {auto!r:.40}")
    vertical = (begins[0], ends[0]) if spatial == 2 else (0, 0)
    return Window(tuple(strides), tuple(dilations), (*vertical, begins[-1], ends[-1]))


def _flat(numbers: tuple[int, ...], missing: int) -> tuple[int, int]:
    """Vertical and horizontal; a sequence has ``missing`` vertically."""
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (missing, numbers[0])


def _channels_last(weight: np.ndarray) -> np.ndarray:
    if weight.ndim == 3:
        weight = weight[:, :, None, :]
    return weight.transpose(0, 2, 3, 1)


def _groups(node: Node) -> int:
    groups = node.integer("group", 1)
    if not 1 <= groups <= 1 << 20:
        raise node.malformed(f"group {groups}")
    return groups


def _before_padding(b: OnnxBuilder, image: str, padding: Padding) -> tuple[str, Padding]:
    """The tensor before a Pad of zeros, with that padding added to the convolution's own."""
    for layer in reversed(b.layers):
        if layer.output == image:
            if isinstance(layer.op, Pad) and layer.op.interior == (0, 0):
                p, q = layer.op.padding, padding
                return layer.inputs[0], (p[0] + q[0], p[1] + q[1], p[2] + q[2], p[3] + q[3])
            break
    return image, padding


@handles("Gemm")
def gemm(b: OnnxBuilder, node: Node) -> Value:
    x, weight = node.value(), node.fixed(1)
    if len(x.shape) != 2 or weight.array.ndim != 2 or weight.array.dtype.kind != "f":
        raise node.malformed(f"Gemm of shapes {x.shape} and {weight.array.shape}")
    if node.integer("transA", 0):
        x = Value(x.tensor, x.index.T)
    weight = weight.times(_positive(node, "alpha"))
    axis = 0
    if not node.integer("transB", 0):
        weight, axis = weight.rearranged(np.transpose, 1 - weight.axis), 0
    bias = None
    if node.operand(2) is not None:
        bias = _row(node, node.fixed(2).times(_positive(node, "beta")), len(weight.array))
    return product(b, node, x, weight, bias, axis)


def _positive(node: Node, name: str) -> float:
    factor = node.real(name, 1.0)
    if factor <= 0:
        raise node.unsupported(f"Gemm with {name} {factor}", "fold it into the weights")
    return factor


def _row(node: Node, bias: Fixed, count: int) -> Fixed:
    """A bias (N,), (1, N), (1,) or () as (N,)."""
    if bias.array.size == count:
        return bias.rearranged(lambda a: a.reshape(-1), 0)
    if bias.array.size != 1:
        raise node.unsupported(f"a bias of shape {bias.array.shape}", "one number for each output")
    return Fixed(np.full(count, bias.array.reshape(-1)[0]), bias.names)


@handles("MatMul")
def matmul(b: OnnxBuilder, node: Node) -> Value:
    x, weight = node.value(), node.fixed(1)
    if weight.array.ndim != 2 or weight.array.dtype.kind != "f" or not x.shape:
        raise node.unsupported(
            f"a product with weights of shape {weight.array.shape}", "multiply by a matrix of weights"
        )
    return product(b, node, x, weight.rearranged(np.transpose, 1 - weight.axis), None, 0)


def product(b: OnnxBuilder, node: Node, x: Value, weight: Fixed, bias: Fixed | None, axis: int) -> Value:
    """``x @ weight.T + bias`` over the last axis: fully connected, or a 1x1 convolution for many rows.

    Args:
        weight: ``(O, I)``.
    """
    outputs, inputs = weight.array.shape
    if inputs != x.shape[-1] or weight.array.size == 0:
        raise node.malformed(f"a product of shapes {x.shape} and {weight.array.T.shape}")
    shape = (*x.shape[:-1], outputs)
    if x.index.size == inputs:
        order = x.index.reshape(-1)

        def columns(w: np.ndarray) -> np.ndarray:
            result = np.empty_like(w)
            result[:, order] = w
            return result

        return plain(b, b.weighted(node, FullyConnected(), x.tensor, weight, bias, columns, axis=axis), shape)
    rows = x.index.size // inputs
    image = arranged(b, node, x, x.index, (1, rows, inputs))
    op = Conv2D((1, 1))
    output = b.weighted(node, op, image, weight, bias, lambda w: w[:, None, None, :], axis=axis)
    return plain(b, output, shape)
