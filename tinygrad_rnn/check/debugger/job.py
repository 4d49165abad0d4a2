"""What is debugged: a layer, its inputs and cotangents, and the derivatives that its gradients should have.

A `Job` runs forward and backward of the user's code and says how far each gradient is from the derivatives of the
forward. Functions are run with float64 in the place of float32, so that rounding hides no mistake.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from ..layers.adapter import Adapter
from ..layers.problem import LayerProblem
from ..numeric.derivatives import Number, Slopes, central, complex_step, survives
from ..report import distance
from .source import Unit, definition_of, replaced, units_of

CLOSE = 1e-6  # the error of a gradient that is right; numbers by differences have about 1e-8
SINGLE = ("f", "float32", "f4", "single")
NARROW = (np.float32, np.float16)


@dataclass
class Outcome:
    """The outputs and the gradients of a run, and the error of each gradient; ``error`` is its exception."""

    outputs: list[np.ndarray]
    gradients: dict[str, Any]
    errors: dict[str, float]

    @property
    def wrong(self) -> list[str]:
        return [name for name, error in self.errors.items() if error > CLOSE]


class Job:
    """A layer to debug. ``roots`` are the user's functions, classes and objects that it consists of."""

    elements = 24  # of each gradient, so many are compared one by one
    checked: Sequence[Job] = ()

    def __init__(
        self, adapter: Adapter, roots: Sequence[Any], seed: int = 0, known_exact: Mapping[str, bool] | None = None
    ):  # fmt: skip
        self.adapter, self.roots, self.seed, self.known_exact = adapter, list(roots), seed, known_exact or {}
        self.units = units_of(self.roots)
        self.exact = {k: unit.compiled(in_double(unit)) for k, unit in enumerate(self.units) if in_double(unit)}
        with self.running():
            first = adapter.run()
            self.problem = LayerProblem(adapter, first.outputs, np.random.default_rng(seed))
            self.dys = self.problem.dys
            self.right = {**self._right(), **adapter.inner_slopes(self.dys, seed, self.elements)}
            without = adapter.gradients(adapter.run(adapter.floats, self.dys))
            self.needless = [name for name in adapter.input_names if without.get(name) is None]
            self.first = self.outcome()

    def _right(self) -> dict[str, Slopes]:
        """The derivatives by each input and parameter."""
        L, xs, rng = self.problem.L, self.problem.exact, np.random.default_rng(self.seed + 5)
        return {name: derivatives(L, xs, k, rng, self.elements, self.known_exact.get(name))
                for k, name in enumerate(self.problem.names)}  # fmt: skip

    def running(self, codes: Mapping[int, CodeType] | None = None) -> Any:
        """A context in which the units run in float64, and those in ``codes`` with other code."""
        return replaced({**self.exact, **(codes or {})}, self.units)

    def outcome(self) -> Outcome:
        """Run forward and backward as the units are now."""
        run = self.adapter.run(self.adapter.floats, self.dys)
        gradients = self.adapter.gradients(run)
        return Outcome(run.outputs, gradients, {name: self.error(name, g) for name, g in gradients.items()})

    def gradients(self) -> dict[str, Any]:
        """Run forward and backward as the units are now: the gradients."""
        return self.adapter.gradients(self.adapter.run(self.adapter.floats, self.dys))

    def is_right(self) -> bool:
        """Run forward and backward as the units are now: are all gradients right, and the outputs as before?"""
        run = self.adapter.run(self.adapter.floats, self.dys)
        gradients = self.adapter.gradients(run)
        order = [*self.first.wrong, *(name for name in gradients if name not in self.first.wrong)]
        return all(self.error(name, gradients[name]) <= CLOSE for name in order) and self.same_outputs(run.outputs)

    def is_consistent(self) -> bool:
        """Run forward and backward as the units are now: are all gradients those of the forward as it is now?

        A derivative that was not zero has to stay so: a forward that ignores its inputs mends nothing.
        """
        names, rng = self.problem.names, np.random.default_rng(self.seed + 7)
        gradients = self.gradients()
        for name in sorted(gradients, key=lambda name: name not in self.first.wrong):
            slope = self.right[name]
            if name in names and gradients[name] is not None:
                slope = derivatives(self.problem.L, self.problem.exact, names.index(name), rng, 0, slope.exact)
            kept = np.isfinite(slope.values).all() and (slope.values.any() or not self.right[name].values.any())
            if not kept or self.error(name, gradients[name], slope) > CLOSE:
                return False
        return True

    def is_better(self) -> bool:
        """Run forward and backward as the units are now: are fewer gradients wrong, none of them right before?"""
        outcome = self.outcome()
        fewer = len(outcome.wrong) < len(self.first.wrong) and all(name in self.first.wrong for name in outcome.wrong)
        return fewer and self.same_outputs(outcome.outputs)

    def accept(self, k: int, text: str) -> None:
        """Debug the layer with another text of the file of unit ``k``, in this unit only."""
        unit = self.units[k]
        place: Any = definition_of(ast.parse(text), unit.original)
        self.units[k] = Unit(unit.function, unit.file, text, place[-1], place[:-1])
        self.exact[k] = self.units[k].compiled(in_double(self.units[k]))
        with self.running():
            self.first = self.outcome()

    def same_outputs(self, outputs: Sequence[np.ndarray]) -> bool:
        """Are the outputs those of the user's forward? A patch changes the backward only."""
        return len(outputs) == len(self.first.outputs) and all(
            a.shape == b.shape and np.allclose(a, b, 1e-9, 1e-12, equal_nan=True)
            for a, b in zip(outputs, self.first.outputs))  # fmt: skip

    @np.errstate(all="ignore")  # of values that are not finite
    def error(self, name: str, g: Any, slope: Slopes | None = None) -> float:
        """The error of a gradient; None is right for an input, if it is None without any edit."""
        slope = slope or self.right[name]
        shape = self.adapter.floats[name].shape if name in self.adapter.floats else np.shape(g)
        if g is None:
            return 0.0 if name in self.needless else np.inf
        if np.size(g) != slope.along.shape[1] or np.shape(g) != shape or np.asarray(g).dtype.kind not in "fiu":
            return np.inf
        if not np.isfinite(slope.values).all():
            return 0.0
        return distance(slope.of(np.asarray(g, np.float64)), slope.values)

    def others(self, seeds: Sequence[int]) -> Sequence[Job]:
        """The same layer on other inputs; of the first call only, since they are the same for each patch."""
        self.checked = self.checked or [self.with_seed(seed) for seed in seeds]
        return self.checked

    def with_seed(self, seed: int) -> Job:
        """The same layer on other inputs of the same size, compared along two directions."""
        rng = np.random.default_rng(seed)
        moved = [x * rng.uniform(0.8, 1.2, np.shape(x)) if np.asarray(x).dtype.kind == "f" else x
                 for x in self.adapter.inputs]  # fmt: skip
        return self.on(moved, seed)

    def on(self, inputs: Sequence[Any], seed: int) -> Job:
        """The same layer on other inputs, compared along two directions."""
        exact = {name: slope.exact for name, slope in self.right.items()}
        return Few(self.adapter.with_inputs(inputs), self.roots, seed, exact)


class Few(Job):
    """A job whose derivatives are along two directions: enough to confirm a patch."""

    elements = 0


@np.errstate(all="ignore")  # an edit of the forward may give values that are not finite
def derivatives(
    L: Number, xs: Sequence[np.ndarray], k: int, rng: np.random.Generator, elements: int, exact: bool | None = None
) -> Slopes:  # fmt: skip
    """The derivatives of L by x_k along two random directions, and by a random sample of its elements.

    ``exact`` says whether L takes complex numbers, if that is known.
    """
    x = xs[k]
    some = np.sort(rng.permutation(x.size)[:elements])
    along = np.concatenate([rng.standard_normal((2, x.size)), np.eye(x.size)[some]])
    exact = survives(L, xs, k, rng, 0.0) if exact is None else exact
    values = []
    for row in along:
        v = row.reshape(x.shape)
        values.append(complex_step(L, xs, k, v) if exact else _difference(L, xs, k, v))
    return Slopes(along, np.array(values, np.float64), np.zeros(len(along)), exact)


def _difference(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> float:
    """The derivative by differences."""
    step = 2e-3 * float(np.sqrt(np.mean(xs[k] ** 2)) or 1.0) / max(float(np.sqrt(np.mean(v**2))), 0.3)

    def at(n: int) -> float:
        return float(np.real(L([x + n * step * v if j == k else x for j, x in enumerate(xs)])))

    return central(at, step)


def in_double(unit: Unit) -> ast.FunctionDef | None:
    """The definition with float64 where it names float32; None if it names it nowhere."""
    double = _Double(getattr(inspect.unwrap(unit.function), "__globals__", {}))
    node = double.visit(ast.parse(ast.unparse(unit.node)).body[0])
    if not double.changes:
        return None
    return _at(unit.node, node)


def _at(old: ast.AST, new: Any) -> Any:
    """The new tree at the line numbers of the old, which has the same form."""
    for was, now in zip(ast.walk(old), ast.walk(new)):
        if "lineno" in now._attributes and hasattr(was, "lineno"):
            ast.copy_location(now, was)
    return new


class _Double(ast.NodeTransformer):
    """Writes float64 in the place of float32: as a dtype, in astype, as np.float32, and as a global alias of it."""

    def __init__(self, variables: Mapping[str, Any]):
        self.variables, self.changes = variables, 0

    def visit_keyword(self, node: ast.keyword) -> Any:
        if node.arg == "dtype":
            self._constant(node.value)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        for part in node.args:
            self._constant(part)
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        if node.attr in ("float32", "single", "float16"):
            self.changes, node.attr = self.changes + 1, "float64"
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> Any:
        variable = self.variables.get(node.id)
        return self._as_float(node) if isinstance(variable, (type, np.dtype)) and variable in NARROW else node

    def _constant(self, node: ast.expr) -> None:
        if isinstance(node, ast.Constant) and node.value in SINGLE:
            self.changes, node.value = self.changes + 1, "float64"
        elif isinstance(node, ast.Name) and str(self.variables.get(node.id)) in SINGLE:
            self._as_float(node)

    def _as_float(self, node: ast.Name) -> ast.Name:
        self.changes, node.id = self.changes + 1, "float"
        return node
