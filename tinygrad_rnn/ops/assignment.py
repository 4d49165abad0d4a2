"""Assignment to parts of arrays."""

from __future__ import annotations

import builtins
import sys

import numpy as np

from ..engine import versions
from ..engine.codegen import record, settled
from ..engine.graph import clock, context, sum_to
from ..engine.op import case, op
from ..engine.tensor import value
from ..errors import GraphError, InvalidIndex, InvalidType
from .index import basic

_ASSIGNED = """
def assigned(x, index, v):
    y = x.copy()
    y[index] = v
    return y
"""


@op(numpy=[], form="assignment", helper=_ASSIGNED, cases=[
    case((2, 4), (3, 4), index=slice(1, 3)), case((4,), (3, 4), index=slice(0, 2)), case((), (3, 4), index=(1, 2)),
    case((2, 4), (3, 4), index=np.array([0, 2])), case((3,), (3, 4), index=(slice(None), 1)),
    case((3, 4), (3, 4), index=np.array([1, 0, -2])), case((1, 4), (3, 4), index=(np.array([0, 0]), slice(None))),
    case((1, 1, 4), (3, 4), index=0), case((2, 1), (3, 4), index=(np.array([[0], [-3]]), np.array([1, 2, 1]))),
    case((2,), (3, 4), index=(np.array([True, False, True]), np.array([1, 1]))),
    case((2, 3), (3, 4), index=slice(1, 3),
         raises="assign: could not broadcast input array from shape (2,3) into shape (2,4); "
                "v is (2, 3), x is (3, 4)"),
])  # fmt: skip
def assign(v, x, *, index):
    """A copy of x in which ``index`` holds v: what ``x[index] = v`` means. dx is dy but 0 there, dv is dy there."""
    y = np.array(x)
    _put(y, index, v)
    return y


def _put(array, index, v):
    """``array[index] = v``; of several values for the same place the last one stays, for every memory layout."""
    array[index] = v
    last = _last(index, array.shape)
    if last is not None:
        stays, places = last
        v = np.reshape(v, np.shape(v)[builtins.max(np.ndim(v) - stays.ndim, 0) :])
        array[places] = np.broadcast_to(v, stays.shape)[stays]


def _last(index, shape):
    """The values of ``x[index] = v`` that no later value overwrites, and their places in x; None if these are all."""
    parts = () if basic(index) else index if isinstance(index, tuple) else (index,)
    if not any(np.size(part) > 1 and np.asarray(part).dtype.kind in "iu" for part in parts):
        return None  # slices and masks name no place twice
    ranges = [np.arange(n).reshape(-1, *(1,) * (len(shape) - k - 1)) for k, n in enumerate(shape)]
    places = np.stack([np.broadcast_to(numbers, shape)[index] for numbers in ranges])
    backwards = places.reshape(len(shape), -1)[:, ::-1]
    _, first = np.unique(backwards, axis=1, return_index=True)
    if len(first) == backwards.shape[1]:
        return None
    flat = np.zeros(backwards.shape[1], bool)
    flat[len(flat) - 1 - first] = True
    stays = flat.reshape(places.shape[1:])
    return stays, tuple(places[:, stays])


def _erase(dy, index):
    """dy with zeros at ``index``, in place."""
    dy[index] = 0
    return dy


def _assign_v(dy, v_shape, index):
    """dy where v has stayed, summed over stretched axes; v may have more axes of size 1 in front."""
    g, last = np.copy(dy[index]), _last(index, dy.shape)
    if last is not None:
        g = np.where(last[0], g, 0)
    return np.reshape(sum_to(g, v_shape[builtins.max(len(v_shape) - g.ndim, 0) :]), v_shape)


assign.vjp(
    v=_assign_v,
    x=lambda dy, index: assign(0, dy, index=index),
)
assign.spec.cheaper("x", inplace_dy=_erase)


def _in_locals(x, frame):
    """Is x a local variable of the caller? If Python does not count these references, x looks like a temporary."""
    return any(local is x for local in frame.f_locals.values())


def setitem(self, index, v):
    """``x[index] = v``: x becomes the result; nodes that read the old value keep it.

    The write goes into the memory of x if nothing else refers to it, else into a copy. So filling hs step by step takes
    linear time.
    """
    if versions.holders((self,), 0) <= versions.OF_TEMPORARY and not _in_locals(self, sys._getframe(1)):
        raise InvalidIndex(
            "x[i][j] = v: x[i] is a value of its own that nothing keeps, so x would not change; should be x[i, j] = v, "
            "or y = x[i] and then y[j] = v for a changed copy"
        )
    index, written = settled("index", index), value(v)
    if self.node is not None and not self.node.parents and context.recording:
        raise GraphError(f"x[...] = v: {self.node.label()} is a leaf that requires grad; change it under no_grad()")
    self._array = np.asarray(self._array)
    if self.node is not None and not context.recording:
        versions.bump(self._array, clock())
        _write(self._array, index, written)
        return
    if getattr(v, "node", None) is not None and self.dtype.kind != "f":
        raise InvalidType(f"x[...] = v: v needs a gradient, and x is {self.dtype}; make x with a floating dtype")
    if versions.holders((self._array,), 0) > 1 or self._array.base is not None or self.ndim == 0:
        self._array = np.array(self._array)
    _write(self._array, index, written)
    self.node = _assigned(v, self, index).node


def _assigned(v, x, index):
    """Record an assignment that has been written."""
    rules = assign.spec.rules
    edges = [
        None if getattr(v, "node", None) is None else (v.node, rules["v"], (np.shape(value(v)), index)),
        None if x.node is None else (x.node, rules["x"], (index,)),
    ]
    return record(assign.spec, (v, x), x._array, {"index": index}, edges)


def _write(array, index, v):
    try:
        _put(array, index, v)
    except Exception as error:
        assign.spec.refuse(error, (v, array), {"index": index})
