"""What to do instead of an ONNX operation that is not supported."""

from __future__ import annotations

_HINTS = {
    "LogSoftmax": "leave it out of the model; the largest element stays the same",
    "LayerNormalization": "use BatchNormalization, which folds away",
    "InstanceNormalization": "use BatchNormalization, which folds away",
    "GroupNormalization": "use BatchNormalization, which folds away",
    "LRN": "use BatchNormalization, which folds away",
    "DynamicQuantizeLinear": "quantise statically, or load the float model and calibrate it here",
    "ConvInteger": "quantise statically, or load the float model and calibrate it here",
    "MatMulInteger": "quantise statically, or load the float model and calibrate it here",
    "If": "resolve branches when the model is exported",
    "Loop": "unroll loops when the model is exported",
    "Scan": "unroll loops when the model is exported",
    "Einsum": "write it as MatMul with a matrix of weights",
    "Where": "leave masks out of the model",
    "ArgMax": "leave it out of the model and take it from the outputs",
    "TopK": "leave it out of the model and take it from the outputs",
    "NonMaxSuppression": "leave it out of the model and do it after",
    "Expand": "operators broadcast by themselves; leave it out",
}


def hint_for(operation: str) -> str:
    """The hint for an operation, e.g. ``LogSoftmax``."""
    default = "thimble ops lists what is supported; rewrite the model with those operators"
    return _HINTS.get(operation, default)
