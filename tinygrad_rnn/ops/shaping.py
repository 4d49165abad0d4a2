"""Operations that rearrange elements."""

from __future__ import annotations

import numpy as np

from ..engine.graph import sum_to
from ..engine.op import case, composite, op
from ..engine.shape import along
from ..errors import InvalidValue


def along_axis(axis, ndim, entry):
    """The index that is ``entry`` on ``axis`` and ``:`` elsewhere."""
    return (*(slice(None),) * (axis % ndim), entry)


def arrays(*xs):
    """Lists as arrays; anything else unchanged."""
    return [np.asarray(x) if isinstance(x, (list, tuple)) else x for x in xs]


def _back_to_shape(dy, x_shape):
    return np.reshape(dy, x_shape)


@op(form="reshape", cases=[
           case((3, 4), shape=(2, 6)), case((3, 4), shape=(2, -1)), case((3, 4), shape=-1), case((), shape=(1, 1)),
           case((0, 3), shape=(3, 0)),
           case((2, 3), shape=(4,), raises="reshape: cannot reshape array of size 6 into shape (4,); x is (2, 3)")])
def reshape(x, *, shape):  # fmt: skip
    """The same elements in the same order as ``shape``; one size may be -1."""
    return np.reshape(x, shape)


reshape.vjp(x=_back_to_shape)


@op(form="new axes", cases=[case((3, 4), axis=0), case((3, 4), axis=-1), case((3, 4), axis=(0, 2)), case((), axis=0)])
def expand_dims(x, *, axis):
    """New axes of size 1 at ``axis``."""
    return np.expand_dims(x, axis)


expand_dims.vjp(x=_back_to_shape)


@op(cases=[case((3, 1, 4)), case((1, 3, 1), axis=0), case((1, 3, 1), axis=(0, 2)), case((1, 1))])
def squeeze(x, *, axis=None):
    """Axes of size 1 taken away: those in ``axis``, or all."""
    return np.squeeze(x, axis)


squeeze.vjp(x=_back_to_shape)


def _transpose_x(dy, axes):
    return np.transpose(dy, None if axes is None else np.argsort([a % dy.ndim for a in axes]))


@op(symbol="ᵀ", form="transpose", cost=0, cases=[
    case((3, 4)), case((2, 3, 4)), case((2, 3, 4), axes=(1, 2, 0)), case((2, 3, 4), axes=(-1, 0, 1)), case(()),
])  # fmt: skip
def transpose(x, *, axes=None):
    """The axes in the order ``axes``, by default reversed: xᵀ."""
    return np.transpose(x, axes)


transpose.vjp(x=_transpose_x)


@op(form="transpose", cost=0, cases=[case((2, 3, 4), axis1=0, axis2=2), case((2, 3), axis1=-1, axis2=-2)])
def swapaxes(x, *, axis1, axis2):
    """Two axes exchanged."""
    return np.swapaxes(x, axis1, axis2)


swapaxes.vjp(x=lambda dy, axis1, axis2: np.swapaxes(dy, axis1, axis2))


@op(cases=[case((2, 3, 4), source=0, destination=2), case((2, 3, 4), source=(0, 1), destination=(-1, 0))])
def moveaxis(x, *, source, destination):
    """The axes ``source`` put at ``destination``, the others kept in order."""
    return np.moveaxis(x, source, destination)


moveaxis.vjp(x=lambda dy, source, destination: np.moveaxis(dy, destination, source))


@op(form="stretch", cases=[case((3, 1), shape=(2, 3, 4)), case((), shape=(2,)), case((3,), shape=(0, 3))])
def broadcast_to(x, *, shape):
    """x stretched to ``shape``; the gradient is the sum over what was stretched."""
    return np.broadcast_to(x, shape)


broadcast_to.vjp(x=lambda dy, x_shape: sum_to(dy, x_shape))


@op(along, cases=[case((3, 4), shift=1, axis=0), case((3, 4), shift=5), case((3, 4), shift=(1, -2), axis=(0, 1))])
def roll(x, *, shift, axis=None):
    """Elements moved by ``shift`` along ``axis``, those that fall off the end coming in at the start."""
    return np.roll(x, shift, axis)


roll.vjp(x=lambda dy, shift, axis: np.roll(dy, np.negative(shift), axis))


@op(cases=[case((3, 4), pad_width=1), case((3, 4), pad_width=((1, 0), (0, 2))), case((3,), pad_width=(2, 1)),
           case((3,), pad_width=1, mode="edge", raises="pad: pads with one constant only, got mode='edge'; x is (3,)")])
def pad(x, *, pad_width, mode="constant", constant_values=0):
    """x with a margin of a constant, widths as in ``np.pad``."""
    if mode != "constant" or np.ndim(constant_values):
        raise InvalidValue(f"pads with one constant only, got mode={mode!r}")
    return np.pad(x, pad_width, constant_values=constant_values)


def _inside(dy, x_shape, pad_width):
    starts = np.broadcast_to(pad_width, (dy.ndim, 2))[:, 0].tolist()
    return dy[tuple(slice(start, start + n) for start, n in zip(starts, x_shape, strict=True))]


pad.vjp(x=_inside)


# -- functions written in the operations above ---------------------------------------------------------------------


@composite(case((2, 3)), case(()))
def ravel(x):
    """All elements in one axis."""
    return reshape(x, shape=-1)


def _each(function, xs):
    results = [function(x) for x in xs]
    return results[0] if len(results) == 1 else tuple(results)


@composite(case(()), case((3,)))
def atleast_1d(*xs):
    """At least one axis."""
    return _each(lambda x: reshape(x, (1,)) if np.ndim(x) == 0 else x, xs)


@composite(case(()), case((3,)), case((2, 3)))
def atleast_2d(*xs):
    """At least two axes, new ones in front."""
    return _each(lambda x: reshape(x, (1,) * (2 - np.ndim(x)) + np.shape(x)) if np.ndim(x) < 2 else x, xs)


@composite(case(()), case((3,)), case((2, 3)))
def atleast_3d(*xs):
    """At least three axes, as in NumPy: (n,) -> (1, n, 1), (n, m) -> (n, m, 1)."""
    return _each(lambda x: expand_dims(atleast_2d(x), axis=-1) if np.ndim(x) < 3 else x, xs)


@composite(case((2, 3, 4), axis=2), case((2, 3, 4), axis=0, start=2), case((2, 3, 4), axis=-1, start=1),
           case((2, 3, 4), axis=1, start=-2), case((2, 3), axis=1, start=2))  # fmt: skip
def rollaxis(x, axis, start=0):
    """``np.rollaxis``: the axis ``axis`` put before the axis ``start``."""
    axis, start = axis % np.ndim(x), start + np.ndim(x) if start < 0 else start
    return moveaxis(x, source=axis, destination=start - (axis < start))


@composite(case((2, 3)), case((2, 3), axis=1), case((2, 3), axis=(0, 1)))
def flip(x, axis=None):
    """Order reversed along ``axis``, or all axes."""
    axes = range(np.ndim(x)) if axis is None else [a % np.ndim(x) for a in np.atleast_1d(axis)]
    return x[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(np.ndim(x)))]


@composite(case((2, 3)))
def fliplr(x):
    """Columns in reverse order."""
    return flip(x, 1)


@composite(case((2, 3)))
def flipud(x):
    """Rows in reverse order."""
    return flip(x, 0)


@composite(case((2, 3)), case((2, 3), k=2), case((2, 3), k=-1), case((2, 3, 4), k=1, axes=(1, 2)))
def rot90(x, k=1, axes=(0, 1)):
    """Turned by k quarter turns in the plane of two axes, from the first to the second."""
    turns = [lambda x: x, lambda x: swapaxes(flip(x, axes[1]), *axes), lambda x: flip(x, axes),
             lambda x: flip(swapaxes(x, *axes), axes[1])]  # fmt: skip
    return turns[k % 4](x)


@composite(case((2, 3), repeats=2), case((2, 3), repeats=2, axis=1), case((2, 3), repeats=[1, 0, 2], axis=1))
def repeat(x, repeats, axis=None):
    """Each element, or each slice along ``axis``, several times in a row."""
    if axis is None:
        x, axis = ravel(x), 0
    return x[along_axis(axis, np.ndim(x), np.repeat(np.arange(x.shape[axis]), repeats))]
