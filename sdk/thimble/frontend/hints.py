"""What to do instead of an operation that is not supported."""

from __future__ import annotations

_HINTS = {
    "log_softmax": "leave it out of forward and put it into the loss; the largest element stays the same",
    "sigmoid": "leave it out and compare the logits with 0, or use Hardtanh",
    "tanh": "use Hardtanh",
    "gelu": "use ReLU",
    "silu": "use ReLU or ReLU6",
    "hardswish": "use ReLU6",
    "hardsigmoid": "use Hardtanh",
    "leaky_relu": "use ReLU",
    "prelu": "use ReLU",
    "elu": "use ReLU",
    "mul": "scale in the layer before it, e.g. in its BatchNorm",
    "div": "scale in the layer before it, e.g. in its BatchNorm",
    "sub": "put a constant into the bias of the layer before it",
    "group_norm": "use BatchNorm, which folds away",
    "layer_norm": "use BatchNorm, which folds away",
    "instance_norm": "use BatchNorm, which folds away",
    "conv_transpose2d": "use a convolution; transposed ones are not supported",
    "conv3d": "use Conv2d",
    "adaptive_max_pool2d": "use MaxPool2d with the window's size",
    "max_pool2d_with_indices": "use MaxPool2d without return_indices",
    "lstm": "recurrent layers are not supported; use a convolution over time",
    "gru": "recurrent layers are not supported; use a convolution over time",
    "embedding": "look the vectors up before the model",
    "matmul": "use Linear for a product with weights; products of two activations are not supported",
}
_DEFAULT = "thimble ops lists what is supported; rewrite the layer with those operators"


def hint_for(operation: str) -> str:
    """The hint for an operation such as ``aten.log_softmax``."""
    return _HINTS.get(operation.removeprefix("aten.").rstrip("_"), _DEFAULT)
