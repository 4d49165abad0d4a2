"""The intermediate representation of a plan: the values of one step, and the statements that compute them.

``program.add("matmul", (x, W), {})`` appends the statement ``out = matmul(x, W)`` and returns the number of ``out``.
A statement is evaluated on sample arrays as it is added, so every value has a shape and a dtype. A statement that is
there already is not added again: common subexpressions are eliminated as the program grows.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...engine.op import OPS

#: The kinds of values that no statement computes.
LEAVES = ("input", "state", "parameter", "config", "outer", "constant", "cotangent")


@dataclass
class Value:
    """A value of one step. ``kind`` is one of `LEAVES`, or "operation"; ``array`` is its sample, or a Python number."""

    number: int
    kind: str
    name: str
    array: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.array)

    @property
    def dtype(self) -> np.dtype:
        return np.asarray(self.array).dtype

    @property
    def literal(self) -> bool:
        """Is it a Python number, which is written into the source?"""
        return self.kind == "constant" and isinstance(self.array, (bool, int, float))


@dataclass(eq=False)
class Statement:
    """``out, *kept = function(*args, **attrs)``; ``args`` are numbers of values.

    ``op`` is the name of an operation, or of a function of NumPy; for a rule that has no formula it is "rule:" and a
    name. ``draws`` is true if the attribute ``rng`` is the generator of the call.
    """

    out: int
    op: str
    args: tuple[int, ...]
    attrs: Mapping[str, Any]
    function: Callable[..., Any]
    kept: tuple[int, ...] = ()
    draws: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)  # what it keeps and depends on shapes alone

    @property
    def outs(self) -> tuple[int, ...]:
        return (self.out, *self.kept)


@functools.cache
def _first_of(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **attrs: function(*args, **attrs)[0]


def _detached(x: Any) -> Any:
    return x


def function_of(op: str) -> Callable[..., Any]:
    """The function on arrays of an operation, or of NumPy."""
    if op in OPS:
        return OPS[op].forward
    return {"detach": _detached}.get(op) or getattr(np, op)


@dataclass
class Program:
    """The statements of one step in order, by the number of the value that they compute."""

    values: list[Value] = field(default_factory=list)
    statements: dict[int, Statement] = field(default_factory=dict)
    keys: dict[Any, int] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)  # what `merge` has done, in words
    formulas: dict[Any, Any] = field(default_factory=dict)  # of gradient rules, by operation and shapes
    rng: Any = None

    def leaf(self, kind: str, name: str, array: Any) -> int:
        """Add a value that no statement computes. Equal Python numbers are one value."""
        literal = kind == "constant" and isinstance(array, (bool, int, float))
        key = (kind, type(array), repr(array)) if literal else None
        if key is not None and key in self.keys:
            return self.keys[key]
        number = self._value(kind, name, array)
        if key is not None:
            self.keys[key] = number
        return number

    def add(
        self, op: str, args: Sequence[int], attrs: Mapping[str, Any] | None = None, name: str = "",
        function: Callable[..., Any] | None = None, draws: bool = False, known: Sequence[Any] = (),
    ) -> int:  # fmt: skip
        """Add a statement, unless an equal one is there; the number of its value. ``known`` is its sample array."""
        attrs = dict(attrs or {})
        key = None if draws else (op, *args, *((name, attr_key(attr)) for name, attr in attrs.items()))
        if key is not None and key in self.keys:
            self._name(self.keys[key], name)
            return self.keys[key]
        function = function_of(op) if op in OPS or function is None else function
        keeps = OPS[op].keeps if op in OPS else ()
        if not known:
            given = {**attrs, "rng": self.rng} if draws else attrs
            with np.errstate(all="ignore"):
                result = function(*(self.values[arg].array for arg in args), **given)
            known = result if keeps else (result,)
        out, *kept = known
        number = self._value("operation", name, out)
        notes = {} if any(map(_is_array, kept)) else dict(zip(keeps, kept))
        places = [] if notes else [self._value("operation", "", part) for part in kept]
        function = _first_of(function) if notes else function
        self.statements[number] = Statement(number, op, tuple(args), attrs, function, tuple(places), draws, notes)
        if key is not None:
            self.keys[key] = number
        return number

    def _value(self, kind: str, name: str, array: Any) -> int:
        self.values.append(Value(len(self.values), kind, name, array))
        return len(self.values) - 1

    def _name(self, number: int, name: str) -> None:
        self.values[number].name = self.values[number].name or name

    def shape(self, number: int) -> tuple[int, ...]:
        return self.values[number].shape

    def used(self, roots: Sequence[int], statements: Mapping[int, Statement] | None = None) -> dict[int, Statement]:
        """The statements that ``roots`` depend on, in order."""
        statements = self.statements if statements is None else statements
        makers = {out: statement for statement in statements.values() for out in statement.outs}
        needed: dict[int, None] = {}
        waiting = list(roots)
        while waiting:
            number = waiting.pop()
            if number in makers and makers[number].out not in needed:
                needed[makers[number].out] = None
                waiting.extend(makers[number].args)
        return {number: statement for number, statement in statements.items() if number in needed}


def writes_into(program: Program, statement: Statement) -> bool:
    """Can the statement write its value into an array that is there already?"""
    value = program.values[statement.out]
    if not value.shape or statement.kept or value.dtype.kind not in "fb":
        return False
    if statement.op == "matmul":
        return all(len(program.shape(arg)) == 2 for arg in statement.args) and _one_dtype(program, statement)
    if statement.op == "join":
        return True
    into = OPS[statement.op].into if statement.op in OPS else None
    return isinstance(statement.function, np.ufunc) or (into is not None and _one_dtype(program, statement))


def _one_dtype(program: Program, statement: Statement) -> bool:
    return len({program.values[number].dtype for number in (*statement.args, statement.out)}) == 1


def _is_array(part: Any) -> bool:
    return isinstance(part, (np.ndarray, np.generic))


_unique = itertools.count().__next__


def attr_key(attr: Any) -> Any:
    """A key that is equal for equal attributes; an array is equal to itself only."""
    if isinstance(attr, (tuple, list)):
        return (type(attr).__name__, *map(attr_key, attr))
    if isinstance(attr, np.ndarray):
        return id(attr) if attr.ndim else repr(attr)
    if isinstance(attr, slice):
        return ("slice", attr.start, attr.stop, attr.step)
    if attr is None or isinstance(attr, (int, float, str, np.generic, np.dtype, type, type(...))):
        return (type(attr).__name__, repr(attr))
    return _unique()
