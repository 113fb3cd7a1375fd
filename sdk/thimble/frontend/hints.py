"""What to do instead of an operation that is not supported."""

from __future__ import annotations

_HINTS = {
    "log_softmax": "leave it out of forward and put it into the loss; the largest element stays the same",
    "group_norm": "use BatchNorm, which folds away",
    "layer_norm": "use BatchNorm, which folds away",
    "instance_norm": "use BatchNorm, which folds away",
    "conv3d": "use Conv2d",
    "adaptive_max_pool2d": "use MaxPool2d with the window's size",
    "max_pool2d_with_indices": "use MaxPool2d without return_indices",
    "upsample_bilinear2d": "use mode='nearest'; bilinear resampling is not supported",
    "upsample_linear1d": "use mode='nearest'; linear resampling is not supported",
    "scaled_dot_product_attention": "attention is not supported; use a convolution over time or a GRU",
    "multi_head_attention_forward": "attention is not supported; use a convolution over time or a GRU",
    "rnn_tanh": "use a GRU or an LSTM",
    "rnn_relu": "use a GRU or an LSTM",
    "mish": "use SiLU or Hardswish",
    "selu": "use ELU",
    "max": "use max-pooling, or leave the choice of the largest to the program",
    "argmax": "leave it to the program: tmb_argmax_s8 finds the largest output",
    "bmm": "attention is not supported; use a convolution over time, a GRU, or squeeze-and-excite",
    "embedding": "look the vectors up before the model",
}
_DEFAULT = "thimble ops lists what is supported; rewrite the layer with those operators"


def hint_for(operation: str) -> str:
    """The hint for an operation such as ``aten.log_softmax``."""
    return _HINTS.get(operation.removeprefix("aten.").rstrip("_"), _DEFAULT)
