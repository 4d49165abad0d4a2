"""Formulas as NumPy.

::

    Writer({"H": 31}, {"y": "f", "dy": "df"}).text(e)      # "df * f * (1 - f)"

An operation that declares no text becomes a call: of NumPy's function of that name, or else of a helper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..engine.declaration import ATOM, NEGATIVE, POWER, PRODUCT, SUM, Text
from ..engine.op import OPS
from ..errors import FormulaError
from .expression import Constant, Expr, Part, form, number, transposes
from .numpy_functions import traits
from .printer import Piece, Printer, Style, complete, infix, options


class Writer(Printer):
    """Writes formulas in NumPy, and records which helpers they call; ``leaves`` has the names of their leaves."""

    language: ClassVar[str] = "code"
    numpy: ClassVar[str] = "np."

    def __init__(self, sizes: Mapping[str, int], leaves: Mapping[str, str]):
        super().__init__(sizes)
        self.leaves = leaves
        self.helpers: dict[str, None] = {}

    def leaf(self, name: str) -> Piece:
        return Piece(self.leaves.get(name, name), ATOM)

    def number(self, number: Any) -> str:
        """A number; nan and inf are NumPy's, because Python has no such literals."""
        text = super().number(number)
        return text if np.isfinite(number) else f"-{self.numpy}{text[1:]}" if number < 0 else self.numpy + text

    def template(self, node: Expr) -> Text:
        """The declared template, unless the operation is called by its name."""
        return traits(node.op).text if self.calls(node.op) else super().template(node)

    def knows(self, name: str) -> bool:
        """May the text call this function, besides NumPy's functions?"""
        return name in OPS

    def calls(self, op: str) -> bool:
        """Is it an operation of this package that NumPy lacks and that the text may call?"""
        return op in OPS and not hasattr(np, op)

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        """A call of a NumPy function, or of a helper."""
        name = name or (f"{self.numpy}{node.op}" if hasattr(np, node.op) else self.helper(node.op))
        return Piece(f"{name}({', '.join([*(part.text for part in parts), *options(node.attrs)])})", ATOM)

    def helper(self, name: str) -> str:
        """The name of a function that NumPy lacks; the code that runs the text must define it."""
        if not self.knows(name):
            raise FormulaError(f"{name} is not in the table of what is written in NumPy")
        self.helpers[name] = None
        return name


def _product(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Products of products need no parentheses, but @ and / hold as tightly as * and go from left to right."""
    left = f"({parts[0].text})" if form(node.args[0]) == "matrix product" else w.held(parts[0], PRODUCT)
    right = f"({parts[1].text})" if _ends(node.args[1]) else w.held(parts[1], PRODUCT)
    return Piece(f"{left} * {right}", PRODUCT)


def _ends(part: Part) -> bool:
    """Is there a division or a matrix product somewhere on the left of a product?"""
    while isinstance(part, Expr) and form(part) in ("product", "negative"):
        part = part.args[0]
    return form(part) in ("matrix product", "quotient")


def _quotient(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A quotient; a @ b / c means (a @ b) / c, and is written so."""
    left = f"({parts[0].text})" if form(node.args[0]) == "matrix product" else w.held(parts[0], PRODUCT)
    return Piece(f"{left} / {w.held(parts[1], NEGATIVE)}", PRODUCT)


def _matmul(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return infix("@", PRODUCT, NEGATIVE, NEGATIVE)(w, node, _whole(w, node, parts))


def _whole(w: Writer, node: Expr, parts: Sequence[Piece]) -> list[Piece]:
    """The operands of an operation that does not broadcast: a constant array is written as an array."""
    return [
        Piece(f"{w.numpy}full({w.shape(arg.shape)}, {part.text})", ATOM) if isinstance(arg, Constant) else part
        for arg, part in zip(node.args, parts)
    ]


def _square(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], ATOM)}**2", POWER)


def _negative(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"-{w.held(parts[0], PRODUCT)}", NEGATIVE if parts[0].level > PRODUCT else SUM)


def _transpose(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    if transposes(node) and len(node.shape) == 2:
        return Piece(f"{w.held(parts[0], ATOM)}.T", ATOM)
    return w.called(node, parts)


def _method(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """a.sum(axis=0)"""
    return Piece(f"{w.held(parts[0], ATOM)}.{node.op}({', '.join(options(node.attrs))})", ATOM)


def _slice(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], ATOM)}[{w.index(node.attrs['index'], node.args[0].shape)}]", ATOM)


def _padded(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """The gradient of a slice, padded with zeros; that of a slice with steps is put into zeros."""
    index = complete(node.attrs["index"], len(node.shape))
    index += [slice(None)] * (len(node.shape) - len(index))
    if not index:
        return parts[0]
    if not all(isinstance(entry, slice) and entry.step in (None, 1) for entry in index):
        at = w.index(node.attrs["index"], node.shape)
        return Piece(f"{w.helper('put')}({parts[0].text}, {w.numpy}s_[{at}], {w.shape(node.shape)})", ATOM)
    ends = [entry.indices(n) for entry, n in zip(index, node.shape)]
    pads = [f"({w.within(a, n)}, {w.within(n - b, n)})" for (a, b, _), n in zip(ends, node.shape)]
    return Piece(f"{w.numpy}pad({parts[0].text}, ({', '.join(pads)}{',' if len(pads) == 1 else ''}))", ATOM)


def _assigned(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    at = w.index(node.attrs["index"], node.shape)
    return Piece(f"{w.helper('assigned')}({parts[1].text}, {w.numpy}s_[{at}], {parts[0].text})", ATOM)


def _to_shape(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.numpy}{node.op}({parts[0].text}, {w.shape(node.shape)})", ATOM)


def _joined(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """np.hstack((df, dg))"""
    inside = ", ".join(part.text for part in _whole(w, node, parts))
    return w.called(node, [Piece(f"({inside}{',' * (len(parts) == 1)})")])


def _einsum(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    inside = ", ".join([f'"{node.attrs["subscripts"]}"', *(part.text for part in _whole(w, node, parts))])
    return Piece(f"{w.numpy}einsum({inside})", ATOM)


def _chosen(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A product; a * where(c, 1, s) would be float64, so it is written where(c, a, s * a)."""
    for k, factor in enumerate(node.args):
        numbers = isinstance(factor, Expr) and all(number(arg) is not None for arg in factor.args[1:])
        if isinstance(factor, Expr) and form(factor) == "choice" and numbers:
            condition, yes, no = (w.piece(arg) for arg in factor.args)
            a = w.held(parts[1 - k], PRODUCT)
            sides = [a if side.text in ("1", "1.0") else f"{side.text} * {a}" for side in (yes, no)]
            return Piece(f"{w.numpy}where({condition.text}, {', '.join(sides)})", ATOM)
    return _product(w, node, parts)


def _cast(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], ATOM)}.astype({np.dtype(node.attrs['dtype']).name!r})")


FORMS: Mapping[str, Style] = {
    "product": _chosen,
    "quotient": _quotient,
    "matrix product": _matmul,
    "power": infix("**", POWER, ATOM, ATOM),
    "square": _square,
    "negative": _negative,
    "transpose": _transpose,
    "reduction": _method,
    "slice": _slice,
    "scatter": _padded,
    "assignment": _assigned,
    "stretch": _to_shape,
    "reshape": _to_shape,
    "join": _joined,
    "einsum": _einsum,
    "cast": _cast,
}
Writer.forms = FORMS
