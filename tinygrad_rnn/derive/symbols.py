r"""The symbols of values in LaTeX: ``Wx.f`` is W_x^{(f)}, the old h is h_{t-1} and the new one h_t, as in the book.

A product or a function without a name is written as a formula: d(r ⊙ h_{t-1}), tanh(c_t).
"""

from __future__ import annotations

import re
import unicodedata

from ..formula import Expr
from ..formula.numpy_functions import traits
from ..tracing.formulas import number_of
from .program import Program

TALL = (r"\frac", r"\sum", r"\begin", r"\left")


#: Characters with a meaning in LaTeX or HTML.
SPECIAL = {**{c: f"\\{c}" for c in "$%#&_"}, "{": r"{\lbrace}", "}": r"{\rbrace}", "\\": r"{\backslash}",
           "^": r"{\wedge}", "~": r"{\sim}", " ": r"\ ", "<": "{<}", ">": "{>}"}  # fmt: skip
GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
         "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
         "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta",
         "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi",
         "Ω": "Omega"}  # fmt: skip
ACCENTS = {"\u0300": "grave", "\u0301": "acute", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0307": "dot",
           "\u0308": "ddot", "\u030c": "check"}  # fmt: skip


class Symbols:
    """The symbols of the values of a program. A value whose `plain` formula is short enough is written as that."""

    def __init__(self, program: Program):
        self.program, self.step = program, program.step
        cell, inputs = self.step.cell, self.step.inputs
        self.times = {inputs[cell.input]: (cell.input, "t"), **{inputs[name]: (name, "t-1") for name in cell.states}}
        for state, n in reversed(list(zip(cell.states, self.step.new))):
            self.times.setdefault(n, (state, "t"))
        self.blocks = self._blocks()

    def symbol(self, n: int) -> str:
        """The symbol of a value: its name, or the name that its gradient is named after."""
        if n in self.times:
            return timed(*self.times[n])
        name, dot, block = (self.step.values[n].name or self.program.bases[n]).partition(".")
        known = symbol(self.program.bases[n] if name.endswith("'") or not name.strip("_'") else name)
        return known + (f"^{{({escaped(block)})}}" if dot else "")

    def new(self, state: str) -> str:
        """The symbol of a state after the step."""
        return timed(state, "t")

    def plain(self, n: int) -> Expr | None:
        """The formula of an unnamed product or function of named values, which is written instead of a symbol."""
        formula = self.step.formulas.get(n)
        if formula is None or not _is_plain(formula.op) or self.is_named(n):
            return None
        operands = _operands(formula)
        twins = [other for other in self.step.formulas.values()
                 if other.op == formula.op and _operands(other) == operands]  # fmt: skip
        named = len(twins) == 1 and all(map(self.is_named, operands))
        return formula if named and len(operands) == len(formula.args) else None

    def is_named(self, n: int) -> bool:
        """Has the user named a value, in the cell or in a function that it calls?"""
        value = self.step.values[n]
        return bool(value.name or value.inner_name) or n in self.times

    def within(self, n: int) -> bool:
        """Is it the argument of a gate, ``A_z`` of z, without another name?"""
        base = self.program.bases.get(n, "")
        return n not in self.program.known and base.startswith("A_") and self.plain(n) is None

    def _blocks(self) -> dict[tuple[str, str], str]:
        """The gate that is computed from each slice of a value that is cut into gates: ("#9", its index) -> "f"."""
        blocks: dict[tuple[str, str], str] = {}
        for n, equation in self.step.equations.items():
            if equation.op.name == "getitem" and not self.step.values[n].name:
                readers = [reader for reader, _ in self.step.readers(n)]
                gates = [self.step.values[reader.out].name for reader in readers if reader.op.traits.activation]
                if len(readers) == 1 and gates and gates[0]:
                    blocks[f"#{equation.args[0]}", repr(equation.attrs["index"])] = gates[0]
        return blocks

    def blocks_of(self, n: int) -> list[str]:
        """The gates that a value is cut into, in the order of its slices."""
        return [name for (whole, _), name in self.blocks.items() if whole == f"#{n}"]


def is_function(op: str) -> bool:
    """Has LaTeX a command with the name of the operation, such as ``\\tanh``?"""
    return traits(op).latex == f"\\{op}"


def _is_plain(op: str) -> bool:
    """Is it written as a formula rather than named, if its operands have names?"""
    return is_function(op) or traits(op).product


def _operands(formula: Expr) -> list[int]:
    """The numbers of the operands that are values."""
    return [number for number in map(number_of, formula.args) if number >= 0]


def symbol(name: str) -> str:
    """``Wx`` as W_x, ``h_new`` as h_{new}."""
    base, below = _split(name)
    return base + (f"_{_braced(below)}" if below else "")


def timed(name: str, time: str) -> str:
    """The symbol with a time: ``h`` as h_{t-1}, ``h_enc`` as h_{enc,t}."""
    base, below = _split(name)
    return base + f"_{_braced(f'{below}, {time}' if below else time)}"


def _split(name: str) -> tuple[str, str]:
    base, _, rest = name.replace("'", "").strip("_").partition("_")
    short = re.fullmatch(r"([A-Z](?=..?$)|[a-z](?=.$))([a-z0-9]+)", base)  # Wx, Wxz and gx, but no exp
    if short and base not in ("xs", "hs"):
        base, rest = short[1], short[2] + ("_" + rest if rest else "")
    below = r"\,".join(map(escaped, rest.split("_")))
    return escaped(base) if len(base) == 1 else rf"\mathit{{{escaped(base)}}}", \
        below if len(rest) <= 1 else rf"\mathrm{{{below}}}"


def escaped(name: str) -> str:
    """A name in ASCII, without characters that LaTeX would interpret."""
    return "".join(map(_character, name))


def _character(c: str) -> str:
    if c in SPECIAL:
        return SPECIAL[c]
    if c.isascii():
        return c if c.isprintable() else r"\ "
    if c in GREEK:
        return rf"{{\{GREEK[c]}}}"
    parts = unicodedata.normalize("NFD", c)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return rf"{{\{ACCENTS[parts[1]]}{{{parts[0]}}}}}"
    return rf"\mathrm{{U{{+}}{ord(c):04X}}}"


def _braced(text: str) -> str:
    return text if len(text) == 1 else f"{{{text}}}"


def bracketed(text: str) -> str:
    """A text in parentheses, which grow if the text is tall."""
    return rf"\left({text}\right)" if any(tall in text for tall in TALL) else f"({text})"
