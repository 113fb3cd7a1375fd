"""A convolutional keyword network (Sainath & Parada 2015) of the size "CNN-M" of Zhang et al. 2017."""

from torch import nn


class KeywordCNN(nn.Module):
    """Input (N, 1, 49, 10): 49 frames of 10 MFCC; output (N, 10) logits. 178,298 parameters.

    Two convolutions over time and frequency, a linear layer that narrows, a dense layer (arXiv 1711.07128,
    table 1). Unlike depthwise separable networks it has layers of thousands of weights after pruning.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, (10, 4), bias=False)
        self.norm1 = nn.BatchNorm2d(64)
        self.conv2 = nn.Conv2d(64, 48, (10, 4), stride=(2, 1), bias=False)
        self.norm2 = nn.BatchNorm2d(48)
        self.narrow = nn.Linear(48 * 16 * 4, 16)
        self.dense = nn.Linear(16, 128)
        self.words = nn.Linear(128, 10)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.norm1(self.conv1(x)))
        x = self.relu(self.norm2(self.conv2(x)))
        x = self.relu(self.dense(self.narrow(x.flatten(1))))
        return self.words(x)
