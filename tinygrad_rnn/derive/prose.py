"""The chain rule in words, a numbered sentence for each gradient: which lines lead to the loss, and their derivatives.

"`o` reaches the loss only through `h_next = o * tanh_c`, and ∂h_next/∂o is `tanh_c`, so `do = dh * tanh_c`."
"""

from __future__ import annotations

from ..formula import Expr, Leaf, Part, postorder
from ..formula.expression import DY, form, is_a
from .product import Product
from .program import Line, Program
from .standalone_numpy import Writer

FIRST = "Every gradient is that of the loss L: `dq` is ∂L/∂q, of the shape of q. What comes in: {incoming}."


def steps(program: Program) -> str:
    """The sentences as a numbered list; formulas are NumPy, as in the printed code."""
    sentences_of = Sentences(program)
    cell, leaves = program.step.cell, program.leaves
    given = [f"`{leaves[f'in:{name}']}`, by `{program.known[n]}`" for name, n in zip(cell.states, program.step.new)]
    sentences = [FIRST.format(incoming="; ".join(given)), *(sentences_of.sentence(line) for line in program.backward)]
    return "\n".join(f"{k}. {sentence}" for k, sentence in enumerate(sentences, 1)) + "\n"


class Sentences:
    """Sentences about the lines of a program."""

    def __init__(self, program: Program):
        self.program = program
        self.writer = Writer(program.step.sizes, program.leaves)
        self.lines = {line.number: line for line in program.forward}

    def sentence(self, line: Line) -> str:
        code = f"`{line.name} = {self.writer.text(line.part)}`"
        if line.number < 0:
            return f"Used more than once below: {code}."
        name, ways = self.name(line.number), self.ways(line.number)
        if not ways:
            return f"{name} is never read, so it has no part in the loss: {code}."
        if is_a(line.part, "hstack"):
            return f"{name} is read in parts, whose gradients stand side by side as the parts do: {code}."
        if len(ways) == 1:
            return f"{name} reaches the loss only through {ways[0]}, so {code}."
        total = f"{len(ways)} ways, and their gradients add up: through {_listed(ways)}"
        return f"{name} reaches the loss {total}. So {code}."

    def name(self, number: int) -> str:
        """The name of a value; without one, its formula and the name that its gradient is named after."""
        if number in self.program.known:
            return f"`{self.program.known[number]}`"
        base, text = self.program.bases[number], self.writer.text(self.program.full(self.program.step.formulas[number]))
        return f"`{base}`, short for `{text}`,"

    def ways(self, number: int) -> list[str]:
        """The lines that read a value, each with its derivative; for a new state, the loss after this step too."""
        clauses: dict[int, str] = {}
        for source, *_ in self.program.gradients.ways.get(number, []):
            line = self.line(source) if source >= 0 else -1
            if line not in clauses:
                clauses[line] = self.through(line, number) if line >= 0 else "what reads the new state after this step"
        return list(clauses.values())

    def line(self, number: int) -> int:
        """The first value on the way to the loss that has a line, or a gradient with a line."""
        while number not in self.lines and number not in self.program.gradients.lines:
            number = self.program.step.readers(number)[0][0].out
        return number

    def through(self, line: int, number: int) -> str:
        """A line, and the derivative of its value by another value."""
        program, dy = self.program, f"{DY}:{line}"
        name, part = program.bases[line], program.full(program.step.formulas[line])
        text = f"`{name} = {self.writer.text(self.lines[line].part if line in self.lines else part)}`"
        way = program.gradients.between(line, number, program.known)
        if way is None:
            return text
        self.writer.leaves = {**self.writer.leaves, dy: "dy"}
        clause = self.derivative(program.shorter(program.full(way)), dy, f"∂{name}/∂{program.bases[number]}")
        return f"{text}, {clause}"

    def derivative(self, way: Part, dy: str, name: str) -> str:
        """How a line changes its gradient dy: by a factor, a matrix product, or a sum over rows."""
        product = Product()
        product.times(way)
        factors = [factor for factor in product.above if not (isinstance(factor, Leaf) and factor.name == dy)]
        if len(factors) == len(product.above) - 1 and dy not in _leaves([*factors, *product.below]):
            product.above = factors
            return f"and {name} is `{self.writer.text(self.program.shorter.written(product, way.shape))}`"
        if isinstance(way, Expr) and way.op == "matmul" and dy in [getattr(factor, "name", "") for factor in way.args]:
            k = 0 if isinstance(way.args[1], Leaf) and way.args[1].name == dy else 1
            other = way.args[k]
            whole = other.args[0] if form(other) == "transpose" else other  # type: ignore[union-attr]
            side = "right" if k == 0 else "left"
            return f"where it stands on the {side} of a matrix product with `{self.writer.text(whole)}`"
        if is_a(way, "sum") and isinstance(way.args[0], Leaf):  # type: ignore[union-attr]
            return "where every row has it"
        return f"which makes `{self.writer.text(way)}` of its gradient `dy`"


def _leaves(parts: list[Part]) -> list[str]:
    return [leaf.name for part in parts for leaf in postorder(part) if isinstance(leaf, Leaf)]


def _listed(ways: list[str]) -> str:
    return "; ".join(ways[:-1]) + f"; and {ways[-1]}"
