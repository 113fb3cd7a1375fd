"""Kernels' rules of overlap, held against kernels that read and write a memory byte by byte."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from thimble.plan.arena import Buffer, most_shared, place
from thimble.plan.overlap import ELEMENTWISE, SAME, Overlap, windows

Shape = tuple[int, int, int]


@attrs.frozen
class Windows:
    """A convolution of random weights, modulo 251, in one of the orders in which kernels work."""

    shape: Shape
    out: Shape
    stride: tuple[int, int]
    before: tuple[int, int]
    kernel: tuple[int, int]
    reads: str
    together: int = 1

    @property
    def rule(self) -> Overlap:
        order = {"reads": self.reads, "together": self.together}
        return windows(self.shape, self.out, self.stride, self.before, **order)

    def run(self, memory: np.ndarray, source: int, output: int) -> None:
        pixels = [divmod(q, self.out[1]) for q in range(self.out[0] * self.out[1])]
        for start in range(0, len(pixels), self.together):
            group = range(start, min(start + self.together, len(pixels)))
            copies = {q: self._window(memory, source, *pixels[q]) for q in group}
            for channel in range(self.out[2]):
                for q in group:
                    if self.reads != "copied":
                        copies[q] = self._window(memory, source, *pixels[q])
                    one = [channel] if self.reads == "channel" else slice(None)
                    sums = copies[q][:, one] @ np.arange(1, copies[q][:, one].shape[1] + 1)
                    value = int(sums @ np.arange(3, 3 + len(sums))) + channel
                    memory[output + q * self.out[2] + channel] = value % 251

    def _window(self, memory: np.ndarray, source: int, oy: int, ox: int) -> np.ndarray:
        height, width, channels = self.shape
        x = memory[source : source + height * width * channels].reshape(self.shape)
        top, left = oy * self.stride[0] - self.before[0], ox * self.stride[1] - self.before[1]
        rows = slice(max(top, 0), top + self.kernel[0])
        taps = x[rows, max(left, 0) : left + self.kernel[1]]
        return taps.reshape(-1, channels).astype(int)


@attrs.frozen
class Planes:
    """Depthwise, a channel after the other, each copied away before it is written."""

    shape: Shape
    rule = property(lambda self: Overlap(stride=self.shape[2]))
    out = property(lambda self: self.shape)

    def run(self, memory: np.ndarray, source: int, output: int) -> None:
        n, channels = self.shape[0] * self.shape[1], self.shape[2]
        for c in range(channels):
            plane = memory[source + c : source + n * channels : channels].astype(int)
            memory[output + c : output + n * channels : channels] = np.cumsum(plane) % 251


@st.composite
def kernels(draw, shape: Shape | None = None):
    shape = shape or tuple(draw(st.integers(1, 6)) for _ in range(3))
    if draw(st.integers(0, 3)) == 0:
        return Planes(shape)
    kernel = draw(st.sampled_from([(1, 1), (3, 3), (2, 2), (1, 3)]))
    stride = draw(st.sampled_from([(1, 1), (2, 2), (2, 1)]))
    before = tuple(draw(st.integers(0, k - 1)) for k in kernel)
    height, width = ((n - 1) // s + 1 for n, s in zip(shape, stride, strict=False))
    reads = draw(st.sampled_from(["copied", "again", "channel"]))
    channels = shape[2] if reads == "channel" else draw(st.integers(1, 6))
    together = 1 if reads == "channel" else draw(st.integers(1, 4))
    # no window may begin beyond the input
    assume(
        all((n - 1) * s - b < m for n, s, b, m in zip((height, width), stride, before, shape, strict=False))
    )
    return Windows(shape, (height, width, channels), stride, before, kernel, reads, together)


@settings(deadline=None, max_examples=150)
@given(kernels(), st.randoms(use_true_random=False))
def test_wherever_a_rule_lets_an_output_lie_the_kernel_computes_the_same(kernel, random):
    size, result = (int(np.prod(s)) for s in (kernel.shape, kernel.out))
    x = np.array([random.randrange(251) for _ in range(size)], np.uint8)

    def compute(shift: int) -> bytes:
        memory = np.full(size + 2 * result + 8, 255, np.uint8)
        source = result + 4
        memory[source : source + size] = x
        kernel.run(memory, source, source + shift)
        return memory[source + shift : source + shift + result].tobytes()

    expected = compute(-result)
    for shift in range(-result, min(size, result) + 1):
        if kernel.rule.allows(shift):
            assert compute(shift) == expected, shift


@settings(deadline=None, max_examples=100)
@given(kernels())
def test_no_place_shares_more_than_the_bound_says(kernel):
    size, result = (4 * int(np.prod(s)) for s in (kernel.shape, kernel.out))
    allowed = [shift for shift in range(-result, size + 1, 4) if kernel.rule.allows(shift)]
    shared = [min(shift + result, size) - max(shift, 0) for shift in allowed]
    assert max(0, *shared) == most_shared(kernel.rule, result, size)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_planned_network_computes_the_same_as_one_that_shares_nothing(data):
    shape = tuple(data.draw(st.integers(1, 6)) for _ in range(3))
    steps, tensors, sizes = [], ["t0"], {"t0": int(np.prod(shape))}
    shapes = {"t0": shape}
    for k in range(1, data.draw(st.integers(2, 7))):
        sources = [data.draw(st.sampled_from(tensors[-2:]))]
        twins = [t for t in tensors[-3:] if shapes[t] == shapes[sources[0]] and t != sources[0]]
        if twins and data.draw(st.booleans()):
            sources.append(twins[0])
            kernel, out = None, shapes[sources[0]]
        else:
            kernel = data.draw(kernels(shapes[sources[0]]))
            out = kernel.out
        name = f"t{k}"
        steps.append((kernel, sources, name))
        tensors.append(name)
        shapes[name], sizes[name] = out, int(np.prod(out))
    last = {t: max([k for k, (_, used, _) in enumerate(steps) if t in used], default=0) for t in tensors}
    last[tensors[-1]] = len(steps)
    buffers = [Buffer("t0", sizes["t0"], 0, last["t0"])]
    for k, (kernel, used, name) in enumerate(steps):
        rule = ELEMENTWISE if kernel is None else kernel.rule
        dying = [t for t in used if last[t] == k]
        buffers.append(Buffer(name, sizes[name], k, max(last[name], k), dict.fromkeys(dying, rule)))
    planned = place(buffers)
    apart = dict(zip(tensors, np.cumsum([0, *(sizes[t] for t in tensors[:-1])]).tolist(), strict=True))
    total = sum(sizes.values())
    assert _execute(steps, sizes, planned.offsets, planned.bytes) == _execute(steps, sizes, apart, total)


def _execute(steps, sizes, at, total) -> bytes:
    memory = np.zeros(total, np.uint8)
    memory[at["t0"] : at["t0"] + sizes["t0"]] = np.arange(sizes["t0"]) * 7 % 251
    for kernel, used, name in steps:
        if kernel is not None:
            kernel.run(memory, at[used[0]], at[name])
            continue
        for i in range(sizes[name]):
            a, b = (int(memory[at[t] + i]) for t in used)
            memory[at[name] + i] = (a + 3 * b) % 251
    name = steps[-1][2]
    return memory[at[name] : at[name] + sizes[name]].tobytes()


def test_rules_of_an_input_that_is_read_twice():
    assert Overlap(distance=8) & Overlap(distance=100) == Overlap(distance=100)
    assert ELEMENTWISE & SAME == SAME
    assert SAME & Overlap(distance=-4) == SAME
    assert Overlap(distance=4) & SAME is None
    assert Overlap(stride=6) & Overlap(stride=4) == Overlap(stride=12)


@pytest.mark.parametrize("reads,distance", [("copied", 7 * 16), ("again", 8 * 16 - 1)])
def test_a_window_of_three_rows_keeps_about_a_row_and_a_pixel(reads, distance):
    shape = (5, 6, 16)
    assert windows(shape, shape, before=(1, 1), reads=reads) == Overlap(distance=distance)


def test_a_pointwise_layer_that_widens_has_its_input_at_the_end_of_its_output():
    rule = windows((4, 4, 8), (4, 4, 32), reads="copied")
    assert rule == Overlap(distance=15 * 24)
    assert most_shared(rule, 512, 128) == 128
