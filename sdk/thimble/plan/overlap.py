"""How far a kernel's output may lie over an input that nobody reads after it.

A kernel reads and writes in an order that its descriptor fixes, so a written byte does no harm where the
kernel has no use any more for what lay there. Two rules cover the kernels:

* ``distance``: the kernel works through input and output in rising order. The output may start ``distance``
  bytes before the input, or earlier: elementwise kernels have 0, a convolution about a row and a pixel, one
  that widens its input what it widens it by. Negative where the output falls behind: a pooling could even
  start behind its input's first byte.
* ``stride``: the output may start any multiple of ``stride`` bytes before or behind the input; 0 means at the
  same byte only. Kernels that copy one channel away before they write it have their channels.

Where both are given, each is enough by itself. Offsets in the arena are multiples of 4, and so are the
distances between them: a rule needs no rounding, and kernels that read words find them aligned.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs
import numpy as np

from thimble.graph.ops import Pair

Reads = Literal["copied", "again", "channel"]


@attrs.frozen
class Overlap:
    """Where a kernel's output may lie over one of its inputs; bytes.

    Attributes:
        distance: ``output + distance <= input`` is enough; None where no distance is.
        stride: ``output - input`` being a multiple of it is enough, 0 allows 0 only; None where it is not.
    """

    distance: int | None = None
    stride: int | None = None

    def allows(self, shift: int) -> bool:
        """Whether the output may start ``shift`` bytes behind the input (before it where negative)."""
        if self.distance is not None and shift <= -self.distance:
            return True
        return self.stride is not None and (shift % self.stride == 0 if self.stride else shift == 0)

    def moved(self, by: int) -> Overlap:
        """The rule of the buffers, where the output lies ``by`` bytes further behind the start of its own
        than the input does."""
        distance = None if self.distance is None else self.distance + by
        fits = self.stride is not None and (by % self.stride == 0 if self.stride else by == 0)
        return Overlap(distance, self.stride if fits else None)

    def __and__(self, other: Overlap) -> Overlap | None:
        """The rule of an input that a kernel reads twice: what both allow, or a part of it."""
        distances = (self.distance, other.distance)
        strides = (self.stride, other.stride)
        distance = None if None in distances else max(d for d in distances if d is not None)
        stride = None if None in strides else math.lcm(*(s for s in strides if s is not None))
        if stride is None:  # a stride of one that the other's distance allows as well
            for own, far in ((self.stride, other.distance), (other.stride, self.distance)):
                if own is not None and far is not None and far <= 0:
                    stride = 0
        return None if distance is None and stride is None else Overlap(distance, stride)


ELEMENTWISE = Overlap(distance=0)
SAME = Overlap(stride=0)


def windows(
    input_shape: tuple[int, int, int],
    output_shape: tuple[int, int, int],
    stride: Pair = (1, 1),
    before: Pair = (0, 0),
    *,
    reads: Reads = "again",
    together: int = 1,
) -> Overlap:
    """Of a kernel that computes output pixels in rising order, each with all its channels, from windows.

    Args:
        input_shape, output_shape: ``(height, width, channels)``, the input without padding.
        stride: of the windows, vertical and horizontal.
        before: padding at the top and left.
        reads: ``copied``: windows are copied to scratch (or their sums are all complete) before the pixel's
            first byte is written; ``again``: a window is read for one output channel after another;
            ``channel``: output channel ``c`` reads channel ``c`` only, channels rising.
        together: pixels, in row-major order, whose windows are read before the first of them is written.
    """
    (height, width, inside), (out_h, out_w, outside) = input_shape, output_shape
    rows = np.clip(np.arange(out_h) * stride[0] - before[0], 0, height - 1)
    columns = np.clip(np.arange(out_w) * stride[1] - before[1], 0, width - 1)
    first = (rows[:, None] * width + columns).ravel()  # pixel of each window that comes first in memory
    needed = np.minimum.accumulate(first[::-1])[::-1]  # by this output pixel and all that follow
    pixel = np.arange(out_h * out_w)
    if reads == "channel":
        return Overlap(distance=int(((pixel - needed) * inside).max()))
    # a group's last pixel is complete when the next group's first is read
    start = np.arange(together, len(pixel), together)
    distance = int((start * outside - needed[start] * inside).max(initial=-inside * height * width))
    if reads == "again":
        end = np.minimum(pixel // together * together + together, len(pixel))
        distance = max(distance, int((end * outside - 1 - needed[pixel] * inside).max()))
    return Overlap(distance=distance)
