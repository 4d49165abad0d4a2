"""The backward pass of a recorded step as lines: the chain rule on its equations, with the gradient rules as formulas.

::

    Adjoint(step).lines[7]        # the gradient by value 7, a formula of gradients ``d#9`` and values ``#4``

A gradient that comes in is the leaf ``in:h``. `Adjoint` gives every value a line, and its formulas are as the rules
have them. A subclass may choose the lines, and ``make`` the form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import FormulaError
from ..formula import Expr, Leaf, Part, local_derivative, postorder
from ..formula.expression import DY, operand
from ..formula.from_rule import bare
from .formulas import PLAIN, TracedStep, replaced
from .trace import Equation

#: The part of a gradient that comes from equation ``out`` by its operand k; (-1, 0) is the gradient that comes in.
Way = tuple[int, int, Part]


class Adjoint:
    """``lines[n]`` is the gradient by value n, the last value first; a gradient without a line is inlined.

    ``total[n]`` is how it is read: the leaf ``d#n`` or its formula. ``ways[n]`` are the summands.
    """

    def __init__(self, step: TracedStep, make: Any = PLAIN):
        self.step, self.make = step, make
        self.lines: dict[int, Part] = {}
        self.total: dict[int, Part] = {}
        self.ways: dict[int, list[Way]] = {}
        self.rules: dict[tuple[int, int], Part | None] = {}
        for state, number in zip(step.cell.states, step.new):
            incoming = self.make.shared(Leaf(f"in:{state}", step.shape(number)))
            self.ways.setdefault(number, []).append((-1, 0, incoming))
        for number in reversed(range(len(step.values))):
            if number in self.ways:
                self.settle(number)

    def settle(self, number: int) -> None:
        """All parts of the gradient by a value are known: add them up, and pass the sum on to the operands."""
        total, equation = self.summed([part for *_, part in self.ways[number]], number), self.step.equations.get(number)
        if equation is None or self.has_line(equation, total):
            self.lines[number] = total
            total = self.make.shared(Leaf(f"d#{number}", self.step.shape(number)))
        self.total[number] = total
        for k, source in enumerate(equation.args if equation else ()):
            part = self.local(equation, k, total) if equation and source in self.step.nodes else None
            if part is not None:
                self.ways.setdefault(source, []).append((number, k, part))

    def has_line(self, equation: Equation, total: Part) -> bool:
        """Does the gradient by the value of an equation get a line?"""
        return True

    def local(self, equation: Equation, k: int, dy: Part) -> Part | None:
        """The part of the gradient ``dy`` by the value of an equation that goes back to its operand k."""
        if (equation.out, k) not in self.rules:
            self.rules[equation.out, k] = self.rule(equation, k)
        formula = self.rules[equation.out, k]
        if formula is None:
            return None
        operands = self.step.formulas[equation.out].args
        leaves = {DY: dy, "y": self.step.variable(equation.out), **dict(zip(equation.op.named(operands), operands))}
        return replaced(formula, leaves, self.make)

    def rule(self, equation: Equation, k: int) -> Part | None:
        """The gradient rule for operand k, a formula of dy, y and the operands; None if the operation has none."""
        op, step = equation.op, self.step
        if op.arguments[0 if op.variadic else k] not in op.rules:
            return None
        formula = local_derivative(op, k, [bare(step.operand(source)) for source in equation.args], equation.attrs)
        known = [DY, "y", *op.named(step.formulas[equation.out].args)]
        for part in postorder(formula):
            if isinstance(part, Leaf) and part.name not in known:
                raise FormulaError(f"the rule of {op.name} needs {part.name}, which is no formula")
        return formula

    def summed(self, parts: Sequence[Part], number: int) -> Part:
        """The sum of the parts of a gradient."""
        total = parts[0]
        for part in parts[1:]:
            total = self.make("add", total, part, shape=self.step.shape(number))
        return total


def side_by_side(parts: Sequence[Part], shape: tuple[int, ...], make: Any = PLAIN) -> Sequence[Part]:
    """The parts of a gradient; those that go back into slices are joined, if together they fill the array."""
    slices = sorted((stretch, k) for k, part in enumerate(parts) if (stretch := _stretch(part)))
    starts, stops = [start for (start, _), _ in slices], [stop for (_, stop), _ in slices]
    if len(slices) < 2 or [*starts, shape[-1]] != [0, *stops]:
        return parts
    inside = [operand(parts[k]) for _, k in slices]
    return [*(part for part in parts if _stretch(part) is None), make("hstack", *inside, shape=shape)]


def _stretch(part: Part) -> tuple[int, int] | None:
    """Of a gradient that goes back into a slice of the last axis alone: where on that axis it starts and stops."""
    if not isinstance(part, Expr) or part.op != "scatter":
        return None
    index, shape = part.attrs["index"], part.shape
    *others, last = index if isinstance(index, tuple) else (index,)
    whole = all(entry is Ellipsis or entry == slice(None) for entry in others)
    reaches = len(shape) <= 2 and (Ellipsis in others or len(others) + 1 == len(shape))
    if not (whole and reaches and isinstance(last, slice)):
        return None
    start, stop, step = last.indices(shape[-1])
    return (start, stop) if step == 1 else None
