"""From scores to probabilities and losses."""

from __future__ import annotations

import numpy as np

from ..op import case, op
from ..shape import along, broadcast
from .activation import sigmoid

_ROWS = [case((3, 4)), case((2, 3, 4), axis=1), case((4,)), case((3, 4), axis=0)]


@op(along, cases=_ROWS)
def softmax(x, *, axis=-1):
    """y = eˣ / Σ eˣ along ``axis``, taken at the largest x so that nothing overflows.  dx = y ⊙ (dy - Σ dy ⊙ y)."""
    y = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return y / np.sum(y, axis=axis, keepdims=True)


softmax.vjp(x=lambda dy, y, axis: y * (dy - np.sum(dy * y, axis=axis, keepdims=True)))


@op(along, cases=_ROWS)
def log_softmax(x, *, axis=-1):
    """y = x - ln Σ eˣ along ``axis``, finite for any x.  dx = dy - eʸ Σ dy."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


log_softmax.vjp(x=lambda dy, y, axis: dy - np.exp(y) * np.sum(dy, axis=axis, keepdims=True))


def _scalar(shapes, attrs):
    """A mean over all elements of arguments that broadcast."""
    broadcast(shapes, attrs)
    return ()


def _in_dtype_of(x, t):
    """Targets that are integers or truth values as x's dtype: they would widen float32."""
    return t.astype(x.dtype) if isinstance(t, np.ndarray) and t.dtype.kind != "f" else t


@op(_scalar, cases=[
    case((3, 4), (3, 4)), case((3, 4), (4,)), case((), ()), case((4,), (3, 4)), case((1, 4), (3, 1)),
    case((2, 3), (2,), raises="mean_squared_error: x (2, 3) and t (2,) do not broadcast: axis -1 is 3 and 2"),
])  # fmt: skip
def mean_squared_error(x, t):
    """The mean of (x - t)² over all elements, a scalar."""
    d = np.subtract(x, _in_dtype_of(x, t))
    return np.mean(d * d)


mean_squared_error.vjp(
    x=lambda dy, x, t: dy * 2 / max(_size(x, t), 1) * (x - _in_dtype_of(x, t)),
    t=lambda dy, x, t: dy * 2 / max(_size(x, t), 1) * (t - x),
)


def _size(x, t):
    return int(np.prod(np.broadcast_shapes(np.shape(x), np.shape(t))))


@op(_scalar, cases=[
    case((3, 4), np.array([[0.1, 0.9, 0.7, 0.3]])), case((3, 4), np.array([[0, 1, 1, 0]])), case((), np.array(0.5)),
    case((4,), np.full((3, 4), 0.3)), case((1, 4), np.array([[0.2], [0.7], [0.9]])),
    case((2,), np.array([2.0, 0.0]), raises="binary_cross_entropy: t should be from 0 to 1; x is (2,), t is (2,)"),
    case((2, 3), np.array([0, 1]),
         raises="binary_cross_entropy: x (2, 3) and t (2,) do not broadcast: axis -1 is 3 and 2"),
])  # fmt: skip
def binary_cross_entropy(x, t):
    """The mean of -t ln σ(x) - (1 - t) ln(1 - σ(x)) = softplus(x) - t x: x are logits, t in [0, 1].  A scalar."""
    if not (np.min(t, initial=0) >= 0 and np.max(t, initial=0) <= 1):
        raise ValueError("t should be from 0 to 1")
    return np.mean(np.logaddexp(x, 0) - _in_dtype_of(x, t) * x)


binary_cross_entropy.vjp(
    x=lambda dy, x, t: dy / max(_size(x, t), 1) * (sigmoid(x) - _in_dtype_of(x, t)),
    t=lambda dy, x, t: dy / max(_size(x, t), 1) * np.broadcast_to(-x, np.broadcast_shapes(np.shape(x), np.shape(t))),
)
