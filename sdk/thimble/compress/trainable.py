"""A Graph as a PyTorch module and back.

Weights keep the Graph's values; inside, images are NCHW tensors in channels-last memory, which is the
Graph's own NHWC order, so nothing is copied on the way in or at a flatten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from thimble.compress.fake_quant import ActivationRange, fake_quantize_weight, fit_scale
from thimble.compress.functional import apply, clamped, inside, outside, pad_for
from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer
from thimble.graph.ops import (
    BatchNorm,
    Constant,
    Conv2D,
    FullyConnected,
    MaxPool2D,
    Pad,
    Reshape,
    ResizeNearest,
    Slice,
    Softmax,
    Transpose,
)

_KEEPS_VALUES = Pad | Reshape | Transpose | Slice | ResizeNearest


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

    Layers of one operator with the same weights and bias, as the steps of an unrolled recurrent network,
    stay so: they share one WeightedLayer. Ranges of activations that ``meta["activation_ranges"]`` names,
    as those of a model that came quantised, are kept.

    Args:
        graph: a float Graph without states.
        per_channel: one weight scale per output channel instead of one per layer.

    ``forward`` takes float32 ``(N, *input shape)`` for each input, images NHWC, and returns
    ``(N, *output shape)``, of several outputs a tuple. A softmax at the very end is left out: it returns
    logits.

    Raises:
        ModelError: the graph has states (TMB1101).
    """

    def __init__(self, graph: Graph, *, per_channel: bool = False) -> None:
        super().__init__()
        if graph.states:
            raise ModelError(
                "TMB1101",
                "a network with states cannot be trained one step at a time",
                where=f"state {graph.states[0][0]}",
                hint="train it unrolled over a sequence, and build its step with the trained weights",
            )
        self.graph = graph
        self._index, cells = _shared(graph, per_channel)
        self._cells = nn.ModuleList(cells)
        norms = [layer for layer in graph.layers if isinstance(layer.op, BatchNorm)]
        self._norm_index = {layer.name: i for i, layer in enumerate(norms)}
        self._norms = nn.ModuleList(_Norm(layer) for layer in norms)
        self._owner = range_owners(graph)
        self._range_index = {name: i for i, name in enumerate(dict.fromkeys(self._owner.values()))}
        inputs = {self._owner[name] for name in graph.inputs}
        self._ranges = nn.ModuleList(ActivationRange(extremes=n in inputs) for n in self._range_index)
        for name, (low, high) in graph.meta.get("activation_ranges", {}).items():
            if name in self._owner:
                self._ranges[self._range_index[self._owner[name]]].keep(low, high)  # type: ignore[operator]

    @property
    def cells(self) -> dict[str, WeightedLayer]:
        """The weighted layers in order, each by the name of the first layer of the Graph that it is."""
        first: dict[int, str] = {}
        for name, i in self._index.items():
            first.setdefault(i, name)
        return {name: self._cells[i] for i, name in first.items()}  # type: ignore[misc]

    def cell(self, name: str) -> WeightedLayer:
        """The weights of a layer of the Graph."""
        return self._cells[self._index[name]]  # type: ignore[return-value]

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

    def forward(self, *x: Tensor) -> Tensor | tuple[Tensor, ...]:
        graph = self.graph
        values = {
            name: self._quantized(name, inside(batch)) for name, batch in zip(graph.inputs, x, strict=True)
        }
        last = graph.layers[-1]
        for layer in graph.layers:
            if layer is last and isinstance(layer.op, Softmax) and graph.outputs == (layer.output,):
                return outside(values[layer.inputs[0]])
            y = self._run(layer, [values[name] for name in layer.inputs], len(x[0]))
            values[layer.output] = self._quantized(layer.output, y)
        outputs = tuple(outside(values[name]) for name in graph.outputs)
        return outputs if len(outputs) > 1 else outputs[0]

    def _quantized(self, tensor: str, x: Tensor) -> Tensor:
        # of tensors that share a quantisation only the owner rounds
        index = self._range_index.get(tensor)
        return x if index is None else self._ranges[index](x)

    def _run(self, layer: Layer, inputs: list[Tensor], batch: int) -> Tensor:
        match layer.op:
            case FullyConnected(clamp=clamp):
                cell = self.cell(layer.name)
                return clamped(F.linear(outside(inputs[0]).flatten(1), cell.effective(), cell.bias), clamp)
            case Conv2D() as op:
                cell = self.cell(layer.name)
                x, padding = pad_for(inputs[0], op.padding, 0.0)
                weight = cell.effective().contiguous(memory_format=torch.channels_last)
                y = F.conv2d(x, weight, cell.bias, op.stride, padding, op.dilation, op.groups)
                return clamped(y, op.clamp)
            case Constant():
                value = torch.from_numpy(layer.params["value"].copy())
                return inside(value.expand(batch, *value.shape))
            case BatchNorm(epsilon=epsilon):
                return self._norms[self._norm_index[layer.name]](inputs[0], epsilon)
            case op:
                return apply(op, inputs, self.graph.tensors[layer.output].shape)

    def to_graph(self) -> Graph:
        """The Graph with the effective weights (masked, on the grid where one is switched on)."""
        layers = []
        for layer in self.graph.layers:
            params: dict[str, np.ndarray] = {}
            if layer.has_weights:
                cell = self.cell(layer.name)
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
        return {name: self.cell(name).log_scale.detach().exp().numpy() for name in self._index}


def _shared(graph: Graph, per_channel: bool) -> tuple[dict[str, int], list[WeightedLayer]]:
    """Each weighted layer's number, and the cells by number: layers alike in all have one."""
    index: dict[str, int] = {}
    cells: list[WeightedLayer] = []
    known: dict[tuple[object, ...], int] = {}
    for layer in graph.weighted:
        params = (layer.weight, layer.params["bias"])
        key = (layer.op, layer.weight.shape, *(hashlib.sha256(array.data).digest() for array in params))
        if key not in known:
            known[key] = len(cells)
            cells.append(WeightedLayer(layer, per_channel=per_channel))
        index[layer.name] = known[key]
    return index, cells


def range_owners(graph: Graph) -> dict[str, str]:
    """Tensor name -> the tensor whose range it shares.

    Max pooling and operators that only move elements keep their input's quantisation. Where such a layer is
    the only reader, the range is taken behind it: rounding and clamping commute with a maximum, and the
    values that are thrown away need no room. Softmax outputs have TFLite's fixed range and none here.
    """
    owner: dict[str, str] = {}
    for name in graph.inputs:
        owner[name] = name
    for layer in graph.layers:
        if isinstance(layer.op, Softmax):
            continue
        source = layer.inputs[0] if layer.inputs else ""
        keeps = isinstance(layer.op, _KEEPS_VALUES) or (
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
