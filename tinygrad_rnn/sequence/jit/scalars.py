"""The text of an elementwise operation, and of a reduction, on the numbers of one element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plan.program import Program, Statement

#: The text of one element. Attributes are in it by name; others are called as ``np.sqrt(x)``.
TEXTS = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "hadamard": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "positive": "{0}",
    "exp": "np.exp({0})",
    "tanh": "np.tanh({0})",
    "sigmoid": "sigmoid({0})",
    "silu": "{0} * sigmoid({0})",
    "relu": "np.maximum({0}, 0)",
    "leaky_relu": "np.where({0} > 0, {0}, {slope} * {0})",
    "elu": "np.where({0} > 0, {0}, {alpha} * np.expm1(np.minimum({0}, 0)))",
    "hard_sigmoid": "np.minimum(np.maximum({0} + 3.0, 0), 6) / 6",
    "softplus": "np.logaddexp({0}, 0)",
    "erf": "erf({0})",
    "erfc": "erfc({0})",
    "gelu": "{0} * 0.5 * erfc(-{0} / 2 ** 0.5)",
    "clip": "clip({0}, {min}, {max})",
    "dropout": "{0} * {1}",
    "astype": "{0}",
    "broadcast_to": "{0}",
    "where": "np.where({0}, {1}, {2})",
    "greater": "{0} > {1}",
    "less": "{0} < {1}",
    "greater_equal": "{0} >= {1}",
    "less_equal": "{0} <= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "logical_and": "{0} & {1}",
    "logical_or": "{0} | {1}",
    "logical_not": "~{0}",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
}

#: Functions that are called by the name of NumPy.
CALLED = (
    "sqrt", "log", "log1p", "expm1", "sin", "cos", "tan", "arctan", "sinh", "cosh", "maximum", "minimum", "absolute",
    "power", "sign", "floor", "ceil", "trunc", "rint", "reciprocal", "log2", "log10", "exp2", "arcsin", "arccos",
    "arcsinh", "arccosh", "arctanh", "hypot", "arctan2", "isfinite", "isnan", "cbrt", "copysign", "fmax", "fmin",
    "logaddexp", "square", "fabs",
)  # fmt: skip

#: The attributes that a text has, or that say no more than the shape or the dtype of the result.
ATTRIBUTES = {"broadcast_to": ("shape",), "astype": ("dtype",), "clip": ("min", "max"), "leaky_relu": ("slope",),
              "elu": ("alpha",), "dropout": ("rate",)}  # fmt: skip

#: The first value of a reduction, and what it becomes with the next element.
REDUCTIONS = {
    "sum": ("0.0", "add_up({0}, {1})"),
    "mean": ("0.0", "add_up({0}, {1})"),
    "max": ("-np.inf", "np.maximum({0}, {1})"),
    "min": ("np.inf", "np.minimum({0}, {1})"),
}


def function_name(statement: Statement) -> str:
    """The name of the operation, as NumPy has it."""
    function = statement.function
    return function.__name__ if isinstance(function, np.ufunc) else statement.op


def is_elementwise(program: Program, statement: Statement) -> bool:
    """Can the statement be written for one element of its result?"""
    name = function_name(statement)
    if (statement.kept or statement.draws) and name != "dropout":
        return False
    if any(attr not in ATTRIBUTES.get(name, ()) for attr in statement.attrs):
        return False
    if name in ("clip", "leaky_relu", "elu") and any(np.ndim(attr) for attr in statement.attrs.values()):
        return False
    shapes = [program.shape(arg) for arg in statement.args]
    known = name in TEXTS or (name in CALLED and isinstance(statement.function, np.ufunc))
    return known and (name == "broadcast_to" or np.broadcast_shapes(*shapes) == program.shape(statement.out))


def element(program: Program, statement: Statement, texts: Sequence[str]) -> str:
    """The expression for one element, in the dtype of the result."""
    name = function_name(statement)
    attrs = {attr: literal(value) for attr, value in statement.attrs.items()}
    text = TEXTS[name].format(*texts, **attrs) if name in TEXTS else f"np.{name}({', '.join(texts)})"
    dtype = program.values[statement.out].dtype
    values = [program.values[arg] for arg in statement.args]
    alike = dtype.kind == "b" or any(not value.literal and value.dtype == dtype for value in values)
    return text if alike and name != "astype" else f"as_{dtype.name}({text})"


def is_reduction(program: Program, statement: Statement) -> bool:
    """Is it a reduction over axes of its operand, without further attributes?"""
    plain = dict(statement.attrs)
    plain.pop("axis", None)
    plain.pop("keepdims", None)
    return statement.op in REDUCTIONS and not (plain or statement.kept or statement.draws)


def reduced_axes(program: Program, statement: Statement) -> list[int]:
    """The axes that a reduction goes over."""
    rank, axis = len(program.shape(statement.args[0])), statement.attrs.get("axis")
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return sorted(int(axis) % rank for axis in axes)


def literal(number: Any) -> str:
    """The text of a Python number, or None."""
    number = number.item() if isinstance(number, (np.generic, np.ndarray)) else number
    return repr(number).replace("inf", "np.inf").replace("nan", "np.nan")
