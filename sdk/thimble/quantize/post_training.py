"""From a float graph to a quantised one: int8 activations, weights of at most 8 bits, int32 biases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from thimble.compress.rewrites.fold_batch_norm import fold_batch_norm
from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Quant
from thimble.graph.ops import Constant
from thimble.graph.validate import validate
from thimble.quantize.calibrate import Range, choose_quants, observe_ranges, quantization_groups
from thimble.quantize.inputs import quantize_values
from thimble.quantize.lowering import lower, requantization_factors
from thimble.quantize.weight_grid import fit_scales, grid_integers, levels_of_bits

_BIAS_LIMIT = 1 << 29  # room for the sum of products above the bias in an int32


def quantize(
    graph: Graph,
    calibration: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    bits: int | Mapping[str, int] = 8,
    scales: str = "per-tensor",
    activation_ranges: Mapping[str, Range] | None = None,
    weight_scales: Mapping[str, np.ndarray] | None = None,
) -> Graph:
    """Quantises a float graph; batch normalisation is folded first.

    Args:
        graph: float.
        calibration: float ``(N, *input shape)``, NHWC, or one array for each input; a few hundred samples,
            of a graph with states one stream.
            May be None where ``activation_ranges`` names a range for every group of tensors.
        bits: of the weights, 2 to 8, for all layers or by layer name (8 where missing): integers of
            magnitude ``2^(bits-1) - 1``, or with ``weight_scales`` ``2^(bits-1)`` but at most 127.
        scales: ``"per-tensor"`` or ``"per-channel"``, for weights without ``weight_scales``.
        activation_ranges: tensor name -> (low, high), the real values that -128 and 127 stand for, as
            quantisation-aware training found them. Where one is given for a tensor, calibration has no say in
            it nor in the tensors that share its quantisation.
        weight_scales: layer name -> float32 ``[1]`` or ``[O]``: the weights already are whole multiples of
            these, and are taken exactly.

    Returns:
        A validated quantised graph that lowers. Zero weights stay zero.

    Raises:
        ModelError: weights are off the grid they are said to lie on (TMB1204), an option is out of range
            (TMB1205), a tensor has no range (TMB1206), or no int32 arithmetic can hold a layer (TMB1202).
        DataError: the calibration samples do not suit (TMB2002 to TMB2004).
    """
    if scales not in ("per-tensor", "per-channel"):
        raise ModelError(
            "TMB1205",
            f"scales must be per-tensor or per-channel, not {scales!r}",
            hint="choose one of the two",
        )
    graph = fold_batch_norm(graph)
    given = dict(activation_ranges or {})
    groups = quantization_groups(graph)
    settled = {groups[name] for name in given if name in groups}
    observed = {} if calibration is None else observe_ranges(graph, calibration)
    rest = {name: bounds for name, bounds in observed.items() if groups[name] not in settled}
    quants = choose_quants(graph, {**rest, **given})
    layers = []
    for layer in graph.layers:
        if layer.has_weights:
            width = bits if isinstance(bits, int) else bits.get(layer.name, 8)
            grid = (weight_scales or {}).get(layer.name)
            layer = _quantize_layer(layer, quants, width, scales == "per-channel", grid)
        elif isinstance(layer.op, Constant):
            value = quantize_values(layer.params["value"], quants[layer.output])
            layer = attrs.evolve(layer, params={"value": value})
        layers.append(layer)
    tensors = {name: attrs.evolve(tensor, quant=quants[name]) for name, tensor in graph.tensors.items()}
    quantized = validate(attrs.evolve(graph, tensors=tensors, layers=tuple(layers)))
    lower(quantized)  # a layer that no kernel could run fails here, not at code generation
    return quantized


def _quantize_layer(
    layer: Layer, quants: Mapping[str, Quant], bits: int, per_channel: bool, given: np.ndarray | None
) -> Layer:
    levels = levels_of_bits(bits)
    x, y = quants[layer.inputs[0]], quants[layer.output]
    rows = layer.weight.reshape(len(layer.weight), -1).astype(np.float64)
    bias = layer.params["bias"].astype(np.float64)
    scale = fit_scales(rows, levels, per_channel) if given is None else _checked_scale(layer, given)
    # a channel of tiny weights must not make its bias, counted in x.scale * scale, leave int32
    needed = np.abs(bias) / (x.scale * _BIAS_LIMIT)
    needed = needed if len(scale) > 1 else needed.max(keepdims=True)
    if given is None:
        scale = np.maximum(scale, needed)
    else:
        dead = ~rows.any(axis=1) if len(scale) > 1 else np.array([not rows.any()])
        scale = np.where(dead, np.maximum(scale, needed), scale)
    scale = scale.astype(np.float32)
    if given is None:
        weight = np.clip(np.rint(rows / scale.astype(np.float64)[:, None]), -levels, levels)
    else:
        # where zeros are stored apart, k bits tell 2^k other values
        weight = grid_integers(layer, rows, scale, min(127, levels + 1))
    counts = np.rint(bias / (x.scale * scale.astype(np.float64)))
    if np.abs(counts).max() > 2 * _BIAS_LIMIT:
        raise ModelError(
            "TMB1202",
            f"the bias of output channel {int(np.abs(counts).argmax())} does not fit 32 bits",
            where=f"layer {layer.name}",
            hint="its weights' scale is very small; use per-tensor scales or retrain",
        )
    try:
        multiplier, shift = requantization_factors(x.scale, scale, y.scale)
    except ValueError as error:
        raise ModelError(
            "TMB1202", str(error), where=f"layer {layer.name}", hint="calibrate on other data"
        ) from None
    params: dict[str, np.ndarray] = {
        "weight": weight.astype(np.int8).reshape(layer.weight.shape),
        "bias": counts.astype(np.int32),
        "scale": scale,
        "multiplier": multiplier,
        "shift": shift,
    }
    return attrs.evolve(layer, params=params)


def _checked_scale(layer: Layer, given: np.ndarray) -> np.ndarray:
    scale = np.asarray(given, np.float64).reshape(-1)
    if len(scale) not in (1, len(layer.weight)) or not (np.isfinite(scale) & (scale > 0)).all():
        raise ModelError(
            "TMB1204",
            f"weight scales must be 1 or {len(layer.weight)} positive numbers, not {np.shape(given)}",
            where=f"layer {layer.name}",
            hint="one scale for the layer, or one for each output channel",
        )
    return scale
