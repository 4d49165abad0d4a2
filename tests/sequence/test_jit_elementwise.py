"""exp, tanh and sigmoid of the compiled loops: errors in ulp over all exponents, limits, vector instructions."""

import functools
import math
import re
from dataclasses import replace

import numpy as np
import pytest

mpmath = pytest.importorskip("mpmath")
pytest.importorskip("llvmlite")

from helpers.compiled import compiled_function, optimised_text  # noqa: E402
from tinygrad_rnn.sequence.jit.elementwise import TABLES  # noqa: E402
from tinygrad_rnn.sequence.jit.source import Argument  # noqa: E402

CALLS = {"exp": "np.exp", "sigmoid": "sigmoid", "tanh": "np.tanh"}
NAMES = tuple(CALLS)
LIMIT = {"float32": 2.0, "float64": 4.0}

#: The same functions in a wider type, without cancellation.
WIDE = {
    "exp": np.exp,
    "sigmoid": lambda x: np.where(x < 0, np.exp(-abs(x)), 1) / (1 + np.exp(-abs(x))),
    "tanh": np.tanh,
}
EXACT = {"exp": mpmath.exp, "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)), "tanh": mpmath.tanh}


def source(name: str, dtype: str):
    text = f"def loop(T, xs, ys):\n    for n in range(T):\n        ys[n] = {CALLS[name]}(xs[n])\n"
    return text, [Argument("xs", ("T",), dtype), Argument("ys", ("T",), dtype)]


@functools.cache
def compiled(name: str, dtype: str):
    return compiled_function(*source(name, dtype))


def run(name: str, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    compiled(name, x.dtype.name)(len(x), np.ascontiguousarray(x), y)
    return y


def ulps(y: np.ndarray, true: np.ndarray) -> np.ndarray:
    """The distance of y from the wider ``true``, in units in the last place of the rounded true value."""
    with np.errstate(over="ignore"):
        rounded = true.astype(y.dtype)
    finite = np.isfinite(rounded)
    unit = np.spacing(np.where(finite, abs(rounded), 1)).astype(true.dtype)
    error = abs(y.astype(true.dtype) - np.where(finite, true, 0)) / unit
    return np.where(finite, error, np.where(y == rounded, 0, np.inf))


def errors(name: str, x: np.ndarray) -> np.ndarray:
    """The errors in ulp against a wider type; where float64 has none, of every 100th number against mpmath."""
    wide = np.float64 if x.dtype == np.float32 else np.longdouble
    if np.finfo(wide).nmant < 2 * np.finfo(x.dtype).nmant and np.finfo(wide).nmant < 60:
        return exact_errors(name, x[::100])
    with np.errstate(all="ignore"):
        return ulps(run(name, x), WIDE[name](x.astype(wide)))


def exact_errors(name: str, x: np.ndarray) -> np.ndarray:
    """The errors in ulp against mpmath; inf where the result is infinite and should be finite, or the reverse."""
    with mpmath.workprec(120), np.errstate(over="ignore"):
        exact = [EXACT[name](mpmath.mpf(float(number))) for number in x]
        true = [float(value) for value in exact]
        unit = np.spacing(np.abs(np.clip(true, -3e38, 3e38) if x.dtype == np.float32 else true).astype(x.dtype))
        return np.array([
            abs(mpmath.mpf(float(y)) - value) / mpmath.mpf(float(step)) if math.isfinite(y)
            else 0 if y == x.dtype.type(rounded) else math.inf
            for y, value, rounded, step in zip(run(name, x), exact, true, unit)
        ], float)  # fmt: skip


def bit_patterns(dtype: str, step: int, chunk: int = 1 << 22):
    """Every ``step``-th float32, by its bits, in chunks; of float64 as many, over all exponents and both signs."""
    for start in range(0, 1 << 32, chunk * step):
        bits = np.arange(start, min(start + chunk * step, 1 << 32), step, dtype=np.uint64)
        if dtype == "float32":
            x = bits.astype(np.uint32).view(np.float32)
        else:
            x = (bits << 32 | bits * 2654435761 & 0xFFFFFFFF).view(np.float64)
        yield x[np.isfinite(x)]


@pytest.mark.parametrize("dtype", TABLES)
@pytest.mark.parametrize("name", NAMES)
def test_the_error_over_all_exponents_is_within_the_stated_ulp(name, dtype, trials):
    step = trials(65521, 1 if dtype == "float32" else 61)
    for x in bit_patterns(dtype, step):
        assert errors(name, x).max(initial=0) <= LIMIT[dtype]


@pytest.mark.parametrize("dtype", TABLES)
@pytest.mark.parametrize("name", NAMES)
def test_the_error_where_the_function_bends_is_within_the_stated_ulp(name, dtype, trials):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=trials(60, 3000)) * scale for scale in (0.01, 0.3, 1, 4, 20, 90, 700)])
    x = x.astype(dtype)
    assert np.isfinite(run(name, x)).mean() > 0.8
    assert exact_errors(name, x).max() <= LIMIT[dtype]


@pytest.mark.parametrize("dtype", TABLES)
def test_nan_infinities_and_the_sign_of_zero_are_kept(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype)
    np.testing.assert_array_equal(run("exp", x), np.array([np.nan, np.inf, 0, 1, 1], dtype))
    np.testing.assert_array_equal(run("sigmoid", x), np.array([np.nan, 1, 0, 0.5, 0.5], dtype))
    y = run("tanh", x)
    np.testing.assert_array_equal(y, np.array([np.nan, 1, -1, 0, -0.0], dtype))
    np.testing.assert_array_equal(np.signbit(y[1:]), [False, True, False, True])


@pytest.mark.parametrize("dtype", TABLES)
def test_numbers_next_to_overflow_and_underflow_of_exp(dtype):
    info = np.finfo(dtype)
    edges = np.array([math.log(info.max), math.log(float(info.smallest_subnormal)), math.log(info.tiny)], dtype)
    x = np.concatenate([edges + np.spacing(edges) * k for k in range(-3, 4)]).astype(dtype)
    with np.errstate(all="ignore"):
        true = np.exp(x.astype(np.longdouble))
    assert ulps(run("exp", x), true).max() <= LIMIT[dtype]


@pytest.mark.parametrize("dtype", TABLES)
@pytest.mark.parametrize("name", NAMES)
def test_the_loop_over_an_array_is_vectorised(name, dtype):
    kind = {"float32": "float", "float64": "double"}[dtype]
    assert re.search(rf"fmul contract <\d+ x {kind}>", optimised_text(*source(name, dtype)))


def test_a_wrong_coefficient_is_noticed(monkeypatch):
    x = np.linspace(-1, 1, 4001, dtype=np.float32)
    true = np.exp(x.astype(np.float64))
    assert ulps(run("exp", x), true).max() < 0.76
    right = TABLES["float32"]
    monkeypatch.setitem(TABLES, "float32", replace(right, P=(*right.P[:3], right.P[3] * 1.01, *right.P[4:])))
    y = np.empty_like(x)
    compiled.__wrapped__("exp", "float32")(len(x), x, y)
    assert ulps(y, true).max() > 2
