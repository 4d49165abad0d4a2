"""Formulas as trees: their parts and their values.

The inner nodes of a tree are operations, its leaves are names or constants::

    dy, y = Leaf("dy"), Leaf("y")
    e = Expr("multiply", (dy, Expr("subtract", (Constant(1), Expr("multiply", (y, y))))))
    evaluate(e, {"dy": 1.0, "y": 0.5})     # 0.75

Nothing here recurses into a tree: `postorder` lists its parts, and every pass is a loop over that list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ..engine.op import OPS
from .numpy_functions import traits

#: The name of the incoming gradient.
DY = "dy"


@dataclass(frozen=True, eq=False)
class Leaf:
    """A value by its name: ``dy``, an input, the output ``y``, or a constant that an operation saves."""

    name: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Constant:
    """A number, or an array that depends only on shapes and integers."""

    value: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.value)


@dataclass(frozen=True, eq=False, repr=False)
class Expr:
    """An operation by its name (in OPS, or else in NumPy), its operands and attributes.

    ``shape`` is that of the value. Attributes may hold leaves, such as the ``ids`` of a scatter. Trees are compared by
    identity: a subtree that is used twice may be one object.
    """

    op: str
    args: tuple[Part, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<{self.op} of {len(self.args)} operands, {self.shape}>"


Part: TypeAlias = Expr | Leaf | Constant


def postorder(root: Part) -> list[Part]:
    """Every part of a tree once, operands before the operations on them."""
    done: dict[int, None] = {}
    order: list[Part] = []
    stack = [(root, False)]
    while stack:
        part, opened = stack.pop()
        if id(part) in done:
            continue
        if opened or not isinstance(part, Expr):
            done[id(part)] = None
            order.append(part)
        else:
            stack.append((part, True))
            stack.extend((arg, False) for arg in reversed(part.args))
    return order


def evaluate(expr: Part, values: Mapping[str, Any]) -> Any:
    """The value of a tree for arrays by the names of its leaves; for Tensors, it is differentiable."""
    results: dict[int, Any] = {}
    for part in postorder(expr):
        if isinstance(part, Expr):
            function = OPS[part.op].function if part.op in OPS else getattr(np, part.op)
            attrs = {name: _resolved(attr, values) for name, attr in part.attrs.items()}
            results[id(part)] = function(*(results[id(arg)] for arg in part.args), **attrs)
        else:
            results[id(part)] = part.value if isinstance(part, Constant) else values[part.name]
    return results[id(expr)]


def _resolved(attr: Any, values: Mapping[str, Any]) -> Any:
    """An attribute with values for its leaves, as in the index ``(:, ids)``."""
    if isinstance(attr, (tuple, list)):
        return type(attr)(_resolved(entry, values) for entry in attr)
    return values[attr.name] if isinstance(attr, Leaf) else attr


# -- questions about parts ---------------------------------------------------------------------------------------------


def number(part: Part) -> Any:
    """The number, if a part is one, else None."""
    value = part.value if isinstance(part, Constant) else None
    return None if value is None or np.ndim(value) else value


def uniform(part: Part) -> Any:
    """The common value of all elements of a constant, or None."""
    array = np.asarray(part.value) if isinstance(part, Constant) else np.zeros(0)
    return array.flat[0] if array.size and (array == array.flat[0]).all() else None


def is_a(part: Part, *ops: str) -> bool:
    """Is it one of the operations ``ops``?"""
    return isinstance(part, Expr) and part.op in ops


def form(part: Part) -> str:
    """The form of notation that an operation declares; empty for a leaf, a constant, or an operation without one."""
    return traits(part.op).form if isinstance(part, Expr) else ""


def operand(part: Part, k: int = 0) -> Part:
    """Operand k of an operation."""
    assert isinstance(part, Expr)
    return part.args[k]


def transposes(part: Part) -> bool:
    """Does it exchange the last two axes, and nothing else?"""
    if not isinstance(part, Expr) or form(part) != "transpose" or len(part.shape) < 2:
        return False
    same = list(range(len(part.shape)))
    axes, given = same[::-1], part.attrs.get("axes")
    if given is not None:
        axes = [a % len(same) for a in given]
    if part.op == "swapaxes":
        first, second = part.attrs["axis1"], part.attrs["axis2"]
        axes = list(same)
        axes[first], axes[second] = axes[second], axes[first]
    return axes == [*same[:-2], same[-1], same[-2]]


def leads(part: Part) -> bool:
    """Does its text begin with ``dy``?"""
    while isinstance(part, Expr) and part.args:
        part = part.args[0]
    return isinstance(part, Leaf) and part.name == DY


def key(part: Part) -> Any:
    """A key that is equal for equal parts, if equal operands are the same object."""
    if isinstance(part, Expr):
        return (part.op, *map(id, part.args), part.shape, *((name, _key(attr)) for name, attr in part.attrs.items()))
    return (Leaf, part.name) if isinstance(part, Leaf) else (Constant, _key(part.value))


def _key(attr: Any) -> Any:
    """A key that is equal for equal attributes; arrays are compared by identity, because they are long."""
    if isinstance(attr, (tuple, list)):
        return tuple(map(_key, attr))
    return id(attr) if isinstance(attr, np.ndarray) and attr.ndim else repr(attr)
