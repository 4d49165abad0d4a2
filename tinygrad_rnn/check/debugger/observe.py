"""What the user's functions did in a run: which lines ran, the shapes of expressions, and what is visible where.

An *atom* is an expression that can stand in the place of another: a local variable, a key of a dict of arrays, an
attribute, or an element of a list by an index that the function uses.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .instrument import instrumented
from .job import Job
from .source import Unit

Kind = tuple[str, tuple[int, ...]]  # "f" or "i", and the shape


class Observation:
    """A run of a job: ``kinds`` of expressions by the id of their node, ``atoms`` and ``lines`` by unit.

    ``following`` are the expressions whose values change with the gradients by the outputs.
    """

    def __init__(self, job: Job):
        self.job = job
        self.kinds: dict[int, Kind] = {}
        self.atoms: list[dict[str, Kind]] = [{} for _ in job.units]
        self.calls: dict[int, int] = {}
        self.lines: list[dict[int, int]] = [{} for _ in job.units]
        self.expressions = [list(expressions(unit.node)) for unit in job.units]
        self.texts = [texts(unit) for unit in job.units]
        self.nodes = [node for listed in self.expressions for node in listed]
        first, other = self._values(job.dys), self._values([2.0 * dy + 1 for dy in job.dys])
        self.following = {id(node) for k, node in enumerate(self.nodes) if first.get(k) != other.get(k)}

    def _values(self, dys: list[Any]) -> dict[int, int]:
        """Run with some gradients by the outputs: a hash of the values of each expression."""
        hashes: dict[int, int] = {}
        self.evaluated = self.numbers = 0

        def callback(k: int, x: Any) -> Any:
            kind, node = kind_of(x), id(self.nodes[k])
            self.evaluated, self.numbers = self.evaluated + 1, self.numbers + np.size(x if kind else 0)
            if kind is not None:
                hashes[k] = hash((hashes.get(k), np.asarray(x).tobytes()))
                if self.kinds.get(node) in (None, ("i", ())):  # a 0 in the place of the first gradient
                    self.kinds[node] = kind
            return x

        codes, first = {}, 0
        for k, (unit, listed) in enumerate(zip(self.job.units, self.expressions)):
            codes[k] = instrumented(unit, listed, first, callback)
            first += len(listed)
        before, self.job.dys = self.job.dys, dys
        try:
            with self.job.running(codes), self._tracing({code: k for k, code in codes.items()}):
                self.job.outcome()
        finally:
            self.job.dys = before
        return hashes

    @contextmanager
    def _tracing(self, codes: dict[Any, int]) -> Iterator[None]:
        def start(frame: Any, event: str, arg: Any) -> Any:
            k = codes.get(frame.f_code)
            return None if k is None else lambda *_: look(k, frame)

        def look(k: int, frame: Any) -> Any:
            self.lines[k][frame.f_lineno] = self.lines[k].get(frame.f_lineno, 0) + 1
            return lambda _frame, event, _arg: self._atoms(k, frame) if event == "return" else look(k, frame)

        before = sys.gettrace()
        sys.settrace(start)
        try:
            yield
        finally:
            sys.settrace(before)

    def _atoms(self, k: int, frame: Any) -> None:
        """At the end of a function: the atoms that have a value there. The second call has no initial values left."""
        self.calls[k] = self.calls.get(k, 0) + 1
        if self.calls[k] > 2:
            return
        variables = dict(frame.f_locals)
        listed = [*variables, *self.texts[k], *(text for name, x in variables.items() for text in inside(name, x))]
        for text in dict.fromkeys(listed):
            try:
                kind = kind_of(eval(text, frame.f_globals, variables))
            except Exception:  # an index that is out of range
                continue
            if kind is not None and text != "_":  # which says that nothing reads it
                self.atoms[k][text] = kind

    def runs(self, work: float) -> int:
        """How many runs of the job an amount of work allows, so that a search does not depend on the machine.

        A run is counted as 0.4, and 1 for each 1,000 expressions or million numbers: about the milliseconds it takes.
        """
        return max(1, int(work / (0.4 + self.evaluated / 1e3 + self.numbers / 1e6)))

    def is_forward(self, statement: ast.stmt) -> bool:
        """Is a statement known to be of the forward: it computes nothing from the gradients by the outputs?"""
        return bool(self.following) and not any(id(node) in self.following for node in ast.walk(statement))

    def ran(self, k: int, statement: ast.stmt) -> bool:
        """Did a statement of unit ``k`` run?"""
        last = statement.lineno if isinstance(statement, (ast.For, ast.While, ast.If)) else statement.end_lineno
        return any(line in self.lines[k] for line in range(statement.lineno, (last or statement.lineno) + 1))


def kind_of(x: Any) -> Kind | None:
    """The kind of an array or number; None for anything else."""
    if isinstance(x, (bool, np.bool_)):
        return None
    if isinstance(x, (int, float, np.ndarray, np.generic)):
        dtype = np.asarray(x).dtype.kind
        return (("f" if dtype in "fc" else "i"), np.shape(x)) if dtype in "fciu" else None
    return None


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a definition that are evaluated, its defaults and decorators apart."""
    for statement in node.body:  # type: ignore[attr-defined]
        for part in ast.walk(statement):
            loads = isinstance(getattr(part, "ctx", ast.Load()), ast.Load)
            if isinstance(part, ast.expr) and loads and not isinstance(part, (ast.Slice, ast.Starred, ast.JoinedStr)):
                yield part


def texts(unit: Unit) -> list[str]:
    """Possible atoms of a function: each container of the function with each index that the function uses.

    Also an argument of which nothing is read but its shape, with these indices, and what is used with the index ``t``
    of a loop at ``t + 1`` and ``t - 1``.
    """
    subscripts = [node for node in ast.walk(unit.node) if isinstance(node, ast.Subscript)]
    indices = list(dict.fromkeys(ast.unparse(node.slice) for node in subscripts))
    bases = list(dict.fromkeys([*(ast.unparse(node.value) for node in subscripts), *unread(unit.node)]))
    calls = [ast.unparse(node) for node in ast.walk(unit.node)
             if isinstance(node, ast.Call) and ast.unparse(node.func) == "len"]  # fmt: skip
    used = dict.fromkeys(ast.unparse(node) for node in subscripts)
    general = [index.strip("()") for index in indices if any(letter.isalpha() for letter in index) and "'" not in index]
    return [*calls, *used, *(f"{base}[{index}]" for base in bases for index in general), *beside(unit.node)]


def beside(function: ast.FunctionDef) -> list[str]:
    """What a function uses at the index of a loop, at the index before and after it: ``h[:, t + 1]`` of ``h[:, t]``."""
    nodes = list(ast.walk(function))
    loops = [node.target.id for node in nodes if isinstance(node, ast.For) and isinstance(node.target, ast.Name)]
    used = dict.fromkeys(ast.unparse(node) for node in nodes if isinstance(node, ast.Subscript))
    moved = [re.sub(rf"\b{name}(?=\]|,)", f"{name} {step}", text)
             for text in used for name in loops for step in ("+ 1", "- 1")]  # fmt: skip
    return [text for text in dict.fromkeys(moved) if text not in used]


def inside(name: str, x: Any) -> list[str]:
    """The atoms inside of a variable: string keys of a dict, attributes of an object that are arrays."""
    if isinstance(x, dict):
        return [f"{name}[{key!r}]" for key in x if isinstance(key, str)]
    if isinstance(x, (np.ndarray, list, tuple, int, float)):
        return []
    return [f"{name}.{key}" for key, part in getattr(x, "__dict__", {}).items() if isinstance(part, np.ndarray)]


def names_of(function: ast.FunctionDef) -> list[str]:
    """The arguments and variables of a function."""
    stored = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    return list(dict.fromkeys([*(arg.arg for arg in function.args.args), *stored]))


def unread(function: ast.FunctionDef) -> list[str]:
    """The arguments and variables of a function that nothing is computed from, their shapes apart."""
    shapes = [node.value for node in ast.walk(function) if isinstance(node, ast.Attribute) and node.attr == "shape"]
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)]
    read = [node.id for node in names if isinstance(node.ctx, ast.Load) and not any(node is part for part in shapes)]
    return [name for name in names_of(function) if name not in read]
