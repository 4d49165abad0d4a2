"""Methods, comparisons and in-place operators of a Tensor."""

from __future__ import annotations

import numpy as np

from ..engine import versions
from ..engine.graph import clock, context
from ..engine.numpy_protocol import FUNCTIONS
from ..engine.op import case, op
from ..engine.shape import broadcast
from ..engine.tensor import Tensor, value
from ..errors import GraphError, InvalidType
from . import assignment, elementwise, index, linear, numpy_aliases, reduce, shaping


@op(broadcast, numpy=[np.copy], cases=[case((3, 4)), case(())])
def copy(x):
    """The same values in memory of their own."""
    return np.array(x)


copy.vjp(x=lambda dy: dy)


@op(broadcast, numpy=[], form="cast", cases=[case((3, 4), dtype=np.float64), case((), dtype=np.longdouble)])
def astype(x, *, dtype):
    """A copy of x as ``dtype``; the gradient comes back in x's own, and is 0 through integers: they are steps."""
    return np.array(x, dtype=dtype)[()]


astype.vjp(x=lambda dy, dtype: dy if np.dtype(dtype).kind == "f" else dy * 0)


def _shape_of(sizes):
    """reshape(2, 3) as well as reshape((2, 3))."""
    return sizes[0] if len(sizes) == 1 else sizes


def _compared(ufunc):
    return lambda self, other: ufunc(self._array, value(other))


def _in_place(symbol, operation, ufunc):
    """``x += w``: x becomes the result, in its own dtype, as in ``x[...] = x + w``.

    It is recorded like any operation; nodes that read the old value keep it. Under `no_grad`, the write goes to the
    memory of a leaf, and backward passes through earlier uses of the old value are refused.
    """

    def apply(self, w):
        if self.node is not None and not context.recording:
            return _written(self, ufunc, value(w))
        if self.node is not None and not self.node.parents:
            raise GraphError(
                f"x {symbol} w: {self.node.label()} is a leaf that requires grad; change it under "
                f"no_grad(), or give the result another name: z = x {symbol[:-1]} w"
            )
        result = operation(self, w)
        if result.shape != self.shape or not np.can_cast(result.dtype, self.dtype, "same_kind"):
            now, before = f"{result.dtype} {result.shape}", f"{self.dtype} {self.shape}"
            raise InvalidType(f"x {symbol} w: the result is {now}, should be {before} as x is")
        result = result if result.dtype == self.dtype else astype(result, dtype=self.dtype)
        self._array, self.node = result._array, result.node
        return self

    return apply


def _written(x, ufunc, w):
    """x with the result: in the memory of a leaf, which is recorded, else in memory that no other value shares."""
    if isinstance(x._array, np.ndarray):
        if x.node.parents and (x._array.base is not None or versions.holders((x._array,), 0) > 1):
            x._array = np.array(x._array)
        versions.bump(x._array, clock())
        ufunc(x._array, w, out=x._array, casting="same_kind")
    else:  # a NumPy number has no memory that others could hold
        x._array = x.dtype.type(ufunc(x._array, w))
    return x


IN_PLACE = {
    "iadd": ("+=", elementwise.add, np.add),
    "isub": ("-=", elementwise.subtract, np.subtract),
    "imul": ("*=", elementwise.multiply, np.multiply),
    "itruediv": ("/=", elementwise.divide, np.divide),
    "imatmul": ("@=", linear.matmul, np.matmul),
    "ipow": ("**=", elementwise.power, np.power),
    "imod": ("%=", elementwise.remainder, np.remainder),
}
COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}
METHODS = {
    **{name: getattr(reduce, name) for name in ("sum", "mean", "var", "std", "prod", "max", "min", "cumsum", "trace")},
    **{name: getattr(shaping, name) for name in ("swapaxes", "squeeze", "ravel", "repeat")},
    **{name: getattr(index, name) for name in ("take", "diagonal")},
    "dot": linear.dot,
    "clip": numpy_aliases.clip,
    "copy": copy,
    "astype": astype,
    "flatten": lambda self: copy(shaping.ravel(self)),
    "reshape": lambda self, *sizes: shaping.reshape(self, shape=_shape_of(sizes)),
    "transpose": lambda self, *axes: shaping.transpose(self, axes=_shape_of(axes) if axes else None),
    "T": property(lambda self: shaping.transpose(self)),
    "mT": property(numpy_aliases.matrix_transpose),
    "any": lambda self, axis=None, keepdims=False: self._array.any(axis=axis, keepdims=keepdims),
    "all": lambda self, axis=None, keepdims=False: self._array.all(axis=axis, keepdims=keepdims),
    "argmax": lambda self, axis=None: self._array.argmax(axis),
    "argmin": lambda self, axis=None: self._array.argmin(axis),
    "argsort": lambda self, axis=-1: self._array.argsort(axis),
    "__setitem__": assignment.setitem,
    "__floordiv__": lambda self, other: self._array // value(other),
    "__rfloordiv__": lambda self, other: value(other) // self._array,
    **{f"__{name}__": _compared(getattr(np, ufunc)) for name, ufunc in COMPARISONS.items()},
    **{f"__{name}__": _in_place(*which) for name, which in IN_PLACE.items()},
}
for _name, _method in METHODS.items():
    setattr(Tensor, _name, _method)
FUNCTIONS[np.astype] = lambda x, dtype, **_: astype(x, dtype=dtype)
