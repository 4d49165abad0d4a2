"""The gradients that are printed: which of them have a line, and the dtype of truth values in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..formula import Constant, Expr, Leaf, Part, postorder
from ..formula.expression import DY, form
from ..formula.simplify import Maker
from ..tracing.adjoint import Adjoint, side_by_side
from ..tracing.formulas import TracedStep, operands_of
from ..tracing.trace import Equation


class Gradients(Adjoint):
    """A gradient has a line if its value is ``named``, or if it goes on along several ways and is not short."""

    def __init__(self, step: TracedStep, named: Mapping[int, str]):
        self.named = named
        super().__init__(step, Maker())

    def has_line(self, equation: Equation, total: Part) -> bool:
        several = len(operands_of(self.step.formulas[equation.out])) > 1
        copied = isinstance(total, Leaf) and len(self.ways[equation.out]) == 1
        long = isinstance(total, Expr) and not _scaled(total)
        return not copied and (equation.out in self.named or (several and long))

    def rule(self, equation: Equation, k: int) -> Part | None:
        formula = super().rule(equation, k)
        return None if formula is None else cast(formula, Leaf(f"in:{self.step.cell.states[0]}"))

    def summed(self, parts: Sequence[Part], number: int) -> Part:
        return super().summed(side_by_side(parts, self.step.shape(number), self.make), number)

    def between(self, line: int, number: int, known: Mapping[int, str]) -> Part | None:
        """The part of the gradient ``Leaf("dy:<line>")`` that goes back from a line to a value by no other line."""
        total: dict[int, Part] = {line: self.make.shared(Leaf(f"{DY}:{line}", self.step.shape(line)))}
        for out in range(line, number, -1):
            equation = self.step.equations.get(out)
            if out not in total or equation is None:
                continue
            for k, source in enumerate(equation.args):
                open_way = source == number or (source > number and source not in known and source not in self.lines)
                part = self.local(equation, k, total[out]) if open_way else None
                if part is not None:
                    total[source] = self.make("add", total[source], part, shape=part.shape) if source in total else part
        return total.get(number)


def cast(root: Part, like: Leaf) -> Part:
    """A formula that casts truth values to the dtype of ``like`` wherever a rule casts them to floats.

    Without the cast NumPy would promote them to float64. Other casts change nothing and stay.
    """
    done: dict[int, Part] = {}
    for part in postorder(root):
        done[id(part)] = part
        if isinstance(part, Expr):
            args = tuple(done[id(arg)] for arg in part.args)
            compared = any(form(inner) == "comparison" for inner in postorder(part))
            done[id(part)] = Expr(part.op, args, part.attrs, part.shape)
            if part.op == "astype" and compared:
                done[id(part)] = Expr("cast", (*args, like), {}, part.shape)
    return done[id(root)]


def _scaled(part: Expr) -> bool:
    """A gradient with another sign, or times a number: short enough to be written twice."""
    signed = part.op == "negative" or (part.op == "multiply" and isinstance(part.args[0], Constant))
    return signed and isinstance(part.args[-1], Leaf)
