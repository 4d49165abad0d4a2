"""The functions around e^(-x²): erf, erfc and gelu.

In the tails, a rounding error in x² or in x/√2 is multiplied by x². So x is split: the square of its upper half is
exact, and the rest of x² gives a factor of its own. Everything is computed in float64.
"""

from __future__ import annotations

import math

import numpy as np

from ..engine.op import case, op
from ..engine.shape import broadcast

_CASES = [case((3, 4)), case(()), case((0, 3))]
_ROOT_2PI = math.sqrt(2 * math.pi)
_HALF_ROOT = math.sqrt(0.5)
_HALF_ROOT_HIGH = float(np.float32(_HALF_ROOT))
_HALF_ROOT_ERROR = -4.8336466567264565e-17  # √½ - _HALF_ROOT
_TAIL = -26.0  # below, Φ(x) becomes subnormal, and nine terms of its asymptotic series are exact


def _each(function, x):
    """A Python function of each element, in float64."""
    return np.asarray(np.frompyfunc(function, 1, 1)(x), dtype=np.float64)


def _doubled(function):
    """``function`` computed in float64, with a result of the dtype that NumPy's functions give."""

    def forward(x, **attributes):
        dtype = np.result_type(np.asarray(x).dtype, np.float16)
        return function(np.asarray(x, np.float64), **attributes).astype(dtype)[()]

    return forward


def _split(x):
    """x clipped to ±200, beyond which everything is 0 or 1, and the upper half of its digits."""
    x = np.clip(x, -200, 200)
    return x, x.astype(np.float32).astype(np.float64)


def _bell(x, factor, scale=1.0):
    """scale · e^(-factor x²), rounded once where it is subnormal; ``factor`` is a power of 2."""
    x, high = _split(x)
    square = high * high * factor
    normal = np.minimum(square, 700)
    return scale * np.exp(-normal) * (np.exp(normal - square) * np.exp((high - x) * (high + x) * factor))


def _normal(x):
    """Φ(x) = erfc(-x/√2)/2, corrected by the rounding error of x/√2 times the derivative."""
    x, high = _split(x)
    t, low = x * _HALF_ROOT, x - high
    lower_digits = _HALF_ROOT - _HALF_ROOT_HIGH
    error = (high * _HALF_ROOT_HIGH - t) + high * lower_digits + low * _HALF_ROOT + x * _HALF_ROOT_ERROR
    return 0.5 * _each(math.erfc, -t) + np.exp(-t * t) * error / math.sqrt(math.pi)


def _tail(x):
    """-x Φ(x)/φ(x) for x far below 0: 1 - 1/x² + 3/x⁴ - 15/x⁶ + ..."""
    inverse, series = 1 / np.square(np.clip(x, -200, _TAIL)), 1.0
    for k in range(17, 0, -2):
        series = 1 - k * inverse * series
    return series


def _helper(name):
    return f"\ndef {name}(x):\n    return np.vectorize(math.{name}, otypes=[x.dtype])(x)\n"


@op(broadcast, cases=_CASES, helper=_helper("erf"))
def erf(x):
    """The error function.  y = 2/√π ∫₀ˣ e^(-t²) dt,  dy/dx = 2/√π e^(-x²)."""
    return _doubled(lambda x: _each(math.erf, x))(x)


@op(broadcast, cases=_CASES, helper=_helper("erfc"))
def erfc(x):
    """1 - erf x, also where that is close to 0.  dy/dx = -2/√π e^(-x²)."""
    return _doubled(lambda x: _each(math.erfc, x))(x)


_GELU = """
def gelu(x):
    return x * 0.5 * erfc(-x / math.sqrt(2))
"""


@op(broadcast, cases=_CASES, activation=True, helper=_GELU)
def gelu(x):
    """y = x Φ(x), the exact form (Hendrycks and Gimpel 2016).  dy/dx = Φ(x) + x φ(x).

    Φ(x) = erfc(-x/√2)/2 keeps its digits in the lower tail.
    """
    return _doubled(_gelu)(x)


def _gelu(x):
    tail = _bell(x, 0.5, -_tail(x) / _ROOT_2PI)
    return np.where((x < _TAIL) & (x > -np.inf), tail, x * _normal(x))


def _gelu_slope(x):
    far = np.minimum(x, _TAIL)
    tail = _bell(far, 0.5, (far - _tail(far) / far) / _ROOT_2PI)
    return np.where(x < _TAIL, tail, _normal(x) + _bell(x, 0.5, x / _ROOT_2PI))


# -- their derivatives -------------------------------------------------------------------------------------------------


@op(broadcast, numpy=[], formula=lambda x, factor: np.exp(-x * x) if factor == 1 else np.exp(x * x * -factor))
def gaussian(x, *, factor=1.0):
    """e^(-factor x²)"""
    return _doubled(_bell)(x, factor=factor)


@op(broadcast, numpy=[], formula=lambda x: (
    0.5 * erfc(x * -_HALF_ROOT) + x * np.exp(x * x * -0.5) * (1 / _ROOT_2PI)))  # fmt: skip
def gelu_slope(x):
    """Φ(x) + x φ(x), the derivative of `gelu`."""
    return _doubled(_gelu_slope)(x)


def _bend(dy, x):
    """(2 - x²) φ(x), also where x² overflows."""
    bell = gaussian(x, factor=0.5)
    return dy * ((2 * bell - x * (x * bell)) * (1 / _ROOT_2PI))


gaussian.vjp(x=lambda dy, x, y, factor: dy * (x * y * (-2 * factor)))
gelu_slope.vjp(x=_bend)
erf.vjp(x=lambda dy, x: dy * (2 / math.sqrt(math.pi) * gaussian(x)))
erfc.vjp(x=lambda dy, x: -dy * (2 / math.sqrt(math.pi) * gaussian(x)))
gelu.vjp(x=lambda dy, x: dy * gelu_slope(x))
