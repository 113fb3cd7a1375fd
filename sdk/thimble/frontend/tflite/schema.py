"""The parts of TFLite's schema that the reader needs: numbers of types and fields.

Source: tensorflow/lite/schema/schema.fbs, version 3.
"""

from __future__ import annotations

from tflite.BuiltinOperator import BuiltinOperator

OPERATORS = {number: name for name, number in vars(BuiltinOperator).items() if not name.startswith("_")}

# TensorType, in order; those that hold plain numbers have NumPy's names
TENSOR_TYPES = (
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64"),
    *(
        "int8",
        "float64",
        "complex128",
        "uint64",
        "resource",
        "variant",
        "uint32",
        "uint16",
        "int4",
        "bfloat16",
    ),
)
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
SAME, VALID = 0, 1

Option = tuple[int, str, float]  # the field's number, its type, its value where the file leaves it out

_ACTIVATION = ("int8", 0)
_STRIDES: dict[str, Option] = {
    "padding": (0, "int8", 0),
    "stride_w": (1, "int32", 0),
    "stride_h": (2, "int32", 0),
}
_POOL: dict[str, Option] = {
    **_STRIDES,
    "kernel_w": (3, "int32", 0),
    "kernel_h": (4, "int32", 0),
    "activation": (5, *_ACTIVATION),
}
_FUSED: dict[str, Option] = {"activation": (0, *_ACTIVATION)}

# per operator: its number in the union BuiltinOptions, and its options
OPTIONS: dict[str, tuple[int, dict[str, Option]]] = {
    "CONV_2D": (
        1,
        {
            **_STRIDES,
            "activation": (3, *_ACTIVATION),
            "dilation_w": (4, "int32", 1),
            "dilation_h": (5, "int32", 1),
        },
    ),
    "DEPTHWISE_CONV_2D": (
        2,
        {
            **_STRIDES,
            "depth_multiplier": (3, "int32", 0),
            "activation": (4, *_ACTIVATION),
            "dilation_w": (5, "int32", 1),
            "dilation_h": (6, "int32", 1),
        },
    ),
    "TRANSPOSE_CONV": (49, {**_STRIDES, "activation": (3, *_ACTIVATION)}),
    "FULLY_CONNECTED": (
        8,
        {
            "activation": (0, *_ACTIVATION),
            "weights_format": (1, "int8", 0),
            "keep_num_dims": (2, "bool", 0),
        },
    ),
    "AVERAGE_POOL_2D": (5, _POOL),
    "MAX_POOL_2D": (5, _POOL),
    "ADD": (11, _FUSED),
    "SUB": (28, _FUSED),
    "MUL": (21, _FUSED),
    "CONCATENATION": (10, {"axis": (0, "int32", 0), "activation": (1, *_ACTIVATION)}),
    "MEAN": (27, {"keep_dims": (0, "bool", 0)}),
    "SOFTMAX": (9, {"beta": (0, "float32", 0)}),
    "LEAKY_RELU": (75, {"alpha": (0, "float32", 0)}),
    "GELU": (116, {"approximate": (0, "bool", 0)}),
    "PACK": (59, {"count": (0, "int32", 0), "axis": (1, "int32", 0)}),
    "UNPACK": (64, {"count": (0, "int32", 0), "axis": (1, "int32", 0)}),
    "SPLIT": (35, {"count": (0, "int32", 0)}),
    "SPLIT_V": (79, {"count": (0, "int32", 0)}),
    "RESIZE_NEAREST_NEIGHBOR": (74, {"align_corners": (0, "bool", 0), "half_pixel_centers": (1, "bool", 0)}),
    "STRIDED_SLICE": (
        32,
        {
            "begin_mask": (0, "int32", 0),
            "end_mask": (1, "int32", 0),
            "ellipsis_mask": (2, "int32", 0),
            "new_axis_mask": (3, "int32", 0),
            "shrink_axis_mask": (4, "int32", 0),
            "offset": (5, "bool", 0),
        },
    ),
}
