"""LeNet-300-100: 784-300-100-10, 266,610 weights and biases."""

from torch import nn


class LeNet300(nn.Module):
    """Input (N, 1, 28, 28) in 0 .. 1, output (N, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, 10)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.relu(self.fc1(x.flatten(1)))
        x = self.relu(self.fc2(x))
        return self.fc3(x)
