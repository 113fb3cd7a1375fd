"""ResNet-20 for CIFAR-10 (He et al. 2016, section 4.2) with its published weights: 269,722 parameters.

The checkpoint is ``resnet_cifar_pytorch/resnet20-12fca82f.th`` of github.com/akamaster/pytorch_resnet_cifar10
(BSD-2), in the folder that THIMBLE_DATA names, by default ``shared/data`` beside the repository. Modules here
have its names, so its keys fit as they are, but for the ``module.`` in front, which ``load_weights`` drops.
"""

import os
from pathlib import Path

import torch.nn.functional as F
from torch import nn

from thimble.frontend.load import load_weights

BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"
CHECKPOINT = Path(os.environ.get("THIMBLE_DATA", BESIDE)) / "resnet_cifar_pytorch" / "resnet20-12fca82f.th"


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut without weights (option A)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.stride, self.extra = stride, outside - inside

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.stride > 1:  # every other pixel, and channels of zeros on both sides
            x = F.max_pool2d(x, 1, self.stride)
            x = F.pad(x, (0, 0, 0, 0, self.extra // 2, self.extra // 2))
        return F.relu(x + y)


class ResNet20(nn.Module):
    """Input (N, 3, 32, 32), normalised by data.py; output (N, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1), Block(16, 16, 1), Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2), Block(32, 32, 1), Block(32, 32, 1))
        self.layer3 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1), Block(64, 64, 1))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1))


def pretrained() -> ResNet20:
    """The network with the checkpoint's weights."""
    network = ResNet20()
    load_weights(network, CHECKPOINT)
    return network
