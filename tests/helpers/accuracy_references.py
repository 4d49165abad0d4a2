"""The true value of every elementwise operation and loss, and its derivatives, for mpmath's numbers.

The argument names of a derivative tell what it is a function of, as those of a gradient rule: ``y`` is the value that
the operation has saved. Nothing here subtracts what is nearly equal: what needs more bits is in `accuracy.PRECISION`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp

import tinygrad_rnn as tg


@dataclass
class Reference:
    """``value`` of one or two numbers, ``rules`` by argument; ``call`` is the operation on columns of numbers.

    ``scale`` names the sums that can cancel, with the size of their terms, in whose ulp they are measured.
    ``domain`` brings drawn numbers to where the operation is compared. With ``by_row`` the operation is a mean over
    rows: it is called on one row at a time, and differentiated on all of them at once.
    """

    value: Callable[..., Any]
    rules: dict[str, Callable[..., Any]]
    call: Callable[..., Any]
    scale: dict[str, Callable[..., Any]]
    domain: Callable[..., Any]
    by_row: bool


REFERENCES: dict[str, Reference] = {}


def enter(names, value, *, call=None, scale=None, domain=lambda *xs: xs, by_row=False, **rules):
    """Put operations into the table; the other keywords are the derivatives, by argument."""
    for name in names.split():
        function = call or getattr(tg.ops, name)
        REFERENCES[name] = Reference(_named(value, rules), rules, function, scale or {}, domain, by_row)


def _named(function, rules):
    """The function of as many arguments as there are rules, by their names."""
    if len(rules) == 1:
        return lambda x: function(x)
    return (lambda x, t: function(x, t)) if "t" in rules else lambda x, w: function(x, w)


def finite(*xs):
    """Without infinities and NaN, and with 0 for -0: mpmath has no -0."""
    return [np.where(np.isfinite(x), x, 0.75) + 0.0 for x in xs]


def divisors(x, w):
    return finite(x, np.where(w == 0, 0.75, w))


def bases(x, w):
    """Negative ones have integer exponents, of which w - 1 is exact. Left out is xʷ⁻¹ that overflows beside w < 1."""
    x, w = finite(x, np.where(x < 0, np.rint(np.clip(w, -1e6, 1e6)), w))
    return np.where((np.abs(w) < 1) & np.isinf(np.abs(x) ** (w - 1)), 0.75, x), w


def pair(function):
    """The function of rows of two scores."""
    return lambda x, w: function(tg.stack([x, w], axis=-1))


def sigma(x):
    return 1 / (1 + mp.exp(-x))


def softplus(x):
    return mp.log1p(mp.exp(-abs(x))) + (x if x > 0 else 0)


def step(x, at_0=0.5):
    return x if mp.isnan(x) else mp.mpf(1 if x > 0 else 0 if x < 0 else at_0)


def flat(x):
    return x if mp.isnan(x) else mp.mpf(0)


def inside(x, low, high):
    return x if mp.isnan(x) else mp.mpf(low <= x <= high)


def erfc(x):
    return mp.erfc(x) if abs(x) < 99 or mp.isinf(x) or x != x else mp.mpf(1 - mp.sign(x))  # mpmath gives up


def normal(x):
    return erfc(-x / mp.sqrt(2)) / 2


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def ratio(x, w):
    return Fraction(float(x)) / Fraction(float(w))


def rest(x, w, quotient):
    """x - w q, exactly."""
    exact = Fraction(float(x)) - Fraction(float(w)) * quotient
    return mp.mpf(exact.numerator) / exact.denominator


def power_w(x, w, y):
    if x == 0:
        return mp.mpf(0) if w >= 0 else 1 / x
    return y * mp.log(x) if x > 0 else mp.nan


def larger(*terms):
    return max(abs(term) for term in terms)


NEGATIVE = lambda: mp.mpf(-1)
ONE = lambda: mp.mpf(1)
SIZES = {"y": lambda x, w: larger(x, w)}  # of terms that cancel where ln(eˣ + eʷ) is near 0

# -- arithmetic --------------------------------------------------------------------------------------------------------

enter("add", lambda x, w: x + w, x=ONE, w=ONE, domain=finite)
enter("subtract", lambda x, w: x - w, x=ONE, w=NEGATIVE, domain=finite)
enter("multiply hadamard", lambda x, w: x * w, x=lambda w: w, w=lambda x: x, domain=finite)
enter("prod", lambda x, w: x * w, x=lambda w: w, w=lambda x: x, domain=finite, call=pair(lambda x: tg.prod(x, axis=-1)))
enter("divide", lambda x, w: x / w, x=lambda w: 1 / w, w=lambda y, w: -y / w, domain=divisors)
enter("negative", lambda x: -x, x=NEGATIVE)
enter("positive copy", lambda x: x, x=ONE)
enter("reciprocal", lambda x: 1 / x, x=lambda y: -y * y)
enter("remainder", lambda x, w: rest(x, w, math.floor(ratio(x, w))), x=lambda x: mp.mpf(1),
      w=lambda x, w: mp.mpf(-math.floor(ratio(x, w))), domain=divisors)  # fmt: skip
enter("fmod", lambda x, w: rest(x, w, math.trunc(ratio(x, w))), x=lambda x: mp.mpf(1),
      w=lambda x, w: mp.mpf(-math.trunc(ratio(x, w))), domain=divisors)  # fmt: skip
enter("power", lambda x, w: x**w, x=lambda x, w: w * x ** (w - 1) if w else w, w=power_w, domain=bases,
      scale={"dx": lambda w, tiny: w * tiny})  # fmt: skip
enter("square", lambda x: x * x, x=lambda x: 2 * x)
enter("sqrt", mp.sqrt, x=lambda y: 1 / (2 * y))
enter("cbrt", lambda x: mp.sign(x) * mp.cbrt(abs(x)), x=lambda y: 1 / (3 * y * y))

# -- exponentials and logarithms ---------------------------------------------------------------------------------------

enter("exp", mp.exp, x=lambda y: y)
enter("exp2", lambda x: mp.mpf(2) ** x, x=lambda y: y * mp.ln2)
enter("expm1", mp.expm1, x=lambda x: mp.exp(x))
enter("log", mp.log, x=lambda x: 1 / x)
enter("log2", lambda x: mp.log(x) / mp.ln2, x=lambda x: 1 / (x * mp.ln2))
enter("log10", lambda x: mp.log(x) / mp.ln10, x=lambda x: 1 / (x * mp.ln10))
enter("log1p", mp.log1p, x=lambda x: 1 / (1 + x))
enter("logaddexp", lambda x, w: max(x, w) + softplus(-abs(x - w)), x=lambda x, w: sigma(x - w),
      w=lambda x, w: sigma(w - x), domain=finite, scale=SIZES)  # fmt: skip
enter("logaddexp2", lambda x, w: max(x, w) + softplus(-abs(x - w) * mp.ln2) / mp.ln2,
      x=lambda x, w: sigma((x - w) * mp.ln2), w=lambda x, w: sigma((w - x) * mp.ln2), domain=finite,
      scale=SIZES)  # fmt: skip

# -- trigonometric and hyperbolic --------------------------------------------------------------------------------------

enter("sin", mp.sin, x=lambda x: mp.cos(x))
enter("cos", mp.cos, x=lambda x: -mp.sin(x))
enter("tan", mp.tan, x=lambda y: 1 + y * y)
enter("arcsin", mp.asin, x=lambda x: 1 / mp.sqrt((1 - x) * (1 + x)))
enter("arccos", mp.acos, x=lambda x: -1 / mp.sqrt((1 - x) * (1 + x)))
enter("arctan", mp.atan, x=lambda x: 1 / (1 + x * x))
enter("arctan2", mp.atan2, x=lambda x, w: w / (x * x + w * w), w=lambda x, w: -x / (x * x + w * w), domain=finite,
      scale=dict.fromkeys(["dx", "dw"], lambda x, w, tiny: tiny / (mp.hypot(x, w) or 1)))  # fmt: skip
enter("sinh", mp.sinh, x=lambda x: mp.cosh(x))
enter("cosh", mp.cosh, x=lambda x: mp.sinh(x))
enter("tanh", mp.tanh, x=lambda y: (1 - y) * (1 + y))
enter("arcsinh", mp.asinh, x=lambda x: 1 / mp.sqrt(x * x + 1))
enter("arccosh", mp.acosh, x=lambda x: 1 / (mp.sqrt(x - 1) * mp.sqrt(x + 1)))
enter("arctanh", mp.atanh, x=lambda x: 1 / ((1 - x) * (1 + x)),
      domain=lambda x: [np.where(np.abs(x) > 1, 1 / x, x)])  # fmt: skip
enter("hypot", mp.hypot, x=lambda x, y: x / (y or 1), w=lambda w, y: w / (y or 1), domain=finite)
enter("norm", mp.hypot, x=lambda x, y: x / (y or 1), w=lambda w, y: w / (y or 1), domain=finite,
      call=pair(lambda x: tg.norm(x, axis=-1)))  # fmt: skip
enter("deg2rad", lambda x: x * mp.pi / 180, x=lambda: mp.pi / 180)
enter("rad2deg", lambda x: x * 180 / mp.pi, x=lambda: 180 / mp.pi)

# -- pieces ------------------------------------------------------------------------------------------------------------

enter("abs fabs", abs, x=lambda x: mp.sign(x))
enter("sign", mp.sign, x=flat)
enter("floor", mp.floor, x=flat)
enter("ceil", mp.ceil, x=flat)
enter("trunc", lambda x: mp.sign(x) * mp.floor(abs(x)), x=flat)
enter("rint", mp.nint, x=flat)
enter("maximum fmax", max, x=lambda x, w: step(x - w), w=lambda x, w: step(w - x), domain=finite)
enter("minimum fmin", min, x=lambda x, w: step(w - x), w=lambda x, w: step(x - w), domain=finite)
enter("copysign", lambda x, w: abs(x) * mp.sign(w), x=lambda x, w: mp.sign(x) * mp.sign(w), w=lambda y: flat(y),
      domain=divisors)  # fmt: skip
enter("clip", lambda x: min(max(x, -0.5), 0.5), x=lambda x: inside(x, -0.5, 0.5), domain=finite,
      call=lambda x: tg.clip(x, min=-0.5, max=0.5))  # fmt: skip

# -- activations -------------------------------------------------------------------------------------------------------

enter("sigmoid", sigma, x=lambda y: y * (1 - y))
enter("relu", lambda x: x if mp.isnan(x) else max(x, mp.mpf(0)), x=lambda x: step(x, 0))
enter("leaky_relu", lambda x: x if x > 0 else x / 100, x=lambda x: x if mp.isnan(x) else mp.mpf(1 if x > 0 else "0.01"))
enter("elu", lambda x: x if x > 0 else mp.expm1(x), x=lambda x: mp.mpf(1) if x > 0 else mp.exp(x))
enter("erf", mp.erf, x=lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x))
enter("erfc", erfc, x=lambda x: -2 / mp.sqrt(mp.pi) * mp.exp(-x * x))
enter("gelu", lambda x: x * normal(x), x=lambda x: normal(x) + x * density(x),
      scale={"dx": lambda x: larger(normal(x), x * density(x))})  # fmt: skip
enter("silu", lambda x: x * sigma(x), x=lambda x, y: sigma(x) + y * sigma(-x),
      scale={"y": lambda x, tiny: x * tiny, "dx": lambda x, y: larger(sigma(x), y * sigma(-x))})  # fmt: skip
enter("softplus", softplus, x=sigma)
enter("hard_sigmoid", lambda x: min(max(x + 3, 0), 6) / 6 if x == x else x,
      x=lambda y: y if y != y else mp.mpf(0 < y < 1) / 6)  # fmt: skip

# -- losses, and rows of two scores ------------------------------------------------------------------------------------

enter("softmax", lambda x, w: sigma(x - w), x=lambda y: y * (1 - y), w=lambda x, w, y: -y * sigma(w - x),
      call=pair(lambda x: tg.softmax(x)[..., 0]), domain=finite)  # fmt: skip
enter("log_softmax", lambda x, w: -softplus(w - x), x=lambda y: -mp.expm1(y), w=lambda x, w: -sigma(w - x),
      call=pair(lambda x: tg.log_softmax(x)[..., 0]), domain=finite, scale={"dx": lambda y: mp.mpf(1)})  # fmt: skip


def sinc_slope(x, y):
    """(cos πx - y)/x; near 0 its series in (πx)²."""
    if abs(x) >= 0.3:
        return (mp.cospi(x) - y) / x
    terms = [(-1) ** n * 2 * n * (mp.pi * x) ** (2 * n - 1) / mp.factorial(2 * n + 1) for n in range(1, 40)]
    return mp.pi * sum(terms)


enter("sinc", lambda x: mp.sinpi(x) / (mp.pi * x) if x else mp.mpf(1), x=sinc_slope, domain=finite,
      scale={"dx": lambda x, y: larger(mp.cospi(x), y) / x if abs(x) >= 0.3 else sinc_slope(x, y)})  # fmt: skip
enter("logsumexp", REFERENCES["logaddexp"].value, **REFERENCES["logaddexp"].rules, domain=finite, scale=SIZES,
      call=pair(lambda x: tg.logsumexp(x, axis=-1)))  # fmt: skip
enter("softmax_cross_entropy", lambda x, w: softplus(w - x), x=lambda x, w: -sigma(w - x), w=lambda x, w: sigma(w - x),
      call=pair(lambda x: tg.softmax_cross_entropy(x, np.zeros(x.shape[:-1], int))), by_row=True,
      domain=finite)  # fmt: skip
enter("mean_squared_error", lambda x, t: (x - t) ** 2, x=lambda x, t: 2 * (x - t), t=lambda x, t: 2 * (t - x),
      by_row=True, domain=finite)  # fmt: skip
enter("binary_cross_entropy", lambda x, t: (1 - t) * max(x, 0) - t * min(x, 0) + softplus(-abs(x)), by_row=True,
      x=lambda x, t: (1 - t) * sigma(x) - t * sigma(-x), t=lambda x: -x,
      scale={"dx": lambda x, t: larger((1 - t) * sigma(x), t * sigma(-x))},
      domain=lambda x, t: finite(x, np.clip(np.where(np.abs(t) > 1, 1 / t, np.abs(t)), 0, 1)))  # fmt: skip

#: Operations without a reference: they move numbers, choose them, or add up many.
OTHERS = """
    where reshape expand_dims squeeze transpose swapaxes moveaxis broadcast_to roll pad getitem scatter assign embedding
    concatenate stack sort max min astype dropout
    sum mean var std cumsum matmul affine einsum
"""
