"""Operations that sum, select or sort along axes."""

from __future__ import annotations

import builtins

import numpy as np

from ..engine.op import case, composite, op
from ..engine.shape import along, reduced
from ..errors import InvalidValue
from .precision import accumulated, nan_where, wide
from .shaping import along_axis

_AXES = [
    case((3, 4)),
    case((3, 4), axis=0),
    case((2, 3, 4), axis=(0, -1)),
    case((3, 4), axis=1, keepdims=True),
    case(()),
]


def _out_of_range(name):
    return case((2, 3), axis=2, raises=f"{name}: axis 2 is out of range for x (2, 3)")


def spread(dy, x_shape, axis, keepdims):
    """dy stretched back over the axes that were reduced: (N, H) -> (N, T, H)."""
    if axis is None and dy.__class__ is np.ndarray and not dy.ndim:
        return repeated(dy, x_shape)
    if not keepdims and axis is not None:
        dy = np.expand_dims(dy, tuple(a % len(x_shape) for a in (axis if isinstance(axis, tuple) else (axis,))))
    return np.broadcast_to(dy, x_shape)


def repeated(number, shape):
    """``np.broadcast_to(number, shape)`` for an array of shape (), ten times as fast."""
    array = np.ndarray(shape, number.dtype, number, 0, (0,) * len(shape))
    array.flags.writeable = False
    return array


def _count(x_shape, axis):
    """The number of elements that are reduced to a single one."""
    axes = range(len(x_shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return builtins.max(int(np.prod([x_shape[a] for a in axes])), 0)


@op(reduced, symbol="Σ", form="reduction", cases=[*_AXES, case((0, 3), axis=0), _out_of_range("sum")])
def sum(x, *, axis=None, keepdims=False):
    """The sum over ``axis``; every summand gets dy."""
    return accumulated(np.add.reduce, x, axis=axis, keepdims=keepdims)


sum.vjp(x=spread)


@op(reduced, symbol="mean", form="reduction", cases=[*_AXES, _out_of_range("mean")])
def mean(x, *, axis=None, keepdims=False):
    """The mean over ``axis``; every summand gets dy/n."""
    return np.mean(x, axis=axis, keepdims=keepdims)


mean.vjp(x=lambda dy, x_shape, axis, keepdims: spread(wide(dy) / _count(x_shape, axis), x_shape, axis, keepdims))


@op(reduced, form="reduction", cases=[*_AXES[:4], case((3, 4), axis=0, ddof=1), _out_of_range("var")])
def var(x, *, axis=None, ddof=0, keepdims=False):
    """The variance over ``axis``, divided by n - ddof.  dy/dx = 2 (x - mean) / (n - ddof)."""
    return accumulated(np.var, x, axis=axis, ddof=ddof, keepdims=keepdims)


def _deviation(x, axis, ddof):
    x = wide(x)
    return (x - np.mean(x, axis=axis, keepdims=True)) / (_count(x.shape, axis) - ddof)


var.vjp(x=lambda dy, x, x_shape, axis, ddof, keepdims: (
    2 * spread(wide(dy), x_shape, axis, keepdims) * _deviation(x, axis, ddof)))  # fmt: skip


def _scaled(function, x, axis, **options):
    """``function(x)`` with ``function(s x) = s function(x)``, even where squares overflow or underflow."""
    x = np.asarray(x)
    with np.errstate(over="ignore", under="ignore"):
        y = function(x, axis=axis, **options)
    if x.dtype.kind != "f" or np.all((y > 1e-12) & (y < 1e18)):  # far from overflow and underflow of the squares
        return y
    top = np.max(np.abs(x), axis=axis, keepdims=True, initial=0)
    top = np.where((top > 0) & (top < np.inf), top, 1).astype(x.dtype)
    y = function(x / top, axis=axis, **options)
    return y * np.reshape(top, np.shape(y))


@op(reduced, form="reduction", cases=[*_AXES[:4], case((3, 4), axis=0, ddof=1), _out_of_range("std")])
def std(x, *, axis=None, ddof=0, keepdims=False):
    """The standard deviation over ``axis``.  dy/dx = (x - mean) / ((n - ddof) y), and 0 where y is 0."""
    return accumulated(_scaled, np.std, x, axis=axis, ddof=ddof, keepdims=keepdims)


std.vjp(x=lambda dy, x, y, x_shape, axis, ddof, keepdims: (
    spread(wide(dy), x_shape, axis, keepdims)
    * (_deviation(x, axis, ddof) / spread(np.where(y == 0, np.inf, y), x_shape, axis, keepdims))))  # fmt: skip


@op(reduced, symbol="Π", form="reduction", branches=True, cases=[
    *_AXES, case(np.array([[2.0, 0.0, 3.0], [0.0, 0.5, 0.0]]), axis=1), case(np.array(0.0)),
    case(np.array([0.0, 2.0]), axis=()), case((0, 3), axis=0), case((0, 3), axis=1), case((0,)), _out_of_range("prod"),
])  # fmt: skip
def prod(x, *, axis=None, keepdims=False):
    """The product over ``axis``; dy/dx is the product of the others, exact where some are 0."""
    return accumulated(np.prod, x, axis=axis, keepdims=keepdims)


def _prod_x(dy, x, y, x_shape, axis, keepdims):
    if np.all((np.abs(y) > np.finfo(dy.dtype).tiny) & (np.abs(y) < np.inf)):
        return spread(dy * y, x_shape, axis, keepdims) / x
    axes = list(range(len(x_shape))) if axis is None else [a % len(x_shape) for a in np.atleast_1d(axis)]
    last = list(range(len(x_shape) - len(axes), len(x_shape)))
    rows = np.moveaxis(wide(x), axes, last)
    others = _others(np.reshape(rows, (*rows.shape[: len(x_shape) - len(axes)], _count(x_shape, axis))))
    return spread(dy, x_shape, axis, keepdims) * np.moveaxis(np.reshape(others, rows.shape), last, axes)


def _others(x):
    """For each element, the product of all others on the last axis: of the other pairs, times its partner."""
    n, lead = x.shape[-1], x.shape[:-1]
    if n <= 1:
        return np.ones(x.shape, x.dtype)
    even = x if n % 2 == 0 else np.concatenate([x, np.ones((*lead, 1), x.dtype)], axis=-1)
    pairs = np.reshape(even, (*lead, (n + 1) // 2, 2))
    both = _others(pairs[..., 0] * pairs[..., 1])
    return np.reshape(both[..., None] * pairs[..., ::-1], even.shape)[..., :n]


prod.vjp(x=_prod_x)


def _share(dy, x, y, x_shape, axis, keepdims):
    """dy for the selected elements, in equal parts if there are several. A subgradient."""
    chosen = x == spread(y, x_shape, axis, keepdims)
    count = np.sum(chosen, axis=axis, keepdims=True)
    share = spread(dy, x_shape, axis, keepdims) * (chosen / np.maximum(count, 1)).astype(dy.dtype)
    return nan_where(spread(y, x_shape, axis, keepdims), share)


@op(reduced, symbol="max", form="reduction", numpy=[np.max, np.amax], cases=[*_AXES, _out_of_range("max")])
def max(x, *, axis=None, keepdims=False):
    """The largest over ``axis``; equal ones share dy."""
    return np.max(x, axis=axis, keepdims=keepdims)


max.vjp(x=_share)


@op(reduced, symbol="min", form="reduction", numpy=[np.min, np.amin], cases=[*_AXES, _out_of_range("min")])
def min(x, *, axis=None, keepdims=False):
    """The smallest over ``axis``; equal ones share dy."""
    return np.min(x, axis=axis, keepdims=keepdims)


min.vjp(x=_share)


@op(numpy=[np.linalg.norm], code="np.linalg.norm", cases=[
    case((3, 4)), case((3, 4), axis=1), case((3, 4), axis=(0, 1)), case((4,), ord=2), case((3, 4), ord=1, axis=1),
    case((3, 4), ord=np.inf, axis=0), case((3, 4), ord="fro"), case((3, 4), axis=0, keepdims=True),
    case((4,), ord=3), case((3, 4), ord=2.5, axis=0), case((3, 4), ord=1.5, axis=-1, keepdims=True),
    case((4,), ord=0.5), case((4,), ord=-np.inf), case((3, 4), ord=-2, axis=1), case((4,), ord=0), case(()),
    case((3, 4), ord=2,
         raises="norm: ord=2 of a matrix has no operation; the Euclidean norm has; x is (3, 4)"),
])  # fmt: skip
def norm(x, *, ord=None, axis=None, keepdims=False):
    """The norm of vectors: Euclidean (also of all of a matrix, Frobenius), or of any order p along one axis.

    y = (Σ |x|ᵖ)^(1/p),  dy/dx = sign x (|x|/y)ᵖ⁻¹ (0 where x is 0); p = inf and -inf are the largest and the smallest,
    p = 0 counts, and is flat.
    """
    one_axis = np.ndim(axis) == 0 and (axis is not None or x.ndim == 1)
    if ord not in (None, "fro") and not one_axis:
        raise InvalidValue(f"ord={ord!r} of a matrix has no operation; the Euclidean norm has")
    return accumulated(_scaled, np.linalg.norm, x, axis=axis, ord=ord, keepdims=keepdims)


def _norm_x(dy, x, y, x_shape, ord, axis, keepdims):
    if ord == 1:
        return spread(dy, x_shape, axis, keepdims) * np.sign(x)
    if ord == 0:
        return spread(dy * 0, x_shape, axis, keepdims) * x
    if ord in (np.inf, -np.inf):
        return _share(dy, np.abs(x), y, x_shape, axis, keepdims) * np.sign(x)
    if ord not in (None, "fro", 2):
        ratio = np.where(x == 0, 1, np.abs(x)) / spread(np.where(y == 0, 1, y), x_shape, axis, keepdims)
        return spread(dy, x_shape, axis, keepdims) * np.sign(x) * ratio ** (ord - 1)
    return spread(dy, x_shape, axis, keepdims) * (x / spread(np.where(y == 0, np.inf, y), x_shape, axis, keepdims))


norm.vjp(x=_norm_x)


@op(cases=[case((3, 4), axis=0), case((3, 4), axis=-1), case((3, 4)), case((4,)), case(()), case((), axis=0),
           case((0, 3), axis=0), case((0, 3))])  # fmt: skip
def cumsum(x, *, axis=None):
    """Running sums along ``axis``; the gradient is the running sum from the other end."""
    return accumulated(np.cumsum, x, axis=axis)


def _cumsum_x(dy, x_shape, axis):
    at = 0 if axis is None else axis
    return np.reshape(np.flip(np.cumsum(np.flip(wide(dy), at), at), at), x_shape)


cumsum.vjp(x=_cumsum_x)


def _sorted(shapes, attrs):
    """The shape of the argument; flat without an axis."""
    shape = along(shapes, attrs)
    return shape if attrs["axis"] is not None else (int(np.prod(shape)),)


@op(_sorted, keeps=["rank"], cases=[case((3, 4)), case((3, 4), axis=0), case((5,)), case((1, 4), axis=None),
                            case((), axis=None),
                            case((0,)), case((2, 0)), case((0, 3), axis=None)])  # fmt: skip
def sort(x, *, axis=-1):
    """Ascending along ``axis``; each element takes its gradient back to where it was."""
    order = np.argsort(x, axis=axis, kind="stable")
    return np.take_along_axis(x, order, axis), np.argsort(order, axis=axis, kind="stable")


sort.vjp(x=lambda dy, rank, axis, x_shape: np.reshape(np.take_along_axis(dy, rank, axis), x_shape))


@composite(case((3, 4)), case((3, 4), offset=1), case((2, 3, 3), axis1=1, axis2=2))
def trace(x, offset=0, axis1=0, axis2=1):
    """``np.trace``: the sum of a diagonal."""
    return sum(np.diagonal(x, offset, axis1, axis2), axis=-1)


@composite(case((3, 4)), case((3, 4), n=2, axis=0))
def diff(x, n=1, axis=-1):
    """``np.diff``: differences of neighbours along ``axis``, n times."""
    after, before = (along_axis(axis, np.ndim(x), part) for part in (slice(1, None), slice(None, -1)))
    for _ in range(n):
        x = x[after] - x[before]
    return x
