"""Derivatives that would multiply the rounding error of a difference: they compute the error and correct for it.

The rounded difference of two numbers and its rounding error together are exact. A function of the difference is
computed at the rounded difference and corrected by its derivative times the error.
"""

from __future__ import annotations

import math

import numpy as np

from ..engine.op import op
from ..engine.shape import broadcast
from .activation import sigmoid
from .precision import floats, widened


def _difference(x, w):
    """x - w as rounded, and its rounding error, 0 where that is not finite (Knuth's two-sum)."""
    d = x - w
    part = d - x
    error = (x - (d - part)) - (w + part)
    return d, np.where(np.isfinite(error), error, 0)


@op(broadcast, numpy=[], formula=lambda x, w, base: sigmoid((x - w) * math.log(base) if base != math.e else x - w))
def sigmoid_of_difference(x, w, *, base=math.e):
    """σ(x - w), or σ((x - w) ln 2) with base 2."""
    with np.errstate(over="ignore", invalid="ignore"):
        d, error = _difference(x, w)
        if base == math.e:
            y = sigmoid.spec.forward(d)
        else:
            power = np.exp2(np.minimum(d, 60))
            y = power / (1 + power)
        return y + y * (error * math.log(base) * (1 - y))


def _spread(dy, x, w, base):
    return dy * math.log(base) * (sigmoid_of_difference(x, w, base=base) * sigmoid_of_difference(w, x, base=base))


sigmoid_of_difference.vjp(x=_spread, w=lambda dy, x, w, base: -_spread(dy, x, w, base))


# -- x to the power of w - 1 -------------------------------------------------------------------------------------------


def _exponent(x, w):
    """w - 1, but 1 where w is 0 and 1/x infinite: a factor w = 0 follows."""
    tiny = np.finfo(x.dtype).tiny if getattr(x, "dtype", np.dtype(int)).kind == "f" else 0
    return np.where((w == 0) & (4 * np.abs(x) <= tiny), 1, w - 1)


def _textbook(x, w):
    return x ** (w - 1 if isinstance(w, (int, float)) else np.where((w == 0) & (x == 0), 1, w - 1))


@op(broadcast, numpy=[], formula=_textbook)
def power_below(x, w):
    """xʷ⁻¹; where w is 0 and 1/x infinite, x."""
    dtype = np.result_type(x, w)
    x, w = np.asarray(x, dtype), np.asarray(w, dtype)
    with np.errstate(all="ignore"):
        change = _difference(w, 1)[1] * np.log(np.abs(x))
    y = np.power(x, _exponent(x, w))
    return (y * (1 + np.clip(np.nan_to_num(change), -0.5, 0.5)))[()]  # a larger change occurs only where y is 0 or inf


def power_x(dy, x, w):
    """w xʷ⁻¹; where w is 0 the derivative is 0, also at x = 0."""
    if not isinstance(w, (int, float)):
        return dy * w * power_below(x, w)
    exact = float(2 * w).is_integer()  # then w - 1 is exact as well
    return dy * (w * (x ** (w - 1) if exact else power_below(x, w))) if w else dy * 0


def power_w(dy, x, w, y):
    """y ln x; at x = 0 it is 0 for w ≥ 0, else -inf. NaN for x < 0, where xʷ is real for integers w only."""
    if isinstance(x, (int, float)) and x != 0:  # a NumPy number would widen float32
        return dy * y * (math.log(x) if x > 0 else math.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return dy * y * np.log(np.where((x == 0) & (w >= 0), 1, floats(widened(x, dy.dtype)))).astype(dy.dtype)


def _below_x(dy, x, w):
    exponent = _exponent(x, w)
    return dy * exponent * power_below(x, exponent)


power_below.vjp(x=_below_x, w=lambda dy, x, w, y: power_w(dy, x, _exponent(x, w), y))

# -- squares that over- or underflow ---------------------------------------------------------------------------------


@op(broadcast, numpy=[], formula=lambda x: 1 / (1 + x * x))
def arctan_slope(x):
    """1/(1 + x²), computed as x⁻²/(x⁻² + 1) where |x| > 1."""
    size = np.abs(x)
    inverse, least = np.square(1 / np.maximum(size, 1)), np.minimum(size, 1)
    return inverse / (inverse + least * least)


arctan_slope.vjp(x=lambda dy, x, y: dy * (x * y * y * -2))


@op(broadcast, numpy=[], formula=lambda x, w: w / np.hypot(x, w) / np.hypot(x, w))
def arctan2_slope(x, w):
    """w/(x² + w²), of scaled values where hypot would be subnormal or infinite."""
    dtype = np.result_type(x, w, np.float16)
    x, w, info = np.asarray(x, dtype), np.asarray(w, dtype), np.finfo(dtype)
    size = np.maximum(np.abs(x), np.abs(w))
    less = np.where(size > info.max / 4, info.eps, 1)
    scale = np.where(size < info.tiny / info.eps, 1 / info.eps, less).astype(dtype)
    x, w = x * scale, w * scale
    return ((w / np.hypot(x, w)) / np.hypot(x, w) * scale)[()]


arctan2_slope.vjp(
    x=lambda dy, x, w, y: dy * (-2 * y * arctan2_slope(w, x)),
    w=lambda dy, x, w, y: dy * ((arctan2_slope(w, x) - y) * (arctan2_slope(w, x) + y)),
)
