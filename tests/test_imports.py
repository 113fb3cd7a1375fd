"""Imports point as the data flows: what plans and decodes never loads torch."""

import subprocess
import sys

import pytest

QUIET = [
    "thimble.graph.io",
    "thimble.codecs",
    "thimble.quantize.interpreter",
    "thimble.plan.make",
    "thimble.codegen.project",
    "thimble.emulate",
    "thimble.report",
    "thimble.cli",
]


@pytest.mark.parametrize("module", QUIET)
def test_torch_is_not_loaded(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
