"""Recipes: what a good one becomes, and what each bad one is told."""

from pathlib import Path

import attrs
import pytest

from thimble.compress.steps import METHODS, Channels, Magnitude, Rate, method_name
from thimble.errors import RecipeError
from thimble.recipe import Recipe, import_object, load_recipe

GOOD = """
[model]
source = "model.py:LeNet5"
[data]
loader = "data.py:mnist"
[target]
board = "nucleo_l4r5zi"
optimize = "size"
[train]
seed = 7
epochs = 12
[[compress]]
method = "channels"
keep = 0.4
[[compress]]
method = "magnitude"
sparsity = { conv1 = 0.5, fc1 = 0.99 }
epochs = 20
[quantize]
weights = 4
scales = "per-channel"
[encode]
codec = "sri"
fc1 = "sri+xor"
"""


def read(tmp_path: Path, text: str) -> Recipe:
    path = tmp_path / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def refuse(tmp_path: Path, text: str) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        read(tmp_path, text)
    assert caught.value.exit_code == 2
    return caught.value


def test_every_value_arrives(tmp_path):
    recipe = read(tmp_path, GOOD)
    assert recipe.model.source == "model.py:LeNet5"
    assert recipe.model.weights is None
    assert recipe.data.loader == "data.py:mnist"
    assert (recipe.target.board, recipe.target.optimize) == ("nucleo_l4r5zi", "size")
    assert (recipe.train.seed, recipe.train.epochs) == (7, 12)
    first, second = recipe.compress
    assert isinstance(first, Channels)
    assert first.keep == 0.4
    assert isinstance(second, Magnitude)
    assert second.sparsity == {"conv1": 0.5, "fc1": 0.99}
    assert second.epochs == 20
    assert (recipe.quantize.weights, recipe.quantize.scales) == (4, "per-channel")
    assert recipe.encode.codec_of("fc1") == "sri+xor"
    assert recipe.encode.codec_of("conv1") == "sri"


def test_only_the_model_is_required(tmp_path):
    recipe = read(tmp_path, '[model]\nsource = "net.onnx"\n')
    assert recipe.data is None
    assert recipe.compress == ()
    assert recipe.quantize.weights == 8
    assert recipe.encode.codec_of("anything") == "auto"


def test_paths_are_relative_to_the_recipe(tmp_path):
    recipe = read(tmp_path, GOOD)
    assert recipe.resolve("lenet5.pt") == (tmp_path / "lenet5.pt").resolve()


@pytest.mark.parametrize(
    "old, new, code, words",
    [
        ("[target]", "[tragte]", "TMB3002", ["tragte", "did you mean 'target'"]),
        ("epochs = 12", "epoch = 12", "TMB3002", ["epoch", "[train]", "did you mean 'epochs'"]),
        ("sparsity = {", "sparsty = {", "TMB3002", ["step 2", "magnitude", "did you mean 'sparsity'"]),
        ('"magnitude"', '"magnitud"', "TMB3003", ["step 2", "did you mean 'magnitude'"]),
        ('"sri+xor"', '"sri-xor"', "TMB3004", ["fc1", "[encode]", "did you mean 'sri+xor'"]),
        ("keep = 0.4", "keep = -1", "TMB3004", ["keep", "step 1"]),
        ("keep = 0.4", 'keep = "many"', "TMB3004", ["keep", "many"]),
        ("fc1 = 0.99", "fc1 = 1.5", "TMB3004", ["fc1", "from 0 to 1"]),
        ("epochs = 12", "epochs = true", "TMB3004", ["epochs", "True"]),
        ("weights = 4", "weights = 9", "TMB3004", ["weights", "from 2 to 8"]),
        ('"size"', '"tiny"', "TMB3004", ["optimize", "balanced"]),
        ("keep = 0.4", "", "TMB3005", ["keep", "missing"]),
        ('source = "model.py:LeNet5"', "", "TMB3005", ["source", "[model]"]),
        ("[[compress]]", "[compress]", "TMB3001", ["TOML"]),
        ("seed = 7", "seed = ", "TMB3001", ["TOML"]),
    ],
)
def test_refusals_say_where_and_what_to_do(tmp_path, old, new, code, words):
    assert old in GOOD
    error = refuse(tmp_path, GOOD.replace(old, new))
    assert error.code == code
    for word in [*words, "recipe.toml"]:
        assert word in str(error)


def test_a_single_bracket_is_explained(tmp_path):
    error = refuse(tmp_path, '[model]\nsource = "a.onnx"\n[compress]\nmethod = "qat"\n')
    assert error.code == "TMB3004"
    assert "two brackets" in error.hint


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "no.toml")
    assert caught.value.code == "TMB3001"
    assert "no.toml" in caught.value.where


def test_layer_names_are_checked_against_the_model(tmp_path):
    recipe = read(tmp_path, GOOD)
    recipe.check_layers(["conv1", "fc1"])
    with pytest.raises(RecipeError) as caught:
        recipe.check_layers(["conv1", "fc2"])
    assert caught.value.code == "TMB3006"
    assert "did you mean 'fc2'" in caught.value.hint


def test_method_names_round_trip():
    for name, cls in METHODS.items():
        required = {"keep": 0.5, "sparsity": 0.5, "nonzero": 5}
        fields = {key: required[key] for key in attrs.fields_dict(cls) if key in required}
        assert method_name(cls(**fields)) == name
    assert method_name(Rate(nonzero=5)) == "rate"


def test_objects_load_from_files_beside_the_recipe(tmp_path):
    (tmp_path / "helper.py").write_text("VALUE = 3\n")
    (tmp_path / "model.py").write_text("from helper import VALUE\ndef LeNet5():\n    return VALUE\n")
    assert import_object("model.py:LeNet5", tmp_path)() == 3
    assert import_object("math:pi", tmp_path) > 3


@pytest.mark.parametrize(
    "spec, words",
    [
        ("model.py", ["file.py:name"]),
        ("absent.py:LeNet5", ["absent.py"]),
        ("model.py:LeNet", ["did you mean 'LeNet5'"]),
        ("broken.py:x", ["ZeroDivisionError"]),
        ("no_such_module_anywhere:x", ["no_such_module_anywhere"]),
    ],
)
def test_objects_that_do_not_load(tmp_path, spec, words):
    (tmp_path / "model.py").write_text("LeNet5 = 1\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(RecipeError) as caught:
        import_object(spec, tmp_path)
    assert caught.value.code == "TMB3007"
    for word in words:
        assert word in str(caught.value)
