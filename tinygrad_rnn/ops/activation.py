"""The functions that neurons use."""

from __future__ import annotations

import math

import numpy as np

from ..op import case, op
from ..shape import broadcast

_CASES = [case((3, 4)), case(()), case((0, 3))]


#: 0.5 as an array: for a small x, NumPy takes as long to convert a Python number as to multiply by it.
_HALVES: dict = {np.dtype(kind): np.array(0.5, kind) for kind in ("f2", "f4", "f8")}


@op(broadcast, symbol="σ", cases=_CASES)
def sigmoid(x):
    """The logistic function.  y = 1/(1 + e⁻ˣ) = (1 + tanh x/2)/2,  dy/dx = y (1 - y).  Never overflows."""
    half = _HALVES.get(getattr(x, "dtype", None), 0.5)
    y = np.tanh(half * x)
    y *= half
    y += half
    return y


sigmoid.vjp(x=lambda dy, y: dy * (y * (1 - y)))


@op(broadcast, cases=_CASES)
def relu(x):
    """y = max(0, x),  dy/dx = 1 for x > 0, else 0."""
    return np.maximum(x, 0)


relu.vjp(x=lambda dy, y: dy * (y > 0))


@op(broadcast, cases=[*_CASES, case((3, 4), slope=0.2)])
def leaky_relu(x, *, slope=0.01):
    """y = x for x > 0, else ``slope`` · x (Maas et al. 2013)."""
    return np.where(x > 0, x, slope * x)


leaky_relu.vjp(x=lambda dy, x, slope: np.where(x > 0, dy, slope * dy))


@op(broadcast, cases=[*_CASES, case((3, 4), alpha=0.5)])
def elu(x, *, alpha=1.0):
    """y = x for x > 0, else α(eˣ - 1) (Clevert et al. 2016).  dy/dx = 1, or y + α."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjp(x=lambda dy, x, alpha: np.where(x > 0, dy, dy * (alpha * np.exp(np.minimum(x, 0)))))


@op(broadcast, cases=_CASES)
def erf(x):
    """The error function.  y = 2/√π ∫₀ˣ e^(-t²) dt,  dy/dx = 2/√π e^(-x²)."""
    return np.asarray(_erf(x), dtype=np.result_type(np.asarray(x).dtype, np.float16))[()]


_erf = np.frompyfunc(math.erf, 1, 1)
erf.vjp(x=lambda dy, x: dy * (2 / math.sqrt(math.pi) * np.exp(-x * x)))


def _normal(x):
    """The cumulative distribution of the standard normal, Φ(x)."""
    return (erf(x * math.sqrt(0.5)) + 1) * 0.5


@op(broadcast, cases=_CASES)
def gelu(x):
    """y = x Φ(x), the exact form (Hendrycks and Gimpel 2016).  dy/dx = Φ(x) + x φ(x)."""
    return x * _normal(x)


gelu.vjp(x=lambda dy, x: dy * (_normal(x) + x * np.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))))


@op(broadcast, cases=_CASES)
def silu(x):
    """y = x σ(x), also called swish (Elfwing et al. 2017)."""
    return x * sigmoid(x)


silu.vjp(x=lambda dy, x, y: dy * (sigmoid(x) * (1 - y) + y))


@op(broadcast, cases=_CASES)
def softplus(x):
    """y = ln(1 + eˣ), a smooth relu,  dy/dx = σ(x).  Never overflows."""
    return np.logaddexp(x, 0)


softplus.vjp(x=lambda dy, x: dy * sigmoid(x))


@op(broadcast, cases=_CASES, domain=(-5.0, 5.0))
def hard_sigmoid(x):
    """y = x/6 + 1/2 held between 0 and 1, PyTorch's definition (Keras before version 3 had x/5 + 1/2)."""
    return np.clip(x / 6 + 0.5, 0, 1)


hard_sigmoid.vjp(x=lambda dy, y: dy * ((y > 0) & (y < 1)) / 6)
