"""The case table of the kernels: shapes, not values. Values are drawn by the test that runs a case."""

from __future__ import annotations

import attrs


@attrs.frozen
class FullyConnectedCase:
    rows: int
    cols: int
    density: float = 1.0
    per_channel: bool = True
    bias_bytes: int = 2
    relu: bool = False
    left_shift: bool = False  # factors above one
    wide_bias: bool = False  # beyond what the quick requantisation covers
    tiny_factor: bool = False  # outputs hardly leave the zero point


@attrs.frozen
class ConvCase:
    in_h: int
    in_w: int
    in_c: int
    out_c: int
    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, bottom, left, right
    density: float = 1.0
    per_channel: bool = True
    bias_bytes: int = 2
    relu: bool = False
    left_shift: bool = False
    wide_bias: bool = False
    tiny_factor: bool = False

    @property
    def out_h(self) -> int:
        height = self.in_h + sum(self.padding[:2])
        return (height - self.dilation[0] * (self.kernel[0] - 1) - 1) // self.stride[0] + 1

    @property
    def out_w(self) -> int:
        width = self.in_w + sum(self.padding[2:])
        return (width - self.dilation[1] * (self.kernel[1] - 1) - 1) // self.stride[1] + 1


@attrs.frozen
class PoolCase:
    in_h: int
    in_w: int
    channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)  # top and left; bottom and right the same
    clamp: tuple[int, int] = (-128, 127)

    @property
    def out_h(self) -> int:
        return (self.in_h + 2 * self.padding[0] - self.kernel[0]) // self.stride[0] + 1

    @property
    def out_w(self) -> int:
        return (self.in_w + 2 * self.padding[1] - self.kernel[1]) // self.stride[1] + 1


FULLY_CONNECTED = [
    FullyConnectedCase(1, 1),
    FullyConnectedCase(4, 8),
    FullyConnectedCase(5, 7, per_channel=False, bias_bytes=0),
    FullyConnectedCase(10, 33, bias_bytes=1, relu=True),
    FullyConnectedCase(7, 64, bias_bytes=4),
    FullyConnectedCase(16, 131, density=0.1),
    FullyConnectedCase(3, 12, density=0.0, bias_bytes=1),
    FullyConnectedCase(6, 5, left_shift=True),
    FullyConnectedCase(6, 40, bias_bytes=4, wide_bias=True),
    FullyConnectedCase(5, 40, bias_bytes=4, tiny_factor=True),
]

CONV = [
    ConvCase(1, 1, 1, 1, kernel=(1, 1)),
    ConvCase(5, 5, 1, 3),
    ConvCase(7, 6, 3, 4, bias_bytes=0, per_channel=False),
    ConvCase(8, 8, 4, 5, relu=True, bias_bytes=4),
    ConvCase(6, 9, 8, 2, kernel=(1, 1), per_channel=False),
    ConvCase(12, 12, 5, 3, kernel=(5, 5), bias_bytes=1),
    ConvCase(9, 11, 3, 4, kernel=(3, 2), stride=(2, 2)),
    ConvCase(11, 10, 2, 3, kernel=(4, 3), stride=(3, 2)),
    ConvCase(10, 9, 2, 6, stride=(1, 3), kernel=(2, 5)),
    ConvCase(9, 9, 4, 3, dilation=(2, 3)),
    ConvCase(12, 11, 2, 2, kernel=(3, 2), stride=(2, 3), dilation=(2, 3)),
    ConvCase(7, 7, 6, 9, groups=3),
    ConvCase(7, 7, 4, 4, groups=2, kernel=(2, 2), stride=(2, 1)),
    ConvCase(6, 7, 5, 5, groups=5),
    ConvCase(9, 8, 3, 6, groups=3, stride=(2, 2), dilation=(2, 2)),
    ConvCase(10, 4, 6, 6, groups=6, kernel=(5, 2), relu=True, bias_bytes=0),
    ConvCase(3, 30, 2, 3, kernel=(3, 7)),
    ConvCase(20, 1, 3, 2, kernel=(4, 1)),
    ConvCase(4, 4, 7, 3, kernel=(4, 4)),
    ConvCase(12, 12, 10, 8, kernel=(5, 5), density=0.05),
    ConvCase(8, 8, 6, 7, density=0.3, stride=(2, 2)),
    ConvCase(6, 6, 3, 4, density=0.0),
    ConvCase(6, 6, 2, 3, left_shift=True, kernel=(1, 2)),
    ConvCase(6, 6, 3, 6, bias_bytes=4, wide_bias=True),
    ConvCase(6, 6, 3, 6, bias_bytes=4, tiny_factor=True),
    ConvCase(6, 7, 3, 5, padding=(1, 1, 1, 1)),
    ConvCase(9, 8, 8, 6, stride=(2, 2), padding=(0, 1, 0, 1)),
    ConvCase(5, 6, 4, 4, kernel=(5, 5), padding=(2, 2, 2, 2)),
    ConvCase(12, 9, 1, 8, kernel=(10, 4), stride=(2, 2), padding=(4, 5, 1, 1)),
    ConvCase(7, 6, 4, 3, dilation=(2, 3), padding=(2, 2, 3, 3)),
    ConvCase(4, 5, 3, 2, kernel=(1, 1), padding=(1, 0, 2, 1)),
    ConvCase(5, 4, 6, 9, groups=3, padding=(1, 1, 1, 1)),
    ConvCase(6, 5, 8, 8, groups=8, padding=(1, 1, 1, 1)),
    ConvCase(8, 9, 4, 4, groups=4, stride=(2, 2), padding=(0, 1, 1, 1), relu=True),
    ConvCase(6, 5, 3, 6, groups=3, dilation=(2, 1), padding=(2, 2, 1, 1)),
    ConvCase(1, 1, 2, 2, kernel=(1, 1), stride=(3, 3), padding=(2, 1, 3, 0)),
    ConvCase(5, 3, 9, 9, kernel=(1, 1), stride=(2, 1)),
]

POOL = [
    PoolCase(1, 1, 1, (1, 1), (1, 1)),
    PoolCase(8, 8, 3, (2, 2), (2, 2)),
    PoolCase(24, 24, 20, (2, 2), (2, 2)),
    PoolCase(7, 9, 4, (3, 3), (2, 2)),
    PoolCase(7, 9, 4, (3, 3), (1, 1), (1, 1)),
    PoolCase(25, 5, 6, (25, 5), (1, 1)),
    PoolCase(6, 5, 5, (2, 3), (3, 1), (1, 2), (-20, 90)),
    PoolCase(9, 9, 8, (3, 2), (1, 2), clamp=(-128, 40)),
]
