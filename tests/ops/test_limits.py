"""Edges of the domain that the generic samples keep away from: chosen derivatives, scalars, missing things."""

import itertools

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.ops.fused_output import affine_cross_entropy


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
    """NaN passes through max, and through its gradient; fmax takes the other one, and gives it the gradient."""
    x, w = np.array([np.nan, 1.0]), np.array([2.0, np.nan])
    np.testing.assert_array_equal(tg.fmax(x, w), [2, 1])
    gx, gw = gradients(tg.fmax, x, w)
    np.testing.assert_array_equal([gx, gw], [[0, 1], [1, 0]])
    y, pull = tg.vjp(tg.max, x)
    assert np.isnan(y) and np.isnan(pull(np.ones(()))[0]).all()


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


# -- functions of NumPy's that are written in operations -------------------------------------------------------------


def test_numbers_for_what_is_none():
    x = np.array([[np.nan, 0.5, np.inf], [-np.inf, 1.5, -0.5]])
    for options in ({}, {"nan": 2.0, "posinf": 3.0, "neginf": -3.0}, {"posinf": 1.0}):
        for kind in (np.float32, np.float64):
            y = tg.nan_to_num(x.astype(kind), **options)
            np.testing.assert_array_equal(y, np.nan_to_num(x.astype(kind), **options))
            assert y.dtype == kind
        (g,) = gradients(lambda x, options=options: np.nan_to_num(x, **options), x)
        np.testing.assert_array_equal(g, np.isfinite(x))
    assert tg.nan_to_num(np.array([1, 2])).dtype == int


def test_choices_by_condition():
    x, w = np.arange(6.0).reshape(2, 3), np.array([10.0, 20.0, 30.0])
    for conditions, default in (([x < 2, x > 3], 0), ([x < 2, x > 3], 7.5), ([x < 4, x < 2], x), ([w > 15, x > 9], 1)):
        expected = np.select(conditions, [x, w], default)
        y, pull = tg.vjp(lambda x, w, c=conditions, d=default: np.select(c, [x, w], d), x, w)
        np.testing.assert_array_equal(y, expected)
        first, second = np.broadcast_to(conditions[0], (2, 3)), ~conditions[0] & conditions[1]
        dx, dw = pull(np.ones((2, 3)))
        np.testing.assert_array_equal(dx, first)
        np.testing.assert_array_equal(dw, second.sum(axis=0))


@pytest.mark.parametrize(("conditions", "text"), [
    ([np.array([True])], "select: 1 conditions, should be as many as choices, 2"),
    ([np.array([1]), np.array([0])], "select: a condition should be an array of truth values"),
])  # fmt: skip
def test_choices_without_conditions_are_refused(conditions, text):
    x = tg.tensor([1.0], requires_grad=True)
    with pytest.raises((TypeError, ValueError)) as caught:
        np.select(conditions, [x, x])
    assert str(caught.value) == text


def test_grids():
    start, stop = np.float32(1.0), tg.tensor(np.float32(3.0), requires_grad=True)
    y, step = np.linspace(start, stop, 5, retstep=True)
    assert y.dtype == np.float32 and step.item() == 0.5
    np.testing.assert_array_equal(y.numpy(), np.linspace(1, 3, 5, dtype=np.float32))
    tg.sum(y).backward()
    assert stop.grad == 2.5
    assert np.linspace(0, stop, 3, dtype=np.float64).dtype == np.float64
    assert np.isnan(np.linspace(0, stop, 1, retstep=True)[1])


@pytest.mark.parametrize("kth", [0, 2, 4, (1, 3)])
def test_parts_by_size(kth):
    x = np.random.default_rng(0).standard_normal((3, 5))
    y, pull = tg.vjp(lambda x: np.partition(x, kth), x)
    for k in np.atleast_1d(kth):
        np.testing.assert_array_equal(y[:, k], np.sort(x)[:, k])
        assert (y[:, :k] <= y[:, [k]]).all() and (y[:, k:] >= y[:, [k]]).all()
    np.testing.assert_array_equal(pull(y)[0], x)


def test_spacings_of_slopes():
    x = np.ones((3, 4))
    for call, text in (
        (lambda: tg.gradient(x, 1.0, 2.0, 3.0), "gradient: 3 spacings, should be one, or one for each of 2 axes"),
        (lambda: tg.gradient(x, np.ones(2), axis=0),
         "gradient: 2 coordinates for axis 0 of x (3, 4), should be 3"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError)) as caught:
            call()
        assert str(caught.value) == text
    x = np.array([1.0, np.nan, 3.0, 4.0, np.inf, 2.0])
    np.testing.assert_array_equal(tg.gradient(x), np.gradient(x))


def test_sinc_near_zero():
    """The derivative is exact where its formula cancels; its series and its formula agree where they meet."""
    x = np.array([0.0, 1e-9, -1e-4, 1e-3])
    u = np.pi * x
    (g,) = gradients(tg.sinc, x)
    np.testing.assert_allclose(g, np.pi * (-u / 3 + u**3 / 30 - u**5 / 840), rtol=1e-14)
    second = np.diag(tg.jacobian(tg.grad(lambda x: tg.sum(tg.sinc(x))))(x))
    np.testing.assert_allclose(second, np.pi**2 * (-1 / 3 + u**2 / 10 - u**4 / 168), rtol=1e-13)
    before, after = (gradients(tg.sinc, np.array([x]))[0] for x in (np.nextafter(0.3, 0), np.nextafter(0.3, 1)))
    np.testing.assert_allclose(before, after, rtol=1e-14)


@pytest.mark.parametrize("order", [1.5, 3, 4.0, 0.5, -1, -2.5, 0, np.inf, -np.inf])
def test_norms_of_every_order_at_zero(order):
    """0 where an element, or all of them, are 0."""
    for x in (np.array([0.0, 2.0, -1.0]), np.zeros(3)):
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(tg.norm(x, ord=order), np.linalg.norm(x, ord=order), rtol=1e-15)
            (g,) = gradients(lambda x: np.linalg.norm(x, order), x)
        assert np.isfinite(g).all() and g[0] == 0


@pytest.mark.parametrize("order", [None, 1, 2, 3])
def test_norms_of_nothing(order):
    for shape in ((0,), (2, 0)):
        y, pull = tg.vjp(lambda x: tg.norm(x, ord=order, axis=-1), np.zeros(shape))
        assert np.shape(y) == shape[:-1] and not np.any(y) and pull(y)[0].shape == shape


@pytest.mark.parametrize("order", ["nuc", 1, 2, -2, np.inf, 3])
def test_norms_of_matrices_are_refused(order):
    with pytest.raises(ValueError) as caught:
        tg.norm(np.ones((3, 4)), ord=order)
    text = f"norm: ord={order!r} of a matrix has no operation; the Euclidean norm has; x is (3, 4)"
    assert str(caught.value) == text


# -- labels and dtypes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [tg.mean_squared_error, tg.binary_cross_entropy])
@pytest.mark.parametrize(("x", "t"), [((4,), (3, 4)), ((3, 1), (1, 4)), ((), (2, 3)), ((2, 3), ()), ((1, 4), (3, 1))])
def test_gradients_of_targets_that_are_stretched(loss, x, t):
    """Those that are written out have the gradient that summing gives back."""
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal(x), rng.uniform(0.1, 0.9, t)
    shape = np.broadcast_shapes(x.shape, t.shape)
    of_stretched = tg.vjp(lambda x, t: loss(np.broadcast_to(x, shape), np.broadcast_to(t, shape)), x, t)
    y, pull = tg.vjp(loss, x, t)
    np.testing.assert_allclose(y, of_stretched[0], rtol=1e-14)
    for g, expected in zip(pull(np.ones(())), of_stretched[1](np.ones(()))):
        np.testing.assert_allclose(g, expected, rtol=1e-13)


KINDS = [np.float32, np.float64]


@pytest.mark.parametrize("kinds", list(itertools.product(KINDS, repeat=3)))
@pytest.mark.parametrize("function", [tg.affine, affine_cross_entropy])
def test_mixed_dtypes(function, kinds):
    """The result has the widest; each gradient the dtype of its input, and the value that float64 gives."""
    rng, ids = np.random.default_rng(0), np.array([1, 0])
    arrays = [rng.standard_normal(shape).astype("f") for shape in ((2, 3), (3, 4), (4,))]

    def gradients_of(kinds):
        leaves = [tg.tensor(x.astype(kind), requires_grad=True) for x, kind in zip(arrays, kinds)]
        y = function(*leaves, ids) if function is affine_cross_entropy else function(*leaves)
        tg.sum(y * np.float32(0.5)).backward()
        return y, leaves

    (y, leaves), (exact, expected) = gradients_of(kinds), gradients_of([np.float64] * 3)
    assert y.dtype == np.result_type(*kinds)
    np.testing.assert_allclose(y.numpy(), exact.numpy(), rtol=1e-6)
    for leaf, right, kind in zip(leaves, expected, kinds):
        assert leaf.grad.dtype == kind
        np.testing.assert_allclose(leaf.grad, right.grad, rtol=1e-5, atol=1e-7)
    if function is affine_cross_entropy:
        leaves = [tg.tensor(x.astype(kind), requires_grad=True) for x, kind in zip(arrays, kinds)]
        assert tg.softmax_cross_entropy(tg.affine(*leaves), ids).numpy().tobytes() == y.numpy().tobytes()


def test_triangles_of_what_is_not_finite():
    """A mask of -inf, of which one half is taken, has no NaN."""
    x = np.full((3, 3), -np.inf)
    np.testing.assert_array_equal(tg.triu(x, 1), np.triu(x, 1))
    np.testing.assert_array_equal(tg.tril(x), np.tril(x))
