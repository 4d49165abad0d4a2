"""The functions that a traced loop may call, under the names of NumPy: on numbers they write LLVM instructions."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import elementwise
from .numbers import FREE, KINDS, Number, calculated, converted, external, intrinsic, promoted, where

INTRINSIC = ("sqrt", "log", "log2", "log10", "exp2", "sin", "cos", "floor", "ceil", "trunc", "rint")
#: The names that the C library has for functions of NumPy.
LIBRARY = {"log1p": "log1p", "expm1": "expm1", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "cbrt": "cbrt",
           "hypot": "hypot", "arctan": "atan", "arctan2": "atan2", "arcsin": "asin", "arccos": "acos",
           "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}  # fmt: skip


def maximum(a: Any, b: Any) -> Any:
    """The larger number; NaN if one is NaN."""
    return where((a >= b) | (a != a), a, b)


def minimum(a: Any, b: Any) -> Any:
    """The smaller number; NaN if one is NaN."""
    return where((a <= b) | (a != a), a, b)


def fmax(a: Any, b: Any) -> Any:
    """The larger number; the other one if one is NaN."""
    return where((a >= b) | (b != b), a, b)


def fmin(a: Any, b: Any) -> Any:
    """The smaller number; the other one if one is NaN."""
    return where((a <= b) | (b != b), a, b)


def logaddexp(a: Any, b: Any) -> Any:
    """log(eᵃ + eᵇ)"""
    a, b = promoted(a, b)
    top, apart = maximum(a, b), where(a == b, a.like(0), abs(a - b))  # the difference of infinities is NaN
    return top + external("log1p", elementwise.exp(-apart))


def clip(x: Any, low: Any, high: Any) -> Any:
    """x, at least ``low`` and at most ``high``; None is no limit."""
    x = x if low is None else maximum(x, low)
    return x if high is None else minimum(x, high)


def sign(x: Any) -> Any:
    """-1, 0 or 1; NaN of NaN."""
    return where(x > 0, x.like(1), where(x < 0, x.like(-1), x))


def add_up(total: Any, x: Any) -> Any:
    """total + x, in any order of a sum."""
    return calculated("add", total, x, FREE)


def _conversion(kind: str) -> Callable[..., Any]:
    return lambda x: converted(x.builder, x, kind) if isinstance(x, Number) else x


CONVERSIONS = {f"as_{kind}": _conversion(kind) for kind in KINDS}


def _power(a: Any, b: Any) -> Any:
    return intrinsic("llvm.pow", *promoted(a, b))


def _library(name: str) -> Callable[..., Any]:
    def function(*numbers: Any) -> Number:
        return external(name, *(promoted(*numbers) if len(numbers) == 2 else numbers))

    return function


def _intrinsic(name: str) -> Callable[..., Any]:
    return lambda x: intrinsic(f"llvm.{name}", x)


ON_NUMBERS: dict[str, Callable[..., Any]] = {
    **{name: _intrinsic(name) for name in INTRINSIC},
    **{name: _library(function) for name, function in LIBRARY.items()},
    "exp": elementwise.exp,
    "tanh": elementwise.tanh,
    "maximum": maximum,
    "minimum": minimum,
    "absolute": abs,
    "sign": sign,
    "power": _power,
    "fabs": abs,
    "square": lambda x: x * x,
    "fmax": fmax,
    "fmin": fmin,
    "logaddexp": logaddexp,
    "copysign": lambda a, b: intrinsic("llvm.copysign", *promoted(a, b)),
    "reciprocal": lambda x: 1 / x,
    "isnan": lambda x: x != x,
    "isfinite": lambda x: abs(x) < np.inf,
}


def _either(name: str, on_numbers: Callable[..., Any]) -> Callable[..., Any]:
    """The function on numbers; NumPy's if all arguments are Python numbers."""
    by_numpy = getattr(np, name)

    def function(*numbers: Any) -> Any:
        traced = any(isinstance(number, Number) for number in numbers)
        return on_numbers(*numbers) if traced else by_numpy(*numbers).item()

    return function


#: What stands for ``np`` in a traced loop.
NUMPY = SimpleNamespace(
    **{name: _either(name, function) for name, function in ON_NUMBERS.items()}, where=where, inf=np.inf, nan=np.nan
)

#: The other names of a traced loop.
OTHERS = {"sigmoid": elementwise.sigmoid, "erf": _library("erf"), "erfc": _library("erfc"), "clip": clip,
          "add_up": add_up, **CONVERSIONS}  # fmt: skip
