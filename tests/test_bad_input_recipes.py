"""Recipes, models, weights and data that `thimble compress` must refuse, with nothing written."""

from __future__ import annotations

import os
import pickle

import pytest
import torch
from torch import nn

from cli_calls import refused, thimble, tree
from small_recipe import write_recipe
from thimble.graph.io import load


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def compress(tmp_path, out, code, *says, exit_code=1, **changes):
    recipe = write_recipe(tmp_path / "recipe", **changes)
    error = refused(code, "compress", recipe, "--out", out, exit_code=exit_code, says=says)
    assert not out.exists() or tree(out) == {}
    return error


def test_a_sound_recipe_prints_one_document_and_writes_one_file(tmp_path, out):
    outcome = thimble("compress", write_recipe(tmp_path), "--out", out)
    assert outcome.exit_code == 0
    assert "a loader may print" in outcome.stderr
    assert {"accuracy", "weights", "layers", "model"} <= set(outcome.document)
    assert set(tree(out)) == {"model.thimble"}
    assert load(out / "model.thimble").is_quantized


LOADERS = {
    "empty": ("TMB2002", "train"),
    "nan": ("TMB2003", "sample 4"),
    "narrow": ("TMB1105", "(1, 5)"),
    "narrow_later": ("TMB2004", "test"),
    "flat": ("TMB2004", "train"),
    "high_labels": ("TMB2005", "1 to 3"),
    "few_labels": ("TMB2005", "256"),
    "real_labels": ("TMB2005", "integers"),
    "ragged": ("TMB2006", "train"),
    "texts": ("TMB2006", "<U1"),
    "two": ("TMB2001", "train, validation, test"),
    "nothing": ("TMB2001", "train, validation, test"),
    "failing": ("TMB2001", "no such file"),
    "leaving": ("TMB2036", "that was all"),
    "absent": ("TMB3007", "absent"),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_data_that_do_not_suit(tmp_path, out, loader):
    code, words = LOADERS[loader]
    compress(tmp_path, out, code, words, loader=loader, exit_code=2 if code.startswith("TMB3") else 1)


def test_tensors_that_learn_are_data_too(tmp_path, out):
    recipe = write_recipe(tmp_path, loader="learning", train="samples_per_epoch = 32", rest="")
    assert thimble("compress", recipe, "--out", out).exit_code == 0


def test_an_unsupported_layer_names_itself_its_line_and_a_way_out(tmp_path, out):
    error = compress(tmp_path, out, "TMB1101", "sin", source="model.py:Odd")
    assert "layer sin" in error["where"]
    assert "model.py:18: return self.fc2(torch.sin(x))" in error["where"]
    assert "thimble ops" in error["hint"]


@pytest.mark.parametrize(
    "factory, code, words",
    [
        ("Nett", "TMB1110", "did you mean Net?"),
        ("broken", "TMB1112", "model.py:22"),
        ("leaving", "TMB2036", "exit code 7"),
    ],
)
def test_factories_that_fail(tmp_path, out, factory, code, words):
    compress(tmp_path, out, code, words, source=f"model.py:{factory}")


class Trap:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return os.mkdir, (str(self.proof),)


def state():
    layers = nn.ModuleDict({"fc1": nn.Linear(6, 8), "fc2": nn.Linear(8, 3)})
    return layers.state_dict()


@pytest.mark.parametrize("kind", ["archive", "bare pickle"])
def test_weights_with_code_are_not_executed(tmp_path, out, kind):
    proof = tmp_path / "proof"
    evil = {**state(), "extra": Trap(proof)}
    if kind == "archive":
        torch.save(evil, tmp_path / "evil.pt")
    else:
        (tmp_path / "evil.pt").write_bytes(pickle.dumps(evil))
    compress(tmp_path, out, "TMB1111", "evil.pt", "state_dict", model='weights = "../evil.pt"')
    assert not proof.exists()


def test_weights_that_are_not_numbers(tmp_path, out):
    weights = state()
    weights["fc2.weight"][1, 4] = torch.nan
    weights["fc2.weight"][2, 0] = torch.inf
    torch.save(weights, tmp_path / "nan.pt")
    error = compress(tmp_path, out, "TMB1102", "2 of the 24", model='weights = "../nan.pt"')
    assert "layer fc2 (model.py:12" in error["where"]


def test_weights_that_are_damaged_absent_or_anothers(tmp_path, out):
    torch.save(state(), tmp_path / "w.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "w.pt").read_bytes()[:500])
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")
    for name, code in (("cut", "TMB1110"), ("absent", "TMB1110"), ("other", "TMB1113")):
        compress(tmp_path, out, code, f"{name}.pt", model=f'weights = "../{name}.pt"')


@pytest.mark.parametrize(
    "changes, code, words",
    [
        ({"rest": "[target]\nboard = 'nucleo_l4r5'"}, "TMB3101", "did you mean 'nucleo_l4r5zi'?"),
        ({"rest": "[encode]\nfc3 = 'sri'"}, "TMB3006", "fc3"),
        ({"rest": "[encode]\ncodec = 'gzip'"}, "TMB3004", "gzip"),
        ({"rest": "[[compress]]\nmethod = 'magnitud'"}, "TMB3003", "did you mean 'magnitude'?"),
        ({"rest": "[[compress]]\nmethod = 'magnitude'"}, "TMB3005", "sparsity"),
        ({"train": "epoch = 3"}, "TMB3002", "did you mean 'epochs'?"),
        ({"train": "seed = -1"}, "TMB3004", "seed"),
        ({"train": f"seed = {2**63}"}, "TMB3004", "seed"),
        ({"rest": "[quantize"}, "TMB3001", "TOML"),
    ],
)
def test_recipes_that_are_wrong(tmp_path, out, changes, code, words):
    compress(tmp_path, out, code, words, exit_code=2, **changes)


def test_training_that_diverges(tmp_path, out):
    error = compress(tmp_path, out, "TMB1102", "diverged", train="learning_rate = 1e38")
    assert "dense, epoch 1" in error["where"]


@pytest.mark.parametrize(
    "changes",
    [
        {"train": "temperature = 1e-300"},
        {"rest": "[[compress]]\nmethod = 'qat'\nepochs = 2\nscale_rate = 1e30"},
    ],
)
def test_quantised_training_that_diverges(tmp_path, changes):
    recipe = write_recipe(tmp_path, **changes)
    refused("TMB1102", "compress", recipe, "--out", tmp_path / "out", says=("diverged",))
    assert "model.thimble" not in tree(tmp_path / "out")


def test_an_output_folder_that_is_a_file(tmp_path, out):
    recipe = write_recipe(tmp_path / "recipe")
    out.write_text("mine")
    refused("TMB2035", "compress", recipe, "--out", out)
    assert out.read_text() == "mine"


def test_foreign_files_in_the_output_folder_stay(tmp_path, out):
    recipe = write_recipe(tmp_path / "recipe", rest="")
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    assert thimble("compress", recipe, "--out", out).exit_code == 0
    assert set(tree(out)) == {"thesis.tex", "model.thimble"}
