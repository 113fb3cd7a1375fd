"""Fake quantisation: on the grid, with the gradients of LSQ; ranges as TFLite has them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from thimble.compress.fake_quant import ActivationRange, fake_quantize_weight, fit_scale

weights = st.lists(st.floats(-3, 3, width=32), min_size=1, max_size=40).map(torch.tensor)


@settings(deadline=None, max_examples=60)
@given(weights, st.floats(0.05, 2.0), st.integers(1, 127), st.booleans())
def test_values_are_the_nearest_grid_points(w, scale, levels, keep_zero):
    out = fake_quantize_weight(w, torch.tensor(scale), levels, keep_zero=keep_zero)
    q = out / scale
    assert torch.allclose(q, q.round(), atol=1e-3)
    assert q.abs().max() <= levels + 1e-3
    if not keep_zero:
        assert (out != 0).all()
        assert ((out > 0) == (w >= 0)).all()
    else:
        inside = w.abs() <= levels * scale
        assert ((out - w).abs()[inside] <= scale / 2 + 1e-4).all()


def test_gradients_are_those_of_lsq():
    w = torch.tensor([0.3, -0.9, 5.0], requires_grad=True)
    scale = torch.tensor(0.5, requires_grad=True)
    out = fake_quantize_weight(w, scale, 4, keep_zero=True)
    np.testing.assert_allclose(out.detach().numpy(), [0.5, -1.0, 2.0])
    out.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), [1, 1, 0])  # the last is beyond the grid
    expected = ((1 - 0.6) + (-2 + 1.8) + 4) / np.sqrt(3 * 4)
    np.testing.assert_allclose(float(scale.grad), expected, rtol=1e-5)


def test_fitted_scale_recovers_a_grid():
    rng = np.random.default_rng(0)
    q = rng.integers(1, 8, size=(4, 50)) * rng.choice([-1, 1], size=(4, 50))
    true = np.array([0.01, 0.1, 1.0, 3.0], dtype=np.float32)
    w = torch.from_numpy((q * true[:, None]).astype(np.float32))
    w[:, ::3] = 0
    scale = fit_scale(w, 7, keep_zero=False, candidates=2000)
    np.testing.assert_allclose(scale.numpy(), true, rtol=0.01)


def test_a_row_of_zeros_has_a_usable_scale():
    scale = fit_scale(torch.zeros(2, 5), 8, keep_zero=False)
    assert (scale > 0).all()
    assert torch.isfinite(scale).all()


@pytest.mark.parametrize("low, high", [(0.0, 6.0), (-1.3, 2.7), (-4.0, 0.0), (-0.1, 100.0)])
def test_activations_round_to_int8_with_an_exact_zero(low, high):
    quantizer = ActivationRange(extremes=True).train()
    quantizer.observing = quantizer.enabled = True
    x = torch.linspace(low, high, 1001)
    y = quantizer(x)
    scale = (high - low) / 255
    zero_point = round(-128 - low / scale)
    q = torch.clamp(torch.round(x / scale) + zero_point, -128, 127)
    assert torch.allclose(y, (q - zero_point) * scale, atol=scale * 1e-3)
    assert len(torch.unique(y)) <= 256
    quantizer.eval()
    assert quantizer(torch.zeros(1)) == 0


def test_ranges_stand_still_in_evaluation():
    quantizer = ActivationRange()
    quantizer.observing = True
    quantizer.train()(torch.tensor([-1.0, 1.0]))
    quantizer.eval()(torch.tensor([-9.0, 9.0]))
    assert quantizer.range() == (-1.0, 1.0)
    quantizer.train()(torch.tensor([-2.0, 1.0]))
    assert quantizer.range()[0] == pytest.approx(-1.02)


def test_a_dead_activation_does_not_divide_by_zero():
    quantizer = ActivationRange().train()
    quantizer.observing = quantizer.enabled = True
    assert torch.isfinite(quantizer(torch.zeros(4))).all()
