"""Operations that join arrays, and operations that split an array."""

from __future__ import annotations

import itertools
import operator

import numpy as np

from ..engine.codegen import several
from ..engine.op import case, composite, op
from ..engine.shape import joined, stacked
from ..errors import InvalidValue
from .index import getitem
from .shaping import along_axis, atleast_1d, atleast_2d, atleast_3d, broadcast_to, ravel, reshape


def _concatenated(shapes, attrs):
    """End to end along ``axis``; flat and end to end without one."""
    if attrs["axis"] is None:
        return (sum(int(np.prod(shape)) for shape in shapes.values()),)
    return joined(shapes, attrs)


@op(_concatenated, keeps=["starts", "shapes"], form="join", cases=[
    case((2, 3), (4, 3)), case((2, 3), (2, 1), (2, 2), axis=1), case((2, 3), (2, 2), axis=-1), case((0,), (2,)),
    case((2, 3), (), axis=None),
    case((2, 3), (2, 4), raises="concatenate: xs[1] (2, 4) and xs[0] (2, 3) may differ only along axis 0"),
    case((2, 3), (2, 3), axis=2, raises="concatenate: axis 2 is out of range for xs[0] (2, 3)"),
])  # fmt: skip
def concatenate(*xs, axis=0):
    """Arrays end to end along ``axis`` (flat, if that is None); each gets back its own slice of dy."""
    y, shapes = np.concatenate(xs, axis), [np.shape(x) for x in xs]
    sizes = [int(np.prod(shape)) if axis is None else shape[axis] for shape in shapes]
    return y, list(itertools.accumulate(sizes, initial=0)), shapes


def _own_part(dy, i, starts, shapes, axis):
    part = slice(starts[i], starts[i + 1])
    return reshape(dy[part], shapes[i]) if axis is None else dy[along_axis(axis, dy.ndim, part)]


concatenate.vjp(xs=_own_part)


@op(stacked, form="join", latex=r"\operatorname{stack}", cases=[
    case((2, 3), (2, 3)), case((2, 3), (2, 3), (2, 3), axis=1), case((2,), (2,), axis=-1), case((), ()),
    case((2, 3), (3, 2), raises="stack: xs[1] is (3, 2), but must be (2, 3) as xs[0] is"),
])  # fmt: skip
def stack(*xs, axis=0):
    """Arrays of one shape side by side along a new ``axis``; each gets back its own slice of dy."""
    return np.stack(xs, axis)


stack.vjp(xs=lambda dy, i, axis: dy[along_axis(axis, dy.ndim, i)])

# -- functions written in the operations above ---------------------------------------------------------------------


@composite(case((2, 3), (4, 3), axis=0), case((2, 3), (4,)))
def append(x, w, axis=None):
    """``np.append``: w after x; both flat if there is no axis."""
    return concatenate([ravel(x), ravel(w)]) if axis is None else concatenate([x, w], axis=axis)


def _listed(name, xs):
    """The arrays of a call ``f([a, b])`` or ``f(a, b)``."""
    if len(xs) > 1:
        return xs
    if not isinstance(xs[0], (list, tuple)):
        raise several(name, xs[0])
    return xs[0]


@composite(case((2, 3), (4, 3)), case((3,), (3,)))
def vstack(*xs):
    """Rows under each other."""
    return concatenate([atleast_2d(x) for x in _listed("vstack", xs)], axis=0)


@composite(case((2, 3), (2, 4)), case((3,), (2,)), case((), ()))
def hstack(*xs):
    """Columns beside each other: along axis 1, or 0 for vectors."""
    arrays = [atleast_1d(x) for x in _listed("hstack", xs)]
    return concatenate(arrays, axis=0 if np.ndim(arrays[0]) == 1 else 1)


@composite(case((2, 3), (2, 3)), case((3,), (3,)), case((2, 3, 1), (2, 3, 2)))
def dstack(*xs):
    """Planes behind each other: along axis 2."""
    return concatenate([atleast_3d(x) for x in _listed("dstack", xs)], axis=2)


@composite(case((2,), (2,)), case((2, 3), (2,)))
def column_stack(*xs):
    """Vectors as columns beside each other."""
    return concatenate([reshape(x, (-1, 1)) if np.ndim(x) < 2 else x for x in _listed("column_stack", xs)], axis=1)


def _depth(arrays):
    """The depth of nested lists."""
    return 1 + max(map(_depth, arrays), default=0) if isinstance(arrays, list) else 0


def _leaves(arrays):
    return [leaf for part in arrays for leaf in _leaves(part)] if isinstance(arrays, list) else [arrays]


def block(arrays):
    """``np.block``: nested lists, the innermost side by side along the last axis, those around along the one before."""
    depth = _depth(arrays)
    rank = max([depth, *(np.ndim(leaf) for leaf in _leaves(arrays))])

    def joined(part, axis):
        if isinstance(part, list):
            return concatenate([joined(inner, axis + 1) for inner in part], axis=axis)
        return reshape(part, (1,) * (rank - np.ndim(part)) + np.shape(part))

    return joined(arrays, -depth)


@composite(case((2, 3), reps=2), case((2, 3), reps=(2, 2)), case((3,), reps=(2, 1)), case((2, 3), reps=(0, 2)),
           case((), reps=2), case((2, 3), reps=(2, -1), raises="tile: reps is (2, -1), should be from 0"))  # fmt: skip
def tile(x, reps):
    """The whole array several times along each axis."""
    reps = (reps,) if np.ndim(reps) == 0 else tuple(reps)
    if any(count < 0 for count in reps):
        raise InvalidValue(f"tile: reps is {reps}, should be from 0")
    rank = max(len(reps), np.ndim(x))
    reps, shape = (1,) * (rank - len(reps)) + reps, (1,) * (rank - np.ndim(x)) + np.shape(x)
    apart = reshape(x, tuple(size for n in shape for size in (1, n)))
    stretched = broadcast_to(apart, shape=tuple(itertools.chain(*zip(reps, shape))))
    return reshape(stretched, tuple(map(operator.mul, reps, shape)))


# -- and those that part an array -------------------------------------------------------------------------------------


@composite(
    case((2, 6), indices_or_sections=3, axis=1),
    case((4, 3), indices_or_sections=2, axis=0),
    case((2, 6), indices_or_sections=[1, 4], axis=1),
    case((2, 6), indices_or_sections=4, raises="split: axis -1 of x (2, 6) does not make 4 equal parts"),
)
def split(x, indices_or_sections, axis=-1):
    """Equal parts along ``axis``, by default the last (``np.split`` on a Tensor keeps NumPy's default, the first).

    ``indices_or_sections`` is how many, or the list of where to cut: ``f, g, i, o = split(A, 4)``.
    """
    sections, size = indices_or_sections, x.shape[axis]
    if np.ndim(sections) == 0 and size % operator.index(sections):
        raise InvalidValue(f"split: axis {axis} of x {x.shape} does not make {sections} equal parts")
    return array_split(x, sections, axis)


@composite(
    case((7, 2), indices_or_sections=3), case((2, 6), indices_or_sections=4, axis=1),
    case((5,), indices_or_sections=[2, 2, 9]), case((5,), indices_or_sections=[-1]),
)  # fmt: skip
def array_split(x, indices_or_sections, axis=0):
    """``np.array_split``: parts as equal as they can be, or cut at a list of places."""
    size = x.shape[axis]
    if np.ndim(indices_or_sections) == 0:
        each, extra = divmod(size, operator.index(indices_or_sections))
        cuts = [each * k + min(k, extra) for k in range(indices_or_sections + 1)]
    else:
        cuts = [0, *(operator.index(cut) for cut in indices_or_sections), size]
    return [getitem(x, along_axis(axis, x.ndim, slice(a, b))) for a, b in itertools.pairwise(cuts)]


@composite(case((2, 4), indices_or_sections=2), case((4,), indices_or_sections=[1]))
def hsplit(x, indices_or_sections):
    """``np.hsplit``: along axis 1, or 0 of a vector."""
    return split(x, indices_or_sections, axis=0 if x.ndim == 1 else 1)


@composite(case((1, 2, 4), indices_or_sections=2), case((1, 2, 3), indices_or_sections=[1]))
def dsplit(x, indices_or_sections):
    """``np.dsplit``: along axis 2."""
    if np.ndim(x) < 3:
        raise InvalidValue(f"dsplit: x is {np.shape(x)}, should have 3 axes or more")
    return split(x, indices_or_sections, axis=2)


@composite(case((4, 2), indices_or_sections=2))
def vsplit(x, indices_or_sections):
    """``np.vsplit``: along axis 0."""
    return split(x, indices_or_sections, axis=0)
