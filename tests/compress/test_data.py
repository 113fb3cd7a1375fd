"""What a loader may return, and what each mistake is told."""

import attrs
import numpy as np
import pytest
import torch
from compress_nets import convnet, mlp, recipe

from thimble.compress.data import check_data, load_data, to_graph_layout
from thimble.errors import DataError


def pair(n=4, shape=(1, 8, 8), dtype=np.float32):
    rng = np.random.default_rng(0)
    return (rng.integers(0, 2, size=(n, *shape)).astype(dtype), np.arange(n) % 10)


def test_pixels_are_scaled_when_they_are_used():
    x = np.array([0, 51, 255], dtype=np.uint8).repeat(64).reshape(3, 1, 8, 8)
    data = check_data([(x, [0, 1, 2])] * 3, convnet())
    assert data.train.x.dtype == torch.uint8
    batch = data.train.batch(torch.tensor([1, 2]))
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(batch.numpy().mean(axis=(1, 2, 3)), [0.2, 1.0])
    assert data.train.x[1, 0, 0, 0] == 51  # not changed in place


def test_channels_first_images_become_nhwc():
    graph = convnet()
    tensors = {**graph.tensors, "x": attrs.evolve(graph.tensors["x"], shape=(4, 3, 2))}
    graph = attrs.evolve(graph, tensors=tensors)
    x = np.arange(2 * 24).reshape(2, 2, 4, 3)
    np.testing.assert_array_equal(to_graph_layout(x, graph), x.transpose(0, 2, 3, 1))
    own = attrs.evolve(graph, meta={"input_layout": "NHWC"})
    y = np.arange(2 * 24).reshape(2, 4, 3, 2)
    assert to_graph_layout(y, own) is y


def test_a_single_channel_may_be_left_out():
    assert to_graph_layout(np.zeros((5, 8, 8)), convnet()).shape == (5, 8, 8, 1)


@pytest.mark.parametrize(
    "change, code, words",
    [
        (lambda s: s[:2], "TMB2001", ["train, validation, test"]),
        (lambda s: [s[0], s[1], 3], "TMB2001", ["(x, y)", "test"]),
        (lambda s: [s[0], (s[1][0][:0], s[1][1][:0]), s[2]], "TMB2002", ["no samples", "validation"]),
        (lambda s: [(s[0][0].astype(np.int32), s[0][1]), *s[1:]], "TMB2006", ["int32", "train"]),
        (lambda s: [(s[0][0][:, :, :7], s[0][1]), *s[1:]], "TMB2004", ["(1, 7, 8)", "(1, 8, 8)"]),
        (lambda s: [(s[0][0], s[0][1][:3]), *s[1:]], "TMB2005", ["(4,)", "(3,)"]),
        (lambda s: [(s[0][0], s[0][1] + 7), *s[1:]], "TMB2005", ["from 7 to 10", "10 outputs"]),
        (lambda s: [(s[0][0], s[0][1] - 1), *s[1:]], "TMB2005", ["from -1"]),
        (lambda s: [(s[0][0], s[0][1] + 0.5), *s[1:]], "TMB2005", ["integers"]),
    ],
)
def test_refusals(change, code, words):
    with pytest.raises(DataError) as caught:
        check_data(change([pair(), pair(), pair()]), convnet(), where="data.py:load")
    assert caught.value.code == code
    assert caught.value.exit_code == 1
    for word in [*words, "data.py:load"]:
        assert word in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_found_and_counted(value):
    x, y = pair()
    x[2, 0, 3, 3] = value
    with pytest.raises(DataError, match="sample 2") as caught:
        check_data([(x, y), pair(), pair()], convnet())
    assert caught.value.code == "TMB2003"


def test_loaders_of_recipes(tmp_path):
    code = "import numpy as np\nx, y = np.zeros((2, 1, 8, 8), 'f'), np.zeros(2, int)\n"
    code += (
        "def good():\n    return (x, y), (x, y), (x, y)\ndef bad():\n    raise FileNotFoundError('mnist')\n"
    )
    (tmp_path / "data.py").write_text(code)

    def plan(loader):
        return attrs.evolve(recipe([], data={"loader": loader}), path=tmp_path / "recipe.toml")

    assert len(load_data(plan("data.py:good"), mlp()).test) == 2
    with pytest.raises(DataError, match="mnist") as caught:
        load_data(plan("data.py:bad"), mlp())
    assert caught.value.code == "TMB2001"
    with pytest.raises(DataError, match=r"no \[data\]"):
        load_data(recipe([]), mlp())
