"""How each operation is written in LaTeX: the table STYLES."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..formula import Expr
from ..formula.expression import is_a, number, transposes
from ..formula.printer import AND, ATOM, COMPARED, NEGATIVE, POWER, PRODUCT, SUM, Style, infix
from ..formula.unicode_styles import Piece
from .symbols import FUNCTIONS, bracketed


def _product(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    sign = r"\odot" if all(number(arg) is None for arg in node.args) else r"\,"
    matrix = [is_a(arg, "matmul") for arg in node.args]
    texts = [s.held(part, ATOM if wide else PRODUCT) for part, wide in zip(parts, matrix)]
    return Piece(f"{texts[0]} {sign} {texts[1]}", PRODUCT)


def _matmul(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(r" \, ".join(s.held(part, POWER) for part in parts), PRODUCT)


def _affine(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{_matmul(s, node, parts[:2]).text} + {s.held(parts[2], PRODUCT)}", SUM)


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
    if bracket and name.removeprefix("\\") in FUNCTIONS:
        return Piece(f"{name}^2{bracket}{rest}", POWER)
    return Piece(f"{_based(s, parts[0])}^2", POWER)


def _power(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{_based(s, parts[0])}^{{{parts[1].text}}}", POWER)


def _negative(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"-{s.held(parts[0], PRODUCT)}", SUM)


def _over(sign: str) -> Style:
    def style(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
        axis, ndim = node.attrs.get("axis"), len(node.args[0].shape)
        first = axis is not None and all(a % ndim == 0 for a in np.atleast_1d(axis))
        where = "" if axis is None else r"_{\mathrm{rows}}" if first else r"_{\mathrm{columns}}"
        return Piece(f"{sign}{where} {s.held(parts[0], POWER)}", NEGATIVE)

    return style


def _slice(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A^{(f)} for the slice that makes the gate f, else with its index."""
    whole = node.args[0]
    gate = s.names.blocks.get((getattr(whole, "name", ""), repr(node.attrs["index"])))
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


def _clip(s: Any, node: Expr, parts: Sequence[Piece]) -> Piece:
    ends = f"[{node.attrs.get('min')}, {node.attrs.get('max')}]"
    return s.called(node, parts, rf"\operatorname{{clip}}_{{{ends}}}")


def _around(left: str, right: str, level: int = ATOM) -> Style:
    return lambda s, node, parts: Piece(f"{left}{parts[0].text}{right}", level)


STYLES: Mapping[str, Style] = {
    "add": infix("+", SUM, SUM, SUM),
    "subtract": infix("-", SUM, SUM, PRODUCT),
    **dict.fromkeys(["multiply", "hadamard"], _product),
    "divide": _quotient,
    "matmul": _matmul,
    "affine": _affine,
    "square": _square,
    "power": _power,
    "negative": _negative,
    "sqrt": _around(r"\sqrt{", "}"),
    **dict.fromkeys(["abs", "absolute", "fabs"], _around(r"\left|", r"\right|")),
    **{name: function(rf"\{name}") for name in FUNCTIONS},
    "sigmoid": function(r"\sigma"),
    **dict.fromkeys(["transpose", "swapaxes"], _transpose),
    **{name: _over(sign) for name, sign in {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}.items()},
    **{name: _over(rf"\operatorname{{{name}}}") for name in ("mean", "var", "std")},
    "getitem": _slice,
    "scatter": _into,
    "einsum": _einsum,
    **dict.fromkeys(["hstack", "concatenate"], _joined),
    "where": _where,
    "zeros_like": lambda s, node, parts: Piece("0", ATOM),
    "broadcast_to": lambda s, node, parts: parts[0],
    **dict.fromkeys(["asarray", "cast", "astype"], _cast),
    "relu": lambda s, node, parts: function(r"\max")(s, node, [Piece("0"), *parts]),
    **dict.fromkeys(["maximum", "fmax"], function(r"\max")),
    **dict.fromkeys(["minimum", "fmin"], function(r"\min")),
    "clip": _clip,
    **dict.fromkeys(["logical_and", "bitwise_and"], infix(r"\wedge", AND, SUM, SUM)),
    **dict.fromkeys(["logical_or", "bitwise_or"], infix(r"\vee", AND, SUM, SUM)),
    "logical_not": _around(r"\neg\left(", r"\right)"),
    "less": infix("<", COMPARED, SUM, SUM),
    "less_equal": infix(r"\le", COMPARED, SUM, SUM),
    "greater": infix(">", COMPARED, SUM, SUM),
    "greater_equal": infix(r"\ge", COMPARED, SUM, SUM),
    "equal": infix("=", COMPARED, SUM, SUM),
    "not_equal": infix(r"\ne", COMPARED, SUM, SUM),
}
