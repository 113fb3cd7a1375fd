"""Optimised models hold tables of integers, which have no float twin; they are built all the same."""

from __future__ import annotations

import attrs
import numpy as np

from thimble.commands.evidence import keep_models
from thimble.commands.load import load
from thimble.graph.graph import Graph, Layer, Quant, Tensor
from thimble.graph.io import save
from thimble.graph.ops import Lookup, Unary


def test_a_table_has_no_float_twin(tmp_path):
    quant = Quant(0.5, 3)
    tensors = {name: Tensor(name, (4,), quant) for name in ("x", "y")}
    table = {"table": np.arange(-128, 128).astype(np.int8)}
    graph = Graph("table", tensors, (Layer("t", Lookup(), ("x",), "y", table),), ("x",), ("y",))
    save(graph, tmp_path / "table.thimble")
    plain = Layer("t", Unary("tanh"), ("x",), "y")
    save(attrs.evolve(graph, layers=(plain,)), tmp_path / "plain.thimble")
    keep_models(tmp_path, load(tmp_path / "plain.thimble"))
    assert (tmp_path / ".thimble" / "float.thimble").is_file()
    loaded = load(tmp_path / "table.thimble")
    assert loaded.original is None
    keep_models(tmp_path, loaded)
    assert not (tmp_path / ".thimble" / "float.thimble").exists()
    assert (tmp_path / ".thimble" / "quantized.thimble").is_file()
