"""Small constants that keep a forward finite, such as the 1e-7 of ``log(y + 1e-7)``, which a gradient may leave out."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..report import distance
from .job import CLOSE, Job, derivatives, in_double

SMALL = 1e-4  # a constant that keeps a forward finite is less
CALLS = ("maximum", "clip", "fmax", "max")


def meant(job: Job) -> str:
    """The small constants without which all gradients would be right, as words; "" if that is not so."""
    codes, texts = {}, []
    for k, unit in enumerate(job.units):
        without = Without()
        tree = without.visit(copy.deepcopy(in_double(unit) or unit.node))
        if without.lines:
            codes[k] = unit.compiled(tree)
            texts += [f"the {x:g} of line {line}" for line, x in without.lines]
    if not codes:
        return ""
    gradients = job.first.gradients
    with job.running(codes), np.errstate(all="ignore"):
        rng = np.random.default_rng(job.seed + 5)
        for k, name in enumerate(job.problem.names):
            slope = derivatives(job.problem.L, job.problem.exact, k, rng, job.elements)
            g = gradients.get(name)
            if name in job.needless:
                continue
            if g is None or np.shape(g) != job.adapter.floats[name].shape or not _equal(slope, g):
                return ""
    return " and ".join(dict.fromkeys(texts))


def _equal(slope: Any, g: Any) -> bool:
    return distance(slope.of(np.asarray(g, np.float64)), slope.values) <= CLOSE


class Without(ast.NodeTransformer):
    """Writes 0 in the place of small constants that are added, or that are bounds; ``lines`` are those constants."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, float]] = []

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        if isinstance(node.op, (ast.Add, ast.Sub)):
            node.left, node.right = self._zero(node.left), self._zero(node.right)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> Any:
        if getattr(node.func, "attr", getattr(node.func, "id", "")) in CALLS:
            node.args = self._zeros(node.args)
        return self.generic_visit(node)

    def _zeros(self, args: Sequence[ast.expr]) -> list[ast.expr]:
        return [self._zero(arg) for arg in args]

    def _zero(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < abs(node.value) <= SMALL:
            self.lines.append((node.lineno, node.value))
            return ast.copy_location(ast.Constant(0.0), node)
        return node
