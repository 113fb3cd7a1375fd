"""Layer names that a person recognises, from the long names that converters give to tensors."""

from __future__ import annotations

import re

_LIMIT = 40
_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
_SUFFIX = re.compile(r"(?<=\D)\d{0,2}$")

# what converters append to a layer's own name, and what they call a model's outputs
_NOISE = {
    "BiasAdd",
    "ReadVariableOp",
    "resource",
    "Conv2D",
    "Conv1D",
    "MatMul",
    "Relu",
    "Relu6",
    "depthwise",
    "FusedBatchNormV3",
    "AvgPool",
    "MaxPool",
    "Softmax",
    "Sigmoid",
    "Tanh",
    "Reshape",
    "add",
    "mul",
    "sub",
    "Mean",
    "Pad",
    "concat",
    "Squeeze",
    "ExpandDims",
    "Transpose",
    "conv2d_transpose",
    "Flatten",
    "LeakyRelu",
    "ResizeNearestNeighbor",
    "Identity",
    "StatefulPartitionedCall",
    "PartitionedCall",
    "Identity_int8",
    "tfl",
}
_KEYWORDS = {
    "CONV_2D": ("/BiasAdd", "/Conv2D", "/Conv1D", "conv"),  # several layers may share one .../Conv2D
    "DEPTHWISE_CONV_2D": ("/BiasAdd", "/depthwise", "depthwise"),
    "TRANSPOSE_CONV": ("transpose",),
    "FULLY_CONNECTED": ("/MatMul", "dense"),
}


def layer_name(operator: str, tensor: str) -> str:
    """A short name for an operator's layer.

    Args:
        operator: in the schema's words, e.g. ``"CONV_2D"``.
        tensor: the name of its output, e.g. ``"model/conv/BiasAdd;model/conv/Conv2D"``; any text.

    Returns:
        ASCII letters, digits, ``_``, ``.`` and ``-``, at most 40; not necessarily unique.
    """
    segments = [segment for segment in tensor[:1000].split(";") if segment] or [""]
    chosen = segments[0]
    for keyword in _KEYWORDS.get(operator, ()):
        found = [segment for segment in segments if keyword in segment]
        if found:
            chosen = found[0]
            break
    parts = [part.split(":")[0] for part in chosen.split("/")]
    while parts and (not parts[-1] or _SUFFIX.sub("", parts[-1]) in _NOISE or parts[-1] in _NOISE):
        parts.pop()
    return cleaned(parts[-1] if parts else "", cleaned(operator.lower()))


def cleaned(name: str, default: str = "layer") -> str:
    """The name in ASCII letters, digits, ``_``, ``.`` and ``-`` alone, at most 40 of them, never empty."""
    return _ODD.sub("_", name).strip("_.-")[:_LIMIT] or default
