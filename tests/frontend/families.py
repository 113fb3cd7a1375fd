"""One tiny network of each family that people deploy: name -> how to make it, and its inputs' shapes.

Weights are random but of a size that lets signals pass; batch normalisation has statistics of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]


@attrs.frozen
class Family:
    """A network, the shapes of its inputs without the batch, and how many of the last are states."""

    module: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]
    states: int = 0


def make(family: Family) -> nn.Module:
    """The network in evaluation mode, the same at every call."""
    torch.manual_seed(7)
    module = family.module()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 1.5)
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.2)
    return module.eval()


def conv_bn(inside: int, outside: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class BasicBlock(nn.Module):
    """He et al. 2015, with the CIFAR networks' shortcut without weights."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.added = stride, outside - inside

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            around = self.added // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, around, around))
        return F.relu(y + x)


class ResNet(nn.Module):
    """The CIFAR residual networks: ``blocks`` per stage; 3 and a width of 16 give ResNet-20."""

    def __init__(self, blocks: int = 1, width: int = 4, classes: int = 5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        stages, inside = [], width
        for stage in range(3):
            outside = width << stage
            first = BasicBlock(inside, outside, 1 + (stage > 0))
            rest = [BasicBlock(outside, outside, 1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(first, *rest))
            inside = outside
        self.layer1, self.layer2, self.layer3 = stages
        self.linear = nn.Linear(inside, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(x, x.size(3)).view(x.size(0), -1))


class InvertedResidual(nn.Module):
    """Sandler et al. 2018: expand, filter each channel, project; added to the input where shapes agree."""

    def __init__(self, inside: int, outside: int, stride: int, expand: int) -> None:
        super().__init__()
        middle = inside * expand
        self.shortcut = stride == 1 and inside == outside
        self.conv = nn.Sequential(
            nn.Conv2d(inside, middle, 1, bias=False), nn.BatchNorm2d(middle), nn.ReLU6(inplace=True),
            nn.Conv2d(middle, middle, 3, stride, 1, groups=middle, bias=False), nn.BatchNorm2d(middle),
            nn.ReLU6(inplace=True),
            nn.Conv2d(middle, outside, 1, bias=False), nn.BatchNorm2d(outside),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class SqueezeExcite(nn.Module):
    """Hu et al. 2018, as in MobileNetV3: channels weighed by what the whole image says."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights = self.fc2(F.relu(self.fc1(F.adaptive_avg_pool2d(x, 1))))
        return x * F.hardsigmoid(weights)


class CausalBlock(nn.Module):
    """A residual block of a temporal convolution network (Bai et al. 2018)."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, 3, dilation=dilation)
        self.past = 2 * dilation

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + F.relu(self.conv(F.pad(x, (self.past, 0)))))


class Recurrent(nn.Module):
    """A GRU or an LSTM over a whole sequence, and a class from its last step."""

    def __init__(self, kind: Callable[..., nn.Module], **options: object) -> None:
        super().__init__()
        self.rnn = kind(4, 5, batch_first=True, **options)
        self.head = nn.LazyLinear(3)
        self(torch.zeros(1, 3, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class GruStep(nn.Module):
    """One step of a GRU; the state goes in and comes out."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        h = self.cell(x, h)
        return self.head(h), h


class LstmStep(nn.Module):
    """One step of an LSTM; state and cell go in and come out."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.LSTMCell(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h, c = self.cell(x, (h, c))
        return self.head(h), h, c


class StreamingConvolution(nn.Module):
    """A causal convolution over a stream, which keeps the samples that it still needs in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(4, 6, 3), nn.Linear(6, 3)
        self.register_buffer("past", torch.zeros(1, 4, 2))

    def forward(self, x: Tensor) -> Tensor:
        window = torch.cat([self.past, x[:, :, None]], 2)
        self.past.copy_(window[:, :, 1:])
        return self.head(F.relu(self.conv(window)).flatten(1))


def mobilenet_v1() -> nn.Module:
    pairs = [(4, 8, 1), (8, 12, 2), (12, 12, 1)]
    body = [part for i, o, s in pairs for part in (conv_bn(i, i, stride=s, groups=i), conv_bn(i, o, 1))]
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(conv_bn(3, 4, stride=2), *body, pool, nn.Flatten(), nn.Linear(12, 4))


def mobilenet_v2() -> nn.Module:
    body = [InvertedResidual(4, 4, 1, 2), InvertedResidual(4, 6, 2, 3), InvertedResidual(6, 6, 1, 2)]
    pool = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(conv_bn(3, 4, stride=2), *body, pool, nn.Flatten(), nn.Dropout(), nn.Linear(6, 4))


def ds_cnn() -> nn.Module:
    blocks = [part for _ in range(2) for part in (conv_bn(8, 8, groups=8), conv_bn(8, 8, 1))]
    first = [nn.Conv2d(1, 8, (10, 4), 2, (4, 1), bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6))


def imu_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(6, 8, 5, 2, 2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 12, 3, padding=1), nn.BatchNorm1d(12), nn.ReLU(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(12, 5),
    )  # fmt: skip


def squeeze_excite() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2, 1), nn.Hardswish(),
        nn.Conv2d(6, 6, 3, 1, 1, groups=6), SqueezeExcite(6), nn.Hardswish(),
        nn.Conv2d(6, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    )  # fmt: skip


def temporal() -> nn.Module:
    blocks = [CausalBlock(6, 1), CausalBlock(6, 2), CausalBlock(6, 4)]
    return nn.Sequential(nn.Conv1d(3, 6, 1), *blocks, nn.Conv1d(6, 2, 1))


def autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3), nn.ReLU(), nn.Linear(3, 16)
    )


def autoencoder_transposed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.ELU(), nn.Conv2d(4, 6, 3, 2, 1), nn.LeakyReLU(0.1),
        nn.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1), nn.SiLU(),
        nn.ConvTranspose2d(4, 1, 2, 2), nn.Sigmoid(),
    )  # fmt: skip


def autoencoder_upsampled() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1), nn.GELU(), nn.Upsample(scale_factor=2), nn.Conv2d(4, 1, 3, 1, 1), nn.Tanh()
    )


def autoencoder_1d() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(2, 4, 3, 2, 1), nn.Softplus(), nn.ConvTranspose1d(4, 2, 4, 2, 1, groups=2), nn.Tanh()
    )


FAMILIES: dict[str, Family] = {
    "resnet": Family(ResNet, ((3, 8, 8),)),
    "mobilenet_v1": Family(mobilenet_v1, ((3, 12, 12),)),
    "mobilenet_v2": Family(mobilenet_v2, ((3, 12, 12),)),
    "ds_cnn": Family(ds_cnn, ((1, 25, 10),)),
    "imu_cnn": Family(imu_cnn, ((6, 32),)),
    "temporal": Family(temporal, ((3, 16),)),
    "squeeze_excite": Family(squeeze_excite, ((3, 10, 10),)),
    "autoencoder": Family(autoencoder, ((16,),)),
    "autoencoder_transposed": Family(autoencoder_transposed, ((1, 8, 8),)),
    "autoencoder_upsampled": Family(autoencoder_upsampled, ((1, 8, 8),)),
    "autoencoder_1d": Family(autoencoder_1d, ((2, 12),)),
    "gru": Family(lambda: Recurrent(nn.GRU), ((3, 4),)),
    "gru_two_layers": Family(lambda: Recurrent(nn.GRU, num_layers=2, bidirectional=True), ((3, 4),)),
    "lstm": Family(lambda: Recurrent(nn.LSTM), ((3, 4),)),
    "gru_step": Family(GruStep, ((4,), (5,)), states=1),
    "lstm_step": Family(LstmStep, ((4,), (5,), (5,)), states=2),
    "streaming": Family(StreamingConvolution, ((4,),)),
}
