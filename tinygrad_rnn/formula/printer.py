"""What printers share: they walk a formula from its ends inwards, and write numbers by the sizes they are made of.

A style is a function of a printer, a node, and its operands as pieces of text. Parentheses go where an operand holds
together less than its place asks for. A 31 is H where the cell ran with H = 31, and a 124 is ``4 * H``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..errors import FormulaError
from .expression import Constant, Expr, Leaf, Part, postorder
from .unicode_styles import Piece

#: How tightly text holds together, loosest first.
AND, COMPARED, SUM, PRODUCT, NEGATIVE, POWER, ATOM = range(7)

Style = Callable[[Any, Expr, Sequence[Piece]], Piece]


class Printer:
    """Writes formulas by the table ``styles``, and remembers which sizes their text needs."""

    styles: ClassVar[Mapping[str, Style]]
    times: ClassVar[str] = " * "  # between the numbers and letters that a size is made of

    def __init__(self, sizes: Mapping[str, int]):
        self.sizes = sizes
        self.used: dict[str, None] = {}

    def leaf(self, name: str) -> Piece:
        """A value by its name."""
        raise NotImplementedError

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        """What has no style of its own."""
        raise NotImplementedError

    def text(self, root: Part) -> str:
        return self.piece(root).text

    def piece(self, root: Part) -> Piece:
        done: dict[int, Piece] = {}
        for part in postorder(root):
            if isinstance(part, Leaf):
                done[id(part)] = self.leaf(part.name)
            elif isinstance(part, Constant):
                done[id(part)] = self.constant(part)
            else:
                parts = [done[id(arg)] for arg in part.args]
                style = self.styles.get(part.op)
                done[id(part)] = style(self, part, parts) if style else self.called(part, parts)
        return done[id(root)]

    def held(self, piece: Piece, least: int) -> str:
        """A piece as an operand, enclosed if it holds together less than ``least``."""
        return piece.text if piece.level >= least else f"({piece.text})"

    # -- numbers, shapes and indices

    def constant(self, part: Constant) -> Piece:
        value = np.asarray(part.value)
        if value.ndim:
            if not value.size or (value != value.flat[0]).any():
                raise FormulaError(f"an array of shape {value.shape} is no formula")
            value = value.flat[0]
        one = value.item()
        text = self.size(one) if isinstance(one, int) and not isinstance(one, bool) else self.number(one)
        return Piece(text, NEGATIVE if text.startswith("-") else PRODUCT if self.times in text else ATOM)

    def number(self, one: Any) -> str:
        """A number that is no size."""
        return repr(one).replace("e-0", "e-")

    def size(self, n: int) -> str:
        """A whole number: of what sizes it is made, if it is; else itself."""
        number, letters = in_letters(n, self.sizes)
        self.used.update(dict.fromkeys(letters))
        return self.times.join([str(number)] * (number != 1 or not letters) + letters)

    def within(self, k: int, n: int) -> str:
        """A place on an axis of size n: from its end, if it is neither at its beginning nor a multiple of a size."""
        late = self.size(k).isdigit() and n // 2 < k < n and not self.size(n).isdigit()
        return f"{self.size(n)} - {n - k}" if late else self.size(k)

    def shape(self, shape: Sequence[int]) -> str:
        inside = ", ".join(self.size(n) for n in shape)
        return f"({inside}{',' if len(shape) == 1 else ''})"

    def index(self, index: Any, total: Sequence[int]) -> str:
        """An index of an array of shape ``total``, without the brackets: ``:, H:2 * H``."""
        left = iter(total)
        entries = complete(index, len(total))
        return ", ".join("None" if one is None else self.entry(one, next(left)) for one in entries)

    def entry(self, one: Any, n: int) -> str:
        if not isinstance(one, slice):
            if isinstance(one, (int, np.integer)):
                return self.size(int(one))
            raise FormulaError(f"an index of type {type(one).__name__} is no formula; take slices such as h[:, :n]")
        start = self.within(one.start, n) if one.start else ""
        stop = self.within(one.stop, n) if one.stop is not None and one.stop != n else ""
        return f"{start}:{stop}" + (f":{one.step}" if one.step not in (None, 1) else "")


def in_letters(n: int, sizes: Mapping[str, int]) -> tuple[int, list[str]]:
    """A whole number as a number times letters: with 31 for H, 124 is 4 and H."""
    left, letters = n, []
    for letter, prime in sizes.items():
        while left and left % prime == 0 and abs(left) >= prime:
            left //= prime
            letters.append(letter)
    return (n, []) if abs(left) > 64 else (left, letters)


def complete(index: Any, ndim: int) -> list[Any]:
    """An index with slices for ``...``."""
    found = list(index) if isinstance(index, tuple) else [index]
    at = next((k for k, one in enumerate(found) if one is Ellipsis), None)
    if at is not None:
        read = sum(one is not None for one in found) - 1
        found[at : at + 1] = [slice(None)] * (ndim - read)
    return found


def infix(symbol: str, level: int, left: int, right: int) -> Style:
    """Between two operands, which must hold together as ``left`` and ``right`` say."""
    return lambda p, node, parts: Piece(f"{p.held(parts[0], left)} {symbol} {p.held(parts[1], right)}", level)


def options(attrs: Mapping[str, Any]) -> list[str]:
    """Attributes as keywords, those that say nothing left out: ``axis=0``, ``keepdims=True``."""
    told = {key: one for key, one in attrs.items() if one is not None and one is not False}
    told = {key: tuple(one.tolist()) if isinstance(one, np.ndarray) and one.ndim == 1 else one
            for key, one in told.items()}  # fmt: skip
    for key, one in told.items():
        if isinstance(one, (Leaf, np.ndarray)):
            raise FormulaError(f"{key} is an array, which is no formula")
    return [f"{key}={one!r}" for key, one in told.items()]
