"""What the lines of a backward should hold by their names: ``df`` the gradient by ``f``, or by what goes into ``f``."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .batch import passed_on, switched
from .influence import values
from .instrument import marked, with_constant
from .job import Job
from .quantity import Forward, Quantity, is_along
from .scope import stem_of
from .statement_edits import bodies

HUGE = 1e100  # no gradient of an edit that makes sense
GRADIENT = re.compile(r".*?\b(d|grad_|delta_)\w+('\])?(\[[^'\]]*\])*$")  # df, self.d_f, grads['dW'], dA[:, t]
BUFFER = re.compile(r"[\w.]*\b(empty|zeros|full)(_like)?\(")


@dataclass(eq=False)
class Line:
    """A statement that assigns a gradient by its name, and the values that it holds at its runs.

    With a ``node``, only what this part of the statement computes, such as an element of a tuple.
    """

    unit: int
    body: list[ast.stmt]
    at: int
    target: str
    filled: bool  # is it an empty buffer, or changed later in place?
    adds: bool = False  # does it add to what was there?
    values: list[Any] = field(default_factory=list)
    node: ast.expr | None = None

    @property
    def statement(self) -> ast.stmt:
        return self.body[self.at]


def is_held(line: Line, x: Any) -> bool:
    """Is x a value that a line can hold? A part of a statement can be a number by mistake."""
    is_array = isinstance(x, np.ndarray | np.floating) and x.dtype.kind == "f"
    return is_array or (line.node is not None and type(x) is int)


def lines_of(job: Job) -> Iterator[Line]:
    """The statements that assign a gradient by its name: ``df = ...``, ``df *= ...``, ``dW += ...``."""
    for k, unit in enumerate(job.units):
        stored = [ast.unparse(node.value) for node in ast.walk(unit.node)
                  if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load)]  # fmt: skip
        for body, at, statement in bodies(unit.node):
            assigns = isinstance(statement, ast.Assign) and len(statement.targets) == 1
            if not assigns and not isinstance(statement, ast.AugAssign):
                continue
            node: Any = statement.targets[0] if assigns else statement.target  # type: ignore[attr-defined]
            adds = isinstance(getattr(statement, "op", None), (ast.Add, ast.Sub))
            if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)):
                target, value = ast.unparse(node), ast.unparse(statement.value)  # type: ignore[attr-defined]
                yield Line(k, body, at, target, target in stored or bool(BUFFER.match(value)), adds)


def parts_of(job: Job) -> Iterator[Line]:
    """What statements compute that is no line by itself: the elements of tuples, terms that are added, arguments."""
    names = [unit.function.__name__ for unit in job.units]
    for k, unit in enumerate(job.units):
        for body, at, statement in bodies(unit.node):
            adds = isinstance(statement, ast.AugAssign) and isinstance(statement.op, ast.Add)
            for node in values(statement, names):
                if adds or node is not getattr(statement, "value", None) or isinstance(statement, ast.Return):
                    target = ast.unparse(statement.target if adds else node)  # type: ignore[attr-defined]
                    yield Line(k, body, at, target, False, node=node)


def passed(job: Job, lines: Sequence[Line], callback: Any) -> dict[int, Any]:
    """The codes of units in which ``target = callback(n, target)`` stands after each line, with its number."""
    codes = {}
    for k in dict.fromkeys(line.unit for line in lines):
        after = {id(line.statement): [(None, [passed_on(line.target, n)])] for n, line in enumerate(lines)
                 if line.unit == k and line.node is None}  # fmt: skip
        numbers = {id(line.node): n for n, line in enumerate(lines) if line.unit == k and line.node is not None}
        tree = marked(switched(job.units[k].node, {}, after), numbers)
        codes[k] = with_constant(job.units[k].compiled(tree), callback)
    return codes


class References:
    """The gradients by values of the forward, by the stems of their names, as derivatives along directions."""

    def __init__(self, job: Job):
        self.forward, self.cache = Forward(job), dict[Any, Any]()
        self.by_stem: dict[str, list[Quantity]] = {}
        for quantity in self.forward.quantities:
            self.by_stem.setdefault(stem(quantity.name.split(",")[0]), []).append(quantity)
        self.scale = float(job.dys[0]) if len(job.dys) == 1 and np.size(job.dys[0]) == 1 else 1.0

    def of(self, line: Line, runs: int) -> list[tuple[Quantity, bool]]:
        """The quantities with the name of a line, its shape and its number of runs; and whether time runs backwards."""
        known = self.by_stem.get(stem(line.target), []) if GRADIENT.match(line.target) and not line.filled else []
        fits = self.fitting(known, line, runs)
        whole = [quantity for quantity in fits if not quantity.way]
        return [(quantity, back) for quantity in whole or fits for back in (True, False)]

    def fitting(self, quantities: Sequence[Quantity], line: Line, runs: int) -> list[Quantity]:
        """Those of quantities that have so many runs, and the shape of a line or its name."""
        return [quantity for quantity in quantities if line.values and len(self.forward.runs(quantity)) == runs
                and (np.shape(self.forward.runs(quantity)[0]) == np.shape(line.values[0])
                     or stem(line.target) == stem(quantity.name.split(",")[0]))]  # fmt: skip

    def hold(self, line: Line, values: Sequence[Any], runs: int, otherwise: bool = False) -> bool:
        """Are values at the first runs the gradients by a quantity of a line's name? ``otherwise`` if there is none."""
        known, readings = self.of(line, runs), [values]
        if line.adds and len({np.shape(x) for x in values}) == 1:
            readings.append([*values[:1], *(b - a for a, b in itertools.pairwise(values))])
        return any(all(self.equal(quantity, runs - 1 - run if back else run, x) for run, x in enumerate(xs))
                   for quantity, back in known for xs in readings) or (otherwise and not known)  # fmt: skip

    def equal(self, quantity: Quantity, run: int, x: Any) -> bool:
        """Is x the gradient by a run of a quantity?"""
        shape = np.shape(self.forward.runs(quantity)[run])
        x = np.asarray(x, np.float64)
        if np.shape(x) != shape or not np.all(np.abs(x) < HUGE):
            return False
        return all(any(is_along(slope, [factor * x], [w]) for factor in (1.0, self.scale))
                   for w, slope in self.slopes(quantity, run, shape))  # fmt: skip

    def slopes(self, quantity: Quantity, run: int, shape: Any) -> list[tuple[np.ndarray, float]]:
        """Two directions, and the derivatives along them."""
        key, rng = (id(quantity), run), np.random.default_rng(run)
        if key not in self.cache:
            ws = [rng.standard_normal(shape) for _ in range(2)]
            self.cache[key] = [(w, self.slope(quantity, run, w)) for w in ws]
        return self.cache[key]

    def slope(self, quantity: Quantity, run: int, w: np.ndarray) -> float:
        return self.forward.slope(quantity, [w * (n == run) for n in range(len(self.forward.runs(quantity)))])

    def gradients(self, quantity: Quantity) -> list[np.ndarray]:
        """The gradients by a quantity at all its runs, the same list for equal ones; nothing if all are 0."""
        runs, rng = self.forward.runs(quantity), np.random.default_rng(0)
        if id(quantity) not in self.cache:
            slope = self.forward.slope(quantity, [rng.standard_normal(np.shape(x)) for x in runs])
            self.cache[id(quantity)] = (len(runs), np.shape(runs[0]), f"{slope:.6g}") if slope else None
        key, gradients = self.cache[id(quantity)], list[np.ndarray]()
        for run, x in enumerate(runs if key and key not in self.cache else ()):
            units = np.eye(x.size).reshape(x.size, *x.shape)
            gradients.append(np.reshape([self.slope(quantity, run, w) for w in units], x.shape) / self.scale)
        return self.cache.setdefault(key, gradients)

    def known(self, x: np.ndarray) -> bool:
        """Is x a gradient that was computed before, at some run?"""
        lists = (gradients for key, gradients in self.cache.items() if isinstance(key, tuple) and len(key) == 3)
        return any(np.shape(g) == np.shape(x) and np.allclose(g, x, 1e-5, 1e-12) for g in itertools.chain(*lists))


def stem(name: str) -> str:
    """The variable that a gradient is by, whatever says which step it is of: ``c`` of ``dnext_c`` and ``c_new``."""
    return re.sub(r"^(next|prev|new|old)_|_(next|prev|new|old)$", "", stem_of(name))
