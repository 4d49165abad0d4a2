"""The forms of operations in LaTeX: the table FORMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.declaration import ATOM, COMPARED, NEGATIVE, POWER, PRODUCT, SUM
from ..engine.op import OPS
from ..formula import Expr
from ..formula.expression import form, number, transposes
from ..formula.printer import Piece, Style
from .symbols import bracketed, is_function


def _product(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    sign = r"\odot" if all(number(arg) is None for arg in node.args) else r"\,"
    matrix = [form(arg) == "matrix product" for arg in node.args]
    texts = [s.held(part, ATOM if wide else PRODUCT) for part, wide in zip(parts, matrix)]
    return Piece(f"{texts[0]} {sign} {texts[1]}", PRODUCT)


def _matmul(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(r" \, ".join(s.held(part, POWER) for part in parts), PRODUCT)


def _quotient(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(rf"\frac{{{parts[0].text}}}{{{parts[1].text}}}", NEGATIVE)


def function(name: str) -> Style:
    return lambda s, node, parts: Piece(name + bracketed(", ".join(part.text for part in parts)), ATOM)


def _transpose(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    if not transposes(node):
        return s.called(node, parts)
    return Piece(rf"{_based(s, parts[0])}^{{\mathsf{{T}}}}", POWER)


def _based(s: Any, piece: Piece) -> str:
    """What an exponent stands at; in braces if it has one already."""
    text = s.held(piece, ATOM)
    return f"{{{text}}}" if "^" in text or text.startswith(r"\mathrm{d}") else text


def _square(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    """x², and of a function tanh² x."""
    name, bracket, rest = parts[0].text.partition("(")
    if bracket and is_function(name.removeprefix("\\")):
        return Piece(f"{name}^2{bracket}{rest}", POWER)
    return Piece(f"{_based(s, parts[0])}^2", POWER)


def _power(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{_based(s, parts[0])}^{{{parts[1].text}}}", POWER)


def _negative(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"-{s.held(parts[0], PRODUCT)}", SUM)


_SIGNS = {"Σ": r"\sum", "Π": r"\prod", "max": r"\max", "min": r"\min"}


def _reduction(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    """The symbol of the operation, over rows or columns."""
    axis, ndim, symbol = node.attrs.get("axis"), len(node.args[0].shape), OPS[node.op].symbol
    first = axis is not None and all(a % ndim == 0 for a in np.atleast_1d(axis))
    where = "" if axis is None else r"_{\mathrm{rows}}" if first else r"_{\mathrm{columns}}"
    sign = _SIGNS.get(symbol, rf"\operatorname{{{symbol}}}")
    return Piece(f"{sign}{where} {s.held(parts[0], POWER)}", NEGATIVE)


def _slice(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A^{(f)} for the slice that makes the gate f, else with its index."""
    whole = node.args[0]
    gate = s.symbols.blocks.get((getattr(whole, "name", ""), repr(node.attrs["index"])))
    if gate:
        return Piece(f"{parts[0].text}^{{({gate})}}", ATOM)
    text = s.held(parts[0], ATOM)
    return Piece(f"{f'{{{text}}}' if '_' in text else text}_{{{_places(s, node, whole.shape)}}}", ATOM)


def _places(s: Any, node: Expr, shape: Sequence[int]) -> str:
    """The index of a node, in brackets."""
    return f"[{s.index(node.attrs['index'], shape)}]".replace(", ", ",").replace(":", "{:}")


def _into(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Zeros, but for what is put in some places."""
    return s.called(node, parts, rf"\operatorname{{into}}_{{{_places(s, node, node.shape)}}}")


def _einsum(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    letters = node.attrs["subscripts"].replace("->", r" \to ")
    return s.called(node, parts, rf"\operatorname{{einsum}}_{{{letters}}}")


def joined_text(texts: Sequence[str]) -> str:
    inside = r" \;\middle|\; ".join(texts)
    return rf"\left[\, {inside} \,\right]"


def _joined(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(joined_text([part.text for part in parts]), ATOM)


def _where(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    condition, yes, no = (part.text for part in parts)
    return Piece(rf"\begin{{cases}} {yes} & {condition} \\ {no} & \text{{else}} \end{{cases}}", ATOM)


def _cast(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A truth value as 0 or 1."""
    return Piece(s.held(parts[0], SUM), ATOM) if parts[0].level <= COMPARED else parts[0]


FORMS: Mapping[str, Style] = {
    "product": _product,
    "quotient": _quotient,
    "matrix product": _matmul,
    "square": _square,
    "power": _power,
    "negative": _negative,
    "transpose": _transpose,
    "reduction": _reduction,
    "slice": _slice,
    "scatter": _into,
    "einsum": _einsum,
    "join": _joined,
    "choice": _where,
    "zeros": lambda s, node, parts: Piece("0", ATOM),
    "stretch": lambda s, node, parts: parts[0],
    "cast": _cast,
}
