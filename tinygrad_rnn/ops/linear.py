"""Products of matrices and of arrays of any rank."""

from __future__ import annotations

import functools
import math

import numpy as np

from ..engine.declaration import SUM
from ..engine.op import case, composite, op
from ..errors import InvalidValue, ShapeError
from .shaping import arrays, moveaxis, reshape, transpose

_RANKS = [
    case((2, 3), (3, 4)),
    case((3,), (3,)),
    case((3,), (3, 4)),
    case((2, 3), (3,)),
    case((5, 2, 3), (3, 4)),
    case((5, 2, 3), (3,)),
    case((3,), (5, 3, 4)),
    case((5, 2, 3), (5, 3, 4)),
    case((5, 1, 2, 3), (6, 3, 4)),
    case((2, 3), (5, 3, 4)),
    case((0, 3), (3, 4)),
    case((2, 0), (0, 4)),
    case((2, 3), (4, 5), raises="matmul: d is 3 in x (2, 3) but 4 in w (4, 5)"),
    case((3,), (4,), raises="matmul: d is 3 in x (3,) but 4 in w (4,)"),
    case((2, 2, 3), (4, 3, 5), raises="matmul: x (2,) and w (4,) do not broadcast: axis -1 is 2 and 4"),
]


@op("... n d, ... d h -> ... n h | d, d -> | d, ... d h -> ... h | ... n d, d -> ... n", symbol="@",
    operator="matmul", form="matrix product", stem="dot", cases=_RANKS)  # fmt: skip
def matmul(x, w):
    """The matrix product.  y = x @ w,  dx = dy @ wᵀ,  dw = xᵀ @ dy.  Ranks as in NumPy: 1-D is a vector, 3-D a batch.

    A batch x (N, T, D) with one w (D, H) is one product of N·T rows, forward and in dw.
    """
    x, w = np.asarray(x), np.asarray(w)
    if w.ndim == 2 and x.ndim > 2:
        return np.dot(_rows(x), w).reshape(*x.shape[:-1], w.shape[1])
    return np.dot(x, w) if x.ndim == 2 == w.ndim else np.matmul(x, w)


def _rows(x):
    """All axes but the last merged: (N, T, D) -> (N·T, D)."""
    if x.ndim == 2:
        return x
    return x.reshape(-1, x.shape[-1]) if x.size else x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])


def _matmul_x(dy, w):
    """dx = dy @ wᵀ; if x or w is a vector, dy has an axis less."""
    if w.ndim == 2 == dy.ndim:
        # the same product, in the order that is twice as fast in OpenBLAS for a few rows
        return np.dot(w, dy.T).T.copy() if 8 <= dy.shape[0] < w.shape[0] else np.dot(dy, w.T)
    if w.ndim == 2 and dy.ndim > 2:
        return matmul(dy, w.T)
    if w.ndim == 1:
        return dy[..., None] * w
    if dy.ndim == w.ndim - 1:  # x is a vector
        return np.matmul(w, dy[..., None])[..., 0]
    return np.matmul(dy, np.swapaxes(w, -1, -2))


def _matmul_w(dy, x, w_shape):
    """dw = xᵀ @ dy, with all rows of a batch in a single product if w has no batch."""
    if x.ndim == 1:
        return x * dy[..., None] if len(w_shape) == 1 else x[:, None] * dy[..., None, :]
    if len(w_shape) == 1:
        return np.matmul(_rows(x).T, dy.reshape(-1))
    if len(w_shape) == 2:
        return np.dot(_rows(x).T, _rows(dy))
    return np.matmul(np.swapaxes(x, -1, -2), dy)


def _matmul_w_sum(dys, xs, w_shapes):
    """Σ xᵀ @ dy over several uses of the same matrix: all rows below each other, in a single product."""
    if any(x.ndim == 1 for x in xs) or len(w_shapes[0]) != 2:
        return functools.reduce(np.add, map(_matmul_w, dys, xs, w_shapes))
    return np.dot(np.concatenate([_rows(x) for x in xs]).T, np.concatenate([_rows(dy) for dy in dys]))


matmul.vjp(x=_matmul_x, w=_matmul_w)
matmul.spec.cheaper("w", sum_over_uses=_matmul_w_sum)


@op("... d, d h, h -> ... h", code=("{x:NEGATIVE} @ {w:NEGATIVE} + {b:PRODUCT}", SUM),
    latex=(r"{x:POWER} \, {w:POWER} + {b:PRODUCT}", SUM), cases=[
    case((2, 3), (3, 4), (4,)),
    case((2, 5, 3), (3, 4), (4,)),
    case((3,), (3, 4), (4,)),
    case((0, 3), (3, 4), (4,)),
    case((2, 3), (4, 5), (5,), raises="affine: d is 3 in x (2, 3) but 4 in w (4, 5)"),
    case((2, 3), (3, 5), (4,), raises="affine: h is 5 in w (3, 5) but 4 in b (4,)"),
])  # fmt: skip
def affine(x, w, b):
    """y = x @ w + b in one piece of memory.  x (..., D), w (D, H), b (H,) -> (..., H).  db is dy summed over rows."""
    if np.ndim(w) != 2 or np.shape(b) != w.shape[1:]:
        raise InvalidValue("w should be (D, H) and b (H,)")
    y = np.dot(_rows(x), w)
    if b.dtype == y.dtype:
        y += b
    else:  # the bias may be of a wider dtype
        y = y + b
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[1])


affine.vjp(
    x=lambda dy, w: matmul(dy, w.T),
    w=lambda dy, x: np.matmul(_rows(x).T, _rows(dy)),
    b=lambda dy: np.dot(_rows(dy).T, np.ones(dy.size // dy.shape[-1], dy.dtype)) if dy.size else dy,
)


@composite(case((3,), (3,)), case((2, 3), (3, 4)), case((2, 3), (3,)), case((), (2, 3)), case((5, 2, 3), (6, 3, 4)),
           case((), ()), case((0,), (0,)), case((2, 0), (3, 0, 2)), case((0, 2), (2,)))
def dot(x, w):
    """``np.dot``: the last axis of x with the last but one of w; a number scales."""
    if np.ndim(x) == 0 or np.ndim(w) == 0:
        return x * w
    if np.ndim(w) <= 2:
        return matmul(x, w)
    return tensordot(x, w, axes=([-1], [-2]))


@composite(case((3,), (3,)), case((2, 3), (4, 3)), case((), (2, 3)), case((), ()), case((2, 0), (3, 0)),
           case((0, 3), (2, 3)))  # fmt: skip
def inner(x, w):
    """``np.inner``: the last axis of x with the last of w."""
    return x * w if np.ndim(x) == 0 or np.ndim(w) == 0 else tensordot(x, w, axes=([-1], [-1]))


@composite(case((3,), (4,)), case((2, 3), (4,)), case((), ()), case((0,), (2,)), case((2, 2), (3,)))
def outer(x, w):
    """``np.outer``: every element of x with every element of w, (n,), (m,) -> (n, m)."""
    return reshape(x, (-1, 1)) * reshape(w, (1, -1))


@composite(
    case((2, 3, 4), (3, 4, 5)),
    case((2, 3, 4), (4, 3, 5), axes=([1, 2], [1, 0])),
    case((2, 3), (4, 2), axes=([0], [1])),
    case((2,), (3,), axes=0),
    case((), (3,), axes=0),
    case((2, 0), (0, 3), axes=1),
    case((0, 2), (2, 3), axes=1),
    case((2, 3, 0), (3, 0, 2)),
    case((2, 3), (2, 3), axes=1, raises="tensordot: axes [1] of x (2, 3) and [0] of w (2, 3) differ in size"),
)
def tensordot(x, w, axes=2):
    """``np.tensordot``: sums over pairs of axes, as one matrix product."""
    x, w = arrays(x, w)
    if np.ndim(axes) == 0:
        left, right = list(range(np.ndim(x) - axes, np.ndim(x))), list(range(axes))
    else:
        left, right = ([a] if isinstance(a, int) else list(a) for a in axes)
    x, w = (operand if hasattr(operand, "shape") else np.asarray(operand) for operand in (x, w))
    left, right = [a % np.ndim(x) for a in left], [a % np.ndim(w) for a in right]
    if [x.shape[a] for a in left] != [w.shape[a] for a in right]:
        raise ShapeError(f"tensordot: axes {left} of x {np.shape(x)} and {right} of w {np.shape(w)} differ in size")
    rows = [a for a in range(np.ndim(x)) if a not in left]
    columns = [a for a in range(np.ndim(w)) if a not in right]
    before, after = tuple(x.shape[a] for a in rows), tuple(w.shape[a] for a in columns)
    inside = math.prod(x.shape[a] for a in left)
    first = reshape(transpose(x, rows + left), (math.prod(before), inside))
    second = reshape(transpose(w, right + columns), (inside, math.prod(after)))
    return reshape(matmul(first, second), before + after)


@composite(case((2, 3), (4, 5)), case((2,), (3,)), case((2, 3), (4,)), case((), (2, 3)), case((), ()), case((0,), (2,)),
           case((2, 1, 3), (2, 2)))  # fmt: skip
def kron(x, w):
    """``np.kron``: w at the scale of every element of x."""
    x, w = arrays(x, w)
    rank = max(np.ndim(x), np.ndim(w))
    sizes = [(1,) * (rank - np.ndim(operand)) + np.shape(operand) for operand in (x, w)]
    x = reshape(x, tuple(size for n in sizes[0] for size in (n, 1)))
    w = reshape(w, tuple(size for n in sizes[1] for size in (1, n)))
    return reshape(x * w, tuple(n * m for n, m in zip(*sizes)))


@composite(case((3,), (3,)), case((2, 3), (3,)), case((3, 2), (2, 3), axisa=0, axisc=0), case((3, 2), (3, 2), axis=0),
           case((2, 1, 3), (4, 3)), case((0, 3), (3,)),
           case((2,), (2,), raises="cross: x (2,) and w (2,) should have 3 elements in axes -1 and -1"))
def cross(x, w, axisa=-1, axisb=-1, axisc=-1, axis=None):  # fmt: skip
    """``np.cross``: the vector product of vectors of 3 elements in the axes ``axisa`` and ``axisb``."""
    x, w = arrays(x, w)
    if axis is not None:
        axisa = axisb = axisc = axis
    if x.shape[axisa] != 3 or w.shape[axisb] != 3:
        sizes = f"x {np.shape(x)} and w {np.shape(w)}"
        raise ShapeError(f"cross: {sizes} should have 3 elements in axes {axisa} and {axisb}")
    x, w = moveaxis(x, source=axisa, destination=-1), moveaxis(w, source=axisb, destination=-1)
    x1, x2, w1, w2 = x[..., [1, 2, 0]], x[..., [2, 0, 1]], w[..., [1, 2, 0]], w[..., [2, 0, 1]]
    return moveaxis(x1 * w2 - x2 * w1, source=-1, destination=axisc)
