"""Where formulas break: 0, ties, NaN, negative bases."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from helpers.accuracy import elementwise
from helpers.accuracy_references import REFERENCES


def gradients(f, *xs):
    y, pull = tg.vjp(f, *xs)
    return pull(np.ones(np.shape(y), np.asarray(y).dtype))


# -- NaN ---------------------------------------------------------------------------------------------------------------

#: The derivative is a constant, or another argument.
LINEAR = {"add", "subtract", "negative", "positive", "copy", "deg2rad", "rad2deg"}
#: (operation, argument): NaN counts as missing there, only its sign counts, or it is refused.
MISSING = {("fmax", 0), ("fmax", 1), ("fmin", 0), ("fmin", 1), ("copysign", 1), ("binary_cross_entropy", 1)}
#: What an argument changes is the derivative by the other one.
PRODUCTS = {"multiply", "hadamard", "prod", "divide"}


@pytest.mark.parametrize("spec", elementwise(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.filterwarnings("ignore:invalid value encountered in logaddexp")
def test_nan_in_gives_nan_out_in_gradients_too(spec, dtype):
    reference = REFERENCES[spec.name]
    for k in range(len(reference.rules)):
        if (spec.name, k) in MISSING:
            continue
        xs = [np.full(1, np.nan if j == k else 0.7, dtype) for j in range(len(reference.rules))]
        y = np.asarray(reference.call(*xs))
        assert np.isnan(y).all() and y.dtype == dtype
        found = [np.isnan(g).all() for g in gradients(reference.call, *xs)]
        assert spec.name in LINEAR or found[1 - k if spec.name in PRODUCTS else k], "the gradient is a number"


@pytest.mark.parametrize("f", [tg.max, tg.min, tg.prod, tg.norm, tg.std, tg.var, tg.logsumexp, tg.softmax])
def test_nan_goes_through_reductions_and_their_gradients(f):
    x = np.array([1.0, np.nan, 3.0])
    assert np.isnan(f(x)).any() and np.isnan(gradients(f, x)[0]).any()


# -- powers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [lambda x, w: x**w, lambda x, w: tg.power(x.item(), w), np.power])
@pytest.mark.parametrize(("x", "w", "right"), [
    (-2.0, 3.0, np.nan), (-2.0, 2.5, np.nan), (0.0, 2.0, 0), (0.0, 0.0, 0), (0.0, -1.0, -np.inf),
    (2.0, 3.0, 8 * np.log(2)), (1.0, 5.0, 0), (np.inf, -1.0, np.nan), (np.nan, 2.0, np.nan),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, of the value
def test_the_derivative_of_a_power_by_its_exponent(form, x, w, right):
    y = tg.tensor(np.array([w]), requires_grad=True)
    form(np.array([x]), y).backward(np.ones(1))
    np.testing.assert_allclose(y.grad, [right], rtol=1e-15)


@pytest.mark.parametrize(("n", "x"), [(n, x) for n in range(6) for x in (0.0, -2.0, 3.0)])
@pytest.mark.parametrize("kind", [int, float, np.array])
def test_every_derivative_of_an_integer_power(n, x, kind):
    f, right = lambda x: x ** kind(float(n) if kind is np.array else n), [1.0] + [0.0] * 5
    for order in range(5):
        right = float(np.prod([n - j for j in range(order)])) * (x ** (n - order) if n >= order else 0.0)
        assert f(x) == pytest.approx(right, abs=0)
        f = tg.grad(f)


# -- second derivatives ------------------------------------------------------------------------------------------------


def pairwise(f):
    return lambda x: f(x[0], x[1])


@pytest.mark.parametrize(("f", "x", "right"), [
    (tg.norm, [0, 0], 0), (tg.std, [0, 0], 0), (pairwise(tg.hypot), [0, 0], 0),
    (tg.norm, [3, 4], [[16, -12], [-12, 9]]),
    (lambda x: tg.sum(tg.abs(x)), [0, 1], 0), (lambda x: tg.sum(tg.relu(x)), [0, 1], 0),
    (lambda x: tg.sum(tg.clip(x, min=0, max=1)), [0, 1], 0), (pairwise(tg.maximum), [1, 1], 0), (tg.max, [2, 2], 0),
    (tg.prod, [0, 0], [[0, 125], [125, 0]]), (tg.prod, [0, 3], [[0, 125], [125, 0]]),
    (lambda x: tg.sum(x**2), [0, -1], [[250, 0], [0, 250]]), (lambda x: tg.sum(x**1), [0, -1], 0),
    (tg.var, [1, 1], [[62.5, -62.5], [-62.5, 62.5]]), (lambda x: tg.sum(tg.silu(x)), [0, 0], [[62.5, 0], [0, 62.5]]),
    (lambda x: tg.sum(tg.softplus(x)), [0, 0], [[31.25, 0], [0, 31.25]]),
    (pairwise(tg.power), [0, 0], 0), (pairwise(tg.power), [2, 0], [[0, 62.5], [62.5, 125 * np.log(2) ** 2]]),
    (lambda x: tg.sum(tg.gelu(x)), [-1e200, 1e200], 0),
    (tg.logsumexp, [5, 5], [[31.25, -31.25], [-31.25, 31.25]]),
])  # fmt: skip
def test_second_derivatives_at_special_points(f, x, right):
    """125 times the second derivatives, so that those of the norm are integers; at a kink both orders are flat."""
    np.testing.assert_allclose(125 * tg.hessian(f)(np.array(x, float)), np.broadcast_to(right, (2, 2)), rtol=1e-13)
