"""How each operation is written in a formula: the table STYLES.

A style is a function of a node and its operands, which are pieces of text that know how tightly they hold together::

    STYLES["add"](node, [Piece("1"), Piece("y²", POWER)], {})      # Piece("1 + y²", SUM)

Parentheses go where an operand holds together less than its place asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.op import OPS
from .expression import PRODUCTS, Constant, Expr, Leaf, is_a, number, transposes, uniform

#: How tightly a piece of text holds together, loosest first. From COMPARED to SENTENCE it is a truth value.
PHRASE, LOGIC, COMPARED, SUM, OVER, MATRIX, PRODUCT, ROOT, POWER, ATOM = range(10)

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Piece(NamedTuple):
    """The text of a part, and how tightly it holds together."""

    text: str
    level: int = ATOM


Names = Mapping[str, str]
Style = Callable[[Expr, Sequence[Piece], Names], Piece]


def constant(part: Constant) -> Piece:
    """A number by four digits; of an array, its shape."""
    value = number(part)
    value = uniform(part) if value is None else value
    if value is None:
        return Piece(f"constant {part.shape}")
    shown = f"{value:.4g}" if np.asarray(value).dtype.kind == "f" else str(value)
    return Piece(shown.replace("-", "−"), SUM if shown.startswith("-") else ATOM)


def _held(piece: Piece, least: int, also: int = ATOM) -> str:
    """A piece as an operand: enclosed if it holds together less than ``least``; a truth value in [], as 0 or 1."""
    if piece.level >= least or piece.level == also:
        return piece.text
    return f"[{piece.text}]" if piece.level in (LOGIC, COMPARED) and least > COMPARED else f"({piece.text})"


# -- styles ------------------------------------------------------------------------------------------------------------


def _infix(symbol: str, level: int, left: int, right: int, also: int = ATOM) -> Style:
    """Between two operands, which must hold together as ``left`` and ``right`` say, or be just ``also``."""

    def style(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
        return Piece(_held(parts[0], left, level) + symbol + _held(parts[1], right, also), level)

    return style


def _product(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    """x ⊙ w, 2·x, x·2."""
    symbol = " ⊙ " if all(number(arg) is None for arg in node.args) else "·"
    return _infix(symbol, PRODUCT, ROOT, ROOT, PRODUCT)(node, parts, names)


def _prefix(symbol: str, level: int, least: int) -> Style:
    return lambda node, parts, names: Piece(symbol + _held(parts[0], least), level)


negative = _prefix("−", SUM, OVER)


def _around(left: str, right: str) -> Style:
    return lambda node, parts, names: Piece(left + parts[0].text + right)


def _over(symbol: str) -> Style:
    """A reduction: Σ over N of x."""

    def style(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
        ndim, axis = len(node.args[0].shape), node.attrs.get("axis")
        axes = range(ndim) if axis is None else [a % ndim for a in np.atleast_1d(axis)]
        return Piece(f"{symbol} over {_axes(axes, ndim, names)} of {_held(parts[0], OVER)}", OVER)

    return style


def _axes(axes: Iterable[int], ndim: int, names: Names) -> str:
    """What axes are called: the first is N, the last columns."""
    called = ["N", *(f"axis {k}" for k in range(1, ndim - 1)), "columns"]
    words = [called[k] for k in axes]
    return ", ".join(names.get(word, word) for word in words) if len(words) < ndim else "all"


def _spread(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    """Stretched over axes."""
    before, after = node.args[0].shape, node.shape
    before = (1,) * (len(after) - len(before)) + before
    axes = [k for k, (one, many) in enumerate(zip(before, after)) if one != many]
    within = parts[0]
    if is_a(node.args[0], "expand_dims"):  # which axes are new is said by over which it is spread
        within = Piece(within.text.removesuffix(_new_axes(node.args[0])), within.level)
    return Piece(f"{_held(within, OVER)} spread over {_axes(axes, len(after), names)}", PHRASE)


def _new_axes(node: Any) -> str:
    """[:, None]: where axes of size 1 are put in."""
    new = [a % len(node.shape) for a in np.atleast_1d(node.attrs["axis"])]
    return f"[{', '.join('None' if k in new else ':' for k in range(len(node.shape)))}]"


def _expanded(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    return Piece(_held(parts[0], ATOM) + _new_axes(node))


def _einsum(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    inside = ", ".join(part.text or "·" for part in parts)
    return Piece(f"einsum[{node.attrs['subscripts'].replace('->', ' → ')}]({inside})")


def _where(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    yes, no, condition = _held(parts[1], COMPARED), _held(parts[2], COMPARED), parts[0].text
    return Piece(f"{yes} if {condition} else {no}", PHRASE)


def _power(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    exponent = number(node.args[1])
    small = isinstance(exponent, (int, np.integer)) and exponent >= 0
    raised = parts[1].text.translate(_RAISED) if small else f"^{_held(parts[1], ATOM)}"
    return Piece(_held(parts[0], ATOM) + raised, POWER)


def _square(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    return Piece(_held(parts[0], ATOM) + "²", POWER)


def _transpose(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    return Piece(_held(parts[0], ATOM) + "ᵀ", POWER) if transposes(node) else called(node, parts, names)


def _assigned(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    """x with another value at an index."""
    return Piece(f"{_held(parts[1], SUM)} with {_index(node, names)} = {_held(parts[0], SUM)}", PHRASE)


def _slice(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    return Piece(_held(parts[0], ATOM) + _index(node, names))


def _into(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    return Piece(f"{_held(parts[0], SUM)} into {_index(node, names)}", PHRASE)


def _reshaped(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    """In another shape; all but the last axis in one are rows."""
    before = node.args[0].shape
    rows = node.shape[1:] == before[-1:] and len(before) > 2 and min(before) > 1
    return Piece(f"{_held(parts[0], SUM)} as {'rows' if rows else node.shape}", PHRASE)


def called(node: Expr, parts: Sequence[Piece], names: Names) -> Piece:
    """What has no other notation: its name, operands and those attributes that are not the usual ones."""
    usual = OPS[node.op].attributes if node.op in OPS else {}
    attrs = {name: _value(one, names) for name, one in node.attrs.items()}
    attrs = {name: one for name, one in attrs.items() if name not in usual or one != _value(usual[name], names)}
    inside = [*(part.text or "·" for part in parts), *(f"{name}={one}" for name, one in attrs.items())]
    return Piece(f"{_CALLED.get(node.op, node.op)}({', '.join(inside)})")


def _index(node: Expr, names: Names) -> str:
    """An index as Python writes it: [:, 0:5]."""
    index = node.attrs["index"]
    return f"[{', '.join(_value(part, names) for part in (index if isinstance(index, tuple) else (index,)))}]"


def _value(one: Any, names: Names) -> str:
    """An attribute, or one part of an index."""
    if isinstance(one, Leaf):
        return names.get(one.name, one.name)
    if isinstance(one, slice):
        ends = ["" if end is None else str(end) for end in (one.start, one.stop, one.step)]
        return ":".join(ends if ends[2] else ends[:2])
    if isinstance(one, np.ndarray) and one.ndim:
        return str(one.tolist()) if one.size <= 4 else f"array {one.shape}"
    if isinstance(one, (tuple, list)):
        return f"({', '.join(_value(part, names) for part in one)})"
    known = isinstance(one, (int, float, str, np.generic, np.ndarray, np.dtype, type(None)))
    return "..." if one is Ellipsis else str(one) if known else type(one).__name__


_CALLED = {"sigmoid": "σ"}
STYLES: Mapping[str, Style] = {
    "add": _infix(" + ", SUM, SUM, SUM),
    "subtract": _infix(" − ", SUM, SUM, OVER),
    **dict.fromkeys(PRODUCTS, _product),
    "divide": _infix(" / ", PRODUCT, ROOT, ROOT),
    "matmul": _infix(" @ ", MATRIX, ROOT, ROOT, MATRIX),
    "power": _power,
    "square": _square,
    "negative": negative,
    "sqrt": _prefix("√", ROOT, ATOM),
    "cbrt": _prefix("∛", ROOT, ATOM),
    **dict.fromkeys(["abs", "absolute", "fabs"], _around("|", "|")),
    "floor": _around("⌊", "⌋"),
    "ceil": _around("⌈", "⌉"),
    "reciprocal": _prefix("1 / ", PRODUCT, ROOT),
    **dict.fromkeys(["transpose", "swapaxes"], _transpose),
    "sum": _over("Σ"),
    "prod": _over("Π"),
    **{name: _over(name) for name in ("mean", "max", "min")},
    "broadcast_to": _spread,
    "expand_dims": _expanded,
    "einsum": _einsum,
    "reshape": _reshaped,
    "getitem": _slice,
    "scatter": _into,
    "assign": _assigned,
    "where": _where,
    "asarray": lambda node, parts, names: Piece(parts[0].text, LOGIC),
    "logical_not": _prefix("not ", LOGIC, ATOM),
    "less": _infix(" < ", COMPARED, SUM, SUM),
    "less_equal": _infix(" ≤ ", COMPARED, SUM, SUM),
    "greater": _infix(" > ", COMPARED, SUM, SUM),
    "greater_equal": _infix(" ≥ ", COMPARED, SUM, SUM),
    "equal": _infix(" = ", COMPARED, SUM, SUM),
    "not_equal": _infix(" ≠ ", COMPARED, SUM, SUM),
    **dict.fromkeys(["logical_and", "bitwise_and"], _infix(" and ", LOGIC, COMPARED, COMPARED)),
    **dict.fromkeys(["logical_or", "bitwise_or"], _infix(" or ", LOGIC, COMPARED, COMPARED)),
}
