"""Formulas as NumPy: the table STYLES, and how sizes are written (``4 * H`` for 124 where H is 31)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..formula import Constant, Expr, Leaf, Part, postorder
from ..formula.expression import is_a, number, transposes
from ..formula.styles import Piece
from .step import DeriveError

#: How tightly text holds together, loosest first.
AND, COMPARED, SUM, PRODUCT, NEGATIVE, POWER, ATOM = range(7)

HELPERS = {
    "sigmoid": "def sigmoid(x):\n    return 0.5 * (1 + np.tanh(0.5 * x))  # 1 / (1 + exp(-x)), which would overflow\n",
}


class Writer:
    """Writes formulas, and remembers which sizes and helpers their text needs."""

    def __init__(self, sizes: Mapping[str, int], leaves: Mapping[str, str]):
        self.sizes, self.leaves = sizes, leaves
        self.used: dict[str, None] = {}
        self.helpers: dict[str, None] = {}

    def text(self, root: Part) -> str:
        return self.piece(root).text

    def piece(self, root: Part) -> Piece:
        done: dict[int, Piece] = {}
        for part in postorder(root):
            if isinstance(part, Leaf):
                done[id(part)] = Piece(self.leaves[part.name], ATOM)
            elif isinstance(part, Constant):
                done[id(part)] = self.constant(part)
            elif part.op in STYLES:
                done[id(part)] = STYLES[part.op](self, part, [done[id(arg)] for arg in part.args])
            elif hasattr(np, part.op):
                done[id(part)] = self.called(part, [done[id(arg)] for arg in part.args])
            else:
                raise DeriveError(f"{part.op} is not in the table of what is written in NumPy")
        return done[id(root)]

    def constant(self, part: Constant) -> Piece:
        value = np.asarray(part.value)
        if value.ndim:
            if not value.size or (value != value.flat[0]).any():
                raise DeriveError(f"an array of shape {value.shape} is no formula")
            value = value.flat[0]
        one = value.item()
        text = self.size(one) if isinstance(one, int) and not isinstance(one, bool) else repr(one)
        return Piece(text, PRODUCT if "*" in text else NEGATIVE if text.startswith("-") else ATOM)

    def size(self, n: int) -> str:
        """A whole number: of what sizes it is made, if it is; else itself."""
        left, letters = n, []
        for letter, prime in self.sizes.items():
            while left and left % prime == 0 and abs(left) >= prime:
                left //= prime
                letters.append(letter)
        if not letters or abs(left) > 64:
            return str(n)
        self.used.update(dict.fromkeys(letters))
        return " * ".join([str(left)] * (left != 1) + letters)

    def within(self, k: int, n: int) -> str:
        """A place on an axis of size n: from its end, if it is neither at its beginning nor a multiple of a size."""
        return f"{self.size(n)} - {n - k}" if self.size(k).isdigit() and n // 2 < k < n else self.size(k)

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        attrs = [f"{key}={one!r}" for key, one in node.attrs.items() if one is not None and one is not False]
        return Piece(f"{name or f'np.{node.op}'}({', '.join([*(part.text for part in parts), *attrs])})", ATOM)

    def shape(self, shape: Sequence[int]) -> str:
        inside = ", ".join(self.size(n) for n in shape)
        return f"({inside}{',' if len(shape) == 1 else ''})"

    def index(self, node: Expr, ndim: int) -> str:
        """[:, H:2 * H]"""
        index, total = node.attrs["index"], node.args[0].shape
        index = index if isinstance(index, tuple) else (index,)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            index = (*index[:at], *[slice(None)] * (ndim - len(index) + 1), *index[at + 1 :])
        return f"[{', '.join(self.entry(one, n) for one, n in zip(index, total))}]"

    def entry(self, one: Any, n: int) -> str:
        if not isinstance(one, slice):
            if isinstance(one, (int, np.integer)):
                return self.size(int(one))
            raise DeriveError(f"an index of type {type(one).__name__} cannot be written")
        start = self.within(one.start, n) if one.start else ""
        stop = self.within(one.stop, n) if one.stop is not None and one.stop != n else ""
        return f"{start}:{stop}" + (f":{one.step}" if one.step not in (None, 1) else "")


Style = Callable[[Writer, Expr, Sequence[Piece]], Piece]


def held(piece: Piece, least: int) -> str:
    return piece.text if piece.level >= least else f"({piece.text})"


def _infix(symbol: str, level: int, left: int, right: int) -> Style:
    return lambda w, node, parts: Piece(f"{held(parts[0], left)} {symbol} {held(parts[1], right)}", level)


def _product(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Products of products need no parentheses, but @ and / hold as tightly as * and go from left to right."""
    left = f"({parts[0].text})" if is_a(node.args[0], "matmul") else held(parts[0], PRODUCT)
    right = f"({parts[1].text})" if _ends(node.args[1]) else held(parts[1], PRODUCT)
    return Piece(f"{left} * {right}", PRODUCT)


def _ends(part: Part) -> bool:
    """Is there a division or a matrix product somewhere on the left of a product?"""
    while isinstance(part, Expr) and part.op in ("multiply", "hadamard", "negative"):
        part = part.args[0]
    return isinstance(part, Expr) and part.op in ("matmul", "divide")


def _square(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{held(parts[0], ATOM)}**2", POWER)


def _transpose(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    if transposes(node) and len(node.shape) == 2:
        return Piece(f"{held(parts[0], ATOM)}.T", ATOM)
    return w.called(node, parts)


def _sum(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    attrs = [f"{key}={one!r}" for key, one in node.attrs.items() if one is not None and one is not False]
    return Piece(f"{held(parts[0], ATOM)}.{node.op}({', '.join(attrs)})", ATOM)


def _slice(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(held(parts[0], ATOM) + w.index(node, len(node.args[0].shape)), ATOM)


def _padded(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """A slice's gradient, with zeros around it."""
    index = node.attrs["index"]
    index = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in index:
        at = index.index(Ellipsis)
        index[at : at + 1] = [slice(None)] * (len(node.shape) - len(index) + 1)
    index += [slice(None)] * (len(node.shape) - len(index))
    if not all(isinstance(one, slice) and one.step in (None, 1) for one in index):
        raise DeriveError("the gradient of this index cannot be written; take slices such as h[:, :n]")
    ends = [one.indices(n) for one, n in zip(index, node.shape)]
    pads = [f"({w.within(a, n)}, {w.within(n - b, n)})" for (a, b, _), n in zip(ends, node.shape)]
    return Piece(f"np.pad({parts[0].text}, ({', '.join(pads)}{',' if len(pads) == 1 else ''}))", ATOM)


def _to_shape(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"np.{node.op}({parts[0].text}, {w.shape(node.shape)})", ATOM)


def _joined(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """np.hstack((df, dg))"""
    return w.called(node, [Piece(f"({', '.join(part.text for part in parts)}{',' * (len(parts) == 1)})")])


def _helper(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    w.helpers[node.op] = None
    return w.called(node, parts, node.op)


def _where(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    both = f"np.where({', '.join(part.text for part in parts)})"
    return Piece(both, ATOM)


def _clip(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"np.clip({parts[0].text}, {node.attrs.get('min')}, {node.attrs.get('max')})", ATOM)


def _chosen(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """a * where(c, 1, s) would be wide; it is where(c, a, s * a)."""
    for k, one in enumerate(node.args):
        if isinstance(one, Expr) and one.op == "where" and all(number(arg) is not None for arg in one.args[1:]):
            condition, yes, no = (w.piece(arg) for arg in one.args)
            a = held(parts[1 - k], PRODUCT)
            sides = [a if side.text in ("1", "1.0") else f"{side.text} * {a}" for side in (yes, no)]
            return Piece(f"np.where({condition.text}, {', '.join(sides)})", ATOM)
    return _product(w, node, parts)


STYLES: Mapping[str, Style] = {
    "add": _infix("+", SUM, SUM, SUM),
    "subtract": _infix("-", SUM, SUM, PRODUCT),
    "multiply": _chosen,
    "hadamard": _chosen,
    "divide": _infix("/", PRODUCT, PRODUCT, NEGATIVE),
    "matmul": _infix("@", PRODUCT, NEGATIVE, NEGATIVE),
    "power": _infix("**", POWER, ATOM, ATOM),
    "square": _square,
    "negative": lambda w, node, parts: Piece(f"-{held(parts[0], PRODUCT)}", NEGATIVE if parts[0].level > 3 else SUM),
    "transpose": _transpose,
    "swapaxes": _transpose,
    "sum": _sum,
    "mean": _sum,
    "getitem": _slice,
    "scatter": _padded,
    "broadcast_to": _to_shape,
    "reshape": _to_shape,
    "hstack": _joined,
    "concatenate": _joined,
    "stack": _joined,
    "sigmoid": _helper,
    "where": _where,
    "clip": _clip,
    "relu": lambda w, node, parts: Piece(f"np.maximum({parts[0].text}, 0)", ATOM),
    "silu": lambda w, node, parts: Piece(
        f"{held(parts[0], ATOM)} * {_helper(w, Expr('sigmoid', node.args), parts).text}", PRODUCT),
    "affine": lambda w, node, parts: Piece(
        f"{held(parts[0], NEGATIVE)} @ {held(parts[1], NEGATIVE)} + {held(parts[2], PRODUCT)}", SUM),
    "softplus": lambda w, node, parts: Piece(f"np.logaddexp({parts[0].text}, 0)", ATOM),
    "leaky_relu": lambda w, node, parts: Piece(
        f"np.where({held(parts[0], SUM)} > 0, {parts[0].text}, {node.attrs.get('slope', 0.01)} * "
        f"{held(parts[0], PRODUCT)})", ATOM),
    "hard_sigmoid": lambda w, node, parts: Piece(f"np.clip({held(parts[0], PRODUCT)} / 6 + 0.5, 0, 1)", ATOM),
    "asarray": lambda w, node, parts: parts[0],
    "astype": lambda w, node, parts: Piece(f"{held(parts[0], ATOM)}.astype({np.dtype(node.attrs['dtype']).name!r})"),
    "cast": lambda w, node, parts: Piece(f"{held(parts[0], ATOM)}.astype({parts[1].text}.dtype)", ATOM),
    "less": _infix("<", COMPARED, SUM, SUM),
    "less_equal": _infix("<=", COMPARED, SUM, SUM),
    "greater": _infix(">", COMPARED, SUM, SUM),
    "greater_equal": _infix(">=", COMPARED, SUM, SUM),
    "equal": _infix("==", COMPARED, SUM, SUM),
    "not_equal": _infix("!=", COMPARED, SUM, SUM),
    **dict.fromkeys(["logical_and", "bitwise_and"], _infix("&", AND, SUM, SUM)),
    **dict.fromkeys(["logical_or", "bitwise_or"], _infix("|", AND, SUM, SUM)),
}  # fmt: skip
