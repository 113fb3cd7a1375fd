"""The Graph: one frozen value for a network, float or quantised, that every room reads.

Layout: activations NHWC without the batch, weights ``[O][KH][KW][I / groups]`` or ``[O][I]``.
A float Graph holds float32 weights and may hold BatchNorm; a quantised one holds integers and a
``Quant`` on every tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np

from thimble.graph.ops import Op


@attrs.frozen
class Quant:
    """int8 affine quantisation of an activation: ``real = scale * (q - zero_point)``."""

    scale: float  # > 0, exactly representable as float32
    zero_point: int  # -128 .. 127


@attrs.frozen
class Tensor:
    """An activation: its name, shape without the batch, and quantisation (None while float)."""

    name: str
    shape: tuple[int, ...]
    quant: Quant | None = None

    @property
    def size(self) -> int:
        """Elements, which are bytes once quantised."""
        return int(np.prod(self.shape, dtype=np.int64))


def _freeze(params: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    frozen = {}
    for key, value in params.items():
        array = np.array(value, order="C")
        array.flags.writeable = False
        frozen[key] = array
    return MappingProxyType(frozen)


@attrs.frozen(eq=False)
class Layer:
    """One operator with its tensors and parameters.

    ``params`` of a float layer: ``weight`` float32, ``bias`` float32 ``[O]`` (always there), or a
    BatchNorm's ``gamma beta mean var``, or a Constant's ``value`` (float32, quantised int8, of its output's
    shape), or a Lookup's ``table`` int8 ``[256]``. Of a quantised layer: ``weight`` int8, ``bias`` int32
    ``[O]``, ``scale`` float32 ``[O]`` or ``[1]`` (of the weights), ``multiplier`` int32 and ``shift`` int8,
    of the same length as ``scale`` (Q31 requantisation, TFLite's meaning of the sign of shift).
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    output: str
    params: Mapping[str, np.ndarray] = attrs.field(factory=dict, converter=_freeze)
    source: str = ""  # the user's source line, for errors

    @property
    def weight(self) -> np.ndarray:
        return self.params["weight"]

    @property
    def has_weights(self) -> bool:
        return "weight" in self.params


@attrs.frozen(eq=False)
class Graph:
    """A network: tensors by name, layers in an order in which they can run, and what is known of it.

    ``states`` are pairs ``(before, after)`` of tensor names, alike in shape and quantisation: a recurrent
    network's memory. ``before`` has no producer and is none of ``inputs``; it holds real zeros at first and
    ``after``'s value from the run before. A batch is then one stream: its samples run in order.

    ``meta`` holds plain JSON values: ``parameters`` (weights and biases of the original model, before
    anything was removed), ``accuracy`` (``{"float": .., "int8": ..}``), ``input_layout`` (``"NCHW"`` or
    ``"NHWC"``: the source model's own), ``input_types`` and ``output_types`` (``"float32"``, ``"int8"`` or
    ``"uint8"`` for each: the source model's own, float32 where absent), ``source`` and the like.
    """

    name: str
    tensors: Mapping[str, Tensor]
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    meta: Mapping[str, Any] = attrs.field(factory=dict)
    states: tuple[tuple[str, str], ...] = ()

    @property
    def is_quantized(self) -> bool:
        return all(t.quant is not None for t in self.tensors.values())

    def layer(self, name: str) -> Layer:
        """The layer of that name; KeyError if there is none."""
        return self._named[name]

    def find(self, name: str) -> Layer | None:
        """The layer of that name, if there is one."""
        return self._named.get(name)

    def producer(self, tensor: str) -> Layer | None:
        """The layer that writes the tensor; None for an input."""
        return self._producers.get(tensor)

    def consumers(self, tensor: str) -> tuple[Layer, ...]:
        """The layers that read the tensor."""
        return self._consumers.get(tensor, ())

    @cached_property
    def _named(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in reversed(self.layers)}

    @cached_property
    def _producers(self) -> dict[str, Layer]:
        return {layer.output: layer for layer in reversed(self.layers)}

    @cached_property
    def _consumers(self) -> dict[str, tuple[Layer, ...]]:
        found: dict[str, list[Layer]] = {}
        for layer in self.layers:
            for tensor in dict.fromkeys(layer.inputs):
                found.setdefault(tensor, []).append(layer)
        return {tensor: tuple(layers) for tensor, layers in found.items()}

    @property
    def results(self) -> frozenset[str]:
        """The tensors that are read after a run: the outputs and what states take over."""
        return frozenset((*self.outputs, *(after for _, after in self.states)))

    @property
    def weighted(self) -> tuple[Layer, ...]:
        """The layers that hold weights, in order."""
        return tuple(layer for layer in self.layers if layer.has_weights)

    @property
    def nonzero(self) -> int:
        """Non-zero weights, biases not counted."""
        return sum(int(np.count_nonzero(layer.weight)) for layer in self.weighted)

    @property
    def fp32_bytes(self) -> int:
        """float32 bytes of the original model's weights and biases: the numerator of every ratio."""
        return 4 * self.parameters

    @property
    def parameters(self) -> int:
        """Weights and biases of the original model; this graph's own where ``meta`` does not say."""
        own = sum(layer.weight.size + layer.params["bias"].size for layer in self.weighted)
        return int(self.meta.get("parameters", own))
