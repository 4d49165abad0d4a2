"""A recorded step with a formula for every value, and with letters for its sizes.

Every equation of the trace is an `Expr` on the leaves ``#number``. The cell runs on arrays that remember comparisons,
so ``where(h > 0, h, 0)`` is a formula to the end. Every size is a large prime, a different one for each letter: a 31 in
a slice or a shape is H, and a 124 is 4H.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.probe import choose, letters, probe
from ..errors import FormulaError
from ..formula import Constant, Expr, Leaf, Part, postorder
from ..formula.from_rule import bare, followed, part_of
from .record import Recorder
from .sample import record_step, sample
from .trace import Equation

#: The primes that letters stand for while the cell runs; the others are taken if a number of the cell is one of these.
PRIMES = ((23, 29, 31, 37, 41, 43, 47, 53), (59, 61, 67, 71, 73, 79, 83, 89))


class TracedStep(Recorder):
    """A recorder of one step of a cell, whose values are formulas: value n is the leaf ``#n`` of `formulas`."""

    def __init__(self, cell: Cell, sizes: Mapping[str, int]):
        super().__init__()
        self.cell, self.sizes = cell, sizes

    # -- recording

    def add(self, x: Any, kind: str, name: str, array: Any) -> int:
        number = super().add(x, kind, name, bare(array))
        if kind != "constant":  # a constant may be a comparison, and then remembers its operands
            x._array = followed(x._array, self.variable(number))
        return number

    def locals(self, variables: Mapping[str, Any]) -> None:
        """The cell gets its parameters as new Tensors on plain arrays: let these remember which values they are."""
        super().locals(variables)
        for name, number in self.recorded(variables).items():
            x = variables[name]
            if type(x._array) is np.ndarray and self.values[number].kind != "constant":
                x._array = followed(x._array, self.variable(number))

    # -- formulas

    @property
    def new(self) -> list[int]:
        """The numbers of the new states, in the order of the cell's arguments."""
        return list(self.outputs.values())

    def variable(self, number: int) -> Leaf:
        """A value in a formula."""
        return Leaf(f"#{number}", self.shape(number))

    def shape(self, number: int) -> tuple[int, ...]:
        return self.values[number].shape or ()

    @cached_property
    def formulas(self) -> dict[int, Expr]:
        """The formula of every equation, by the number of its value. `FormulaError` if an equation has none."""
        return {number: self.formula(equation) for number, equation in self.equations.items()}

    def formula(self, equation: Equation) -> Expr:
        """An equation as one operation on leaves and constants."""
        op, index = equation.op, equation.attrs.get("index", ())
        if op.keeps and op.traits.form != "join":
            raise FormulaError(f"{op.name} draws or keeps what no formula tells; leave it out")
        if any(isinstance(part, np.ndarray) for part in (index if isinstance(index, tuple) else (index,))):
            raise FormulaError("reads by an array of places, should be a slice such as h[:, :n]")
        parts = tuple([self.part(source) for source in equation.args])
        return Expr(op.name, parts, dict(equation.attrs), self.shape(equation.out))

    def part(self, number: int) -> Part:
        """A value as a part of a formula. `FormulaError` for an array that is no argument: it cannot be written."""
        if self.values[number].kind != "constant":
            return self.variable(number)
        part = part_of(self.operand(number))
        if isinstance(part, Constant) and np.ndim(part.value):
            shape = np.shape(part.value)
            raise FormulaError(f"uses an array of its own, of shape {shape}, should be a parameter: "
                               "its numbers cannot be written in a formula")  # fmt: skip
        return Constant(part.value.item()) if isinstance(part, Constant) and hasattr(part.value, "item") else part

    def detached_parts(self) -> list[Part]:
        """The formulas of floats that are computed from values, but pass no gradient back to them."""
        constants = [v.number for v in self.values if v.kind == "constant" and self.arrays[v.number].dtype.kind == "f"]
        return [part for part in map(part_of, map(self.operand, constants)) if numbers_in(part)]


def traced_step(cell: Cell, primes: Sequence[int]) -> TracedStep:
    """One step of ``cell`` at sizes that are ``primes``; letters that must be equal share one.

    `FormulaError` for a cell that splits an axis into parts without a letter: no formula could say their length.
    """
    if (parts := probe(cell).scale) > 1:
        raise FormulaError(f"splits an axis into {parts} parts, should declare it in its sizes, such as '{parts}*H'")
    step = TracedStep(cell, choose(cell, {}, dict(zip(letters(cell), primes))))
    record_step(cell, sample(cell, np.random.default_rng(0), step.sizes), step)
    return step


# -- parts of formulas


class Plain:
    """Builds parts as they are; a `Maker` builds them in the textbook form."""

    def __call__(self, op: str, *args: Part, shape: tuple[int, ...], attrs: Mapping[str, Any] | None = None) -> Part:
        return Expr(op, args, attrs or {}, shape)

    def shared(self, part: Part) -> Part:
        return part


PLAIN = Plain()


def replaced(root: Part, leaves: Mapping[str, Part], make: Any = PLAIN) -> Part:
    """A formula with other parts in the place of some of its leaves; ``make`` builds it."""
    done: dict[int, Part] = {}
    for part in postorder(root):
        if isinstance(part, Expr):
            args = [done[id(arg)] for arg in part.args]
            done[id(part)] = make(part.op, *args, shape=part.shape, attrs=part.attrs)
        else:
            done[id(part)] = make.shared(leaves.get(part.name, part) if isinstance(part, Leaf) else part)
    return done[id(root)]


def number_of(part: Part) -> int:
    """The number of the value that a leaf ``#number`` stands for; -1 for other parts."""
    return int(part.name[1:]) if isinstance(part, Leaf) and part.name.startswith("#") else -1


def numbers_in(root: Part) -> list[int]:
    """The numbers of the values that a formula reads, each once."""
    return [number for number in map(number_of, postorder(root)) if number >= 0]


def operands_of(expr: Expr) -> list[int]:
    """The values that an operation reads, in order, as often as it reads them; comparisons are looked through."""
    numbers, waiting = [], list(expr.args)
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, Expr):
            waiting = [*part.args, *waiting]
        elif isinstance(part, Leaf):
            numbers.append(number_of(part))
    return numbers


def inlined(root: Part, formulas: Mapping[int, Part], known: Mapping[int, Any], make: Any = PLAIN) -> Part:
    """A formula that reads only values in ``known``: the formulas of others stand in their places."""
    while inside := [number for number in numbers_in(root) if number not in known]:
        root = replaced(root, {f"#{number}": formulas[number] for number in inside}, make)
    return make.shared(root)
