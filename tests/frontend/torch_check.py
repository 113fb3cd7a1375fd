"""Comparing an imported PyTorch module with the module itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from thimble.frontend.torch_export import from_module
from thimble.graph.graph import Graph
from thimble.quantize.float_interpreter import run_float


def nhwc(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) to (N, H, W, C), (N, C, L) to (N, 1, L, C); the rest stays."""
    if x.ndim == 3:
        x = x[:, :, None, :]
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def check(module: nn.Module, *shapes: tuple[int, ...], as_is: bool = False) -> Graph:
    """Imports with a batch of 2 and compares on a batch of 3."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                part.weight.data.normal_()
                part.bias.data.normal_()
    graph = from_module(module, tuple(torch.randn(2, *s) for s in shapes), "net")
    inputs = [torch.randn(3, *s) for s in shapes]
    module.eval()
    with torch.no_grad():
        expected = module(*inputs)
    values = run_float(graph, [x.numpy() if as_is else nhwc(x.numpy()) for x in inputs])
    outputs = expected if isinstance(expected, tuple) else (expected,)
    assert len(outputs) == len(graph.outputs)
    for name, wanted in zip(graph.outputs, outputs, strict=True):
        lies = len(graph.tensors[name].shape)  # three axes are an image's or a sequence's, channels last
        result = nhwc(wanted.numpy()) if lies == 3 and not as_is else wanted.numpy()
        np.testing.assert_allclose(values[name].reshape(result.shape), result, rtol=1e-4, atol=1e-5)
    return graph


class Fn(nn.Module):
    """A module around a function of x, with some layers to use."""

    def __init__(self, function: Callable[..., Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(3, 4, 3)
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, self.conv(x))
