"""What a value of the backward is, in the user's names: the gradient by which value of the forward?

Every expression v of the forward is moved in random directions w, at all its runs. If the derivative of the loss is
⟨g, w⟩, then g is the gradient by v. This knows no formula: ``x`` in ``sigmoid(x)`` is a value like any other, and so is
each place that reads a variable.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numeric.derivatives import central
from .instrument import instrumented
from .job import Job, in_double
from .observe import expressions, kind_of
from .scope import stem_of
from .statement_edits import bodies

SAME = 1e-6  # relative; differences have about 1e-9
READ = 2  # the order of a variable that the function does not assign, such as a weight
SO_FAR = ", added up so far"
SHORT = 40  # letters of an expression that is told as it stands
Values = Sequence[np.ndarray]  # of an expression, at all its runs


@dataclass
class Quantity:
    """Expressions of the forward that are one value: that of ``name``; ``order`` is less for better words."""

    unit: int
    nodes: list[ast.expr]
    name: str
    order: int
    way: str = ""  # the place that reads it, if only this is meant
    gradients: Sequence[np.ndarray] = ()  # by the value at all its runs, if they are on a tape

    @property
    def text(self) -> str:
        return f"the part of the gradient by {self.name} that comes through {self.way}" if self.way else (
            f"the gradient by {self.name}")  # fmt: skip


class Forward:
    """The forward of a job, with what it computes: ``seen`` are the values of expressions by the id of their node."""

    def __init__(self, job: Job):
        self.job, self.exact = job, all(slope.exact for slope in job.right.values())
        self.trees = [in_double(unit) or unit.node for unit in job.units]
        self.quantities = [quantity for k, tree in enumerate(self.trees) for quantity in quantities(k, tree)]
        self.seen: dict[int, list[np.ndarray]] = {}
        self.nodes = list({id(node): node for quantity in self.quantities for node in quantity.nodes}.values())
        self.moving: dict[int, int] = {}  # how often the expressions that are moved ran
        self.evaluations = 0  # of the loss
        self.codes = [instrumented(unit, self.nodes, 0, self._pass, tree) for unit, tree in zip(job.units, self.trees)]
        with job.running(dict(enumerate(self.codes))):
            job.problem.L(job.problem.exact)
        known = job.adapter.known_gradients(job.dys).items()
        self.quantities = [*(Quantity(0, [], name, -2, "", gradients) for name, gradients in known), *self.quantities]

    def runs(self, quantity: Quantity) -> Sequence[np.ndarray]:
        """The values of a quantity, or arrays of their shapes, at all its runs."""
        return quantity.gradients or self.seen.get(id(quantity.nodes[0]), [])

    def slope(self, quantity: Quantity, w: Values) -> float:
        """The derivative of the loss if the runs of a quantity move along w; NaN if the forward raises then."""
        if quantity.gradients:
            return sum(float(np.sum(g * x)) for g, x in zip(quantity.gradients, w))
        scale = max((float(np.max(np.abs(x), initial=0)) for x in self.runs(quantity)), default=0.0) or 1.0
        if self.exact:
            exact = np.imag(self.moved(quantity, w, 1e-30j * scale)) / (1e-30 * scale)
            if not np.isnan(exact):
                return float(exact)
        h = 2e-3 * scale
        return central(lambda n: float(np.real(self.moved(quantity, w, n * h))), h)

    def moved(self, quantity: Quantity, w: Values, h: complex) -> Any:
        """The loss with a quantity moved by h w; NaN if the forward raises then, on other numbers than usual."""
        self.evaluations += 1
        self.moving, self.step = {id(node): 0 for node in quantity.nodes}, [h * x for x in w]
        try:
            with self.job.running({quantity.unit: self.codes[quantity.unit]}), np.errstate(all="ignore"):
                return self.job.problem.L([x + 0 * h for x in self.job.problem.exact])
        except Exception:  # of the user's code
            return complex(np.nan, np.nan)

    def _pass(self, n: int, x: Any) -> Any:
        """Note the value of an expression, or move it."""
        node = id(self.nodes[n])
        if node in self.moving:
            self.moving[node] += 1
            return x + self.step[min(self.moving[node], len(self.step)) - 1]
        if not self.moving and (kind_of(x) or "i")[0] == "f":
            self.seen.setdefault(node, []).append(np.array(x))
        return x


def quantities(k: int, tree: ast.AST) -> Iterator[Quantity]:
    """The values in a function: of variables, of what goes into its calls, of each place that reads a variable."""
    named = dict(assigned(tree))
    parents = {id(child): parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    for target, node in named.items():
        yield Quantity(k, [node], target, 0)
        if isinstance(node, ast.Call) and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
            function = getattr(node.func, "attr", getattr(node.func, "id", "function"))
            yield Quantity(k, [node.args[0]], f"{target}, before the {function}", 1)
    reads: dict[str, list[ast.expr]] = {}
    for node in expressions(tree):
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
            reads.setdefault(ast.unparse(node), []).append(node)
    bases = [target.split("[")[0] for target in named if "[" in target]
    for text, nodes in reads.items():
        partly = text in named or text.split("[")[0] in bases  # hs[t - 1] is hs[t] of another step
        if not partly:
            yield Quantity(k, nodes, text, READ)
        for node in nodes if len(nodes) > 1 or partly else []:
            yield Quantity(k, [node], text, 4, around(parents, node))
    for loop in (node for _, _, node in bodies(tree) if isinstance(node, ast.For)):
        for text, nodes in carried(loop, reads):
            yield Quantity(k, nodes, text, 4, "the next step")
    for node in expressions(tree):
        if isinstance(node, (ast.BinOp, ast.Call)) and len(ast.unparse(node)) <= SHORT:
            yield Quantity(k, [node], ast.unparse(node), 3)


def carried(loop: ast.For, reads: Mapping[str, list[ast.expr]]) -> Iterator[tuple[str, list[ast.expr]]]:
    """The variables that a loop hands to its next step, with the several places that read them there."""
    first = {target: node.lineno for target, node in reversed([*assigned(loop)])}
    for text, nodes in reads.items():
        inside = [node for node in nodes if loop.lineno < node.lineno <= first.get(text, 0)]
        if len(inside) > 1:
            yield text, inside


def assigned(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The variables that get the value of an expression, with the expression."""
    for _, _, statement in bodies(tree):
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
            tuples = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts) if tuples else [(target, value)]  # type: ignore[attr-defined]
            yield from ((ast.unparse(a), b) for a, b in pairs if not isinstance(a, ast.Tuple))
            for key, part in zip(value.keys, value.values) if isinstance(value, ast.Dict) else []:
                yield f"{ast.unparse(target)}[{ast.unparse(key) if key else ''}]", part


def around(parents: Mapping[int, ast.AST], node: ast.expr) -> str:
    """The smallest operation that reads a node, or its line; ``parents`` are by the id of a node."""
    at: Any = parents.get(id(node))
    while at is not None and not isinstance(at, (ast.BinOp, ast.Call, ast.stmt)):
        at = parents.get(id(at))
    text = ast.unparse(at) if isinstance(at, ast.expr) else ""
    return text if 0 < len(text) <= SHORT else f"line {node.lineno}"


def gradient_by(job: Job, values: Values, target: str = "") -> str:
    """What the values of a line at all its runs are, in words; "" if they are the gradient by nothing in the forward.

    ``target`` is what the line assigns: of equal gradients, that by the variable of this name is meant.
    """
    if not values or any((kind_of(x) or "i")[0] != "f" or np.shape(x) != np.shape(values[0]) for x in values):
        return ""
    values, stem = [np.asarray(x, np.float64) for x in values], stem_of(target)
    forward = Forward(job)
    order = sorted(forward.quantities, key=lambda q: q.order - (stem_of(q.name) == stem))
    whole = _by(forward, order, values)
    if whole:
        return whole
    for axis, count in itertools.product((-1, 0), (2, 3, 4)):
        if values[0].ndim and values[0].shape[axis] % count == 0:
            blocks = zip(*(np.split(x, count, axis) for x in values))
            parts = list(itertools.takewhile(bool, (_by(forward, order, block) for block in blocks)))
            if len(parts) == count:
                return "; ".join(parts) + ", side by side"
    return ""


def _by(forward: Forward, order: Sequence[Quantity], values: Values) -> str:
    for quantity in order:
        words = matched(forward, quantity, values)
        if words is not None:
            return quantity.text + (words if quantity.order != READ or words == SO_FAR else "")
    return ""


def matched(forward: Forward, quantity: Quantity, values: Values) -> str | None:
    """How values are the gradients by the runs of a quantity, in words; None if they are not."""
    runs, shape = len(forward.runs(quantity)), values[0].shape
    if any(x.shape != shape for x in forward.runs(quantity)):
        return None
    ways, rng = list(readings(values, runs, forward.job.dys)) if runs else [], np.random.default_rng(0)
    for _ in range(2):
        common = rng.standard_normal(shape)
        w = {True: [common] * runs, False: [rng.standard_normal(shape) for _ in range(runs)]}
        slopes = {alike: forward.slope(quantity, w[alike]) for alike in dict.fromkeys(alike for _, alike, _ in ways)}
        ways = [(words, alike, g) for words, alike, g in ways if is_along(slopes[alike], g, w[alike])]
    return ways[0][0] if ways else None


def readings(values: Values, runs: int, dys: Sequence[Any]) -> Iterator[tuple[str, bool, Values]]:
    """The values as gradients by each of the runs, as (words, whether all runs move alike, gradients).

    The backward may run in the other direction, and it may add up the gradients of all runs. A function that returns
    its loss takes no gradient by it, which is 1 there.
    """
    for scale in [1.0, *(float(dy) for dy in dys if len(dys) == 1 and np.size(dy) == 1)]:
        g = [scale * x for x in values]
        if len(g) == runs:
            yield "", False, g
            yield "", False, g[::-1]
        if len(g) == 1 < runs:
            yield f", added up over its {runs} runs", True, g
        if len(g) == runs > 1:
            terms = [g[0], *(b - a for a, b in itertools.pairwise(g))]
            yield SO_FAR, False, terms
            yield SO_FAR, False, terms[::-1]


def is_along(slope: float, g: Values, w: Values) -> bool:
    """Is the derivative that of gradients g along w, and not zero?"""
    size = sum(float(np.sqrt(np.sum(a * a) * np.sum(b * b))) for a, b in zip(g, w))
    return abs(slope - sum(float(np.sum(a * b)) for a, b in zip(g, w))) <= SAME * size and slope != 0
