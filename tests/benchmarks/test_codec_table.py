"""The codec table: what it measures, its tables in the README, and the networks that it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench import codec_readme, codec_table, readme
from bench.codec_networks import NETWORKS, Layer, Missing, ad01, model

from thimble.codecs import CODECS, limit_bytes
from thimble.graph.io import load
from thimble.quantize.inputs import quantize_input
from thimble.quantize.interpreter import run

ROOT = Path(__file__).resolve().parents[2]
KEYWORD = ROOT / "bench" / "keyword_cnn" / "keyword_cnn.thimble"
DATA = Path(os.environ.get("THIMBLE_DATA", ROOT.parent / "shared" / "data"))


def layer(rows: int, cols: int, density: float, seed: int) -> Layer:
    rng = np.random.default_rng(seed)
    weights = np.where(rng.random((rows, cols)) < density, rng.integers(-7, 8, (rows, cols)), 0)
    return Layer(f"layer{seed}", weights.astype(np.int8), 4)


@pytest.fixture(scope="module")
def network():
    return codec_table.measure([layer(8, 60, 0.2, 1), layer(12, 40, 0.1, 2)], ["cortex-m4"])


def test_totals_are_sums_over_layers(network) -> None:
    layers = [layer(8, 60, 0.2, 1), layer(12, 40, 0.1, 2)]
    assert network["limit_bytes"] == pytest.approx(sum(limit_bytes(one.matrix) for one in layers))
    assert network["nonzero"] == sum(np.count_nonzero(one.matrix) for one in layers)
    sizes = [len(CODECS["sri"].encode(one.matrix).data) for one in layers]
    assert network["codecs"]["sri"]["bytes"] == sum(sizes)
    over = 100 * (sum(sizes) / network["limit_bytes"] - 1)
    assert network["codecs"]["sri"]["over_limit_percent"] == pytest.approx(over)
    assert network["codecs"]["sri"]["instructions"]["cortex-m4"] > 1


def test_best_per_layer_is_at_most_the_best_codec(network) -> None:
    held = {codec: total["bytes"] for codec, total in network["codecs"].items() if total}
    assert network["best_single"] == {"codec": min(held, key=held.get), "bytes": min(held.values())}
    assert network["best"]["bytes"] <= min(held.values())
    assert set(network["chosen"]) == {"layer1", "layer2"}


def test_a_codec_that_holds_only_some_layers_has_no_total() -> None:
    blocks = np.kron(np.eye(4, dtype=np.int8), np.ones((4, 4), np.int8))
    one = Layer("blocks", blocks, 16)
    assert codec_table.measure([one], [])["codecs"]["block-diagonal"] is not None
    assert codec_table.measure([one, layer(8, 60, 0.9, 3)], [])["codecs"]["block-diagonal"] is None


def test_dense_networks_are_decoded_into_rows() -> None:
    dense = layer(8, 60, 1.0, 4)
    found = codec_table.measure([dense], ["cortex-m4"])
    assert found["unit"] == "weight"
    assert found["codecs"]["dense"]["bytes"] == dense.matrix.size


def test_channels_first_is_the_order_of_training() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.int8).reshape(2, 3, 4)  # rows, pixels, channels
    one = Layer("conv", pixels.reshape(2, 12), 4)
    np.testing.assert_array_equal(one.channels_first[0], pixels[0].T.ravel())


def test_missing_networks_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Missing, match=r"no none\.thimble"):
        model(tmp_path / "none.thimble")
    pytest.importorskip("tflite")
    monkeypatch.setattr("bench.codec_networks._AD01", tmp_path / "none.tflite")
    with pytest.raises(Missing, match="THIMBLE_DATA"):
        ad01()


def test_readme_block_has_a_row_per_codec_and_network(network) -> None:
    text = codec_readme.block({"one": network, "two": network})
    lines = text.splitlines()
    assert sum(line.startswith("| sri |") for line in lines) == 2
    assert f"| best per layer | {codec_readme._size(network['best'])}" in text
    assert sum(line.startswith("| two |") for line in lines) == 1
    assert max(len(line) for line in lines if not line.startswith("|")) <= 120


def test_readme_is_replaced_between_its_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    page.write_text("a\n<!-- codecs -->\nold\n<!-- /codecs -->\nb\n")
    monkeypatch.setattr(readme, "README", page)
    readme.replace("codecs", "new\n")
    assert page.read_text() == "a\n<!-- codecs -->\n\nnew\n\n<!-- /codecs -->\nb\n"
    text = (ROOT / "README.md").read_text()
    assert text.count("<!-- codecs -->") == text.count("<!-- /codecs -->") == 1


def test_quick_command(tmp_path: Path) -> None:
    out = tmp_path / "t.json"
    command = [sys.executable, "-m", "bench.codec_table", "--quick", "--json", str(out)]
    paths = os.pathsep.join([str(ROOT / "sdk"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert list(results) == list(codec_table.QUICK)
    for found in results.values():
        assert list(found["codecs"]) == list(CODECS)
        assert found["best"]["bytes"] < min(found["comparators"][name] for name in codec_table.COMPARATORS)


def test_quick_networks_exist() -> None:
    assert set(codec_table.QUICK) <= {network.name for network in NETWORKS}


def test_keyword_cnn_is_pruned_to_large_sparse_layers() -> None:
    graph = load(KEYWORD)
    weights = [one.weight for one in graph.weighted]
    assert 0.90 <= 1 - graph.nonzero / sum(w.size for w in weights) <= 0.95
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) <= 8
    assert sum(np.count_nonzero(w) > 4000 for w in weights) >= 2


def test_keyword_cnn_knows_the_words() -> None:
    if not (DATA / "fsdd_mfcc").exists():
        pytest.skip("THIMBLE_DATA should name a folder that holds fsdd_mfcc")
    names: dict = {"__file__": str(ROOT / "examples" / "spoken_digits" / "data.py")}
    exec(Path(names["__file__"]).read_text(), names)
    x, y = names["digits"]()[2]
    graph = load(KEYWORD)
    outputs = run(graph, quantize_input(graph, x))[0]
    assert (outputs.reshape(len(y), -1).argmax(axis=1) == y).mean() >= 0.98
