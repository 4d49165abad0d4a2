"""Formulas in Unicode: ``dy ⊙ (1 − y²)``, ``Σ over N of dy``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..engine.declaration import AND, ATOM, COMPARED, MATRIX, NEGATIVE, OVER, PHRASE, POWER, PRODUCT, SUM
from ..engine.op import OPS
from .expression import Constant, Expr, Leaf, form, number, transposes, uniform
from .printer import Piece, Printer, Style

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
Names = Mapping[str, str]


class Writer(Printer):
    """Writes formulas in Unicode; ``names`` has other names for their leaves, and for the axes "N" and "columns"."""

    language: ClassVar[str] = "unicode"

    def __init__(self, names: Names):
        super().__init__({})
        self.names = names

    def leaf(self, name: str) -> Piece:
        return Piece(self.names.get(name, name))

    def constant(self, part: Constant) -> Piece:
        """A number with four digits; for an array, its shape."""
        value = number(part)
        value = uniform(part) if value is None else value
        if value is None:
            return Piece(f"constant {part.shape}")
        shown = f"{value:.4g}" if np.asarray(value).dtype.kind == "f" else str(value)
        return Piece(shown.replace("-", "−"), SUM if shown.startswith("-") else ATOM)

    def held(self, piece: Piece, least: int) -> str:
        """A piece as an operand: enclosed if it holds together less than ``least``; a truth value in [], as 0 or 1."""
        if piece.level >= least:
            return piece.text
        return f"[{piece.text}]" if piece.level in (AND, COMPARED) and least > COMPARED else f"({piece.text})"

    def filled(self, node: Expr, parts: Sequence[Piece], template: str, level: int = ATOM) -> Piece:
        return super().filled(node, parts, template.replace(" - ", " − "), level)

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        """A call with the operands, and the attributes that differ from their defaults."""
        defaults = OPS[node.op].attributes if node.op in OPS else {}
        attrs = {key: _value(attr, self.names) for key, attr in node.attrs.items()}
        attrs = {
            key: text for key, text in attrs.items() if key not in defaults or text != _value(defaults[key], self.names)
        }
        inside = [*(part.text or "·" for part in parts), *(f"{key}={text}" for key, text in attrs.items())]
        return Piece(f"{name or node.op}({', '.join(inside)})")


# -- styles ------------------------------------------------------------------------------------------------------------


def _product(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """x ⊙ w, 2·x, x·2."""
    symbol = " ⊙ " if all(number(arg) is None for arg in node.args) else "·"
    return Piece(symbol.join(w.held(part, PRODUCT) for part in parts), PRODUCT)


def _quotient(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], PRODUCT)} / {w.held(parts[1], NEGATIVE)}", PRODUCT)


def _matmul(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A product of matrices needs no parentheses inside another; an elementwise product does."""
    sides = [part.text if part.level == MATRIX else w.held(part, NEGATIVE) for part in parts]
    return Piece(" @ ".join(sides), MATRIX)


def negative(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"−{w.held(parts[0], OVER)}", SUM)


def _reduction(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Σ over N of x; a call, if there are more attributes."""
    if node.attrs.get("ddof"):
        return w.called(node, parts)
    ndim, axis = len(node.args[0].shape), node.attrs.get("axis")
    axes = range(ndim) if axis is None else [a % ndim for a in np.atleast_1d(axis)]
    return Piece(f"{OPS[node.op].symbol} over {_axes(axes, ndim, w.names)} of {w.held(parts[0], OVER)}", OVER)


def _axes(axes: Iterable[int], ndim: int, names: Names) -> str:
    """The names of axes: the first is N, the last is columns."""
    called = ["N", *(f"axis {k}" for k in range(1, ndim - 1)), "columns"]
    words = [called[k] for k in axes]
    return ", ".join(names.get(word, word) for word in words) if len(words) < ndim else "all"


def _spread(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Stretched over axes."""
    before, after = node.args[0].shape, node.shape
    before = (1,) * (len(after) - len(before)) + before
    axes = [k for k, (size, stretched) in enumerate(zip(before, after)) if size != stretched]
    within = parts[0]
    if form(node.args[0]) == "new axes":  # the axes of the spread are the new ones
        within = Piece(within.text.removesuffix(_new_axes(node.args[0])), within.level)
    return Piece(f"{w.held(within, OVER)} spread over {_axes(axes, len(after), w.names)}", PHRASE)


def _new_axes(node: Any) -> str:
    """The index [:, None] that inserts axes of size 1."""
    new = [a % len(node.shape) for a in np.atleast_1d(node.attrs["axis"])]
    return f"[{', '.join('None' if k in new else ':' for k in range(len(node.shape)))}]"


def _expanded(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(w.held(parts[0], ATOM) + _new_axes(node))


def _einsum(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    inside = ", ".join(part.text or "·" for part in parts)
    return Piece(f"einsum[{node.attrs['subscripts'].replace('->', ' → ')}]({inside})")


def _where(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    yes, no, condition = w.held(parts[1], COMPARED), w.held(parts[2], COMPARED), parts[0].text
    return Piece(f"{yes} if {condition} else {no}", PHRASE)


def _power(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    exponent = number(node.args[1])
    small = isinstance(exponent, (int, np.integer)) and exponent >= 0
    raised = parts[1].text.translate(_RAISED) if small else f"^{w.held(parts[1], ATOM)}"
    return Piece(w.held(parts[0], ATOM) + raised, POWER)


def _square(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(w.held(parts[0], ATOM) + "²", POWER)


def _transpose(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(w.held(parts[0], ATOM) + "ᵀ", POWER) if transposes(node) else w.called(node, parts)


def _assigned(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """x with another value at an index."""
    return Piece(f"{w.held(parts[1], SUM)} with {_index(node, w.names)} = {w.held(parts[0], SUM)}", PHRASE)


def _slice(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(w.held(parts[0], ATOM) + _index(node, w.names))


def _into(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], SUM)} into {_index(node, w.names)}", PHRASE)


def _reshaped(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A reshape; one that merges all axes but the last gives rows."""
    before = node.args[0].shape
    rows = node.shape[1:] == before[-1:] and len(before) > 2 and min(before) > 1
    return Piece(f"{w.held(parts[0], SUM)} as {'rows' if rows else node.shape}", PHRASE)


def _index(node: Expr, names: Names) -> str:
    """An index as Python writes it: [:, 0:5]."""
    index = node.attrs["index"]
    return f"[{', '.join(_value(part, names) for part in (index if isinstance(index, tuple) else (index,)))}]"


def _value(attr: Any, names: Names) -> str:
    """An attribute, or an entry of an index."""
    if isinstance(attr, Leaf):
        return names.get(attr.name, attr.name)
    if isinstance(attr, slice):
        ends = ["" if end is None else str(end) for end in (attr.start, attr.stop, attr.step)]
        return ":".join(ends if ends[2] else ends[:2])
    if isinstance(attr, np.ndarray) and attr.ndim:
        return str(attr.tolist()) if attr.size <= 4 else f"array {attr.shape}"
    if isinstance(attr, (tuple, list)):
        return f"({', '.join(_value(part, names) for part in attr)})"
    known = isinstance(attr, (int, float, str, np.generic, np.ndarray, np.dtype, type(None)))
    return "..." if attr is Ellipsis else str(attr) if known else type(attr).__name__


FORMS: Mapping[str, Style] = {
    "product": _product,
    "quotient": _quotient,
    "matrix product": _matmul,
    "power": _power,
    "square": _square,
    "negative": negative,
    "transpose": _transpose,
    "reduction": _reduction,
    "stretch": _spread,
    "new axes": _expanded,
    "einsum": _einsum,
    "reshape": _reshaped,
    "slice": _slice,
    "scatter": _into,
    "assignment": _assigned,
    "choice": _where,
}
Writer.forms = FORMS
