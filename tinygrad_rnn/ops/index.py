"""Indexing: reading parts of arrays."""

from __future__ import annotations

import builtins

import numpy as np

from ..engine.op import case, composite, op
from ..engine.row_gradient import RowGradient, few
from ..errors import InvalidIndex, InvalidType, InvalidValue
from .elementwise import where
from .precision import wide
from .shaping import along_axis, moveaxis, reshape

_BASIC = {int: 1, slice: 1, type(None): 1, type(Ellipsis): 1}


def basic(index):
    """Does it consist of slices, integers, None and ... only, so that no element is read twice?"""
    for part in index if type(index) is tuple else (index,):
        if type(part) not in _BASIC and not isinstance(part, np.integer):
            return False
    return True


_TABLE = np.linspace(0.1, 0.9, 300).reshape(300, 1)  # more rows than small integers count


@op(symbol="slice", operator="getitem", numpy=[], form="slice", stem="part", cases=[
    case((3, 4), index=1), case((3, 4), index=(slice(None), -1)), case((3, 4), index=(..., slice(3, None, -2))),
    case((3, 4), index=(None, slice(1, 3), None)), case((5,), index=slice(4, 0, -1)), case((2, 3, 4), index=(..., 0)),
    case((3, 4), index=np.array([2, 0, 0])), case((3, 4), index=(np.array([[0, 1], [2, 2]]), 1)),
    case((3, 4), index=(slice(None), np.array([1, 1]))), case((3,), index=np.array([True, False, True])),
    case((3, 4), index=(np.array([0, 1]), np.array([1, 1]))), case((), index=()), case((3,), index=slice(0, 0)),
    case((3, 4), index=[]), case(_TABLE, index=np.array([0, 255], "u1")),
    case(_TABLE, index=(np.array([-1, 127], "i1"), 0)),
    case((3, 4), index=5, raises="getitem: index 5 is out of bounds for axis 0 with size 3; x is (3, 4)"),
])  # fmt: skip
def getitem(x, *, index):
    """x[index], any index NumPy knows. A slice shares memory with x; its gradient is put back where it was read."""
    return x[index]


_PUT = """
def put(x, index, shape):
    y = np.zeros(shape, x.dtype)
    y[index] = x
    return y
"""


@op(numpy=[], form="scatter", helper=_PUT, cases=[
    case((2, 4), index=slice(1, 3), shape=(3, 4)), case((3, 4), index=np.array([0, 2, 2]), shape=(5, 4)),
    case((), index=(1, 2), shape=(2, 3)),
])  # fmt: skip
def scatter(x, *, index, shape):
    """Zeros of ``shape`` with x added at ``index``: a place named several times gets the sum. Undoes ``[index]``."""
    y = np.zeros(shape, x.dtype)
    _add_at(y, x, index)
    return y


def _add_at(total, dy, index):
    if basic(index):
        view = total[index]
        if view.ndim:  # not a scalar
            view += dy
        else:
            total[index] += dy
    elif total.dtype == np.float16:  # many small parts, which float16 would lose singly
        parts = np.zeros(total.shape, np.float32)
        _add_at(parts, wide(dy), index)
        total += parts
    elif isinstance(index, np.ndarray) and index.dtype.kind in "iu" and total.ndim > 1:
        _add_rows(total, dy, index)
    else:
        np.add.at(total, index, dy)


def _add_rows(total, dy, ids):
    """total[ids] += dy with repeated ids summed: each row is written once."""
    if ids.size:
        distinct, sums = _row_sums(dy, ids, total.shape)
        total[distinct] += sums


def _row_sums(dy, ids, shape):
    """The distinct ids, ascending, and the sum of dy for each: sort, and add up each run."""
    flat, rows = ids.reshape(-1).astype(np.intp) % shape[0], dy.reshape(ids.size, *shape[1:])
    order = np.argsort(flat, kind="stable")
    ranked = flat[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    return ranked[starts], np.add.reduceat(rows[order], starts, axis=0)


def _as_rows(dy, ids, shape):
    """The sum as a `RowGradient`; None if there are many ids, or float16, whose sums need more digits."""
    ids = np.asarray(ids)
    if len(shape) != 2 or not 0 < ids.size <= few(shape[0]) or ids.dtype.kind not in "iu" or dy.dtype == np.float16:
        return None
    distinct, sums = _row_sums(dy, ids, shape)
    return RowGradient(distinct, sums + dy.dtype.type(0), shape)  # 0 + -0 is 0, as in a whole array


getitem.vjp(x=lambda dy, index, x_shape: scatter(dy, index=index, shape=x_shape))
getitem.spec.cheaper("x", accumulate_into=lambda total, dy, index, x_shape: _add_at(total, dy, index))
scatter.vjp(x=lambda dy, index: getitem(dy, index=index))


@op(cases=[
    case((5, 3), np.array([[0, 4], [4, 4]])), case((5,), np.array([1, 1, 0])),
    case(_TABLE, np.array([0, 255, 255], "u1")),
    case((5, 3), np.array([7]), raises="embedding: ids holds 7, should be from 0 to 4 (W has 5 rows)"),
    case((5, 3), np.array([-1]), raises="embedding: ids holds -1, should be from 0 to 4 (W has 5 rows)"),
    case((5, 3), np.array([0.5]), raises="embedding: ids is float64, should be integers"),
])  # fmt: skip
def embedding(W, ids):
    """Rows of a table.  W (V, D), ids (...) of integers -> (..., D).  dW has the sum of dy for each id, elsewhere 0."""
    ids = np.asarray(ids)
    if ids.dtype.kind not in "iu":
        raise InvalidType(f"embedding: ids is {ids.dtype}, should be integers") from None
    if ids.size and (ids.min() < 0 or ids.max() >= len(W)):
        wrong = ids.min() if ids.min() < 0 else ids.max()
        raise InvalidIndex(f"embedding: ids holds {wrong}, should be from 0 to {len(W) - 1} (W has {len(W)} rows)")
    return np.take(W, ids.astype(np.intp, copy=False), axis=0)  # NumPy 2.0 takes no uint64


embedding.vjp(W=lambda dy, ids, W_shape: scatter(dy, index=np.asarray(ids), shape=W_shape))
embedding.spec.cheaper(
    "W",
    accumulate_into=lambda total, dy, ids, W_shape: _add_at(total, dy, np.asarray(ids)),
    rows=lambda dy, ids, W_shape: _as_rows(dy, ids, W_shape),
)


@composite(
    case((3, 4), indices=np.array([2, 0, 0]), axis=1),
    case((3, 4), indices=np.array([[1, 11]])),
    case((3, 4), indices=1, axis=0),
)
def take(x, indices, axis=None):
    """``np.take``: slices along ``axis`` (or elements of the flat array) at ``indices``."""
    if axis is None:
        x, axis = reshape(x, -1), 0
    return x[along_axis(axis, np.ndim(x), indices)]


@composite(
    case((2, 3), indices=np.array([[2, 0], [1, 1]]), axis=1), case((2, 3), indices=np.array([[1, 0, 1]]), axis=0),
    case((2, 3), indices=np.array([5, 0, 5]), axis=None),
)
def take_along_axis(x, indices, axis=-1):
    """``np.take_along_axis``: for each place, the element that ``indices`` names along ``axis``."""
    indices = np.asarray(indices)
    if axis is None:
        x, axis = reshape(x, -1), 0
    grid = np.indices(indices.shape, sparse=True)
    return x[tuple(indices if k == axis % x.ndim else g for k, g in enumerate(grid))]


@composite(case((3, 3)), case((3, 4), k=1), case((3,)), case((3,), k=-1), case((0,)),
           case((), raises="diag: x is (), should have 1 or 2 axes"),
           case((2, 3, 4), raises="diag: x is (2, 3, 4), should have 1 or 2 axes"))  # fmt: skip
def diag(x, k=0):
    """``np.diag``: the k-th diagonal of a matrix, or a matrix with that diagonal."""
    if np.ndim(x) == 2:
        return diagonal(x, k)
    if np.ndim(x) != 1:
        raise InvalidValue(f"diag: x is {np.shape(x)}, should have 1 or 2 axes")
    size = len(x) + builtins.abs(k)
    rows = np.arange(len(x)) + builtins.max(-k, 0)
    return scatter(x, index=(rows, rows + k), shape=(size, size))


@composite(case((3, 4)), case((3, 4), offset=-1), case((2, 3, 4), axis1=1, axis2=2))
def diagonal(x, offset=0, axis1=0, axis2=1):
    """``np.diagonal``: the diagonal of the plane of two axes, as the last axis."""
    x = moveaxis(x, source=(axis1, axis2), destination=(-2, -1))
    rows = np.arange(builtins.max(-offset, 0), builtins.max(builtins.min(x.shape[-2], x.shape[-1] - offset), 0))
    return x[..., rows, rows + offset]


def _triangle(x, k):
    """Where the lower triangle of the last two axes is, of a square if there is one axis."""
    rows, columns = (np.shape(x) * 2)[-2:]
    return np.tri(rows, columns, k, dtype=bool)


@composite(case((3, 4)), case((3, 4), k=1), case((3,)), case((0, 2)), case((2, 3, 3)))
def tril(x, k=0):
    """The lower triangle, zeros above the k-th diagonal."""
    return where(_triangle(x, k), x, 0)


@composite(case((3, 4)), case((3, 4), k=-1), case((3,)), case((0, 2)), case((2, 3, 3)))
def triu(x, k=0):
    """The upper triangle, zeros below the k-th diagonal."""
    return where(_triangle(x, k - 1), 0, x)
