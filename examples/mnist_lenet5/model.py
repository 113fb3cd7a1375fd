"""LeNet-5 as the pruning literature has it: 431,080 weights and biases, no ReLU after the convolutions."""

from torch import nn


class LeNet5(nn.Module):
    """Input (N, 1, 28, 28) in 0 .. 1, output (N, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(800, 500)
        self.fc2 = nn.Linear(500, 10)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.pool(self.conv1(x))
        x = self.pool(self.conv2(x))
        x = self.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)
