"""Imported graphs compute what the PyTorch module computes; what cannot be imported says where and why."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import prune
from torch_cases import CONVOLUTIONS, IMAGE, LAYERS
from torch_check import Fn, check

from thimble.errors import ModelError
from thimble.frontend.torch_export import from_module
from thimble.graph.ops import Activation, Add, BatchNorm, Conv2D, FullyConnected, MaxPool2D, Reshape


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", sorted(CONVOLUTIONS))
def test_convolutions(name: str) -> None:
    graph = check(CONVOLUTIONS[name], IMAGE)
    assert isinstance(graph.layers[0].op, Conv2D)
    assert len(graph.layers) == 1
    assert graph.meta["input_layout"] == "NCHW"
    assert graph.meta["parameters"] == sum(p.numel() for p in CONVOLUTIONS[name].parameters())


def test_two_inputs_and_two_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3), nn.Linear(5, 4)

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            z = self.a(x).mean((2, 3)) + self.b(y)
            return z, F.softmax(z, 1)

    assert len(check(Two(), IMAGE, (5,)).inputs) == 2


def test_sequences() -> None:
    net = nn.Sequential(
        nn.Conv1d(3, 6, 5, padding=2, stride=2),
        nn.BatchNorm1d(6),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 6, 3, groups=6, dilation=2),
        nn.AvgPool1d(3, 2, padding=1),
        nn.Flatten(),
        nn.Linear(6 * 4, 4),
    )
    graph = check(net, (3, 48))
    assert graph.tensors[graph.inputs[0]].shape == (1, 48, 3)


def test_plain_vectors_and_unflattened_images() -> None:
    graph = check(nn.Sequential(nn.Flatten(), nn.Linear(30, 4)), (5, 6), as_is=True)
    assert graph.meta["input_layout"] == "NHWC"
    check(nn.Sequential(nn.Linear(9, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2)), (9,))


def test_activations_are_fused_only_where_nothing_else_reads() -> None:
    graph = check(Fn(lambda m, x: F.relu6(F.relu(m.pool(x))), pool=nn.MaxPool2d(2)), IMAGE)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, MaxPool2D]
    assert graph.layers[1].op.clamp == (0.0, 6.0)
    graph = check(Fn(lambda m, x: x + F.relu(x)), IMAGE)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, Activation, Add]
    graph = check(Fn(lambda m, x: F.relu(m.bn(x)), bn=nn.BatchNorm2d(4)), IMAGE)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, BatchNorm, Activation]


def test_relabelling_costs_no_layer() -> None:
    graph = check(LAYERS["flatten"], IMAGE)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, FullyConnected]
    graph = check(LAYERS["back to an image"], IMAGE)
    assert [type(layer.op) for layer in graph.layers] == [Conv2D, FullyConnected, Reshape, Conv2D]


def test_names_sources_and_parameters() -> None:
    graph = check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 2, 1))), IMAGE)
    assert [layer.name for layer in graph.layers] == ["0", "2.0"]
    graph = check(LAYERS["linear in a row"], IMAGE)
    assert [layer.name for layer in graph.layers] == ["conv", "a", "b"]
    assert graph.layers[1].source.startswith("torch_check.py:")
    assert graph.meta["parameters"] == 3 * 4 * 9 + 4 + 216 * 6 + 6 + 6 * 3


def test_pruning_masks_are_computed_at_import() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(216, 2))
    prune.random_unstructured(net[2], "weight", 0.9)
    graph = check(net, IMAGE)
    assert np.count_nonzero(graph.layer("2").weight) == 43
    assert graph.meta["parameters"] == 4 * 27 + 4 + 432 + 2


def test_the_module_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(), nn.BatchNorm2d(4).eval())
    from_module(net, torch.zeros(1, *IMAGE), "net")
    assert [part.training for part in net] == [True, True, False]


REFUSED: dict[str, tuple[nn.Module, str, str]] = {
    "log softmax": (Fn(lambda m, x: F.log_softmax(x, 1)), "aten.log_softmax", "loss"),
    "attention": (Fn(lambda m, x: x @ x.transpose(2, 3)), "two activations", "attention"),
    "scaled attention": (Fn(lambda m, x: F.scaled_dot_product_attention(x, x, x)), "aten.", "attention"),
    "bilinear": (Fn(lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear")), "bilinear", "nearest"),
    "adaptive uneven": (Fn(lambda m, x: F.adaptive_avg_pool2d(x, 4)), "windows differ", "divides"),
    "reflection": (Fn(lambda m, x: F.pad(x, (1, 1, 1, 1), mode="reflect")), "other than zeros", "zeros"),
    "batch padded": (Fn(lambda m, x: F.pad(x, (0, 0, 0, 0, 0, 0, 0, 1))), "a padding of", "channels"),
    "batch sliced": (Fn(lambda m, x: x[:1]), "along the batch", "each sample"),
    "batch mixed": (Fn(lambda m, x: x.reshape(-1, 108)), "mixes the batch", "flatten"),
    "flipped": (Fn(lambda m, x: x.flip(1)), "aten.flip", "thimble ops"),
    "dilated pool": (Fn(lambda m, x: F.max_pool2d(x, 2, dilation=2)), "dilated", "dilation=1"),
    "power": (Fn(lambda m, x: x**3), "a power of 3", "squares"),
    "repeated": (
        Fn(lambda m, x: torch.cat([x[:, :, :1].expand(-1, -1, 99, -1)] * 2, 2)),
        "99 times",
        "broadcast",
    ),
    "batch statistics": (
        Fn(lambda m, x: m.bn(x), bn=nn.BatchNorm2d(4, track_running_stats=False)),
        "own statistics",
        "track_running_stats",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_unsupported_layers_say_where_why_and_what_to_do(name: str) -> None:
    module, what, hint = REFUSED[name]
    with pytest.raises(ModelError, match="TMB1101") as info:
        from_module(module, torch.zeros(2, *IMAGE), "net")
    assert what in info.value.what
    assert hint in info.value.hint
    assert "layer " in info.value.where
    assert "torch_check.py:" in info.value.where


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinite_weights_name_the_layer(value: float) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(216, 2))
    with torch.no_grad():
        net[2].weight[1, 5] = value
    with pytest.raises(ModelError, match="TMB1102") as info:
        from_module(net, torch.zeros(1, *IMAGE), "net")
    assert "layer 2" in info.value.where


def test_what_torch_cannot_trace() -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ModelError, match="TMB1104"):
        from_module(Branch(), torch.zeros(1, *IMAGE), "net")
    with pytest.raises(ModelError, match="TMB1105"):
        from_module(nn.Linear(4, 2), torch.zeros(1, 5), "net")
    with pytest.raises(ModelError, match="TMB1103"):
        from_module(nn.Linear(4, 2), torch.zeros(4), "net")
