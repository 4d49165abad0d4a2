"""Values and derivatives against mpmath: within 4 ulp over the whole range."""

import mpmath
import numpy as np
import pytest
from mpmath import mp

import tinygrad_rnn as tg
from helpers.accuracy import columns, distance, elementwise, measured, truth, worst
from helpers.accuracy_references import OTHERS, REFERENCES
from helpers.op_samples import INNER
from tinygrad_rnn.engine.op import OPS

BOUND = 4
DTYPES = [np.float32, np.float64]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
every_operation = pytest.mark.parametrize("spec", elementwise(), ids=lambda spec: spec.name)


@every_dtype
@every_operation
def test_within_4_ulp(spec, dtype, trials):
    for seed in range(trials(1, 2)):
        for quantity, error in measured(spec, dtype, np.random.default_rng(seed), trials(60, 400)):
            assert error.ulp <= BOUND, f"{quantity}: {error}"


def test_every_operation_is_measured_or_listed_as_another_kind():
    assert [name for name in OPS if sum(name in kind for kind in (REFERENCES, OTHERS.split(), INNER)) != 1] == []


@every_operation
def test_every_derivative_is_measured(spec):
    assert len(REFERENCES[spec.name].rules) >= len(spec.rules)


@pytest.mark.parametrize(("f", "x", "right"), [
    (lambda x: tg.log(tg.sigmoid(x)), -20.0, -20.0000000020611536),
    (tg.sigmoid, -16.0, 1.12535162055095e-7), (tg.sigmoid, -18.0, 1.52299795127603e-8),
    (tg.sigmoid, -100.0, 3.72007597602084e-44),
    (tg.grad(tg.softplus), -18.0, 1.52299795127603e-8),
    (tg.grad(lambda x: tg.logaddexp(x, 3.0)), -17.0, 2.06115361819e-9),
    (tg.grad(tg.silu), -18.0, -2.58909649e-7), (tg.grad(tg.silu), 1e8, 1.0),
    (tg.gelu, -10.0, -7.61985302416e-23), (tg.grad(tg.arcsinh), 1e20, 1e-20), (tg.grad(tg.arccosh), 1e20, 1e-20),
    (lambda x: tg.binary_cross_entropy(x, 1.0), 20.0, 2.06115362e-9),
    (tg.grad(lambda x: tg.binary_cross_entropy(x, 1.0)), 20.0, -2.06115362e-9),
    (lambda x: -tg.log_softmax(tg.stack([x, tg.zeros(()) * x]))[0], 20.0, 2.06115362e-9),
])  # fmt: skip
def test_tails_keep_their_digits_in_float32(f, x, right):
    y = f(np.float32(x))
    assert np.asarray(y).dtype == np.float32
    np.testing.assert_allclose(np.float64(y), right, rtol=3e-6 if abs(right) > 1e-38 else 0.02)


@every_dtype
@pytest.mark.parametrize(("f", "x", "right"), [
    (tg.erf, -9.3, lambda x: -4 * x / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    (tg.gelu, -12.2, lambda x: (2 - x * x) * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)),
    (lambda x: tg.arctan2(1.0, x), 1e12, lambda x: 2 * x / (1 + x * x) ** 2),
    (tg.arctan, 1e12, lambda x: -2 * x / (1 + x * x) ** 2),
    (lambda x: tg.logaddexp(x, 0.125), -60.3, lambda x: 1 / (2 + 2 * mp.cosh(x - 0.125))),
    (lambda x: tg.logaddexp2(x, 0.125), -90.3, lambda x: mp.ln2 / (2 + 2 * mp.cosh((x - 0.125) * mp.ln2))),
])  # fmt: skip
def test_second_derivatives_keep_their_digits_in_tails(f, x, right, dtype):
    x = dtype(x)
    with mp.workprec(200):
        assert distance(tg.grad(tg.grad(f))(x), right(mpmath.mpf(float(x))), dtype) <= 2 * BOUND


@every_dtype
def test_a_number_as_exponent_is_one_of_the_dtype(dtype):
    x, w = dtype(1e-30), dtype(0.1)
    with mp.workprec(200):
        right = mpmath.mpf(float(w)) * mpmath.mpf(float(x)) ** (mpmath.mpf(float(w)) - 1)
        assert distance(tg.grad(lambda x: x**0.1)(x), right, dtype) <= BOUND


@every_dtype
@pytest.mark.parametrize("center", [-300, -1, 0, 5, 60, 80, 90, 700, 1.3e9])
def test_rows_of_scores_keep_their_digits(center, dtype):
    rng, labels = np.random.default_rng(0), np.arange(4)
    x = (rng.normal(0, 10, (4, 100)) + center).astype(dtype)
    with mp.workprec(200):
        e = [[mp.exp(mpmath.mpf(float(z))) for z in row] for row in x]
        p = np.array([[z / mp.fsum(row) for z in row] for row in e])
    _, pull = tg.vjp(lambda x: tg.softmax_cross_entropy(x, labels), x)
    right = np.array([[p[i, j] if i != j else mp.fsum(-p[i, k] for k in range(100) if k != i)
                       for j in range(100)] for i in range(4)])  # fmt: skip
    for got, true in ((tg.softmax(x), p), (pull(dtype(4))[0], right)):
        np.testing.assert_allclose(got, true.astype(float), rtol=8 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


@every_dtype
def test_a_small_gradient_meets_large_scores(dtype):
    largest = np.finfo(dtype).max
    x, dy = np.array([[0.9 * np.log(largest), 1], [1, 0]], dtype), largest ** dtype(-0.8)
    _, pull = tg.vjp(lambda x: tg.softmax_cross_entropy(x, np.array([1, 1])), x)
    np.testing.assert_allclose(pull(dy)[0][0] / dy, [0.5, -0.5], rtol=1e-6)


# -- the testers -------------------------------------------------------------------------------------------------------


@every_operation
def test_the_truth_does_not_depend_on_the_bits_it_is_worked_out_with(spec, trials):
    reference = REFERENCES[spec.name]
    given = columns(reference, np.float64, np.random.default_rng(3), trials(8, 200))
    for row in list(zip(*given))[:: trials(9, 1)]:
        values = []
        for bits in (200, 1300):
            with mp.workprec(bits):
                values.append(truth(reference.value, row))
        few, many = values
        same = few is many or few == many or (mpmath.isnan(few) and mpmath.isnan(many))
        same = same or (few is not None and many is not None and max(abs(few), abs(many)) < mpmath.mpf(2) ** -1200)
        assert same or abs(few - many) <= abs(many) * mpmath.mpf(2) ** -120, row


@pytest.mark.parametrize(("got", "true", "ulp"), [
    (1.0, "1", 0), (1 + 2**-23, "1", 1), (2.0, "1.9999999", 0.8388608), (1.4e-45, "0", 1), (0.0, "1e-60", 0),
    (np.inf, "3.5e38", 0), (np.inf, "3.4e38", 13966), (np.inf, "inf", 0), (1.0, "inf", np.inf), (np.nan, "nan", 0),
    (1.0, "nan", np.inf), (np.nan, "1", np.inf),
])  # fmt: skip
def test_distance_in_ulp(got, true, ulp):
    assert distance(np.float32(got), mpmath.mpf(true), np.float32) == pytest.approx(ulp, rel=1e-2, abs=1e-9)


def test_a_lost_digit_is_noticed():
    x = np.array([-16.0, 1.0], np.float32)
    half = np.float32(0.5) * np.tanh(x / 2) + np.float32(0.5)
    error = worst(half, REFERENCES["sigmoid"].value, None, {"x": x, "y": half}, np.float32)
    assert error.ulp > 1e5 and error.at == (-16.0,) and str(error).startswith("9.39e+05 ulp at ")
