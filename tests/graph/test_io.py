"""``.thimble`` files: exact round trips, small sizes, and one clear error for every kind of damage."""

from __future__ import annotations

import json
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import float_network, random_quantization

from thimble.errors import ModelError
from thimble.graph.graph import Graph, Layer, Tensor
from thimble.graph.io import MAGIC, dumps, load, loads, save
from thimble.graph.ops import FullyConnected

seeds = st.integers(0, 2**32 - 1)


def network(seed: int, quantized: bool) -> Graph:
    rng = np.random.default_rng(seed)
    graph = float_network(rng)
    return random_quantization(graph, rng) if quantized else graph


def equal(a: Graph, b: Graph) -> bool:
    same = (a.name, dict(a.tensors), a.inputs, a.outputs, dict(a.meta)) == (
        (b.name, dict(b.tensors), b.inputs, b.outputs, dict(b.meta))
    )
    return same and len(a.layers) == len(b.layers) and all(map(_equal_layers, a.layers, b.layers))


def _equal_layers(a: Layer, b: Layer) -> bool:
    keys = ("name", "op", "inputs", "output", "source")
    return (
        all(getattr(a, key) == getattr(b, key) for key in keys)
        and set(a.params) == set(b.params)
        and all(
            a.params[k].dtype == b.params[k].dtype
            and a.params[k].shape == b.params[k].shape
            and a.params[k].tobytes() == b.params[k].tobytes()
            for k in a.params
        )
    )


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans())
def test_round_trip(seed: int, quantized: bool) -> None:
    graph = network(seed, quantized)
    content = dumps(graph)
    again = loads(content)
    assert equal(graph, again)
    assert dumps(again) == content


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2000),
    st.sampled_from([0.0, 0.001, 0.01, 0.3, 1.0]),
    st.sampled_from(["dense", "negative zero"]),
    seeds,
)
def test_any_density_is_kept_bit_for_bit(count: int, density: float, kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight = (rng.normal(size=(1, count)) * (rng.random((1, count)) < density)).astype(np.float32)
    if kind == "negative zero":
        weight = -np.abs(weight)
    params = {"weight": weight, "bias": np.zeros(1, np.float32)}
    tensors = {"x": Tensor("x", (count,)), "y": Tensor("y", (1,))}
    layer = Layer("fc", FullyConnected(), ("x",), "y", params)
    graph = Graph("g", tensors, (layer,), ("x",), ("y",), {"parameters": count + 1})
    assert equal(graph, loads(dumps(graph)))


def test_a_sparse_network_takes_a_few_kilobytes() -> None:
    rng = np.random.default_rng(1)
    shape = (500, 800)
    weight = (rng.integers(-7, 8, shape) * (rng.random(shape) < 0.01)).astype(np.int8)
    params = {
        "weight": weight,
        "bias": np.zeros(500, np.int32),
        "scale": np.ones(1, np.float32),
        "multiplier": np.full(1, 1 << 30, np.int32),
        "shift": np.full(1, -8, np.int8),
    }
    graph = random_quantization(float_network(rng), rng)
    quant = next(iter(graph.tensors.values())).quant
    tensors = {"x": Tensor("x", (800,), quant), "y": Tensor("y", (500,), quant)}
    graph = Graph("g", tensors, (Layer("fc", FullyConnected(), ("x",), "y", params),), ("x",), ("y",))
    assert len(dumps(graph)) < 8000


def test_truncation_at_every_length() -> None:
    content = dumps(network(3, True))
    for length in range(len(content)):
        with pytest.raises(ModelError) as info:
            loads(content[:length], where="model.thimble")
        assert info.value.code == ("TMB1002" if length == 0 else "TMB1004")
        assert info.value.where == "model.thimble"
        assert info.value.hint


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_flipped_byte_never_passes(data: st.DataObject) -> None:
    content = bytearray(CONTENT)
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ModelError, match=r"TMB100[2345]"):
        loads(bytes(content))


CONTENT = dumps(network(4, True))


def sealed(payload: bytes, claimed: int | None = None) -> bytes:
    """A file with a right checksum around any payload."""
    packed = zlib.compress(payload)
    fields = struct.pack("<HHII", 1, 0, len(packed), len(payload) if claimed is None else claimed)
    return MAGIC + fields + struct.pack("<I", zlib.crc32(fields + packed)) + packed


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_hostile_bytes_behind_a_right_checksum(data: st.DataObject) -> None:
    payload = bytearray(zlib.decompress(CONTENT[24:]))
    text = 4 + struct.unpack_from("<I", payload)[0]
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(
            st.integers(0, text) if data.draw(st.booleans()) else st.integers(0, len(payload) - 1)
        )
        payload[position] = data.draw(st.sampled_from([*b'0123456789-[]{}",:eE.', 0, 255]))
    refused, graph = "", None
    try:
        graph = loads(sealed(bytes(payload)))
    except ModelError as error:
        refused = error.code
    assert refused in {"", "TMB1006", "TMB1007"}
    if graph is not None:
        loads(dumps(graph))  # what it means is whole again


def _mutations() -> dict[str, tuple[object, ...]]:
    return {
        "a shape of strings": ("tensors", 0, 1, ["a"]),
        "a huge shape": ("tensors", 0, 1, [1 << 20, 1 << 20]),
        "a negative shape": ("tensors", 0, 1, [-1, 2, 3]),
        "a scale of zero": ("tensors", 0, 2, [0.0, 0]),
        "a scale of infinity": ("tensors", 0, 2, [1e999, 0]),
        "a scale that is no float32": ("tensors", 0, 2, [0.1, 0]),
        "a zero point of 128": ("tensors", 0, 2, [0.5, 128]),
        "no quantisation": ("tensors", 0, 2, None),
        "an unknown operator": ("layers", 0, "op", "exec"),
        "an unknown field": ("layers", 0, "fields", {"colour": 3}),
        "a dangling input": ("layers", 0, "inputs", ["nowhere"]),
        "a dangling output": ("outputs", ["nowhere"]),
        "no input": ("inputs", []),
        "a meta list": ("meta", [1]),
        "a meta of another layout": ("meta", {"input_layout": "CHW"}),
        "a name with a line break": ("name", "a\nb"),
        "an array too large": ("layers", 0, "params", "weight", "shape", [1 << 27, 1 << 27]),
        "an array of objects": ("layers", 0, "params", "weight", "dtype", "object"),
        "a negative count": ("layers", 0, "params", "bias", "sparse", -1),
    }


@pytest.mark.parametrize("name", sorted(_mutations()))
def test_hostile_descriptions(name: str) -> None:
    payload = zlib.decompress(CONTENT[24:])
    end = 4 + struct.unpack_from("<I", payload)[0]
    document = json.loads(payload[4:end])
    *path, key, value = _mutations()[name]
    place = document
    for step in path:
        place = place[step]
    place[key] = value
    text = json.dumps(document).encode()
    with pytest.raises(ModelError, match=r"TMB100[67]") as info:
        loads(sealed(struct.pack("<I", len(text)) + text + payload[end:]), where="x.thimble")
    assert "x.thimble" in info.value.where


def test_deep_json_and_false_lengths() -> None:
    text = b"[" * 100_000
    for content in (
        sealed(struct.pack("<I", len(text)) + text),
        sealed(b""),
        sealed(struct.pack("<I", 100)),
        sealed(bytes(1000), claimed=10),
        sealed(bytes(1000), claimed=2000),
        sealed(bytes(1000), claimed=0xFFFFFFFF),
    ):
        with pytest.raises(ModelError, match="TMB1006"):
            loads(content)


def test_other_files_and_versions(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="TMB1002"):
        loads(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ModelError, match="version 2"):
        loads(MAGIC + struct.pack("<HHIII", 2, 0, 0, 0, 0))
    with pytest.raises(ModelError, match="TMB1001"):
        load(tmp_path / "absent.thimble")
    with pytest.raises(ModelError, match="TMB1001"):
        load(tmp_path)


def test_saving_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network(5, True)
    path = tmp_path / "model.thimble"
    save(graph, path)
    assert equal(load(path), graph)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(ModelError, match="TMB1008"):
        save(network(6, True), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.thimble"]
    with pytest.raises(ModelError, match="TMB1008"):
        save(graph, tmp_path / "no folder" / "model.thimble")


def test_random_bytes() -> None:
    source = random.Random(1)
    for _ in range(200):
        with pytest.raises(ModelError):
            loads(MAGIC + source.randbytes(source.randrange(60)))
