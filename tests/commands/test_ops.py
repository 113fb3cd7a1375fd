"""`thimble ops` prints the table that comes with the package, which names every kernel."""

import json
import re

from cli_calls import thimble
from thimble.commands.ops import TABLE
from thimble.graph.ops import OPS
from thimble.paths import resource


def test_the_document_is_the_table():
    assert thimble("ops").document == json.loads(TABLE.read_text())


def test_every_kernel_belongs_to_an_operator():
    rows = thimble("ops").document["ops"]
    header = (resource("firmware") / "include" / "thimble_kernels.h").read_text()
    kernels = re.findall(r"^void tmb_(\w+)_s8\(", header, re.MULTILINE)
    assert {kernel for row in rows for kernel in row["kernels"]} == set(kernels)
    assert {row["op"] for row in rows if not row["kernels"]} == {"reshape", "batch_norm"}
    assert {row["op"] for row in rows} == set(OPS)


def test_people_read_what_each_format_brings():
    shown = thimble("ops", as_json=False).stderr
    for name in ("TRANSPOSE_CONV", "QLinearConv", "conv_transpose2d", "squeeze_excite"):
        assert name in shown
    assert "aten." not in shown
