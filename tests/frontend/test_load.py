"""Models as users have them: what is read, what is refused, and that nothing in a file is executed."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from thimble.commands.load import load_model
from thimble.errors import DataError, ModelError
from thimble.frontend.load import load_module, load_program, load_source, load_weights
from thimble.graph.io import save

MODEL = """
from torch import nn
from sizes import WIDTH

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 3, 3), nn.Linear(3 * 4 * 2, WIDTH)

    def forward(self, x):
        return self.fc(self.conv(x).relu().flatten(1))

def broken():
    return 1 / 0

def number():
    return 3
"""
SHAPE = (2, 6, 4)


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "sizes.py").write_text("WIDTH = 5\n")
    return str(tmp_path / "model.py")


class Trap:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.path),))


def example() -> np.ndarray:
    return np.zeros((1, *SHAPE), np.float32)


def test_a_factory_and_its_weights(source: str, tmp_path: Path) -> None:
    module = load_module(f"{source}:Net")
    path = tmp_path / "net.pt"
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{k}": v + 1 for k, v in module.state_dict().items()}}, path
    )
    graph = load_source(f"{source}:Net", path, example(), "net")
    other = load_module(f"{source}:Net")
    load_weights(other, path)
    np.testing.assert_array_equal(graph.layer("fc").params["bias"], other.fc.bias.detach().numpy())
    assert graph.meta["parameters"] == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    "factory, code, text",
    [
        ("Nett", "TMB1110", "did you mean Net?"),
        ("broken", "TMB1112", "model.py:14"),
        ("number", "TMB1112", "not a torch.nn.Module"),
    ],
)
def test_wrong_factories(source: str, factory: str, code: str, text: str) -> None:
    with pytest.raises(ModelError, match=code) as info:
        load_module(f"{source}:{factory}")
    assert text in str(info.value)


def test_missing_and_failing_files(source: str, tmp_path: Path) -> None:
    for absent in ("absent.py:Net", str(tmp_path / "model.py"), ":Net"):
        with pytest.raises(ModelError, match="TMB1110"):
            load_module(absent)
    (tmp_path / "syntax.py").write_text("def f(:\n")
    with pytest.raises(ModelError, match="TMB1112"):
        load_module(f"{tmp_path}/syntax.py:f")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_with_code_is_refused_unexecuted(source: str, tmp_path: Path, legacy: bool) -> None:
    path, proof = tmp_path / "evil.pt", tmp_path / "proof"
    if legacy:
        path.write_bytes(pickle.dumps({"fc.weight": Trap(proof)}))
    else:
        torch.save({"fc.weight": Trap(proof)}, path)
    with pytest.raises(ModelError, match="TMB1111") as info:
        load_weights(load_module(f"{source}:Net"), path)
    assert not proof.exists()
    assert "state_dict" in info.value.hint


def test_a_pickled_module_is_refused(source: str, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pt")
    with pytest.raises(ModelError, match="TMB1111"):
        load_weights(nn.Linear(2, 2), tmp_path / "whole.pt")


def test_damaged_and_foreign_weights(source: str, tmp_path: Path) -> None:
    module = load_module(f"{source}:Net")
    path = tmp_path / "net.pt"
    torch.save(module.state_dict(), path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"hello", content[:10]):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="TMB1110"):
            load_weights(module, path)
    with pytest.raises(ModelError, match="TMB1110"):
        load_weights(module, tmp_path / "absent.pt")
    for foreign in (nn.Linear(2, 2).state_dict(), [1, 2], {"fc.weight": 3}):
        torch.save(foreign, path)
        with pytest.raises(ModelError, match="TMB1113"):
            load_weights(module, path)


def export(source: str, path: Path, dynamic: bool = False) -> nn.Module:
    module = load_module(f"{source}:Net").eval()
    shapes = {"x": {0: torch.export.Dim.DYNAMIC}} if dynamic else None
    torch.export.save(torch.export.export(module, (torch.zeros(2, *SHAPE),), dynamic_shapes=shapes), path)
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamic", [False, True])
def test_exported_programs(source: str, tmp_path: Path, dynamic: bool) -> None:
    path = tmp_path / "net.pt2"
    module = export(source, path, dynamic)
    graph = load_program(path)
    assert graph.name == "net"
    np.testing.assert_array_equal(graph.layer("fc").params["bias"], module.fc.bias.detach().numpy())
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((20, *SHAPE), np.float32))
    assert load_model(path, tmp_path / "x.npz").is_quantized
    with pytest.raises(ModelError, match="TMB1115"):
        load_model(path)
    with pytest.raises(DataError, match="TMB2032"):
        load_model(path, tmp_path / "absent.npz")


@pytest.mark.filterwarnings("ignore")
def test_code_in_exported_programs(source: str, tmp_path: Path) -> None:
    path, proof = tmp_path / "net.pt2", tmp_path / "proof"
    export(source, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def attack(changes: dict[str, bytes], **more: bytes) -> None:
        evil = tmp_path / "evil.pt2"
        with zipfile.ZipFile(evil, "w") as archive:
            for name, data in {**members, **{f"net/{k}": v for k, v in more.items()}}.items():
                new = [content for suffix, content in changes.items() if name.endswith(suffix)]
                archive.writestr(name, new[0] if new else data)
        with pytest.raises(ModelError, match=r"TMB111[01]"):
            load_program(evil)
        assert not proof.exists()

    code, saved = pickle.dumps(Trap(proof)), io.BytesIO()
    torch.save(Trap(proof), saved)
    attack({"sample_inputs/model.pt": code})
    config = (
        b'{"config": {"a": {"path_name": "%s", "is_param": false, "use_pickle": true, "tensor_meta": null}}}'
    )
    for name in ("opaque_obj_0", "tensor_0", "custom_obj_0"):
        attack({"model_constants_config.json": config % name.encode()}, **{f"data/constants/{name}": code})
    weights = next(data for name, data in members.items() if name.endswith("weights_config.json"))
    pickled = weights.replace(b'"use_pickle": false', b'"use_pickle": true')
    for evil in (code, saved.getvalue()):
        attack({"model_weights_config.json": pickled, "weights/weight_0": evil})
    graph = next(data for name, data in members.items() if name.endswith("models/model.json"))
    expression = f'{{"as_expr": {{"expr_str": "__import__(\'os\').mkdir(\'{proof}\')", "hint": null}}}}'
    attack({"models/model.json": graph.replace(b'{"as_int": 2}', expression.encode(), 1)})
    attack({"models/model.json": graph[: len(graph) // 2]})


@pytest.mark.filterwarnings("ignore")
def test_damaged_programs(source: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    export(source, path)
    content = path.read_bytes()
    for length in range(0, len(content), 700):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match="TMB1110"):
            load_program(path)


def test_thimble_files_and_other_suffixes(source: str, tmp_path: Path) -> None:
    graph = load_source(f"{source}:Net", None, example(), "net")
    save(graph, tmp_path / "net.thimble")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((20, *SHAPE)))
    quantized = load_model(tmp_path / "net.thimble", tmp_path / "x.npz")
    save(quantized, tmp_path / "net8.thimble")
    assert load_model(tmp_path / "net8.thimble").is_quantized
    with pytest.raises(ModelError, match="TMB1114"):
        load_model(tmp_path / "net.bin")
    np.savez(tmp_path / "ints.npz", x=np.zeros((20, *SHAPE), np.uint8))
    with pytest.raises(DataError, match="TMB2006"):
        load_model(tmp_path / "net.thimble", tmp_path / "ints.npz")
