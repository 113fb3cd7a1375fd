"""DS-CNN (Zhang et al. 2017, arXiv 1711.07128) for ten words: 23,050 parameters."""

from torch import nn


def separable(channels: int) -> nn.Sequential:
    """A depthwise 3x3 and a pointwise convolution, each with batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


class KeywordNet(nn.Module):
    """Input (N, 1, 49, 10): 49 frames of 10 MFCC, normalised by data.py; output (N, 10) logits."""

    def __init__(self, channels: int = 64) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(1, channels, (10, 4), stride=2, padding=(5, 1), bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(*[separable(channels) for _ in range(4)])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.words = nn.Linear(channels, 10)

    def forward(self, x):
        return self.words(self.pool(self.blocks(self.first(x))).flatten(1))
