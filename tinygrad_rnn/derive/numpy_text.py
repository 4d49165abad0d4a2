"""Formulas as NumPy: the table STYLES."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..formula import Expr, Part
from ..formula.expression import is_a, number, transposes
from ..formula.styles import Piece
from .helpers import HELPERS
from .printer import AND, ATOM, COMPARED, NEGATIVE, POWER, PRODUCT, SUM, Printer, Style, complete, infix, options
from .step import DeriveError


class Writer(Printer):
    """Writes formulas in NumPy, and remembers which helpers they call; ``leaves`` are the names of their leaves."""

    def __init__(self, sizes: Mapping[str, int], leaves: Mapping[str, str]):
        super().__init__(sizes)
        self.leaves = leaves
        self.helpers: dict[str, None] = {}

    def leaf(self, name: str) -> Piece:
        return Piece(self.leaves[name], ATOM)

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        """A function of NumPy, or one that is printed with the module."""
        if node.op in HELPERS and not name:
            self.helpers[node.op] = None
            name = node.op
        elif not (name or hasattr(np, node.op)):
            raise DeriveError(f"{node.op} is not in the table of what is written in NumPy")
        return Piece(f"{name or f'np.{node.op}'}({', '.join([*(part.text for part in parts), *options(node)])})", ATOM)


def _product(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Products of products need no parentheses, but @ and / hold as tightly as * and go from left to right."""
    left = f"({parts[0].text})" if is_a(node.args[0], "matmul") else w.held(parts[0], PRODUCT)
    right = f"({parts[1].text})" if _ends(node.args[1]) else w.held(parts[1], PRODUCT)
    return Piece(f"{left} * {right}", PRODUCT)


def _ends(part: Part) -> bool:
    """Is there a division or a matrix product somewhere on the left of a product?"""
    while isinstance(part, Expr) and part.op in ("multiply", "hadamard", "negative"):
        part = part.args[0]
    return isinstance(part, Expr) and part.op in ("matmul", "divide")


def _quotient(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """a @ b / c is (a @ b) / c, and is written so."""
    left = f"({parts[0].text})" if is_a(node.args[0], "matmul") else w.held(parts[0], PRODUCT)
    return Piece(f"{left} / {w.held(parts[1], NEGATIVE)}", PRODUCT)


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
    return Piece(f"{w.held(parts[0], ATOM)}.{node.op}({', '.join(options(node))})", ATOM)


def _slice(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], ATOM)}[{w.index(node.attrs['index'], node.args[0].shape)}]", ATOM)


def _padded(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A slice's gradient, with zeros around it; what was read by steps is put into zeros."""
    index = complete(node.attrs["index"], len(node.shape))
    index += [slice(None)] * (len(node.shape) - len(index))
    if not all(isinstance(one, slice) and one.step in (None, 1) for one in index):
        w.helpers["put"] = None
        at = w.index(node.attrs["index"], node.shape)
        return Piece(f"put({parts[0].text}, np.s_[{at}], {w.shape(node.shape)})", ATOM)
    ends = [one.indices(n) for one, n in zip(index, node.shape)]
    pads = [f"({w.within(a, n)}, {w.within(n - b, n)})" for (a, b, _), n in zip(ends, node.shape)]
    return Piece(f"np.pad({parts[0].text}, ({', '.join(pads)}{',' if len(pads) == 1 else ''}))", ATOM)


def _assigned(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    w.helpers["assigned"] = None
    at = w.index(node.attrs["index"], node.shape)
    return Piece(f"assigned({parts[1].text}, np.s_[{at}], {parts[0].text})", ATOM)


def _to_shape(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"np.{node.op}({parts[0].text}, {w.shape(node.shape)})", ATOM)


def _joined(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """np.hstack((df, dg))"""
    return w.called(node, [Piece(f"({', '.join(part.text for part in parts)}{',' * (len(parts) == 1)})")])


def _einsum(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    inside = ", ".join([f'"{node.attrs["subscripts"]}"', *(part.text for part in parts)])
    return Piece(f"np.einsum({inside})", ATOM)


def _silu(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], PRODUCT)} * {w.called(Expr('sigmoid', node.args), parts).text}", PRODUCT)


def _affine(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    x, W, b = (w.held(part, least) for part, least in zip(parts, (NEGATIVE, NEGATIVE, PRODUCT)))
    return Piece(f"{x} @ {W} + {b}", SUM)


def _leaky(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    x, slope = parts[0], node.attrs.get("slope", 0.01)
    return Piece(f"np.where({w.held(x, SUM)} > 0, {x.text}, {slope} * {w.held(x, PRODUCT)})", ATOM)


def _clip(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"np.clip({parts[0].text}, {node.attrs.get('min')}, {node.attrs.get('max')})", ATOM)


def _mean_squared(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"(({w.held(parts[0], SUM)} - {w.held(parts[1], PRODUCT)})**2).mean()", ATOM)


def _cross_entropy(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Of logits x and targets t."""
    x, t = parts
    return Piece(f"(np.logaddexp({x.text}, 0) - {w.held(t, PRODUCT)} * {w.held(x, NEGATIVE)}).mean()", ATOM)


def _chosen(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """a * where(c, 1, s) would be wide; it is where(c, a, s * a)."""
    for k, one in enumerate(node.args):
        if isinstance(one, Expr) and one.op == "where" and all(number(arg) is not None for arg in one.args[1:]):
            condition, yes, no = (w.piece(arg) for arg in one.args)
            a = w.held(parts[1 - k], PRODUCT)
            sides = [a if side.text in ("1", "1.0") else f"{side.text} * {a}" for side in (yes, no)]
            return Piece(f"np.where({condition.text}, {', '.join(sides)})", ATOM)
    return _product(w, node, parts)


def _cast(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], ATOM)}.astype({parts[1].text}.dtype)", ATOM)


STYLES: Mapping[str, Style] = {
    "add": infix("+", SUM, SUM, SUM),
    "subtract": infix("-", SUM, SUM, PRODUCT),
    **dict.fromkeys(["multiply", "hadamard"], _chosen),
    "divide": _quotient,
    "matmul": infix("@", PRODUCT, NEGATIVE, NEGATIVE),
    "power": infix("**", POWER, ATOM, ATOM),
    "square": _square,
    "negative": _negative,
    **dict.fromkeys(["transpose", "swapaxes"], _transpose),
    **dict.fromkeys(["sum", "mean", "max", "min", "prod"], _method),
    **dict.fromkeys(["var", "std"], _method),
    "norm": lambda w, node, parts: w.called(node, parts, "np.linalg.norm"),
    "getitem": _slice,
    "scatter": _padded,
    "assign": _assigned,
    **dict.fromkeys(["broadcast_to", "reshape"], _to_shape),
    **dict.fromkeys(["hstack", "concatenate", "stack"], _joined),
    "einsum": _einsum,
    "clip": _clip,
    "relu": lambda w, node, parts: Piece(f"np.maximum({parts[0].text}, 0)", ATOM),
    "silu": _silu,
    "affine": _affine,
    "softplus": lambda w, node, parts: Piece(f"np.logaddexp({parts[0].text}, 0)", ATOM),
    "leaky_relu": _leaky,
    "hard_sigmoid": lambda w, node, parts: Piece(f"np.clip({w.held(parts[0], PRODUCT)} / 6 + 0.5, 0, 1)", ATOM),
    "mean_squared_error": _mean_squared,
    "binary_cross_entropy": _cross_entropy,
    "asarray": lambda w, node, parts: parts[0],
    "astype": lambda w, node, parts: Piece(f"{w.held(parts[0], ATOM)}.astype({np.dtype(node.attrs['dtype']).name!r})"),
    "cast": _cast,
    "less": infix("<", COMPARED, SUM, SUM),
    "less_equal": infix("<=", COMPARED, SUM, SUM),
    "greater": infix(">", COMPARED, SUM, SUM),
    "greater_equal": infix(">=", COMPARED, SUM, SUM),
    "equal": infix("==", COMPARED, SUM, SUM),
    "not_equal": infix("!=", COMPARED, SUM, SUM),
    **dict.fromkeys(["logical_and", "bitwise_and"], infix("&", AND, SUM, SUM)),
    **dict.fromkeys(["logical_or", "bitwise_or"], infix("|", AND, SUM, SUM)),
}
Writer.styles = STYLES
