r"""The same lines as LaTeX: the forward equations, then one aligned line for each step of the chain rule.

``\mathrm{d}q`` is the gradient of the loss by q, as everywhere here; a prime is the new state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..formula import Constant, Expr, Leaf, Part, postorder
from ..formula.expression import number, transposes
from ..formula.styles import Piece
from .numpy_text import Writer
from .program import Program

FUNCTIONS = ("tanh", "exp", "sin", "cos", "log")
COMPARED, SUM, PRODUCT, POWER, ATOM = range(5)
HEAD = r"& \text{gradients: } \mathrm{d}q = \partial L / \partial q"


def latex(program: Program) -> str:
    """An ``aligned`` environment; needs amsmath."""
    symbols = Symbols(program)
    values = program.step.recording.values
    shown = [one for one in program.forward if values[one.number].kind != "block" and not symbols.short(one.number)]
    rows = [*(f"{symbols.value(one.number)} &= {symbols.text(one.part)}" for one in shown), HEAD]
    for line in program.backward:
        left = symbols.leaf(f"t:{line.name}") if line.number < 0 else symbols.gradient(line.number)
        rows.append(f"{left} &= {symbols.text(line.part)}")
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


class Symbols:
    """What leaves are called in LaTeX."""

    def __init__(self, program: Program):
        self.program = program
        self.writer = Writer(program.step.sizes, {})

    def value(self, n: int) -> str:
        own = self.program.step.recording.values[n]
        name, dot, block = (own.name or self.program.bases[n]).partition(".")
        if n in self.program.step.new and n in self.program.step.made:
            name = self.program.step.cell.states[self.program.step.new.index(n)] + "'"
        elif name.endswith("'"):
            name = self.program.bases[n]
        if not own.name and "_" not in name:  # such as rh, for r ⊙ h, which is no r with an index
            return rf"\mathit{{{name}}}"
        return symbol(name) + (f"^{{({block})}}" if dot else "")

    def gradient(self, n: int) -> str:
        return rf"\mathrm{{d}}{self.value(n)}"

    def leaf(self, name: str) -> str:
        kind, _, rest = name.partition(":") if ":" in name else name.partition("#")
        if kind == "in":
            n = self.program.step.new[self.program.step.cell.states.index(rest)]
            again = n in self.program.chain.lines
            return rf"\mathrm{{d}}{symbol(rest)}'" + (r"_{\mathrm{in}}" if again else "")
        if kind == "t":
            return symbol(rest)
        if kind == "d":
            return self.gradient(int(rest))
        return self.text(self.program.step.made[int(rest)]) if self.short(int(rest)) else self.value(int(rest))

    def short(self, n: int) -> bool:
        """Is it an unnamed function of a value with a name, such as tanh(c'), which is best written as that?"""
        made = self.program.step.made.get(n)
        named = self.program.step.recording.values
        unary = made is not None and made.op in FUNCTIONS and isinstance(made.args[0], Leaf)
        return unary and not named[n].name and bool(named[int(made.args[0].name[1:])].name)  # type: ignore[union-attr]

    def text(self, root: Part) -> str:
        done: dict[int, Piece] = {}
        for part in postorder(root):
            if isinstance(part, Leaf):
                done[id(part)] = Piece(self.leaf(part.name), ATOM)
            elif isinstance(part, Constant):
                text = self.writer.constant(part).text.replace(" * ", "")
                done[id(part)] = Piece(_number(text), SUM if text.startswith("-") else ATOM)
            else:
                parts = [done[id(arg)] for arg in part.args]
                done[id(part)] = STYLES.get(part.op, _called)(self, part, parts)
        return done[id(root)].text


def symbol(name: str) -> str:
    """``Wx`` as W_{x}, ``h_new`` as h_{new}, ``c'`` as it is."""
    prime = "'" * name.count("'")
    base, _, rest = name.replace("'", "").strip("_").partition("_")
    rest = rest.replace("_", r"\,")
    short = re.fullmatch(r"([A-Za-z])([a-z0-9]{1,2})", base)
    if short and base not in ("xs", "hs"):
        base, rest = short[1], short[2] + (r"\," + rest if rest else "")
    base = base if len(base) == 1 else rf"\mathit{{{base}}}"
    return base + (f"_{{{rest if len(rest) == 1 else _upright(rest)}}}" if rest else "") + prime


def _upright(text: str) -> str:
    return rf"\mathrm{{{text}}}"


def _number(text: str) -> str:
    """1e-05 as a power of ten."""
    found = re.fullmatch(r"(-?[\d.]+)e([+-]\d+)", text)
    if not found:
        return text
    return (f"{found[1]} \\cdot " if found[1] != "1" else "") + f"10^{{{int(found[2])}}}"


Style = Callable[[Symbols, Expr, Sequence[Piece]], Piece]


def _held(piece: Piece, least: int) -> str:
    return piece.text if piece.level >= least else rf"\left({piece.text}\right)"


def _infix(sign: str, level: int, left: int, right: int) -> Style:
    return lambda s, node, parts: Piece(f"{_held(parts[0], left)} {sign} {_held(parts[1], right)}", level)


def _product(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
    sign = r"\odot" if all(number(arg) is None for arg in node.args) else r"\,"
    matrix = [isinstance(arg, Expr) and arg.op == "matmul" for arg in node.args]
    texts = [_held(part, ATOM if wide else PRODUCT) for part, wide in zip(parts, matrix)]
    return Piece(f"{texts[0]} {sign} {texts[1]}", PRODUCT)


def _function(name: str) -> Style:
    return lambda s, node, parts: Piece(rf"{name}\left({', '.join(part.text for part in parts)}\right)", ATOM)


def _called(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
    return _function(rf"\operatorname{{{node.op.replace('_', ' ')}}}")(s, node, parts)


def _transpose(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
    if not transposes(node):
        return _called(s, node, parts)
    return Piece(rf"{_based(parts[0])}^{{\mathsf{{T}}}}", POWER)


def _based(piece: Piece) -> str:
    """What an exponent stands at; in braces if it has one, or a prime, already."""
    text = _held(piece, ATOM)
    return f"{{{text}}}" if "^" in text or text.endswith("'") else text


def _square(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
    """x², and of a function tanh² x."""
    name, bracket, rest = parts[0].text.partition(r"\left(")
    if bracket and name.removeprefix("\\") in FUNCTIONS:
        return Piece(f"{name}^2{bracket}{rest}", POWER)
    return Piece(f"{_based(parts[0])}^2", POWER)


def _sum(sign: str) -> Style:
    def style(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
        axis, ndim = node.attrs.get("axis"), len(node.args[0].shape)
        first = axis is not None and all(a % ndim == 0 for a in np.atleast_1d(axis))
        where = "" if axis is None else r"_{\mathrm{rows}}" if first else r"_{\mathrm{columns}}"
        return Piece(rf"{sign}{where} {_held(parts[0], PRODUCT)}", PRODUCT)

    return style


def _slice(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
    index = s.writer.index(node, len(node.args[0].shape)).replace(" * ", "")[1:-1]
    return Piece(rf"{_held(parts[0], ATOM)}_{{[{index.replace(', ', ',').replace(':', '{:}')}]}}", ATOM)


def _joined(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
    inside = r" \;\middle|\; ".join(part.text for part in parts)
    return Piece(rf"\left[\, {inside} \,\right]", ATOM)


def _where(s: Symbols, node: Expr, parts: Sequence[Piece]) -> Piece:
    condition, yes, no = (part.text for part in parts)
    return Piece(rf"\begin{{cases}} {yes} & {condition} \\ {no} & \text{{else}} \end{{cases}}", ATOM)


STYLES: Mapping[str, Style] = {
    "add": _infix("+", SUM, SUM, SUM),
    "subtract": _infix("-", SUM, SUM, PRODUCT),
    "multiply": _product,
    "hadamard": _product,
    "divide": lambda s, node, parts: Piece(rf"\frac{{{parts[0].text}}}{{{parts[1].text}}}", PRODUCT),
    "matmul": lambda s, node, parts: Piece(r" \, ".join(_held(part, POWER) for part in parts), PRODUCT),
    "square": _square,
    "power": lambda s, node, parts: Piece(f"{_based(parts[0])}^{{{parts[1].text}}}", POWER),
    "negative": lambda s, node, parts: Piece(f"-{_held(parts[0], PRODUCT)}", SUM),
    "sqrt": lambda s, node, parts: Piece(rf"\sqrt{{{parts[0].text}}}", ATOM),
    "abs": lambda s, node, parts: Piece(rf"\left|{parts[0].text}\right|", ATOM),
    "absolute": lambda s, node, parts: Piece(rf"\left|{parts[0].text}\right|", ATOM),
    **{name: _function(rf"\{name}") for name in FUNCTIONS},
    "sigmoid": _function(r"\sigma"),
    "transpose": _transpose,
    "swapaxes": _transpose,
    "sum": _sum(r"\sum"),
    "mean": _sum(r"\operatorname{mean}"),
    "getitem": _slice,
    "hstack": _joined,
    "concatenate": _joined,
    "where": _where,
    "zeros_like": lambda s, node, parts: Piece("0", ATOM),
    "broadcast_to": lambda s, node, parts: parts[0],
    "asarray": lambda s, node, parts: Piece(f"[{parts[0].text}]", ATOM),
    "cast": lambda s, node, parts: Piece(f"[{parts[0].text}]", ATOM),
    "astype": lambda s, node, parts: Piece(f"[{parts[0].text}]", ATOM),
    "less": _infix("<", COMPARED, SUM, SUM),
    "less_equal": _infix(r"\le", COMPARED, SUM, SUM),
    "greater": _infix(">", COMPARED, SUM, SUM),
    "greater_equal": _infix(r"\ge", COMPARED, SUM, SUM),
    "equal": _infix("=", COMPARED, SUM, SUM),
    "not_equal": _infix(r"\ne", COMPARED, SUM, SUM),
}
