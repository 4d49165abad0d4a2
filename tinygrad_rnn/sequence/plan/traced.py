"""Tensors and arrays that notice when a cell reads their values outside of operations, while a step is traced.

A comparison such as ``h > 0`` is recorded like an operation, and so is what NumPy's ufuncs compute from it. Everything
else that turns values into Python numbers or into arrays (``if h.sum() > 0``, ``h.item()``, ``h.numpy()``) raises
`PlanError`: the steps of such a cell need not be alike.
"""

from __future__ import annotations

import os
import sys
from typing import Any, cast

import numpy as np

from ...cells.param import Stacked
from ...engine.context import context
from ...engine.debug import PACKAGE, place
from ...engine.tensor import Tensor, make, value
from ...errors import PlanError

#: What reads values of a Tensor, or of a comparison of Tensors.
READS = [
    "__bool__",
    "__float__",
    "__int__",
    "__index__",
    "__contains__",
    "__array__",
    "__format__",
    "__round__",
    "__repr__",
    "item",
    "tolist",
    "numpy",
    "any",
    "all",
    "argmax",
    "argmin",
    "argsort",
    "__floordiv__",
    "__rfloordiv__",
    "backward",
]
COMPARISONS = {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "eq": "equal",
               "ne": "not_equal"}  # fmt: skip
#: NumPy's functions whose result depends on shapes and dtypes only.
OF_SHAPES = (np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.zeros_like, np.ones_like, np.empty_like)
#: The files of operations: what they do with values is recorded as a whole.
OPERATIONS = ("<operation ", *(os.path.join(PACKAGE, room, "") for room in ("engine", "ops")))

SETITEM: Any = Tensor.__setitem__


def refuse(what: str) -> Any:
    """Raise PlanError; the recorder remembers it, in case the cell catches the error."""
    error = PlanError(f"the cell reads values of a Tensor ({what}) at {place()}, should compute with operations only")
    context.observer.reason = error
    raise error


def _reading(name: str) -> Any:
    return lambda self, *args, **kwargs: refuse(name.strip("_"))


def _compared(ufunc: np.ufunc) -> Any:
    def apply(self: Any, other: Any) -> Any:
        return context.observer.compared(ufunc, self, other)

    return apply


class _Noticing:
    """The methods of a Tensor that give its values away."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        result = Tensor.__array_ufunc__(cast(Any, self), ufunc, method, *inputs, **kwargs)
        if isinstance(result, Tensor):
            return result
        return refuse(ufunc.__name__) if kwargs or method != "__call__" else context.observer.compared(ufunc, *inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = Tensor.__array_function__(cast(Any, self), func, types, args, kwargs)
        if func in OF_SHAPES or isinstance(result, (Tensor, list, tuple)):
            return result
        return refuse(f"np.{func.__name__}")

    def __setitem__(self, index: Any, v: Any) -> None:
        if cast(Any, self).node is None:
            refuse("an assignment to a detached Tensor")
        SETITEM(cast(Any, self), index, v)

    __hash__ = object.__hash__


for _name in READS:
    setattr(_Noticing, _name, _reading(_name))
for _name in ("data", "requires_grad"):
    setattr(_Noticing, _name, property(_reading(_name)))
for _name, _ufunc in COMPARISONS.items():
    setattr(_Noticing, f"__{_name}__", _compared(getattr(np, _ufunc)))


class Traced(_Noticing, Tensor):
    """A value of the step that is traced."""

    __slots__ = ()

    def detach(self) -> Tensor:
        twin = make(self._array, None)
        twin.__class__ = Traced
        return twin

    def __matmul__(self, other: Any) -> Any:
        """As Python does for Tensors: a parameter on the right decides, because it may be masked."""
        return other.__rmatmul__(self) if isinstance(other, Stacked) else Tensor.__matmul__(self, other)


class TracedParameter(_Noticing, Stacked):
    """A parameter of the cell that is traced."""


def _in_operation() -> bool:
    """Does an operation compute with the array, rather than the cell?"""
    frame = sys._getframe(2)
    while frame.f_back and str(frame.f_globals.get("__name__")).partition(".")[0] == "numpy":
        frame = frame.f_back
    return frame.f_code.co_filename.startswith(OPERATIONS)


class TracedArray(np.ndarray):
    """The result of a comparison in a traced step: NumPy's ufuncs on it are recorded, all else is refused."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, Tensor) for x in inputs):
            return NotImplemented
        if _in_operation():
            return getattr(ufunc, method)(*map(bare, inputs), **kwargs)
        return refuse(ufunc.__name__) if kwargs or method != "__call__" else context.observer.compared(ufunc, *inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(kind, Tensor) for kind in types):
            return NotImplemented
        if func in OF_SHAPES or _in_operation():
            return func(*map(bare, args), **kwargs)
        return refuse(f"np.{func.__name__}")

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        return context.observer.cast(self, dtype)


for _name in [
    "__bool__",
    "__float__",
    "__int__",
    "__index__",
    "__contains__",
    "__format__",
    "__repr__",
    "__iter__",
    "__getitem__",
    "__setitem__",
    "item",
    "tolist",
    "any",
    "all",
    "argmax",
    "argmin",
    "argsort",
    "nonzero",
    "sum",
    "mean",
    "prod",
    "copy",
    "view",
    "ravel",
    "reshape",
]:
    setattr(TracedArray, _name, _reading(_name))


def bare(x: Any) -> Any:
    """The plain array of a Tensor or of a traced array."""
    x = value(x)
    return np.ndarray.view(x, np.ndarray) if type(x) is TracedArray else x
