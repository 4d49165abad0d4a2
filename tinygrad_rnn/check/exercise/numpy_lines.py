"""A formula as a line of NumPy, sizes by their letters: ``A[:, H:2 * H]`` where it was recorded with 31 for H.

What has no entry in the table is a call, of NumPy's function where it has one of that name, else of the operation.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...formula import Constant, Expr, Leaf, Part, postorder
from ...formula.expression import transposes
from ...formula.styles import Piece

WIDTH = 108
#: How tightly text holds together, loosest first.
SUM, PRODUCT, NEGATIVE, POWER, ATOM = range(5)


def size(n: int, sizes: Mapping[str, int]) -> str:
    """A whole number by the letter that it is a multiple of: 62 is ``2 * H`` where H is 31."""
    for letter, prime in sizes.items():
        if n and n % prime == 0 and abs(n) // prime <= 32:
            return letter if n == prime else f"{n // prime} * {letter}"
    return str(n)


def lettered(text: str, sizes: Mapping[str, int]) -> str:
    """A text with letters for the sizes in it, as a textbook has them: 4H."""
    return re.sub(r"(?<![\w.])\d+(?![\w.])", lambda found: size(int(found[0]), sizes).replace(" * ", ""), text)


def line(root: Part, sizes: Mapping[str, int], helpers: dict[str, None] | None = None) -> str:
    """A formula as NumPy; ``helpers`` gets the names of the operations that it calls and that NumPy does not have."""
    called = {} if helpers is None else helpers
    done: dict[int, Piece] = {}
    for part in postorder(root):
        if isinstance(part, Expr):
            parts = [done[id(arg)] for arg in part.args]
            done[id(part)] = STYLES[part.op](part, parts, sizes) if part.op in STYLES else call(part, parts, called)
        else:
            done[id(part)] = Piece(part.name, ATOM) if isinstance(part, Leaf) else constant(part, sizes)
    return done[id(root)].text


def constant(part: Constant, sizes: Mapping[str, int]) -> Piece:
    """A number, or an array that holds one number throughout, which broadcasting makes as good."""
    array = np.asarray(part.value)
    if not array.size or (array != array.flat[0]).any():
        raise TypeError(f"an array of shape {array.shape} cannot be written in a line")
    one = array.flat[0].item()
    text = size(one, sizes) if type(one) is int else repr(one)
    return Piece(text, PRODUCT if "*" in text else NEGATIVE if text.startswith("-") else ATOM)


def call(node: Expr, parts: Sequence[Piece], called: dict[str, None]) -> Piece:
    """``np.tanh(x)``, ``sigmoid(x)``."""
    known = hasattr(np, node.op)
    if not known:
        called[node.op] = None
    inside = [*(part.text for part in parts), *attributes(node)]
    return Piece(f"{'np.' * known}{node.op}({', '.join(inside)})", ATOM)


def attributes(node: Expr) -> list[str]:
    """Those that are not left at nothing."""
    return [f"{name}={one!r}" for name, one in node.attrs.items() if one is not None and one is not False]


def wrapped(text: str) -> str:
    """A line that is too wide, in parentheses."""
    if len(text) <= WIDTH:
        return text
    name, _, formula = text.partition(" = ")
    made = textwrap.wrap(f"{name} = ({formula})", WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n        ".join(made)


def identifier(wanted: str, taken: dict[str, None]) -> str:
    """``wanted`` as an identifier that nothing else is called."""
    name = re.sub(r"\W+", "_", wanted).strip("_") or "v"
    name = f"{name}_" if keyword.iskeyword(name) else name
    found, k = name, 2
    while found in taken:
        found, k = f"{name}_{k}", k + 1
    taken[found] = None
    return found


Style = Callable[[Expr, Sequence[Piece], Mapping[str, int]], Piece]


def held(piece: Piece, least: int) -> str:
    """A piece as an operand: in parentheses if it holds together less than ``least``."""
    return piece.text if piece.level >= least else f"({piece.text})"


def _infix(symbol: str, level: int, left: int, right: int) -> Style:
    return lambda node, parts, sizes: Piece(f"{held(parts[0], left)} {symbol} {held(parts[1], right)}", level)


def _product(node: Expr, parts: Sequence[Piece], sizes: Mapping[str, int]) -> Piece:
    """a * b * c needs no parentheses, but @ and / are as tight as * and go from left to right."""
    left, right = (held(one, PRODUCT) for one in parts)
    left = f"({left})" if "@" in parts[0].text and parts[0].level == PRODUCT else left
    right = f"({right})" if re.search("[@/]", parts[1].text) and parts[1].level == PRODUCT else right
    return Piece(f"{left} * {right}", PRODUCT)


def _method(node: Expr, parts: Sequence[Piece], sizes: Mapping[str, int]) -> Piece:
    return Piece(f"{held(parts[0], ATOM)}.{node.op}({', '.join(attributes(node))})", ATOM)


def _transpose(node: Expr, parts: Sequence[Piece], sizes: Mapping[str, int]) -> Piece:
    if transposes(node) and len(node.shape) == 2:
        return Piece(f"{held(parts[0], ATOM)}.T", ATOM)
    return call(node, parts, {})


def _slice(node: Expr, parts: Sequence[Piece], sizes: Mapping[str, int]) -> Piece:
    index = node.attrs["index"]
    entries = [_entry(one, sizes) for one in (index if isinstance(index, tuple) else (index,))]
    return Piece(f"{held(parts[0], ATOM)}[{', '.join(entries)}]", ATOM)


def _entry(one: Any, sizes: Mapping[str, int]) -> str:
    if not isinstance(one, slice):
        return "..." if one is Ellipsis else "None" if one is None else size(int(one), sizes)
    ends = ["" if end is None else size(end, sizes) for end in (one.start or None, one.stop, one.step)]
    return ":".join(ends if ends[2] else ends[:2])


def _side_by_side(node: Expr, parts: Sequence[Piece], sizes: Mapping[str, int]) -> Piece:
    return Piece(f"np.hstack([{', '.join(part.text for part in parts)}])", ATOM)


def _to_shape(node: Expr, parts: Sequence[Piece], sizes: Mapping[str, int]) -> Piece:
    inside = ", ".join(size(n, sizes) for n in node.shape)
    return Piece(f"np.{node.op}({parts[0].text}, ({inside}{',' * (len(node.shape) == 1)}))", ATOM)


STYLES: Mapping[str, Style] = {
    "add": _infix("+", SUM, SUM, SUM),
    "subtract": _infix("-", SUM, SUM, PRODUCT),
    "multiply": _product,
    "hadamard": _product,
    "divide": _infix("/", PRODUCT, PRODUCT, NEGATIVE),
    "matmul": _infix("@", PRODUCT, NEGATIVE, NEGATIVE),
    "power": _infix("**", POWER, ATOM, ATOM),
    "square": lambda node, parts, sizes: Piece(f"{held(parts[0], ATOM)}**2", POWER),
    "negative": lambda node, parts, sizes: Piece(f"-{held(parts[0], NEGATIVE)}", NEGATIVE),
    **dict.fromkeys(["sum", "mean"], _method),
    **dict.fromkeys(["transpose", "swapaxes"], _transpose),
    **dict.fromkeys(["broadcast_to", "reshape"], _to_shape),
    "getitem": _slice,
    "hstack": _side_by_side,
}
