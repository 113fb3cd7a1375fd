"""`thimble ops` names every kernel, and what every front end takes."""

import re

from cli_calls import thimble
from thimble.commands.ops import taken
from thimble.graph.ops import OPS
from thimble.paths import resource


def test_every_kernel_belongs_to_an_operator():
    rows = thimble("ops").document["ops"]
    header = (resource("firmware") / "include" / "thimble_kernels.h").read_text()
    kernels = re.findall(r"^void tmb_(\w+)_s8\(", header, re.MULTILINE)
    assert {kernel for row in rows for kernel in row["kernels"]} == set(kernels)
    assert {row["op"] for row in rows if not row["kernels"]} == {"reshape", "batch_norm"}
    assert {row["op"] for row in rows} == set(OPS)


def test_formats_are_what_their_front_ends_take():
    formats = thimble("ops").document["formats"]
    assert formats == taken()
    assert {"CONV_2D", "TRANSPOSE_CONV"} <= set(formats["tflite"])
    assert {"Conv", "QLinearConv"} <= set(formats["onnx"])
    assert {"aten.conv2d", "aten.lstm"} <= set(formats["pytorch"])
