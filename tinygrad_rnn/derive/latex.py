r"""The program as LaTeX: the forward equations, then an aligned row for each step of the chain rule.

``\mathrm{d}q`` is the gradient of the loss by q, as everywhere here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..engine.declaration import ATOM, COMPARED
from ..formula import Expr
from ..formula.expression import is_a
from ..formula.printer import Piece, Printer, Style
from .latex_styles import FORMS, function, joined_text
from .program import Line, Program
from .symbols import TALL, Symbols, bracketed, escaped, symbol
from .wrap_lines import broken_row

HEAD = r"& \text{gradients: } \mathrm{d}q = \partial L / \partial q"
INSIDE = r"\text{, and } A_q \text{ is what } q \text{ is a function of}"


def latex(program: Program) -> str:
    """An ``aligned`` environment; needs amsmath."""
    printer = LatexPrinter(program)
    shown = [line for line in program.lines if printer.symbols.plain(line.number) is None]
    inside = any(printer.symbols.within(line.number) for line in program.backward if line.number >= 0)
    rows = [row for line in [*shown, *printer.others()] for row in printer.forward(line)]
    cell, new = program.step.cell, program.step.new
    stay = [name for name, n in zip(cell.states, new) if n not in program.step.equations]
    rows += [f"{printer.symbols.new(name)} &= {printer.symbols.symbol(new[cell.states.index(name)])}" for name in stay]
    rows += [HEAD + INSIDE * inside, *(row for line in program.backward for row in printer.backward(line))]
    return "\\begin{aligned}\n" + " \\\\\n".join(line for row in rows for line in broken_row(row)) + "\n\\end{aligned}"


class LatexPrinter(Printer):
    """Writes formulas in LaTeX."""

    language: ClassVar[str] = "latex"
    forms: ClassVar[Mapping[str, Style]] = FORMS
    times: ClassVar[str] = r"\,"

    def __init__(self, program: Program):
        super().__init__(program.step.sizes)
        self.symbols, self.program = Symbols(program), program

    def forward(self, line: Line) -> list[str]:
        """An equation; a value that is cut into gates gets a second row with its blocks."""
        left = self.symbols.symbol(line.number)
        rows, gates = [f"{left} &= {self.text(line.part)}"], self.symbols.blocks_of(line.number)
        blocks = [f"{left}^{{({escaped(gate)})}}" for gate in gates]
        return [*rows, f"{joined_text(blocks)} &= {left}"] if gates else rows

    def others(self) -> list[Line]:
        """Equations for the values that have a gradient, but neither a name nor a symbol that explains them."""
        program, symbols = self.program, self.symbols
        numbers = sorted(line.number for line in program.backward if line.number in program.step.equations)
        unknown = [n for n in numbers if n not in program.known and symbols.plain(n) is None and not symbols.within(n)]
        return [Line(program.bases[n], program.full(program.step.formulas[n]), n) for n in unknown]

    def backward(self, line: Line) -> list[str]:
        """One step of the chain rule; a gradient that goes back into gates has a row for each of them."""
        left = symbol(line.name) if line.number < 0 else self.gradient(line.number)
        gates = self.symbols.blocks_of(line.number)
        if not (gates and is_a(line.part, "hstack") and len(gates) == len(line.part.args)):  # type: ignore[union-attr]
            return [f"{left} &= {self.text(line.part)}"]
        blocks = [f"{left}^{{({escaped(gate)})}}" for gate in gates]
        rows = [f"{block} &= {self.text(part)}" for block, part in zip(blocks, line.part.args)]  # type: ignore[union-attr]
        return [*rows, f"{left} &= {joined_text(blocks)}"]

    def gradient(self, n: int) -> str:
        return rf"\mathrm{{d}}{self.held(self.value(n), ATOM)}"

    def value(self, n: int) -> Piece:
        plain = self.symbols.plain(n)
        return Piece(self.symbols.symbol(n), ATOM) if plain is None else self.piece(plain)

    def leaf(self, name: str) -> Piece:
        kind, _, rest = name.partition(":") if ":" in name else name.partition("#")
        if kind == "in":
            states = self.program.step.cell.states
            again = self.program.step.new[states.index(rest)] in self.program.gradients.lines
            return Piece(rf"\mathrm{{d}}{self.symbols.new(rest)}" + r"^{\mathrm{in}}" * again, ATOM)
        if kind == "t":
            return Piece(symbol(rest), ATOM)
        return Piece(self.gradient(int(rest)), ATOM) if kind == "d" else self.value(int(rest))

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        word = node.op.replace("_", r"\_")
        return function(name or rf"\operatorname{{{word}}}")(self, node, parts)

    def filled(self, node: Expr, parts: Sequence[Piece], template: str, level: int = ATOM) -> Piece:
        """Parentheses in a template grow with their content."""
        if any(tall in part.text for part in parts for tall in TALL):
            template = re.sub(r"(?<!\\left)\((.*)(?<!\\right)\)", r"\\left(\1\\right)", template)
        return super().filled(node, parts, template, level)

    def held(self, piece: Piece, least: int) -> str:
        """A truth value is written in [], and means 0 or 1."""
        if piece.level <= COMPARED < least:
            return f"[{piece.text}]"
        return piece.text if piece.level >= least else bracketed(piece.text)

    def number(self, number: object) -> str:
        """Six digits; 1e-05 is a power of ten."""
        text = f"{number:.6g}" if isinstance(number, float) else repr(number)
        scientific = re.fullmatch(r"(-?[\d.]+)e([+-]\d+)", text)
        if not scientific:
            return text
        return (f"{scientific[1]} \\cdot " if scientific[1] != "1" else "") + f"10^{{{int(scientific[2])}}}"
