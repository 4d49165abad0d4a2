"""NumPy functions composed of operations: choices, grids and slopes."""

from __future__ import annotations

import numpy as np

from ..engine.op import case, composite
from ..errors import InvalidType, InvalidValue
from .elementwise import where
from .index import getitem, take_along_axis
from .join_split import concatenate
from .shaping import along_axis, arrays, moveaxis, ravel, reshape


@composite(case((3,)), case(()), case((2, 3), nan=2.0, posinf=3.0, neginf=-3.0))
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """``np.nan_to_num``: NaN and inf replaced by numbers, by default 0 and the largest; their gradient is 0."""
    if x.dtype.kind != "f":
        return x
    largest = float(np.finfo(x.dtype).max)
    x = where(np.isnan(x), nan, x)
    x = where(x == np.inf, largest if posinf is None else posinf, x)
    return where(x == -np.inf, -largest if neginf is None else neginf, x)


@composite(case((), ()), case((), (), num=5, endpoint=False), case((2, 1), (3,), num=4, axis=-1),
           case((2,), (2,), num=1), case((3,), (3,), num=0))  # fmt: skip
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """``np.linspace``: ``num`` numbers from start to stop, both of which get their gradients."""
    start, stop = arrays(start, stop)
    kind = np.result_type(*(getattr(x, "dtype", x) for x in (start, stop)), float(num))
    shape = np.broadcast_shapes(np.shape(start), np.shape(stop))
    part = reshape(np.linspace(0, 1, num, endpoint).astype(kind), (num, *(1,) * len(shape)))
    y = moveaxis(start * (1 - part) + stop * part, source=0, destination=axis)
    y = y if dtype is None else y.astype(dtype)
    steps = num - bool(endpoint)
    return (y, (stop - start) / steps if steps > 0 else np.nan) if retstep else y


@composite(case((3, 4), kth=[0, 1, 2, 3]), case((4, 3), kth=(0, 1, 2, 3), axis=0),
           case((2, 2), kth=[0, 1, 2, 3], axis=None))  # fmt: skip
def partition(x, kth, axis=-1):
    """``np.partition``: the k-th smallest in its place along ``axis``, the smaller before it, the larger behind."""
    if axis is None:
        x, axis = ravel(x), 0
    return take_along_axis(x, np.argpartition(x, kth, axis=axis), axis=axis)


def select(condlist, choicelist, default=0):
    """``np.select``: for each element the first choice whose condition holds, else ``default``."""
    if len(condlist) != len(choicelist):
        raise InvalidValue(f"select: {len(condlist)} conditions, should be as many as choices, {len(choicelist)}")
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist)):
        if getattr(condition, "dtype", None) != np.bool_:
            raise InvalidType("select: a condition should be an array of truth values")
        y = where(condition, choice, y)
    return y


# -- slopes ----------------------------------------------------------------------------------------------------------

_UNEVEN = np.array([0, 3, 10, 12])


@composite(
    case((5,)),
    case((3, 4), axis=0),
    case((3, 4), axis=-1, edge_order=2),
    case((2,)),
    case((3, 4)),
    case((4,), np.array(3)),
    case((4,), _UNEVEN),
    case((3, 4), _UNEVEN, axis=1, edge_order=2),
    case((3, 4), np.array(2), _UNEVEN),
    case((1, 3), axis=0, raises="gradient: axis 0 of x (1, 3) should have 2 elements or more"),
)
def gradient(x, *spacing, axis=None, edge_order=1):  # fmt: skip
    """``np.gradient``: slopes along every axis in ``axis``, from both neighbours; at the edges from one side."""
    (x,) = arrays(x)
    axes = range(np.ndim(x)) if axis is None else [axis] if np.ndim(axis) == 0 else axis
    spacing = spacing * len(axes) if len(spacing) == 1 else spacing or (1.0,) * len(axes)
    if len(spacing) != len(axes):
        raise InvalidType(f"gradient: {len(spacing)} spacings, should be one, or one for each of {len(axes)} axes")
    slopes = [_slope(x, np.asarray(h), a % np.ndim(x), edge_order) for h, a in zip(spacing, axes)]
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _slope(x, spacing, axis, edge_order):
    size, rank = x.shape[axis], np.ndim(x)
    if size < edge_order + 1:
        raise InvalidValue(f"gradient: axis {axis} of x {np.shape(x)} should have {edge_order + 1} elements or more")
    steps = np.diff(spacing) if spacing.ndim else np.full(size - 1, spacing)
    if len(steps) != size - 1:
        raise InvalidValue(
            f"gradient: {len(steps) + 1} coordinates for axis {axis} of x {np.shape(x)}, should be {size}"
        )
    h = np.reshape(steps.astype(x.dtype), (size - 1, *(1,) * (rank - 1 - axis)))

    def part(array, start, stop):
        return getitem(array, along_axis(axis, rank, slice(start, stop)))

    rise = (part(x, 1, None) - part(x, None, -1)) / h  # between neighbours
    first, last = part(rise, 0, 1), part(rise, -1, None)
    if edge_order == 2:
        first = first - h[0] / (h[0] + h[1]) * (part(rise, 1, 2) - first)
        last = last + h[-1] / (h[-1] + h[-2]) * (last - part(rise, -2, -1))
    if (steps == steps[0]).all():
        inside = (part(x, 2, None) - part(x, None, -2)) / (h[1:] + h[:-1])
    else:
        inside = (part(rise, None, -1) * h[1:] + part(rise, 1, None) * h[:-1]) / (h[1:] + h[:-1])
    return concatenate([first, inside, last], axis=axis)
