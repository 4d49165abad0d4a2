"""Sums and squares in dtypes where they overflow, underflow, stop growing or wrap around."""

import numpy as np
import pytest

import tinygrad_rnn as tg

REDUCTIONS = [tg.mean, tg.var, tg.std, tg.norm, tg.logsumexp]
SCORES = [tg.softmax, tg.log_softmax, tg.logsumexp]


def gradients(f, *xs):
    y, pull = tg.vjp(f, *xs)
    return pull(np.ones(np.shape(y), np.asarray(y).dtype))


# -- sizes of numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("f", [tg.norm, tg.std, lambda x: tg.norm(x, axis=0), lambda x: tg.hypot(x[0], x[1])])
def test_squares_neither_overflow_nor_underflow(f, scale):
    x = np.array([3.0, -4.0]) * scale
    np.testing.assert_allclose(f(x.astype("f4")), f(x), rtol=1e-6)
    np.testing.assert_allclose(gradients(f, x.astype("f4"))[0], gradients(f, x / scale)[0], rtol=1e-6)
    np.testing.assert_allclose(f(np.array([3.0, -4.0]) * scale**8), f(x / scale) * scale**8, rtol=1e-14)


def test_the_others_of_a_product_that_underflows():
    x = np.array([[1e-30, 2e-30, 3.0, 1.0, 1.0], [2.0, 3.0, 4.0, 5.0, 6.0]], np.float32)
    np.testing.assert_allclose(gradients(lambda x: tg.prod(x, axis=1), x)[0],
                               [[6e-30, 3e-30, 0, 0, 0], [360, 240, 180, 144, 120]], rtol=1e-6)  # fmt: skip
    assert np.isfinite(gradients(tg.prod, np.full(100_000, 0.5))[0]).all()


def test_the_gradient_of_logsumexp_adds_up_to_1():
    for x in ([1e8, 1e8], [-1e8, -1e8, -1e8], [3e38, 0.0], [-np.inf, 0.0]):
        (g,) = gradients(tg.logsumexp, np.array(x, np.float32))
        assert g.sum() == pytest.approx(1, rel=1e-6)


# -- float16 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [
    *REDUCTIONS, tg.sum, lambda x: tg.cumsum(x)[-1], lambda x: tg.mean_squared_error(x, x * 0),
    lambda x: tg.binary_cross_entropy(x, np.ones(len(x), x.dtype)),
])  # fmt: skip
def test_a_reduction_of_many_elements_in_float16(f):
    """As close to float64 as float16 has digits; gradients are subnormal, if they are not scaled up."""
    x = (np.arange(70_000) % 7 * 0.125).astype(np.float16)
    y, pull = tg.vjp(f, x)
    right, pull_right = tg.vjp(f, x.astype(np.float64))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y, right, rtol=2e-3)
    for scale in (1.0, 30_000.0):
        (g,), (g_right,) = pull(np.float16(scale)), pull_right(np.float64(scale))
        np.testing.assert_allclose(g, g_right, rtol=4e-3, atol=1e-7)
        assert g.any() or scale == 1.0


@pytest.mark.parametrize(("f", "right"), [(tg.norm, 500), (tg.std, 353.55), (lambda x: tg.var(x / 2), 30625),
    (lambda x: tg.mean_squared_error(tg.concatenate([x, x * 0]), np.zeros(4, "f2")), 62500)])  # fmt: skip
def test_squares_do_not_overflow_in_float16(f, right):
    x = np.array([400, -300], np.float16)
    assert f(x).dtype == np.float16 and float(f(x)) == pytest.approx(right, rel=0.02)
    assert np.isfinite(gradients(f, x)[0]).all()


@pytest.mark.parametrize("f", [tg.sum, tg.softmax, tg.logsumexp, tg.cumsum, tg.mean])
def test_sums_over_the_first_axis_in_float16(f):
    """NumPy adds rows up one by one there, and 2048 + 1 is 2048."""
    x = np.ones((5000, 2), np.float16)
    np.testing.assert_allclose(f(x, axis=0), f(x.astype(np.float64), axis=0), rtol=2e-3)


def test_cross_entropy_of_many_classes_and_of_many_rows_in_float16():
    x, labels = np.full((2, 70_000), 0.5, np.float16), np.zeros(2, int)
    assert tg.softmax_cross_entropy(x, labels) == np.float16(np.log(70_000))
    _, pull = tg.vjp(lambda x: tg.softmax_cross_entropy(x, np.zeros(70_000, int)), x.T)
    np.testing.assert_allclose(pull(np.float16(7000))[0], np.broadcast_to([-0.05, 0.05], (70_000, 2)), rtol=1e-3)


def test_the_gradient_of_a_bias_in_float16():
    b = tg.tensor(np.zeros(2, np.float16), requires_grad=True)
    (b + np.zeros((5000, 2), np.float16)).backward(np.ones((5000, 2)))
    np.testing.assert_array_equal(b.grad, [5000, 5000])


# -- integers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16, np.int64])
@pytest.mark.parametrize("f", [*SCORES, *REDUCTIONS, tg.sigmoid, tg.silu, tg.gelu, tg.softplus, tg.elu, tg.leaky_relu,
                               tg.hard_sigmoid, tg.sum, tg.prod, tg.cumsum])  # fmt: skip
def test_small_and_unsigned_integers_do_not_wrap(f, dtype):
    x = np.array([100, 3, 120, 0, 1], dtype)
    np.testing.assert_allclose(f(x), f(x.astype(np.float64)), rtol=1e-3)  # NumPy's functions give float16 for 8 bits


@pytest.mark.parametrize("loss", [tg.mean_squared_error, tg.binary_cross_entropy])
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16])
def test_losses_of_integers_do_not_wrap(loss, dtype):
    x, t = np.array([0, 1, 100, 2], dtype), np.array([1, 0, 1, 0], dtype)
    assert loss(x, t) == pytest.approx(loss(x.astype(float), t.astype(float)), rel=1e-15)
    g = tg.grad(loss, argnums=1)(x, t.astype(np.float32))
    np.testing.assert_allclose(g, tg.grad(loss, argnums=1)(x.astype(float), t.astype(float)), rtol=1e-6)


@pytest.mark.parametrize("gather", [
    lambda x: x[np.zeros(70_000, int)], lambda x: x[(np.zeros(70_000, int),)], lambda x: tg.repeat(x[:1], 70_000),
    lambda x: tg.tile(x[:1], 70_000), lambda x: tg.embedding(x[:, None], np.zeros(70_000, int)),
    lambda x: tg.take_along_axis(x, np.zeros(70_000, int), 0), lambda x: tg.broadcast_to(x[:1], (70_000,)),
])  # fmt: skip
def test_many_small_parts_add_up_in_float16(gather):
    x = tg.tensor(np.array([1, 2], np.float16), requires_grad=True)
    tg.mean(gather(x)).backward()
    np.testing.assert_allclose(x.grad, [1, 0], rtol=2e-3)
    assert x.grad.dtype == np.float16


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "?"])
def test_a_cross_entropy_of_integers_is_worked_out_in_float64(dtype):
    scores, labels = np.array([[200, 1, 0], [1, 1, 0]]).astype(dtype), np.array([0, 2])
    np.testing.assert_array_equal(
        tg.softmax_cross_entropy(scores, labels), tg.softmax_cross_entropy(scores.astype(float), labels)
    )
    x, w, b = np.ones((2, 2), dtype), np.ones((2, 3), dtype), np.ones(3, dtype)
    assert tg.affine_cross_entropy(x, w, b, labels) == pytest.approx(np.log(3), rel=1e-15)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i8", "?"])
def test_the_logarithm_of_a_small_integer_base_is_not_taken_in_float16(dtype):
    base, w = np.array([2, 3, 1]).astype(dtype), tg.tensor(np.array([0.5, 1.5, 2.0]), requires_grad=True)
    tg.sum(base**w).backward()
    x = base.astype(float)
    np.testing.assert_allclose(w.grad, x ** w.numpy() * np.log(x), rtol=1e-14)
