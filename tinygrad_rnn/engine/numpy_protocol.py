"""NumPy's protocols: what NumPy's functions do with a Tensor."""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import numpy as np

from ..errors import InvalidType
from .context import context

UFUNCS: dict[Any, Callable[..., Any]] = {}  # NumPy ufunc, (ufunc, method), or the name of a foreign ufunc -> operation
FUNCTIONS: dict[Any, Callable[..., Any]] = {}  # NumPy function -> operation
ELSEWHERE: dict[str, str] = {}  # SciPy function that takes no Tensor -> what to write instead

INSTEAD = (
    "use x.detach() or x.numpy() if the gradient is not wanted, tinygrad_rnn.stack([a, b]) for np.array([a, b]), "
    "array @ x for array.dot(x), and for hs[:, t] = h make hs with tinygrad_rnn.zeros"
)
_NUMBER = (
    "this Tensor needs a gradient, which a Python number would lose, inside of grad, scan or a function that is "
    "recorded; compute with the Tensor itself (tinygrad_rnn.exp for math.exp), or use x.detach() if the gradient is "
    "not wanted"
)
#: Calls that put a number into an array. NumPy then asks a Tensor for a float, as ``float(x)`` does.
_FILLING = ("fill", "fromiter", "setitem", "__setitem__", "reduce")


def _into_array(frame: FrameType) -> bool:
    """Does NumPy ask for the float: in its own code, at ``a[...] = x``, or in a call such as ``a.fill(x)``?"""
    code, at = frame.f_code, frame.f_lasti
    if str(frame.f_globals.get("__name__")).partition(".")[0] == "numpy":
        return True
    return code.co_code[at] == dis.opmap["STORE_SUBSCR"] or _callee(code, at) in _FILLING


@functools.lru_cache(maxsize=1024)
def _callee(code: CodeType, at: int) -> str:
    """The attribute that is called at a place: ``fill`` of ``a.fill(x)``."""
    if not hasattr(code, "co_positions"):  # Python 3.10
        return _callee_by_stack(code, at)
    starts = [place[::2] for place in code.co_positions()]  # a call starts where what it calls does
    loads = [op for op in dis.get_instructions(code) if op.opname in ("LOAD_ATTR", "LOAD_METHOD") and op.offset < at]
    names = [op.argval for op in loads if starts[op.offset // 2] == starts[at // 2]]
    return str(names[-1]) if names and "CALL" in dis.opname[code.co_code[at]] else ""


def _callee_by_stack(code: CodeType, at: int) -> str:
    """The same where code has no positions: the callee is loaded before the arguments, counted back on the stack."""
    before = [op for op in dis.get_instructions(code) if op.offset <= at]
    call = before.pop()
    if call.opname not in ("CALL_METHOD", "CALL_FUNCTION", "CALL_FUNCTION_KW"):
        return ""
    missing = (call.arg or 0) + (call.opname == "CALL_FUNCTION_KW")  # the names of keywords lie on the stack too
    while missing and before:
        op = before.pop()
        missing -= dis.stack_effect(op.opcode, op.arg, jump=False)
    return str(before[-1].argval) if before and before[-1].opname in ("LOAD_ATTR", "LOAD_METHOD") else ""


def _advice() -> str:
    """What to write instead, if a SciPy function asks a Tensor for an array: our operation."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in ("numpy", "scipy"):
        if frame.f_code.co_name in ELSEWHERE:
            return ELSEWHERE[frame.f_code.co_name]
        frame = frame.f_back
    return INSTEAD


class Border:
    """The methods of a Tensor that NumPy calls: they give an operation, an array or an error, never an object array."""

    __slots__ = ()
    _array: np.ndarray
    data: Any
    node: Any

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        key, name = ufunc, f"np.{ufunc.__name__}"
        if getattr(np, ufunc.__name__, None) is not ufunc:  # of SciPy
            key, name = ufunc.__name__, ufunc.__name__
        if method != "__call__":
            key, name = (ufunc, method), f"{name}.{method}"
        if kwargs.get("out") is not None:
            raise InvalidType(f"{name}: a Tensor can't be written into an array; {INSTEAD}")
        if key not in UFUNCS:
            raise InvalidType(f"{name} has no operation on Tensors")
        return UFUNCS[key](*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func not in FUNCTIONS:
            name = f"{func.__module__}.{func.__name__}".replace("numpy", "np", 1)
            raise InvalidType(f"{name} has no operation on Tensors")
        return FUNCTIONS[func](*args, **kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self.node is not None:
            raise InvalidType(f"this Tensor needs a gradient, which an array would lose; {_advice()}")
        return np.array(self._array, dtype=dtype) if copy else np.asarray(self.data, dtype=dtype)

    def __float__(self) -> float:
        if self.node is not None and _into_array(sys._getframe(1)):
            raise InvalidType(f"this Tensor needs a gradient, which an array would lose; {INSTEAD}")
        return float(self._alone())

    def __int__(self) -> int:
        return int(self._alone())

    def _alone(self) -> np.ndarray:
        """The array, for a Python number; refused if a gradient is needed, because the number would lose it."""
        if self.node is not None and context.recording:
            observed = context.observer is not None and not getattr(context.observer, "passive", False)
            if observed or context.transforms or context.step is not None:
                raise InvalidType(_NUMBER)
        return self._array

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self._array.size != 1:
            raise InvalidType(f"format {spec!r}: the Tensor has shape {self._array.shape}, should be one number")
        return format(self._array.item(), spec)

    def __round__(self, digits: int | None = None) -> Any:
        if self._array.size != 1:
            raise InvalidType(f"round: the Tensor has shape {self._array.shape}, should be one number")
        return round(self._array.item(), digits)
