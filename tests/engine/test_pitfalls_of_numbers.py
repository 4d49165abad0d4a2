"""What small autograd frameworks get wrong about numbers and shapes, one test each, named for it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg

HUGE = np.array([-1e4, -800.0, -100.0, 0.0, 100.0, 800.0, 1e4])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def value_and_gradient(f, x):
    y, pull = tg.vjp(f, x)
    return y, pull(np.ones(np.shape(y)))[0]


SATURATING = [tg.sigmoid, tg.tanh, tg.softplus, tg.silu, tg.gelu, tg.elu, tg.erf, tg.hard_sigmoid, tg.softmax,
              tg.log_softmax, tg.logsumexp, lambda x: tg.logaddexp(x, 0), lambda x: tg.logaddexp2(x, 0),
              lambda x: tg.binary_cross_entropy(x, np.array([0, 1, 0, 1, 0, 1, 0]))]  # fmt: skip


@dtypes
@pytest.mark.parametrize("f", SATURATING)
def test_pitfall_10_saturation(f, dtype):
    """Finite, with a finite gradient and no warning, however large the input."""
    y, g = value_and_gradient(f, HUGE.astype(dtype))
    assert np.isfinite(y).all() and np.isfinite(g).all()


def test_pitfall_10_sigmoid_is_right_at_both_ends():
    y, g = value_and_gradient(tg.sigmoid, HUGE)
    np.testing.assert_array_equal(y[[0, 3, 6]], [0, 0.5, 1])
    np.testing.assert_array_equal(g[[0, 3, 6]], [0, 0.25, 0])


@dtypes
def test_pitfall_10_loss_at_a_gap_of_2000(dtype):
    x = np.array([[0, 2000], [2000, 0]], dtype)
    y, g = value_and_gradient(lambda x: tg.softmax_cross_entropy(x, np.array([0, 0])), x)
    assert y == 1000 and y.dtype == dtype
    np.testing.assert_array_equal(g, [[-0.5, 0.5], [0, 0]])


@pytest.mark.parametrize("ignored", [np.inf, -np.inf, np.nan, 1e30])
def test_pitfall_10_an_ignored_row_may_hold_anything(ignored):
    x = np.array([[1.0, 2.0, 3.0], [ignored, ignored, 0.0]])
    y, g = value_and_gradient(lambda x: tg.softmax_cross_entropy(x, np.array([2, -1])), x)
    alone, g_alone = value_and_gradient(lambda x: tg.softmax_cross_entropy(x, np.array([2])), x[:1])
    assert y == alone
    np.testing.assert_array_equal(g, [g_alone[0], [0, 0, 0]])


def test_pitfall_10_all_labels_ignored():
    y, g = value_and_gradient(lambda x: tg.softmax_cross_entropy(x, np.array([-1, -1])), np.ones((2, 3)))
    assert y == 0 and not g.any()


def test_pitfall_10_where_does_not_take_the_gradient_of_the_other_side():
    """The formula itself must stay in its domain: nothing can mend inf · 0 behind it."""
    x = np.array([-1.0, 0.0, 2.0])
    _, g = value_and_gradient(lambda x: tg.where(x > 0, tg.log(tg.where(x > 0, x, 1.0)), 0.0), x)
    np.testing.assert_array_equal(g, [0, 0, 0.5])


def test_pitfall_10_limits_of_norm_prod_power_and_std():
    zeros = np.zeros(3)
    for f in (tg.norm, tg.std, tg.abs, lambda x: x**2, lambda x: x**1.0, lambda x: x**0):
        _, g = value_and_gradient(f, zeros)
        assert np.isfinite(g).all(), f
    np.testing.assert_array_equal(value_and_gradient(lambda x: x**1, zeros)[1], np.ones(3))
    np.testing.assert_array_equal(value_and_gradient(tg.prod, np.array([0.0, 2.0, 3.0]))[1], [6, 0, 0])
    _, g = value_and_gradient(lambda w: np.array([0.0, 1.0, 2.0]) ** w, np.ones(3))
    np.testing.assert_array_equal(g[:2], [0, 0])


@pytest.mark.parametrize(("f", "best"), [(tg.max, [1.0, 3.0, 3.0]), (tg.min, [3.0, 1.0, 1.0])])
def test_pitfall_11_ties_in_max(f, best):
    """Equal ones share: the gradient is a subgradient, its parts add up to dy."""
    _, g = value_and_gradient(f, np.array(best))
    np.testing.assert_array_equal(g, [0, 0.5, 0.5])
    _, g = value_and_gradient(lambda x: f(x, axis=0), np.array([best, best]))
    np.testing.assert_array_equal(g.sum(axis=0), [1, 1, 1])


@pytest.mark.parametrize("f", [tg.maximum, tg.minimum, tg.fmax, tg.fmin])
def test_pitfall_11_ties_between_two(f):
    x = np.array([1.0, 2.0])
    gx, gw = tg.vjp(f, x, x)[1](np.ones(2))
    np.testing.assert_array_equal(gx, [0.5, 0.5])
    np.testing.assert_array_equal(gw, [0.5, 0.5])


def test_pitfall_13_assignment():
    hs, h = tg.zeros((2, 3, 4)), tg.tensor(np.ones((2, 4), np.float32))
    w = tg.tensor(np.eye(4, dtype=np.float32), requires_grad=True)
    for t in range(3):
        h = tg.tanh(h @ w)
        hs[:, t] = h
    assert hs.requires_grad and hs.dtype == np.float32
    tg.sum(hs).backward()
    assert w.grad.any()


def test_pitfall_14_np_functions_give_no_object_arrays():
    x, a = tg.tensor(np.ones(3), requires_grad=True), np.ones(3)
    for y in (np.concatenate([a, x]), np.stack([a, x]), np.where(a > 0, x, a), a + x, np.float64(2) * x, np.tanh(x)):
        assert isinstance(y, tg.Tensor) and y.requires_grad and y.dtype == np.float64


LEFT = [(3,), (2, 3), (5, 2, 3), (4, 1, 2, 3), (1, 3)]
RIGHT = [(3,), (3, 4), (5, 3, 4), (4, 5, 3, 2), (3, 1)]


@pytest.mark.parametrize(("left", "right"), list(itertools.product(LEFT, RIGHT)), ids=str)
def test_pitfall_18_matmul_ranks(left, right):
    """Every pair of ranks, forward and backward, against einsum-free loops of differences: matmul is bilinear."""
    rng = np.random.default_rng(0)
    x, w, v, u = (rng.standard_normal(shape) for shape in (left, right, left, right))
    y, pull = tg.vjp(tg.matmul, x, w)
    np.testing.assert_allclose(y, np.matmul(x, w), rtol=1e-12)
    dy = rng.standard_normal(np.shape(y))
    dx, dw = pull(dy)
    assert dx.shape == left and dw.shape == right
    np.testing.assert_allclose(np.sum(dx * v), np.sum(dy * np.matmul(v, w)), rtol=1e-10)
    np.testing.assert_allclose(np.sum(dw * u), np.sum(dy * np.matmul(x, u)), rtol=1e-10)
