"""The rest of NumPy's face on a Tensor: comparisons, functions that give plain arrays, and methods."""

from __future__ import annotations

import numpy as np

from ..op import case, op
from ..shape import broadcast
from ..tensor import FUNCTIONS, UFUNCS, Tensor, value
from . import elementwise, index, linear, reduce, shaping

#: Their result has no gradient: answers about shape, order or truth.
PLAIN = """
    shape ndim size zeros_like ones_like empty_like full_like argmax argmin argsort argwhere nonzero flatnonzero
    count_nonzero any all array_equal array_equiv allclose isclose result_type can_cast may_share_memory shares_memory
    array2string array_repr array_str round around searchsorted digitize bincount unique iscomplexobj isrealobj
""".split()
PLAIN_UFUNCS = """
    less less_equal greater greater_equal equal not_equal isnan isinf isfinite signbit logical_and logical_or
    logical_not logical_xor floor_divide
""".split()
COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal", "ne": "not_equal"}


def _plain(function):
    """``function`` on the arrays in its arguments."""

    def apply(*args, **kwargs):
        return function(*_arrays(args), **{name: _arrays(one) for name, one in kwargs.items()})

    return apply


def _arrays(x):
    if isinstance(x, (tuple, list)):
        return type(x)(_arrays(one) for one in x)
    return value(x)


for _name in PLAIN:
    FUNCTIONS[getattr(np, _name)] = _plain(getattr(np, _name))
for _name in PLAIN_UFUNCS:
    UFUNCS[getattr(np, _name)] = _plain(getattr(np, _name))
for _name, _ufunc in COMPARISONS.items():
    setattr(Tensor, f"__{_name}__", lambda self, other, f=getattr(np, _ufunc): f(self._array, value(other)))
setattr(Tensor, "__floordiv__", lambda self, other: self._array // value(other))
setattr(Tensor, "__rfloordiv__", lambda self, other: value(other) // self._array)

#: ``np.add.reduce(x)`` and the like.
UFUNCS[np.add, "reduce"] = lambda x, axis=0, keepdims=False, **_: reduce.sum(x, axis=axis, keepdims=keepdims)
UFUNCS[np.multiply, "reduce"] = lambda x, axis=0, keepdims=False, **_: reduce.prod(x, axis=axis, keepdims=keepdims)
UFUNCS[np.maximum, "reduce"] = lambda x, axis=0, keepdims=False, **_: reduce.max(x, axis=axis, keepdims=keepdims)
UFUNCS[np.minimum, "reduce"] = lambda x, axis=0, keepdims=False, **_: reduce.min(x, axis=axis, keepdims=keepdims)
UFUNCS[np.add, "accumulate"] = lambda x, axis=0, **_: reduce.cumsum(x, axis=axis)
UFUNCS[np.multiply, "outer"] = lambda x, w: x[(...,) + (None,) * np.ndim(w)] * w

FUNCTIONS[np.split] = lambda x, sections, axis=0: shaping.split(x, sections, axis)
FUNCTIONS[np.array_split] = shaping.array_split
FUNCTIONS[np.hsplit] = shaping.hsplit
FUNCTIONS[np.vsplit] = shaping.vsplit


@op(broadcast, numpy=[np.copy], cases=[case((3, 4)), case(())])
def copy(x):
    """The same values in memory of their own."""
    return np.array(x)


copy.vjp(x=lambda dy: dy)


@op(broadcast, numpy=[], cases=[case((3, 4), dtype=np.float32), case((3, 4), dtype=np.float64)])
def astype(x, *, dtype):
    """x as ``dtype``; the gradient comes back in x's own."""
    return np.asarray(x, dtype=dtype)[()]


astype.vjp(x=lambda dy: dy)


def _shape_of(sizes):
    """reshape(2, 3) as well as reshape((2, 3))."""
    return sizes[0] if len(sizes) == 1 else sizes


METHODS = {
    **{name: getattr(reduce, name) for name in ("sum", "mean", "var", "std", "prod", "max", "min", "cumsum", "trace")},
    **{name: getattr(shaping, name) for name in ("swapaxes", "squeeze", "ravel", "repeat")},
    **{name: getattr(index, name) for name in ("take", "diagonal")},
    "dot": linear.dot,
    "clip": elementwise.clip,
    "copy": copy,
    "astype": astype,
    "flatten": lambda self: copy(shaping.ravel(self)),
    "reshape": lambda self, *sizes: shaping.reshape(self, shape=_shape_of(sizes)),
    "transpose": lambda self, *axes: shaping.transpose(self, axes=_shape_of(axes) if axes else None),
    "T": property(lambda self: shaping.transpose(self)),
    "any": lambda self, axis=None, keepdims=False: self._array.any(axis=axis, keepdims=keepdims),
    "all": lambda self, axis=None, keepdims=False: self._array.all(axis=axis, keepdims=keepdims),
    "argmax": lambda self, axis=None: self._array.argmax(axis),
    "argmin": lambda self, axis=None: self._array.argmin(axis),
    "argsort": lambda self, axis=-1: self._array.argsort(axis),
}
for _name, _method in METHODS.items():
    setattr(Tensor, _name, _method)
FUNCTIONS[np.astype] = lambda x, dtype, **_: astype(x, dtype=dtype)
