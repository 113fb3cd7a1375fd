"""What to do instead of an operator or type that is not supported."""

from __future__ import annotations

INT8_HINT = (
    "convert with tf.lite.TFLiteConverter: optimizations = [tf.lite.Optimize.DEFAULT], a "
    "representative_dataset, target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8], "
    "inference_input_type = tf.int8"
)

CONSTANT_HINT = (
    "weights and sizes must be constant, in the file; matrix products of two activations are not supported"
)

_HINTS = {
    "MIRROR_PAD": "pad with zeros, or pad the data before the model",
    "RESIZE_BILINEAR": "use nearest-neighbour resizing, or a transposed convolution",
    "REDUCE_MAX": "use a max-pool over the whole image",
    "REDUCE_MIN": "negate, max-pool over the whole image and negate",
    "ARG_MAX": "leave it out and take the largest output: tmb_argmax_s8 does",
    "ARG_MIN": "leave it out and take the smallest output",
    "TOPK_V2": "leave it out and sort the outputs",
    "SUM": "use a mean and scale in the next layer",
    "DIV": "multiply by the reciprocal, a constant",
    "MAXIMUM": "use RELU, or clamp",
    "MINIMUM": "use RELU6, or clamp",
    "LOG_SOFTMAX": "leave it out: the largest element stays the same",
    "L2_NORMALIZATION": "normalise after the model",
    "CONV_3D": "use 2-D convolutions",
    "BATCH_MATMUL": "matrix products of two activations are not supported; use dense layers",
    "GATHER": "use a slice; look embeddings up before the model",
    "EMBEDDING_LOOKUP": "look embeddings up before the model",
    "SPACE_TO_BATCH_ND": "convert with a newer converter, which writes dilated convolutions as such",
    "BATCH_TO_SPACE_ND": "convert with a newer converter, which writes dilated convolutions as such",
    "FAKE_QUANT": "convert the quantisation-aware model to int8",
    "IF": "control flow is not supported; export one branch",
    "WHILE": "control flow is not supported; unroll the loop (e.g. tf.keras.layers.LSTM(unroll=True))",
    "CALL_ONCE": "variables are not supported; pass state as an input and an output",
    "VAR_HANDLE": "variables are not supported; pass state as an input and an output",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "use a convolution over time, or a PyTorch or ONNX model",
    "UNIDIRECTIONAL_SEQUENCE_RNN": "use a convolution over time, or a PyTorch or ONNX model",
    "LSTM": "use a convolution over time, or a PyTorch or ONNX model",
    "SVDF": "use a depthwise convolution over time",
    "CAST": "feed and return numbers of the model's own type",
    "CUSTOM TFLite_Detection_PostProcess": "export the network without it; decode the boxes after it",
}
_CUSTOM = "export the model without custom operators (converter.allow_custom_ops = False says where)"
_DEFAULT = "thimble ops lists what is supported; rewrite the layer with those operators"

_TYPES = {
    "int16": "16x8 quantisation is not supported; " + INT8_HINT,
    "uint8": "models with uint8 activations are of an older kind; " + INT8_HINT,
    "float16": "convert without float16 activations; float16 weights are fine",
    "string": "texts are not supported; tokenise before the model",
    "int4": "convert to int8; Thimble finds the narrowest storage itself",
}


def operator_hint(name: str) -> str:
    """The hint for an operator that is not supported, by its name in the schema."""
    return _HINTS.get(name, _CUSTOM if name.startswith("CUSTOM") else _DEFAULT)


def type_hint(dtype: str) -> str:
    """The hint for activations of a type that is not supported."""
    return _TYPES.get(dtype, "activations are float32 or int8; " + INT8_HINT)
