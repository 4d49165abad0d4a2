"""From scores to probabilities and losses."""

from __future__ import annotations

import functools
import math

import numpy as np

from ..engine.op import case, op
from ..engine.shape import along, broadcast, reduced
from ..errors import InvalidValue
from .activation import sigmoid
from .precision import accumulated, floats, wide, widened
from .reduce import spread

_ROWS = [case((3, 4)), case((2, 3, 4), axis=1), case((4,)), case((3, 4), axis=0)]


_SOFTMAX = """
def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))  # e**x could overflow
    return e / e.sum(axis=axis, keepdims=True)
"""
_LOG_SOFTMAX = """
def log_softmax(x, axis=-1):
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))
"""
_LOGSUMEXP = """
def logsumexp(x, axis=None, keepdims=False):
    top = x.max(axis=axis, keepdims=True)  # e**x could overflow
    y = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return y if keepdims else y.squeeze(axis)
"""


@op(along, cases=_ROWS, helper=_SOFTMAX)
def softmax(x, *, axis=-1):
    """y = eˣ / Σ eˣ along ``axis``, taken at the largest x so that nothing overflows.  dx = y ⊙ (dy - Σ dy ⊙ y)."""
    return accumulated(_softmax, floats(x), axis=axis)


def _softmax(x, axis):
    top = np.max(x, axis=axis, keepdims=True)
    c = shift(top, x.size // max(top.size, 1))
    y = np.exp(x - c)
    with np.errstate(invalid="ignore"):  # inf is the largest
        error = exact_exp(top - c) - np.exp(top - c)  # most of that of the sum
    return y / (np.sum(y, axis=axis, keepdims=True) + error)


def exact_exp(x):
    """eˣ with a single rounding: NumPy's float32 exp is off by up to 2.5 ulp."""
    return np.exp(x.astype(np.result_type(x, np.float64))).astype(x.dtype)


@functools.cache
def _room(dtype, count):
    """The largest whole number r for which ``count`` times eʳ is far from infinite."""
    return max(int(np.finfo(dtype).maxexp * math.log(2) - math.log(max(count, 1))) - 2, 0)


def shift(top, count):
    """The whole number c to subtract from x ≤ ``top`` so that Σ eˣ of ``count`` terms is finite and not 0.

    x - top would be rounded, and eˣ multiplies that error by x - top. For top < 0, x - c is exact, because c has the
    sign of x and is no larger. For top > 0, c is 0 as long as e^top leaves room for the sum; beyond that, x - c is
    exact or small, or eˣ⁻ᶜ is too small to count.
    """
    whole, room = np.trunc(top), _room(top.dtype, count)
    return np.where((top < 0) | (top > 1 / np.finfo(top.dtype).eps), whole, np.maximum(whole - room, 0))


softmax.vjp(x=lambda dy, y, axis: y * (wide(dy) - np.sum(wide(dy) * y, axis=axis, keepdims=True)))


@op(along, cases=_ROWS, helper=_LOG_SOFTMAX)
def log_softmax(x, *, axis=-1):
    """y = x - ln Σ eˣ along ``axis``, finite for any x.  dx = dy - softmax(x) Σ dy."""
    return accumulated(_log_softmax, floats(x), axis=axis)


def _log_softmax(x, axis):
    top = np.max(x, axis=axis, keepdims=True)
    return (x - top) - _log_of_sum(x, top, axis)


log_softmax.vjp(
    x=lambda dy, x, axis: wide(dy) - softmax(x, axis=axis) * np.sum(wide(dy), axis=axis, keepdims=True)
)


def _log_of_sum(x, top, axis):
    """ln Σ e^(x - top), as ln(1 + Σ of all but the largest): accurate also where they are far below."""
    largest, c = x == top, shift(top, x.size // max(top.size, 1))
    with np.errstate(divide="ignore", over="ignore"):  # -inf throughout, or inf
        others = np.sum(np.where(largest, 0, np.exp(x - c)), axis=axis, keepdims=True, dtype=x.dtype)
        count = np.sum(largest, axis=axis, keepdims=True)
        return np.log1p(others / exact_exp(top - c) + (count - 1).astype(x.dtype))


@op(reduced, helper=_LOGSUMEXP, cases=[
    case((3, 4)), case((3, 4), axis=0), case((2, 3, 4), axis=(0, -1)), case((3, 4), axis=1, keepdims=True), case(()),
    case((2, 3), axis=2, raises="logsumexp: axis 2 is out of range for x (2, 3)"),
])  # fmt: skip
def logsumexp(x, *, axis=None, keepdims=False):
    """ln Σ eˣ over ``axis``, taken at the largest x so that nothing overflows.  dx = dy softmax x."""
    return accumulated(_logsumexp, floats(x), axis=axis, keepdims=keepdims)


def _logsumexp(x, axis, keepdims):
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(top.dtype)
    y = _log_of_sum(x, top, axis) + top
    return y if keepdims else np.squeeze(y, axis) if axis is not None else y.reshape(())[()]


def _logsumexp_x(dy, x, x_shape, axis, keepdims):
    axes = tuple(range(len(x_shape))) if axis is None else axis
    return spread(dy, x_shape, axis, keepdims) * softmax(x, axis=axes)


logsumexp.vjp(x=_logsumexp_x)


def _scalar(shapes, attrs):
    """A mean over all elements of arguments that broadcast."""
    broadcast(shapes, attrs)
    return ()


def _in_dtype_of(x, t):
    """Targets as an array; integers and truth values, which would widen float32, in the dtype of x."""
    t = np.asarray(t) if isinstance(t, (list, tuple)) else t
    return t.astype(x.dtype) if isinstance(t, np.ndarray) and t.dtype.kind != "f" else t


@op(_scalar, code="(({x:SUM} - {t:PRODUCT})**2).mean()", cases=[
    case((3, 4), (3, 4)), case((3, 4), (4,)), case((), ()), case((4,), (3, 4)), case((1, 4), (3, 1)),
    case((2, 3), (2,), raises="mean_squared_error: x (2, 3) and t (2,) do not broadcast: axis -1 is 3 and 2"),
])  # fmt: skip
def mean_squared_error(x, t):
    """The mean of (x - t)² over all elements, a scalar."""
    return accumulated(_mean_squared, floats(x), t)


def _mean_squared(x, t):
    d = np.subtract(x, _in_dtype_of(x, t))
    return np.mean(d * d)


mean_squared_error.vjp(
    x=lambda dy, x, t: wide(dy) * 2 / max(_size(x, t), 1) * (x - _in_dtype_of(x, t)),
    t=lambda dy, x, t: wide(dy) * 2 / max(_size(x, t), 1) * (t - x),
)


def _size(x, t):
    return int(np.prod(np.broadcast_shapes(np.shape(x), np.shape(t))))


@op(_scalar, code="(np.logaddexp({x}, 0) - {t:PRODUCT} * {x:NEGATIVE}).mean()", cases=[
    case((3, 4), np.array([[0.1, 0.9, 0.7, 0.3]])), case((3, 4), np.array([[0, 1, 1, 0]])), case((), np.array(0.5)),
    case((4,), np.full((3, 4), 0.3)), case((1, 4), np.array([[0.2], [0.7], [0.9]])),
    case((2,), np.array([2.0, 0.0]), raises="binary_cross_entropy: t should be from 0 to 1; x is (2,), t is (2,)"),
    case((2, 3), np.array([0, 1]),
         raises="binary_cross_entropy: x (2, 3) and t (2,) do not broadcast: axis -1 is 3 and 2"),
])  # fmt: skip
def binary_cross_entropy(x, t):
    """The mean of -t ln σ(x) - (1 - t) ln(1 - σ(x)) = softplus(x) - t x: x are logits, t in [0, 1].  A scalar.

    The sum has no cancellation, nor has dx = (1 - t) σ(x) - t σ(-x): small losses keep their digits.
    """
    if not (np.min(t, initial=0) >= 0 and np.max(t, initial=0) <= 1):
        raise InvalidValue("t should be from 0 to 1")
    return accumulated(_cross_entropy, floats(x), t)


def _both(x, t, dtype):
    """The logits and the targets in the dtype of the loss."""
    return widened(x, dtype), widened(_in_dtype_of(x, t), dtype)


def _cross_entropy(x, t):
    x, t = _both(x, t, np.result_type(x, _in_dtype_of(x, t)))
    distance = (1 - t) * np.maximum(x, 0) - t * np.minimum(x, 0)
    return np.mean(distance + np.log1p(np.exp(-np.abs(x))))


def _cross_entropy_x(dy, x, t):
    x, t = _both(x, t, dy.dtype)
    return wide(dy) / max(_size(x, t), 1) * ((1 - t) * sigmoid(x) - t * sigmoid(-x))


def _cross_entropy_t(dy, x, t):
    shape = np.broadcast_shapes(np.shape(x), np.shape(t))
    return wide(dy) / max(_size(x, t), 1) * np.broadcast_to(-floats(x), shape)


binary_cross_entropy.vjp(x=_cross_entropy_x, t=_cross_entropy_t)
