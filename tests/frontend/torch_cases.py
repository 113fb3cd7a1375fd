"""What of PyTorch is supported, as small modules: each is imported and compared with the module itself.

``CASES`` holds them all; the parts by kind are for tests that say more about some.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_check import Fn

IMAGE = (3, 11, 8)  # not square, several channels; after Fn's convolution (4, 9, 6)
WEIGHT = torch.linspace(-1, 1, 4)[:, None, None]
MATRIX = torch.linspace(-1, 1, 12).reshape(4, 3)
GATE = {"gate": nn.Conv2d(4, 4, 3, padding=1)}
Function = Callable[[nn.Module, Tensor], Tensor]

CONVOLUTIONS = {
    "plain": nn.Conv2d(3, 5, (3, 2)),
    "stride": nn.Conv2d(3, 5, 3, stride=(2, 3)),
    "padding": nn.Conv2d(3, 5, 3, padding=(2, 1)),
    "same": nn.Conv2d(3, 5, (4, 3), padding="same"),
    "valid": nn.Conv2d(3, 5, 3, padding="valid"),
    "dilation": nn.Conv2d(3, 5, 3, dilation=(2, 1), padding="same"),
    "groups": nn.Conv2d(3, 6, 3, groups=3),
    "depthwise": nn.Conv2d(3, 3, 3, groups=3, padding=1),
    "depthwise multiplier": nn.Conv2d(3, 6, 3, groups=3),
    "no bias": nn.Conv2d(3, 5, 1, bias=False),
}

# after conv: (4, 9, 6)
LAYERS: dict[str, nn.Module] = {
    "flatten": Fn(lambda m, x: m.fc(torch.flatten(x, 1)), fc=nn.Linear(216, 7)),
    "view": Fn(lambda m, x: m.fc(x.view(x.size(0), -1)), fc=nn.Linear(216, 7)),
    "reshape": Fn(lambda m, x: m.fc(x.reshape(-1, 216)), fc=nn.Linear(216, 7)),
    "permute": Fn(lambda m, x: m.fc(x.permute(0, 2, 3, 1).flatten(1)), fc=nn.Linear(216, 7)),
    "transpose": Fn(lambda m, x: m.fc(x.transpose(2, 3).reshape(-1, 216)), fc=nn.Linear(216, 7)),
    "half": Fn(lambda m, x: m.fc(x.view(-1, 2, 108).transpose(1, 2).flatten(1)), fc=nn.Linear(216, 7)),
    "relu": Fn(lambda m, x: F.relu(x)),
    "relu6": Fn(lambda m, x: m.act(x), act=nn.ReLU6(inplace=True)),
    "hardtanh": Fn(lambda m, x: m.act(x), act=nn.Hardtanh(-0.5, 0.7)),
    "clamp": Fn(lambda m, x: x.clamp(min=-0.1).clamp_max(0.3)),
    "max pool": Fn(lambda m, x: F.max_pool2d(x, (3, 2), (2, 1))),
    "max pool padded": Fn(lambda m, x: F.max_pool2d(x, 3, 2, padding=1)),
    "max pool ceil": Fn(lambda m, x: F.max_pool2d(x, 4, 3, padding=1, ceil_mode=True)),
    "average pool": Fn(lambda m, x: F.avg_pool2d(x, (3, 2))),
    "average pool padded": Fn(lambda m, x: F.avg_pool2d(x, 3, 2, padding=1)),
    "average pool inside": Fn(lambda m, x: F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False)),
    "average pool ceil": Fn(lambda m, x: F.avg_pool2d(x, 4, 3, padding=1, ceil_mode=True)),
    "average pool ceil inside": Fn(
        lambda m, x: F.avg_pool2d(x, 4, 3, padding=1, ceil_mode=True, count_include_pad=False)
    ),
    "adaptive": Fn(lambda m, x: m.pool(x), pool=nn.AdaptiveAvgPool2d((3, 2))),
    "adaptive to one": Fn(
        lambda m, x: m.fc(m.pool(x).flatten(1)), pool=nn.AdaptiveAvgPool2d(1), fc=nn.Linear(4, 3)
    ),
    "mean": Fn(lambda m, x: m.fc(x.mean((2, 3))), fc=nn.Linear(4, 3)),
    "mean kept": Fn(lambda m, x: x.mean((-1, -2), keepdim=True)),
    "pad": Fn(lambda m, x: F.pad(x, (1, 2, 0, 3))),
    "pad channels": Fn(lambda m, x: F.pad(x, (0, 0, 0, 0, 2, 3))),
    "pad channels and image": Fn(lambda m, x: F.pad(x, (1, 0, 0, 2, 0, 1))),
    "subsample": Fn(lambda m, x: x[:, :, ::2, ::3]),
    "subsample rows": Fn(lambda m, x: x[:, :, ::4]),
    "shortcut without weights": Fn(
        lambda m, x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)) + m.b(x), b=nn.Conv2d(4, 6, 3, 2, padding=1)
    ),
    "add": Fn(lambda m, x: F.relu(x + m.other(x)), other=nn.Conv2d(4, 4, 1)),
    "add itself": Fn(lambda m, x: x + x),
    "cat channels": Fn(lambda m, x: torch.cat([x, m.other(x)], 1), other=nn.Conv2d(4, 2, 1)),
    "cat height": Fn(lambda m, x: torch.cat([x, m.other(x)], 2), other=nn.Conv2d(4, 4, 1)),
    "cat width": Fn(lambda m, x: torch.cat([x, m.other(x)], -1), other=nn.Conv2d(4, 4, 1)),
    "cat vectors": Fn(lambda m, x: m.fc(torch.cat([x.flatten(1), x.mean((2, 3))], 1)), fc=nn.Linear(220, 3)),
    "softmax": Fn(lambda m, x: F.softmax(m.fc(x.flatten(1)), dim=1), fc=nn.Linear(216, 7)),
    "softmax channels": Fn(lambda m, x: torch.softmax(x, 1)),
    "dropout": Fn(lambda m, x: m.d(x), d=nn.Dropout2d()),
    "batch norm": Fn(lambda m, x: m.bn(x), bn=nn.BatchNorm2d(4)),
    "batch norm plain": Fn(lambda m, x: m.bn(x), bn=nn.BatchNorm2d(4, affine=False, eps=1e-2)),
    "batch norm vector": Fn(
        lambda m, x: m.fc(m.bn(x.flatten(1))), bn=nn.BatchNorm1d(216), fc=nn.Linear(216, 3)
    ),
    "linear in a row": Fn(
        lambda m, x: m.b(F.relu(m.a(x.flatten(1)))), a=nn.Linear(216, 6), b=nn.Linear(6, 3, bias=False)
    ),
    "back to an image": Fn(
        lambda m, x: m.b(m.a(x.flatten(1)).view(-1, 6, 1, 1)), a=nn.Linear(216, 6), b=nn.Conv2d(6, 2, 1)
    ),
}

FUNCTIONS: dict[str, Function] = {
    "sigmoid": lambda m, x: torch.sigmoid(x),
    "tanh": lambda m, x: x.tanh(),
    "hardswish": lambda m, x: F.hardswish(4 * x),
    "hardsigmoid": lambda m, x: F.hardsigmoid(x * 4),
    "silu": lambda m, x: F.silu(x, inplace=True),
    "gelu": lambda m, x: F.gelu(x),
    "gelu by tanh": lambda m, x: F.gelu(x, approximate="tanh"),
    "elu": lambda m, x: F.elu(x, 0.7),
    "leaky relu": lambda m, x: F.leaky_relu(x, 0.2),
    "prelu": lambda m, x: F.prelu(x, torch.tensor([0.1, 0.2, 0.3, -0.4])),
    "prelu of one": lambda m, x: F.prelu(x, torch.tensor([0.3])),
    "softplus": lambda m, x: F.softplus(x),
    "exponentials": lambda m, x: (x.exp() + 1).log(),
    "roots": lambda m, x: (x.abs() + 1).sqrt() + (x**2 + 1).rsqrt(),
    "reciprocal": lambda m, x: 2 / (x * x + 1),
    "negative": lambda m, x: -x,
    "scaled": lambda m, x: F.relu(x) * 3,
    "shifted": lambda m, x: 1 - x.sigmoid(),
    "divided": lambda m, x: x / 4 - 0.5,
    "weighted by channel": lambda m, x: x * WEIGHT + WEIGHT,
    "weighted by row": lambda m, x: F.relu(x) * torch.linspace(-1, 1, 9)[:, None],
    "weighted by element": lambda m, x: F.relu(x) + torch.linspace(-1, 1, 216).reshape(1, 4, 9, 6),
    "difference": lambda m, x: x - m.gate(x),
    "product": lambda m, x: x * torch.sigmoid(m.gate(x)),
    "quotient": lambda m, x: x / (m.gate(x).abs() + 1),
    "scaled sum": lambda m, x: torch.add(x, m.gate(x), alpha=0.5),
    "broadcast channels": lambda m, x: x * x.mean((2, 3), keepdim=True),
    "broadcast pixels": lambda m, x: x * x.mean(1, keepdim=True),
    "broadcast both": lambda m, x: x.mean(1, keepdim=True) * x.mean((2, 3), keepdim=True),
    "broadcast vector": lambda m, x: x + x.mean((2, 3))[:, :, None, None],
    "mean of channels": lambda m, x: x.mean(1),
    "mean of rows": lambda m, x: x.mean(2),
    "mean of all": lambda m, x: x.mean((1, 2, 3), keepdim=True),
    "mean apart": lambda m, x: x.mean((1, 3)),
    "softmax of rows": lambda m, x: F.softmax(x, 2),
    "channels": lambda m, x: x[:, 1:3],
    "rows": lambda m, x: x[:, :, 2:-1:2],
    "one channel": lambda m, x: x[:, 2],
    "one pixel": lambda m, x: x[:, :, 3, 4],
    "narrow": lambda m, x: x.narrow(3, 1, 4),
    "chunks": lambda m, x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "split": lambda m, x: torch.mul(*x.split([3, 3], 3)),
    "unbound": lambda m, x: sum(x.unbind(1)),
    "glu": lambda m, x: x[:, :2] * x[:, 2:].sigmoid(),
    "stacked": lambda m, x: torch.stack([x, m.gate(x)], 1).flatten(1, 2),
    "shuffled": lambda m, x: x.view(-1, 2, 2, 9, 6).transpose(1, 2).flatten(1, 2),
    "flat": lambda m, x: x.flatten(1),
    "orders": lambda m, x: x.flatten(1) + x.permute(0, 2, 3, 1).flatten(1),
    "linear at every position": lambda m, x: F.linear(x, torch.linspace(-1, 1, 12).reshape(2, 6)),
    "linear over channels": lambda m, x: F.linear(x.permute(0, 2, 3, 1), torch.eye(4)[:3]),
    "product with a matrix": lambda m, x: x @ torch.linspace(-1, 1, 12).reshape(6, 2),
    "permuted into channels": lambda m, x: F.conv2d(x.permute(0, 2, 3, 1), torch.ones(2, 9, 1, 1)),
    "squeezed": lambda m, x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(2).unsqueeze(1),
    "expanded": lambda m, x: torch.cat([x, x.mean((2, 3), keepdim=True).expand(-1, -1, 9, 6)], 1),
    "repeated": lambda m, x: x[:, :, :2].repeat(1, 2, 1, 3),
    "padded with zeros": lambda m, x: (
        torch.cat([torch.zeros(x.size(0), 1, 9, 6)[:1], x[:1]], 1)
        if x.size(0) == 1
        else F.pad(x, (0, 0, 0, 0, 1, 0))
    ),
    "nearest": lambda m, x: F.interpolate(x, scale_factor=2),
    "nearest of a size": lambda m, x: F.interpolate(x, size=(4, 13)),
    "nearest exact": lambda m, x: F.interpolate(x, size=(5, 12), mode="nearest-exact"),
    "adaptive overlapping": lambda m, x: F.adaptive_avg_pool2d(x, (8, 5)),
    "adaptive upwards": lambda m, x: F.adaptive_avg_pool2d(x.mean((2, 3), keepdim=True), 3),
}

TRANSPOSED = {
    "plain": nn.ConvTranspose2d(3, 5, 3),
    "stride": nn.ConvTranspose2d(3, 5, (3, 2), stride=(2, 3)),
    "padding": nn.ConvTranspose2d(3, 5, 3, stride=2, padding=1, output_padding=1),
    "dilation": nn.ConvTranspose2d(3, 5, 3, stride=2, dilation=2, padding=2),
    "groups": nn.ConvTranspose2d(3, 6, 3, stride=2, groups=3, bias=False),
}


class Rnn(nn.Module):
    def __init__(self, layer: nn.Module, transposed: bool = False) -> None:
        super().__init__()
        self.layer, self.transposed = layer, transposed

    def forward(self, x: Tensor) -> Tensor:
        y, last = self.layer(x.transpose(0, 1) if self.transposed else x)
        h = last[0] if isinstance(last, tuple) else last
        y = y.transpose(0, 1) if self.transposed else y
        return y.flatten(1) + h.transpose(0, 1).flatten(1).mean(1, keepdim=True)


RECURRENT = {
    "gru": Rnn(nn.GRU(3, 4, batch_first=True)),
    "gru, time first": Rnn(nn.GRU(3, 4), transposed=True),
    "gru without bias": Rnn(nn.GRU(3, 4, bias=False, batch_first=True)),
    "two layers": Rnn(nn.GRU(3, 4, 2, batch_first=True)),
    "both directions": Rnn(nn.LSTM(3, 4, batch_first=True, bidirectional=True)),
    "lstm": Rnn(nn.LSTM(3, 4, 2, bias=False), transposed=True),
}

# the same operations as other programs spell them
IN_PLACE = (
    *("abs_", "exp_", "hardsigmoid_", "hardswish_", "neg_", "relu6_", "sigmoid_", "square_", "tanh_"),
    *("add_", "clamp_", "detach_", "div_", "dropout_", "elu_", "leaky_relu_", "mul_", "sub_"),
)
ROOTS = ("log_", "reciprocal_", "rsqrt_", "sqrt_")  # in place, of positive numbers
ARGUMENTS = {"clamp_": (-0.1, 0.3), "dropout_": (0.5, False)}
ARGUMENTS |= dict.fromkeys(("add_", "div_", "mul_", "sub_"), (3.0,))


def _in_place(name: str) -> Function:
    def call(m: nn.Module, x: Tensor) -> Tensor:
        if name in ROOTS:
            x = x.sigmoid() + 1
        return getattr(torch.ops.aten, name)(x, *ARGUMENTS.get(name, ()))

    return call


aten = torch.ops.aten
SPELLINGS: dict[str, Function] = {
    **{name: _in_place(name) for name in (*IN_PLACE, *ROOTS)},
    "_unsafe_view": lambda m, x: aten._unsafe_view(x, [x.size(0), 216]),
    "view_as": lambda m, x: x.flatten(1).view_as(x),
    "unflatten": lambda m, x: x.unflatten(1, (2, 2)).mean(1),
    "t": lambda m, x: x.mean((2, 3)).t().t(),
    "movedim": lambda m, x: x.movedim(1, 3).flatten(1),
    "movedim of several": lambda m, x: x.movedim((1, -1), (3, 1)).flatten(1),
    "swapaxes": lambda m, x: x.swapaxes(2, 3),
    "expand_as": lambda m, x: torch.cat([x, x.mean((2, 3), keepdim=True).expand_as(x)], 1),
    "tile": lambda m, x: x.tile(1, 2, 1, 1),
    "split of one size": lambda m, x: torch.mul(*x.split(3, 3)),
    "tensor_split": lambda m, x: torch.mul(*x.tensor_split(2, 1)),
    "tensor_split, uneven": lambda m, x: torch.cat(x.tensor_split(4, 2)[::-1], 2),
    "concat": lambda m, x: torch.concat([x, F.relu(x)], 1),
    "copies": lambda m, x: aten.lift_fresh_copy(aten.alias(x.transpose(2, 3).contiguous().detach())).clone(),
    "types": lambda m, x: aten._to_copy(x.to(torch.float32).type_as(x), dtype=torch.float32),
    "alpha_dropout": lambda m, x: F.alpha_dropout(x),
    "constant_pad_nd": lambda m, x: torch.constant_pad_nd(x, (1, 2)),
    "nearest of sequences": lambda m, x: F.interpolate(x.mean(3), scale_factor=2),
    "nearest exact of sequences": lambda m, x: F.interpolate(x.mean(3), size=5, mode="nearest-exact"),
    "average pool of sequences": lambda m, x: F.avg_pool1d(x.mean(3), 3),
    "relu6 as one": lambda m, x: aten.relu6(x),
    "clamp_min": lambda m, x: x.clamp_min(0.1),
    "square": lambda m, x: x.square(),
    "mm": lambda m, x: x.mean((2, 3)).mm(MATRIX),
    "addmm": lambda m, x: torch.addmm(MATRIX[0], x.mean((2, 3)), MATRIX),
    "_softmax": lambda m, x: aten._softmax(x.mean((2, 3)), 1, False),
}


@attrs.frozen
class Case:
    """A module, the shape of its input without the batch, and whether that is no image or sequence."""

    module: nn.Module
    shape: tuple[int, ...] = IMAGE
    as_is: bool = False


CASES: dict[str, Case] = {
    **{f"convolution, {name}": Case(module) for name, module in CONVOLUTIONS.items()},
    **{f"transposed convolution, {name}": Case(module) for name, module in TRANSPOSED.items()},
    **{name: Case(module) for name, module in LAYERS.items()},
    **{name: Case(Fn(function, **GATE)) for name, function in (FUNCTIONS | SPELLINGS).items()},
    **{f"recurrent, {name}": Case(module, (3, 3), True) for name, module in RECURRENT.items()},
}
