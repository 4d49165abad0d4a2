r"""What values are called in LaTeX: ``Wx.f`` is W_x^{(f)}, the old h is h_{t-1} and the new one h_t, as in the book.

A product or function that has no name is written as what it is: d(r ⊙ h_{t-1}), tanh(c_t).
"""

from __future__ import annotations

import re
import unicodedata

from ..formula import Expr, Leaf
from ..formula.numpy_functions import traits
from .program import Program

TALL = (r"\frac", r"\sum", r"\begin", r"\left")


#: Characters that mean something in LaTeX, or in a page of HTML around it.
SPECIAL = {**{c: f"\\{c}" for c in "$%#&_"}, "{": r"{\lbrace}", "}": r"{\rbrace}", "\\": r"{\backslash}",
           "^": r"{\wedge}", "~": r"{\sim}", " ": r"\ ", "<": "{<}", ">": "{>}"}  # fmt: skip
GREEK = {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
         "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma",
         "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta",
         "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi",
         "Ω": "Omega"}  # fmt: skip
ACCENTS = {"\u0300": "grave", "\u0301": "acute", "\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0307": "dot",
           "\u0308": "ddot", "\u030c": "check"}  # fmt: skip


class Names:
    """The symbols of a program; those of values without a name are for whoever writes formulas."""

    def __init__(self, program: Program):
        self.program, self.step = program, program.step
        cell, numbers = self.step.cell, self.step.numbers
        self.times = {numbers[cell.input]: (cell.input, "t"), **{numbers[s]: (s, "t-1") for s in cell.states}}
        for state, n in reversed(list(zip(cell.states, self.step.new))):
            self.times.setdefault(n, (state, "t"))
        self.blocks = self._blocks()

    def symbol(self, n: int) -> str:
        """A value that has a name, or is named after what it is."""
        if n in self.times:
            return timed(*self.times[n])
        own = self.step.recording.values[n].name
        name, dot, block = (own or self.program.bases[n]).partition(".")
        known = symbol(self.program.bases[n] if name.endswith("'") or not name.strip("_'") else name)
        return known + (f"^{{({escaped(block)})}}" if dot else "")

    def new(self, state: str) -> str:
        """A state after the step."""
        return timed(state, "t")

    def plain(self, n: int) -> Expr | None:
        """An unnamed product or function of values with symbols, which is best written as that."""
        made, values = self.step.made.get(n), self.step.recording.values
        if made is None or not _is_plain(made.op) or values[n].name or n in self.step.inside or n in self.times:
            return None
        inside = [int(one.name[1:]) for one in made.args if isinstance(one, Leaf) and one.name.startswith("#")]
        twin = [one for one in self.step.made.values() if one.op == made.op and _read(one) == _read(made)]
        named = len(twin) == 1 and all(values[k].name or k in self.times or k in self.step.inside for k in inside)
        return made if named and len(inside) == len(made.args) else None

    def within(self, n: int) -> bool:
        """Is it what a gate is a function of, and has no other name?"""
        base = self.program.bases.get(n, "")
        return n not in self.program.known and base.startswith("A_") and self.plain(n) is None

    def _blocks(self) -> dict[tuple[str, str], str]:
        """Of a value that is cut into gates, the gate that each slice makes: ("#9", its index) -> "f"."""
        found: dict[tuple[str, str], str] = {}
        for n, made in self.step.made.items():
            if made.op == "getitem" and not self.step.recording.values[n].name and isinstance(made.args[0], Leaf):
                readers = [k for k, one in self.step.made.items() if f"#{n}" in _read(one)]
                names = [self.step.recording.values[k].name for k in readers if traits(self.step.made[k].op).activation]
                if len(readers) == 1 and names and names[0]:
                    found[made.args[0].name, repr(made.attrs["index"])] = names[0]
        return found

    def blocks_of(self, n: int) -> list[str]:
        """The gates that a value is cut into, in the order of its slices."""
        return [name for (whole, _), name in self.blocks.items() if whole == f"#{n}"]


def is_function(op: str) -> bool:
    """Does LaTeX have a command of the operation's name, as it has ``\\tanh``?"""
    return traits(op).latex == f"\\{op}"


def _is_plain(op: str) -> bool:
    """Is it not worth a name, if what it is made of has names?"""
    return is_function(op) or traits(op).product


def _read(made: Expr) -> list[str]:
    return [arg.name for arg in made.args if isinstance(arg, Leaf)]


def symbol(name: str) -> str:
    """``Wx`` as W_x, ``h_new`` as h_{new}."""
    base, below = _split(name)
    return base + (f"_{_braced(below)}" if below else "")


def timed(name: str, time: str) -> str:
    """The same at a time: ``h`` as h_{t-1}, ``h_enc`` as h_{enc,t}."""
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
    """Characters of a name as LaTeX shows them in a formula: none of them means anything, all of them are ASCII."""
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
    """In parentheses, which grow where something tall is inside."""
    return rf"\left({text}\right)" if any(one in text for one in TALL) else f"({text})"
