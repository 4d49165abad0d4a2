"""Edges of the domain that the generic samples keep away from: chosen derivatives, scalars, missing things."""

import numpy as np
import pytest

import tinygrad_rnn as tg


def gradients(f, *xs):
    y, pull = tg.vjp(f, *xs)
    return pull(np.ones(np.shape(y)))


def test_plain_numbers_are_float64():
    for f in (tg.sigmoid, tg.erf, tg.gelu, tg.tanh, tg.exp, tg.softplus):
        assert np.asarray(f(0.5)).dtype == np.float64
        np.testing.assert_allclose(f(0.5), f(np.array([0.5]))[0], rtol=1e-15)


def test_derivatives_at_kinks():
    zero = np.zeros(1)
    for f, expected in ((tg.abs, 0), (tg.relu, 0), (tg.sign, 0), (lambda x: tg.hypot(x, 0.0), 0), (tg.norm, 0)):
        np.testing.assert_array_equal(gradients(f, zero)[0], [expected])
    np.testing.assert_array_equal(gradients(lambda x: tg.clip(x, min=0, max=1), np.array([0.0, 1.0]))[0], [1, 1])


def test_masked_scores():
    """-inf in a score is probability 0, without a NaN in the gradient."""
    x = np.array([[1.0, -np.inf, 2.0]])
    for f in (tg.softmax, tg.logsumexp, lambda x: tg.log_softmax(x)[:, ::2]):
        (g,) = gradients(f, x)
        assert np.isfinite(g).all() and g[0, 1] == 0


def test_missing_values():
    """NaN passes through max; fmax takes the other one, and gives it the gradient."""
    x, w = np.array([np.nan, 1.0]), np.array([2.0, np.nan])
    np.testing.assert_array_equal(tg.fmax(x, w), [2, 1])
    gx, gw = gradients(tg.fmax, x, w)
    np.testing.assert_array_equal([gx, gw], [[0, 1], [1, 0]])
    y, pull = tg.vjp(tg.max, x)
    assert np.isnan(y) and np.isfinite(pull(np.ones(()))[0]).all()


def test_dropout_keeps_the_mean_and_draws_anew():
    x, rng = np.ones(20_000, np.float32), np.random.default_rng(0)
    first, second = (tg.dropout(x, rate=0.25, rng=rng) for _ in range(2))
    assert first.dtype == np.float32 and np.any(first != second)
    assert abs(first.mean() - 1) < 0.02
    np.testing.assert_array_equal(np.unique(first), np.array([0, 1 / 0.75], np.float32))
    with pytest.raises(TypeError) as caught:
        tg.dropout(x, rate=0.5)
    text = "dropout: rng is missing, should be a NumPy generator: dropout(x, rate=0.5, rng=rng)"
    assert str(caught.value) == f"{text}; x is (20000,)"


@pytest.mark.parametrize("loss", [tg.binary_cross_entropy, tg.mean_squared_error])
@pytest.mark.parametrize("t", [np.array([0, 1, 1]), np.array([False, True, True])], ids=["integers", "truth values"])
def test_targets_of_another_kind_do_not_widen(loss, t):
    x = tg.tensor(np.array([0.1, 0.2, 0.3], np.float32), requires_grad=True)
    y = loss(x, t)
    y.backward()
    assert y.dtype == np.float32 and x.grad.dtype == np.float32
    np.testing.assert_allclose(y.item(), loss(x.numpy(), t.astype(np.float32)), rtol=1e-6)


def test_casts():
    x = tg.tensor(np.array([0.5, 1.5], np.float32), requires_grad=True)
    y = tg.sum(x.astype(np.float64) * 2.0)
    y.backward()
    assert y.dtype == np.float64 and x.grad.dtype == np.float32
    np.testing.assert_array_equal(gradients(lambda x: x.astype(int) * 1.0, np.array([0.5, 1.5]))[0], [0, 0])


def test_diagonals_of_every_offset():
    x = np.arange(12.0).reshape(3, 4)
    for k in range(-4, 6):
        np.testing.assert_array_equal(tg.diagonal(x, k), np.diagonal(x, k))
        np.testing.assert_array_equal(tg.diag(x[0], k), np.diag(x[0], k))
        np.testing.assert_array_equal(tg.tril(x, k), np.tril(x, k))
        np.testing.assert_array_equal(tg.triu(x, k), np.triu(x, k))
