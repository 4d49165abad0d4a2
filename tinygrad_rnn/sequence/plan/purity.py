"""What a cell reads besides its arguments: the variables of its closure and its globals, and those of what it calls.

A plan holds as long as these are the same. They are compared by value where Python tells the value (numbers, strings,
functions by their code); arrays and Tensors are arguments of the plan. A cell that may do more than compute (it prints,
appends to a list, imports, reads an object of a user's class) is not planned.
"""

from __future__ import annotations

import builtins
import dis
import functools
import operator
import types
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.param import Param
from ...engine.tensor import Tensor, tensor
from ...errors import PlanError

TRUSTED = ("numpy", "math", "tinygrad_rnn", "operator")
BUILTINS = [
    "abs", "all", "any", "bool", "dict", "enumerate", "filter", "float", "getattr", "hasattr", "int", "isinstance",
    "len", "list", "map", "max", "min", "pow", "range", "reversed", "round", "slice", "sorted", "str", "sum",
    "tuple", "type", "zip", "ValueError", "TypeError", "RuntimeError", "AssertionError"
]  # fmt: skip
STORES = ("STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR", "IMPORT_NAME", "YIELD_VALUE")
MUTATORS = [
    "append", "extend", "insert", "pop", "remove", "update", "setdefault", "add", "discard", "clear", "popitem",
    "random", "default_rng", "seed", "write", "tensor", "Tensor"
]  # fmt: skip
NUMBERS = (bool, int, float, str, bytes, type(None), type(...), np.generic, np.dtype)
EMPTY = types.CellType()


class Reads:
    """The variables that a cell reads: ``key`` is equal for equal ones, ``arrays`` are arrays and Tensors by name.

    ``watched`` are (get, owner, name, value): as long as ``get(owner, name)`` is the same object, for all of them, the
    cell reads the same. ``lasting`` is False if that cannot be told: the cell has to be read anew at each call.
    """

    def __init__(self, cell: Cell):
        self.key: list[Any] = []
        self.arrays: dict[str, Any] = {}
        self.seen: dict[int, None] = {}
        self.watched: list[tuple[Any, Any, Any, Any]] = []
        self.lasting = True
        self.cell(cell)

    def unchanged(self) -> bool:
        """Does the cell read the same objects as before, each with the same content?"""
        try:
            for get, owner, name, value in self.watched:
                if get(owner, name) is not value:
                    return False
        except (LookupError, ValueError):  # it is gone; the variable of a closure is unbound
            return False
        return True

    def watch(self, owner: Any, **attributes: Any) -> None:
        """Note the attributes of an object."""
        self.watched += [(getattr, owner, name, value) for name, value in attributes.items()]

    def cell(self, cell: Cell) -> None:
        inside: Cell | None = cell
        while inside is not None:
            parts = (("inner", inside.inner), ("function", inside.function), ("wrap", inside.wrap))
            self.watched += [(_attribute, weakref.ref(inside), name, part) for name, part in parts]
            if inside.inner is None:
                self.function(inside.function)
            else:
                rates = inside.wrap.keywords if isinstance(inside.wrap, functools.partial) else {}
                self.key.append((inside.name.partition("(")[0], *rates.items()))
                self.watched += [(operator.getitem, rates, name, rate) for name, rate in rates.items()]
            self.key += [(name, param.words, param.blocks) for name, param in inside.params.items()]
            for name, param in inside.params.items():
                self.watched.append((operator.getitem, inside.params, name, param))
                self.watch(param, words=param.words, blocks=param.blocks)
            inside = inside.inner

    def function(self, function: Any) -> None:
        """Note the code of a user's function, and all that it reads."""
        if id(function) in self.seen:
            return
        self.seen[id(function)] = None
        code, named = function.__code__, function.__kwdefaults__ or {}
        self.watch(function, __code__=code, __defaults__=function.__defaults__, __kwdefaults__=function.__kwdefaults__)
        self.key.append(code)
        names, problem = variables(code)
        if problem:
            raise PlanError(f"{function.__name__} {problem}")
        if function.__closure__:
            for name, cell in zip(code.co_freevars, function.__closure__):
                if cell == EMPTY:  # it is not bound yet, and reading it raises an error of its own
                    self.lasting = False
                else:
                    self.watch(cell, cell_contents=cell.cell_contents)
                    self.variable(name, cell.cell_contents)
        for name in names:
            self.variable(name, self._global(function.__globals__, name))
        self.watched += [(operator.getitem, named, name, default) for name, default in named.items()]
        for default in (*(function.__defaults__ or ()), *named.values()):
            if not isinstance(default, Param):
                self.variable("default", default)

    def _global(self, variables: dict[str, Any], name: str) -> Any:
        """The value of a global or builtin name; None for an unknown name, which raises an error of its own."""
        if name in variables:
            self.watched.append((operator.getitem, variables, name, variables[name]))
            return variables[name]
        self.watched.append((operator.contains, variables, name, False))
        value = getattr(builtins, name, None)
        self.watched.append((vars(builtins).get, name, None, value))
        return value

    def variable(self, name: str, value: Any) -> None:
        """Note a variable by its value, or as an argument of the plan."""
        if isinstance(value, NUMBERS):
            self.key.append((name, type(value), repr(value)))
        elif isinstance(value, (np.ndarray, Tensor)):
            self.array(name, value)
        elif isinstance(value, (tuple, list, dict)):
            self._collection(name, value)
        elif isinstance(value, Cell):
            self.cell(value)
        elif isinstance(value, types.FunctionType) and not _trusted(value.__module__):
            self.function(value)
        elif not self._harmless(name, value):
            kind = type(value).__name__
            raise PlanError(f"the cell reads {name}, a {kind}, which may change or do more than compute")
        else:
            self.key.append((name, id(value)))

    def _collection(self, name: str, value: Any) -> None:
        self.key.append((name, tuple(map(repr, value)) if isinstance(value, dict) else (type(value), len(value))))
        self.watched.append((_has_length, value, len(value), True))
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            self.watched.append((operator.getitem, value, key, part))
            self.variable(f"{name}_{key}", part)

    def array(self, name: str, value: Any) -> None:
        """Note an array or a Tensor: its shape is part of the key, it is an argument of the plan."""
        known = next((key for key, array in self.arrays.items() if array is value), None)
        if known is None:
            known = name if name not in self.arrays else f"{name}_{len(self.arrays)}"
            self.arrays[known] = value
        tracked = getattr(value, "node", None) is not None
        self.key.append((name, known, type(value), value.shape, str(value.dtype), tracked))
        self.watched.append((_has_kind, value, (value.shape, value.dtype), True))
        if tracked:  # the graph that it belongs to must not be held
            self.lasting = False

    def _harmless(self, name: str, value: Any) -> bool:
        """Is it a function or module that computes only: of NumPy, of this package, or a builtin function?"""
        if isinstance(value, types.ModuleType):
            return _trusted(value.__name__)
        if value is Tensor or value is tensor:  # copies values out of the graph
            return False
        if isinstance(value, (types.BuiltinFunctionType, type)) and getattr(builtins, name, None) is value:
            return name in BUILTINS
        module = getattr(value, "__module__", None) or type(value).__module__
        return callable(value) and _trusted(str(module)) and not isinstance(value, np.random.Generator)


def _attribute(ref: Any, name: str) -> Any:
    """An attribute of a cell, which holds what it reads, and so is not held by it."""
    return getattr(ref(), name)


def _has_length(collection: Any, length: int) -> bool:
    return len(collection) == length


def _has_kind(array: Any, kind: Any) -> bool:
    """Has an array, or a Tensor without a gradient, this shape and dtype?"""
    return (array.shape, array.dtype) == kind and getattr(array, "node", None) is None


def _trusted(module: str | None) -> bool:
    return str(module).partition(".")[0] in TRUSTED and not str(module).startswith("numpy.random")


def reads_of(cell: Cell) -> Reads:
    """What the cell reads now; the same object as before if nothing has changed. Raises PlanError as `Reads` does."""
    reads: Any = cell.variables
    if reads is None or not reads.unchanged():
        cell.variables = None
        reads = Reads(cell)
        cell.variables = reads if reads.lasting else None
    return reads


@functools.lru_cache(maxsize=1024)
def variables(code: types.CodeType) -> tuple[tuple[str, ...], str]:
    """The global names that code reads, and what it does more than compute, as the end of a sentence."""
    names: dict[str, None] = {}
    for inside in _codes(code):
        for instruction in dis.get_instructions(inside):
            name, value = instruction.opname, str(instruction.argval)
            if name in ("LOAD_GLOBAL", "LOAD_NAME"):
                names[value] = None
            if name in STORES or (name == "STORE_DEREF" and value in inside.co_freevars and inside is code):
                return tuple(names), f"does more than compute ({name.lower().replace('_', ' ')} {value})"
            if name in ("LOAD_ATTR", "LOAD_METHOD") and value in MUTATORS:
                return tuple(names), f"calls .{value}, which may change something or draw random numbers"
    return tuple(names), ""


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
