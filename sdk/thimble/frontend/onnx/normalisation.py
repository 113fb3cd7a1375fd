"""Batch normalisation, and constants added to or multiplied with activations, which are the same thing."""

from __future__ import annotations

import numpy as np

from thimble.frontend.builder import Value
from thimble.frontend.onnx.layout import from_image, to_image
from thimble.frontend.onnx.node import Node, OnnxBuilder, handles
from thimble.graph.ops import BatchNorm, Conv2D

NO_EPSILON = 1e-30  # vanishes beside a variance of 1


@handles("BatchNormalization")
def batch_norm(b: OnnxBuilder, node: Node) -> Value:
    x = node.value()
    if node.integer("training_mode", 0) or any(node.wanted[1:]):
        raise node.unsupported("batch normalisation in training mode", "export the model for inference")
    if node.integer("spatial", 1) != 1 or len(x.shape) < 2:
        raise node.unsupported("batch normalisation of single elements", "normalise channels")
    gamma, beta, mean, var = (node.numbers(position) for position in range(1, 5))
    if any(p.shape != (x.shape[1],) for p in (gamma, beta, mean, var)):
        raise node.malformed(f"parameters of batch normalisation for {x.shape[1]} channels")
    epsilon = node.real("epsilon", 1e-5)
    if epsilon <= 0 or (var < 0).any():
        raise node.malformed("batch normalisation with a negative variance or epsilon")
    params = {"gamma": gamma, "beta": beta, "mean": mean, "var": var}
    if len(x.shape) == 2:
        if x.index.size != x.shape[1]:
            raise node.unsupported("batch normalisation of several samples", "export with a batch of 1")
        order = x.index.reshape(-1)
        params = {key: _scatter(value, order) for key, value in params.items()}
        tensor = b.stored_as(node, x.tensor, (x.index.size,))
        return Value(_norm(b, node, tensor, params, epsilon), x.index)
    return from_image(b, _norm(b, node, to_image(b, node, x), params, epsilon), len(x.shape))


def _scatter(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    result = np.empty_like(values)
    result[order] = values
    return result


def _norm(b: OnnxBuilder, node: Node, tensor: str, params: dict[str, np.ndarray], epsilon: float) -> str:
    shape = b.tensors[tensor].shape
    if b.tensors[tensor].quant is None or len(shape) != 3:
        return b.layer(node, BatchNorm(epsilon), tensor, params=params)
    factor = params["gamma"] / np.sqrt(params["var"] + np.float32(epsilon))
    weights = {
        "weight": factor.reshape(-1, 1, 1, 1),
        "bias": params["beta"] - params["mean"] * factor,
    }
    return b.layer(node, Conv2D((1, 1), groups=shape[2]), tensor, params=weights)


def scaled(b: OnnxBuilder, node: Node, x: Value, factor: np.ndarray, offset: np.ndarray) -> Value | None:
    """``factor * x + offset``, constants that broadcast to the value's shape, as a batch normalisation.

    None where the constants vary otherwise than along the last axis of the storage.
    """
    rows = [_by_channel(b, x, constant) for constant in (factor, offset)]
    if rows[0] is None or rows[1] is None:
        return None
    gamma, beta = (row.astype(np.float32) for row in rows if row is not None)
    params = {"gamma": gamma, "beta": beta, "mean": np.zeros_like(gamma), "var": np.ones_like(gamma)}
    return Value(b.layer(node, BatchNorm(NO_EPSILON), x.tensor, params=params), x.index)


def _by_channel(b: OnnxBuilder, x: Value, constant: np.ndarray) -> np.ndarray | None:
    channels = b.tensors[x.tensor].shape[-1]
    if constant.size == 1:
        return np.full(channels, constant.reshape(-1)[0])
    stored = in_storage(x, constant).reshape(-1, channels)
    return stored[0] if (stored == stored[0]).all() else None


def in_storage(x: Value, constant: np.ndarray) -> np.ndarray:
    """A constant, broadcast to the value's shape, flat in the order of the value's storage."""
    stored = np.empty(x.index.size, constant.dtype)
    stored[x.index.reshape(-1)] = np.broadcast_to(constant, x.shape).reshape(-1)
    return stored
