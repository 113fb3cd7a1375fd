"""Layer by layer: what a quantised graph computes beside the float graph that it was made from."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

from thimble.graph.graph import Graph, Tensor
from thimble.graph.ops import Constant, MaxPool2D, op_name
from thimble.quantize.float_interpreter import run_float
from thimble.quantize.inputs import dequantize_values, quantize_values
from thimble.quantize.interpreter import run_all, run_layer
from thimble.quantize.lowering import lower

POOR_SQNR = 10.0  # dB: below it a layer of its own spoils what it gets
_CEILING = 200.0  # dB, where there is no error at all


@attrs.frozen
class LayerError:
    """How far one layer's integers are from the float model's values.

    Attributes:
        name, op: the layer.
        sqnr: signal to quantisation noise of its output in the whole quantised network, dB.
        own_sqnr: the same of this layer alone, fed the float model's values rounded to its input's grid.
        max_error: largest difference in real units, in the whole network.
        max_steps: the same in steps of the output's scale.
        clipped: share of the float model's values, 0 .. 1, that the output's range cannot hold.
    """

    name: str
    op: str
    sqnr: float
    own_sqnr: float
    max_error: float
    max_steps: float
    clipped: float


def compare_layers(
    quantized: Graph, original: Graph, x: Sequence[np.ndarray], integers: Sequence[np.ndarray]
) -> list[LayerError]:
    """Both graphs on the same samples.

    Args:
        quantized: as quantisation left it: its layers and tensors are ``original``'s.
        original: float, batch normalisation folded.
        x: float32 ``(N, *shape)`` for each input, NHWC.
        integers: the same, quantised.

    Returns:
        One entry for each layer that both have, in order; constants are left out.
    """
    reals = run_float(original, list(x))
    values = run_all(quantized, list(integers))
    lowered = lower(quantized)
    found = []
    for layer in quantized.layers:
        if layer.output not in reals or isinstance(layer.op, Constant):
            continue
        tensor = quantized.tensors[layer.output]
        wanted = _fair(quantized, tensor, reals[layer.output])
        whole = _real(tensor, values[layer.output])
        inputs = [_rounded(quantized.tensors[name], reals[name]) for name in layer.inputs]
        alone = _real(tensor, run_layer(lowered[layer.name], inputs, tensor.shape))
        error = float(np.abs(whole - wanted).max())
        assert tensor.quant is not None
        found.append(
            LayerError(
                name=layer.name,
                op=op_name(layer.op),
                sqnr=sqnr(wanted, whole),
                own_sqnr=sqnr(wanted, alone),
                max_error=error,
                max_steps=error / tensor.quant.scale,
                clipped=_clipped(tensor, wanted),
            )
        )
    return found


def first_wrong(errors: Sequence[LayerError]) -> LayerError | None:
    """The first layer that goes wrong by itself: of an own SQNR below 10 dB; None where there is none."""
    return next((error for error in errors if error.own_sqnr < POOR_SQNR), None)


def sqnr(signal: np.ndarray, noisy: np.ndarray) -> float:
    """``10 log10(sum signal^2 / sum (signal - noisy)^2)``, dB, within -200 .. 200."""
    noise = float(np.square(signal.astype(np.float64) - noisy).sum())
    power = float(np.square(signal.astype(np.float64)).sum())
    if noise == 0.0:
        return _CEILING
    if power == 0.0:
        return -_CEILING
    return float(np.clip(10.0 * np.log10(power / noise), -_CEILING, _CEILING))


def _real(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    assert tensor.quant is not None
    return dequantize_values(values, tensor.quant)


def _rounded(tensor: Tensor, reals: np.ndarray) -> np.ndarray:
    assert tensor.quant is not None
    return quantize_values(reals, tensor.quant)


def _fair(quantized: Graph, tensor: Tensor, reals: np.ndarray) -> np.ndarray:
    """The values that the tensor has to stand for: what a max-pool throws away needs no room in its range."""
    readers = quantized.consumers(tensor.name)
    if tensor.name in quantized.results or len(readers) != 1 or not isinstance(readers[0].op, MaxPool2D):
        return reals
    return np.clip(reals, *_range(tensor, 0.0))


def _clipped(tensor: Tensor, reals: np.ndarray) -> float:
    low, high = _range(tensor, 0.5)  # what rounds into the range is in it
    return float(np.mean((reals < low) | (reals > high)))


def _range(tensor: Tensor, beyond: float) -> tuple[float, float]:
    """The real values of -128 and 127, and so many steps more."""
    assert tensor.quant is not None
    scale, zero_point = tensor.quant.scale, tensor.quant.zero_point
    return scale * (-128 - beyond - zero_point), scale * (127 + beyond - zero_point)
