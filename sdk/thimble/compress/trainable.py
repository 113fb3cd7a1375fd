"""A Graph as a PyTorch module and back.

Weights keep the Graph's values; inside, images are NCHW tensors in channels-last memory, which is the
Graph's own NHWC order, so nothing is copied on the way in or at a flatten.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thimble.compress.fake_quant import ActivationRange, fake_quantize_weight, fit_scale
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    Activation,
    Add,
    AvgPool2D,
    BatchNorm,
    Clamp,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Pad,
    Reshape,
    Softmax,
)

_TO_NCHW_AXIS = {0: 2, 1: 3, 2: 1}


class WeightedLayer(nn.Module):
    """Weights, bias, mask and grid of one layer.

    ``weight`` is ``[O, I]`` or ``[O, I / groups, KH, KW]``; ``mask`` has its shape and is 1 where a weight
    may live. ``log_scale`` holds the natural logarithm of the grid's step, one element or one per channel.
    While ``on_grid``, :meth:`effective` rounds to ``-levels .. levels``; ``keep_zero`` says whether
    unmasked weights may become zero, and ``tied`` how the step learns (see fake_quantize_weight).
    """

    mask: Tensor

    def __init__(self, layer: Layer, *, per_channel: bool) -> None:
        super().__init__()
        weight = torch.from_numpy(layer.weight.astype(np.float32))
        self.is_conv = weight.dim() == 4
        if self.is_conv:
            weight = weight.permute(0, 3, 1, 2)
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(torch.from_numpy(layer.params["bias"].astype(np.float32).copy()))
        self.register_buffer("mask", torch.ones_like(self.weight))
        self.log_scale = nn.Parameter(torch.zeros(len(weight) if per_channel else 1))
        self.on_grid = False
        self.keep_zero = False
        self.tied = False
        self.levels = 127

    @property
    def per_channel(self) -> bool:
        return len(self.log_scale) > 1

    def scale(self) -> Tensor:
        """The grid's step in a shape that broadcasts to ``weight``."""
        shape = (-1,) + (1,) * (self.weight.dim() - 1)
        return self.log_scale.exp().view(shape)

    def effective(self) -> Tensor:
        """The weights that forward uses: masked, and on the grid if ``on_grid``."""
        if not self.on_grid:
            return self.weight * self.mask
        rounded = fake_quantize_weight(
            self.weight, self.scale(), self.levels, keep_zero=self.keep_zero, tied=self.tied
        )
        return rounded * self.mask

    @torch.no_grad()
    def fit_scale(self) -> None:
        """Sets the grid's step to the least squared error of the masked weights."""
        weight = (self.weight * self.mask).flatten(1)
        rows = weight if self.per_channel else weight.reshape(1, -1)
        self.log_scale.copy_(fit_scale(rows, self.levels, keep_zero=self.keep_zero).log())

    @torch.no_grad()
    def apply_mask(self) -> None:
        """Zeroes masked weights for good."""
        self.weight.mul_(self.mask)

    def numpy_weight(self) -> np.ndarray:
        """:meth:`effective` in the Graph's layout, float32."""
        weight = self.effective().detach()
        if self.is_conv:
            weight = weight.permute(0, 2, 3, 1)
        return np.ascontiguousarray(weight.numpy())


class _Norm(nn.Module):
    """A BatchNorm layer; its statistics move in training mode."""

    mean: Tensor
    var: Tensor

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        take = {k: torch.from_numpy(v.astype(np.float32).copy()) for k, v in layer.params.items()}
        self.gamma, self.beta = nn.Parameter(take["gamma"]), nn.Parameter(take["beta"])
        self.register_buffer("mean", take["mean"])
        self.register_buffer("var", take["var"])

    def forward(self, x: Tensor, epsilon: float) -> Tensor:
        return F.batch_norm(x, self.mean, self.var, self.gamma, self.beta, self.training, 0.1, epsilon)


class TrainableGraph(nn.Module):
    """A module that computes what a float Graph computes.

    Args:
        graph: a float Graph with one input and one output.
        per_channel: one weight scale per output channel instead of one per layer.

    ``forward`` takes float32 ``(N, *input shape)``, images NHWC, and returns ``(N, *output shape)``. A
    softmax at the very end is left out: it returns logits.
    """

    def __init__(self, graph: Graph, *, per_channel: bool = False) -> None:
        super().__init__()
        self.graph = graph
        self._index = {layer.name: i for i, layer in enumerate(graph.weighted)}
        self._cells = nn.ModuleList(WeightedLayer(x, per_channel=per_channel) for x in graph.weighted)
        norms = [layer for layer in graph.layers if isinstance(layer.op, BatchNorm)]
        self._norm_index = {layer.name: i for i, layer in enumerate(norms)}
        self._norms = nn.ModuleList(_Norm(layer) for layer in norms)
        self._owner = range_owners(graph)
        self._range_index = {name: i for i, name in enumerate(dict.fromkeys(self._owner.values()))}
        inputs = {self._owner[name] for name in graph.inputs}
        self._ranges = nn.ModuleList(ActivationRange(extremes=n in inputs) for n in self._range_index)

    @property
    def cells(self) -> dict[str, WeightedLayer]:
        """The weighted layers by name, in order."""
        return {name: self._cells[i] for name, i in self._index.items()}  # type: ignore[misc]

    @property
    def ranges(self) -> Iterator[ActivationRange]:
        """All activation quantisers."""
        return iter(self._ranges)  # type: ignore[arg-type]

    def quantize_weights(self, levels: int | None, *, keep_zero: bool = False, tied: bool = False) -> None:
        """Puts every layer on a grid of ``-levels .. levels``, or takes it off (None)."""
        for cell in self.cells.values():
            cell.on_grid, cell.keep_zero, cell.tied = levels is not None, keep_zero, tied
            cell.levels = levels or cell.levels

    def quantize_activations(self, *, enabled: bool, observing: bool) -> None:
        """Switches rounding of activations, and whether ranges follow the batches in training mode."""
        for quantizer in self.ranges:
            quantizer.enabled, quantizer.observing = enabled, observing

    def forward(self, x: Tensor) -> Tensor:
        values = {self.graph.inputs[0]: self._quantized(self.graph.inputs[0], _inside(x))}
        last = self.graph.layers[-1]
        for layer in self.graph.layers:
            if layer is last and isinstance(layer.op, Softmax):
                return _outside(values[layer.inputs[0]])
            y = self._run(layer, [values[name] for name in layer.inputs])
            values[layer.output] = self._quantized(layer.output, y)
        return _outside(values[self.graph.outputs[0]])

    def _quantized(self, tensor: str, x: Tensor) -> Tensor:
        # of tensors that share a quantisation only the owner rounds
        index = self._range_index.get(tensor)
        return x if index is None else self._ranges[index](x)

    def _run(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        x, shape = inputs[0], self.graph.tensors[layer.output].shape
        match layer.op:
            case FullyConnected(clamp=clamp):
                cell = self.cells[layer.name]
                return _clamp(F.linear(_outside(x).flatten(1), cell.effective(), cell.bias), clamp)
            case Conv2D() as op:
                cell = self.cells[layer.name]
                x, padding = _pad_for(x, op.padding, 0.0)
                weight = cell.effective().contiguous(memory_format=torch.channels_last)
                y = F.conv2d(x, weight, cell.bias, op.stride, padding, op.dilation, op.groups)
                return _clamp(y, op.clamp)
            case MaxPool2D() as op:
                x, padding = _pad_for(x, op.padding, float("-inf"), limit=op.kernel)
                return _clamp(F.max_pool2d(x, op.kernel, op.stride, padding), op.clamp)
            case AvgPool2D() as op:
                return _clamp(_average(x, op), op.clamp)
            case Pad(padding=(top, bottom, left, right)):
                return F.pad(x, (left, right, top, bottom))
            case Add(clamp=clamp):
                return _clamp(inputs[0] + inputs[1], clamp)
            case Concat(axis=axis):
                rank = len(shape)
                axis = axis % rank
                return torch.cat(inputs, dim=_TO_NCHW_AXIS[axis] if rank == 3 else axis + 1)
            case Softmax():
                return _inside(F.softmax(_outside(x), dim=-1))
            case Reshape():
                return _inside(_outside(x).reshape(len(x), *shape))
            case Activation(clamp=clamp):
                return _clamp(x, clamp)
            case BatchNorm(epsilon=epsilon):
                return self._norms[self._norm_index[layer.name]](x, epsilon)
        raise TypeError(f"{layer.name}: {type(layer.op).__name__} cannot be trained")

    def to_graph(self) -> Graph:
        """The Graph with the effective weights (masked, on the grid where one is switched on)."""
        layers = []
        for layer in self.graph.layers:
            params: dict[str, np.ndarray] = {}
            if layer.has_weights:
                cell = self.cells[layer.name]
                params = {"weight": cell.numpy_weight(), "bias": cell.bias.detach().numpy()}
            elif layer.name in self._norm_index:
                norm = self._norms[self._norm_index[layer.name]]
                params = {k: getattr(norm, k).detach().numpy() for k in ("gamma", "beta", "mean", "var")}
            layers.append(attrs.evolve(layer, params=params) if params else layer)
        return attrs.evolve(self.graph, layers=tuple(layers))

    def activation_ranges(self) -> dict[str, tuple[float, float]]:
        """Tensor name -> (low, high) in real units, for every tensor that has a range."""
        return {
            tensor: self._ranges[self._range_index[owner]].range()  # type: ignore[operator]
            for tensor, owner in self._owner.items()
        }

    def weight_scales(self) -> dict[str, np.ndarray]:
        """Layer name -> the grid's step, float32 ``[1]`` or ``[O]``."""
        return {name: cell.log_scale.detach().exp().numpy() for name, cell in self.cells.items()}


def range_owners(graph: Graph) -> dict[str, str]:
    """Tensor name -> the tensor whose range it shares.

    Max pooling, padding and reshaping keep their input's quantisation. Where such a layer is the only
    reader, the range is taken behind it: rounding and clamping commute with a maximum, and the values that
    pooling throws away need no room. Softmax outputs have TFLite's fixed range and none here.
    """
    owner: dict[str, str] = {}
    for name in graph.inputs:
        owner[name] = name
    for layer in graph.layers:
        if isinstance(layer.op, Softmax):
            continue
        source = layer.inputs[0]
        keeps = isinstance(layer.op, Pad | Reshape) or (
            isinstance(layer.op, MaxPool2D) and layer.op.clamp == (None, None)
        )
        if not keeps or source not in owner:
            owner[layer.output] = layer.output
        elif len(graph.consumers(source)) == 1 and source not in graph.outputs:
            moved = owner[source]
            owner = {k: layer.output if v == moved else v for k, v in owner.items()}
            owner[layer.output] = layer.output
        else:
            owner[layer.output] = owner[source]
    return owner


def _inside(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2) if x.dim() == 4 else x


def _outside(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x


def _clamp(x: Tensor, clamp: Clamp) -> Tensor:
    low, high = clamp
    if low == 0 and high is None:
        return F.relu(x)
    return x if low is None and high is None else x.clamp(low, high)


def _pad_for(
    x: Tensor, padding: tuple[int, int, int, int], value: float, limit: tuple[int, int] | None = None
) -> tuple[Tensor, tuple[int, int]]:
    """x and the symmetric padding that the operator itself may apply; the rest is padded here."""
    top, bottom, left, right = padding
    fits = limit is None or (2 * top <= limit[0] and 2 * left <= limit[1])
    if top == bottom and left == right and fits:
        return x, (top, left)
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def _average(x: Tensor, op: AvgPool2D) -> Tensor:
    if not any(op.padding):
        return F.avg_pool2d(x, op.kernel, op.stride)
    top, bottom, left, right = op.padding
    area = op.kernel[0] * op.kernel[1]
    border = (left, right, top, bottom)
    total = F.avg_pool2d(F.pad(x, border), op.kernel, op.stride) * area
    inside = F.avg_pool2d(F.pad(torch.ones_like(x[:1, :1]), border), op.kernel, op.stride) * area
    return total / inside
