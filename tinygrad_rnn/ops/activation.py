"""Activation functions."""

from __future__ import annotations

import numpy as np

from ..engine.declaration import PRODUCT
from ..engine.op import case, op
from ..engine.shape import broadcast
from .precision import nan_where

_CASES = [case((3, 4)), case(()), case((0, 3))]


#: By dtype, the x from which eˣ/(1 + eˣ) is 1, and 1. These are arrays, because NumPy converts a number slowly.
_LARGE: dict = {
    np.dtype(kind): (np.array(x, kind), np.array(1, kind)) for kind, x in (("f2", 11), ("f4", 40), ("f8", 40))
}


_SIGMOID = """
def sigmoid(x):
    e = np.exp(np.minimum(x, 40))  # e**x could overflow; from 40 on the result is 1
    return e / (1 + e)
"""


@op(broadcast, symbol="σ", cases=_CASES, activation=True, limits=(0, 1), unicode="σ", latex=r"\sigma", helper=_SIGMOID)
def sigmoid(x):
    """The logistic function.  y = 1/(1 + e⁻ˣ) = eˣ/(1 + eˣ),  dy/dx = y (1 - y).  Never overflows.

    y is relatively accurate over the whole range, down to the smallest subnormal number. dy/dx is computed from y: it
    loses digits where y is close to 1, and is 0 where y is rounded to 1 (x > 17 in float32, 37 in float64).
    `softplus` and `binary_cross_entropy` are computed from x and lose no digits.
    """
    large, unit = _LARGE.get(getattr(x, "dtype", None), (50.0, 1))
    y = np.exp(np.minimum(x, large))
    y /= unit + y
    return y


def _sigmoid_into(x, out=None):
    large, unit = _LARGE.get(x.dtype, (50.0, 1))
    y = np.minimum(x, large, out=out)
    np.exp(y, out=y)
    return np.divide(y, unit + y, out=y)


sigmoid.vjp(x=lambda dy, y: dy * (y * (1 - y)))
sigmoid.spec.into = _sigmoid_into


@op(broadcast, cases=_CASES, activation=True, code="np.maximum({x}, 0)", latex=r"\max(0, {x})")
def relu(x):
    """y = max(0, x),  dy/dx = 1 for x > 0, else 0."""
    return np.maximum(x, 0)


relu.vjp(x=lambda dy, y: nan_where(y, dy * (y > 0)))


@op(broadcast, cases=[*_CASES, case((3, 4), slope=0.2)], activation=True,
    code="np.where({x:SUM} > 0, {x}, {slope} * {x:PRODUCT})")  # fmt: skip
def leaky_relu(x, *, slope=0.01):
    """y = x for x > 0, else ``slope`` · x (Maas et al. 2013)."""
    return np.where(x > 0, x, slope * x)


leaky_relu.vjp(x=lambda dy, x, slope: nan_where(x, np.where(x > 0, dy, slope * dy)))


_ELU = """
def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
"""


@op(broadcast, cases=[*_CASES, case((3, 4), alpha=0.5)], activation=True, helper=_ELU)
def elu(x, *, alpha=1.0):
    """y = x for x > 0, else α(eˣ - 1) (Clevert et al. 2016).  dy/dx = 1, or y + α."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjp(x=lambda dy, x, alpha: np.where(x > 0, dy, dy * (alpha * np.exp(np.minimum(x, 0)))))


@op(broadcast, cases=_CASES, activation=True, code=("{x:PRODUCT} * sigmoid({x})", PRODUCT))
def silu(x):
    """y = x σ(x), also called swish (Elfwing et al. 2017).  dy/dx = σ(x) + y σ(-x)."""
    return x * sigmoid(x)


silu.vjp(x=lambda dy, x, y: dy * (sigmoid(x) + y * sigmoid(-x)))


@op(broadcast, cases=_CASES, activation=True, code="np.logaddexp({x}, 0)")
def softplus(x):
    """y = ln(1 + eˣ), a smooth relu,  dy/dx = σ(x).  Never overflows."""
    return np.logaddexp(x, 0)


softplus.vjp(x=lambda dy, x: dy * sigmoid(x))


@op(broadcast, cases=_CASES, domain=(-5.0, 5.0), activation=True, limits=(0, 1),
    code="np.clip({x:PRODUCT} / 6 + 0.5, 0, 1)")  # fmt: skip
def hard_sigmoid(x):
    """y = (x + 3)/6 held between 0 and 1, PyTorch's definition (Keras before version 3 had x/5 + 1/2)."""
    return np.clip(x + 3.0, 0, 6) / 6


hard_sigmoid.vjp(x=lambda dy, y: nan_where(y, dy * ((y > 0) & (y < 1)) / 6))
