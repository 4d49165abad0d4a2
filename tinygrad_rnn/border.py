"""The border with NumPy: what its functions do when they are handed a Tensor."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

UFUNCS: dict[Any, Callable[..., Any]] = {}  # NumPy ufunc, or (ufunc, method) -> operation
FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # NumPy function -> operation

_INSTEAD = (
    "use x.detach() or x.numpy() if the gradient is not wanted, tinygrad_rnn.stack to make one of several, and for "
    "hs[:, t] = h make hs with tinygrad_rnn.zeros"
)


def _stores(frame: FrameType) -> bool:
    """Is the line that runs in ``frame`` at ``a[...] = x``? NumPy asks for a float then, as ``float(x)`` does."""
    return frame.f_code.co_code[frame.f_lasti] == dis.opmap["STORE_SUBSCR"]


class Border:
    """The part of a Tensor that NumPy sees.  Never an object array: an operation, a plain array, or an error."""

    __slots__ = ()
    _array: np.ndarray
    data: Any
    node: Any

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        key, name = ufunc, f"np.{ufunc.__name__}"
        if method != "__call__":
            key, name = (ufunc, method), f"{name}.{method}"
        if kwargs.get("out") is not None:
            raise TypeError(f"{name}: a Tensor can't be written into an array; {_INSTEAD}")
        if key not in UFUNCS:
            raise TypeError(f"{name} has no operation on Tensors")
        return UFUNCS[key](*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func not in FUNCTIONS:
            name = f"{func.__module__}.{func.__name__}".replace("numpy", "np", 1)
            raise TypeError(f"{name} has no operation on Tensors")
        return FUNCTIONS[func](*args, **kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.node is not None:
            raise TypeError(f"this Tensor needs a gradient, which an array would lose; {_INSTEAD}")
        return np.array(self._array, dtype=dtype) if copy else np.asarray(self.data, dtype=dtype)

    def __float__(self) -> float:
        if self.node is not None and _stores(sys._getframe(1)):
            raise TypeError(f"this Tensor needs a gradient, which an array would lose; {_INSTEAD}")
        return float(self._array)
