"""The base of all printers: it writes a formula from its ends inwards, and numbers by the sizes they are made of.

How an operation is written is declared with it: by a template (see `Traits`), or by a *form* such as "product", for
which each printer has a style in its table ``forms``. A style is a function of a printer, a node, and its operands as
pieces of text. An operand is enclosed in parentheses if it holds together less tightly than its place needs. A 31 is H
if the cell ran with H = 31, and a 124 is ``4 * H``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..engine import declaration
from ..engine.declaration import ATOM, NEGATIVE, PRODUCT
from ..engine.op import OPS
from ..errors import FormulaError
from .expression import Constant, Expr, Leaf, Part, postorder
from .numpy_functions import traits


class Piece(NamedTuple):
    """The text of a part, and how tightly it holds together."""

    text: str
    level: int = ATOM


Style = Callable[[Any, Expr, Sequence[Piece]], Piece]
#: A name in a template, and how tightly its operand has to hold together.
FIELD = re.compile(r"\{(\w+)(?::(\w+))?\}")


class Printer(ABC):
    """Writes formulas in a language, and records which sizes their text needs."""

    language: ClassVar[str]  # the field of `Traits` that has the templates
    forms: ClassVar[Mapping[str, Style]]  # how each form is written
    times: ClassVar[str] = " * "  # between the factors of a size

    def __init__(self, sizes: Mapping[str, int]):
        self.sizes = sizes
        self.used: dict[str, None] = {}

    @abstractmethod
    def leaf(self, name: str) -> Piece:
        """A value by its name."""

    @abstractmethod
    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        """A function call: the form of an operation that declares no other."""

    def text(self, root: Part) -> str:
        return self.piece(root).text

    def piece(self, root: Part) -> Piece:
        return self.pieces(root)[id(root)]

    def pieces(self, root: Part) -> dict[int, Piece]:
        """The text of every part of a formula, by the identity of the part."""
        done: dict[int, Piece] = {}
        for part in postorder(root):
            if isinstance(part, Leaf):
                done[id(part)] = self.leaf(part.name)
            elif isinstance(part, Constant):
                done[id(part)] = self.constant(part)
            else:
                done[id(part)] = self.operation(part, [done[id(arg)] for arg in part.args])
        return done

    def operation(self, node: Expr, parts: Sequence[Piece]) -> Piece:
        """An operation on operands that are already text: by its template, by its form, or as a call."""
        text = self.template(node)
        if text:
            return self.filled(node, parts, *((text,) if isinstance(text, str) else text))
        style = self.forms.get(traits(node.op).form)
        return style(self, node, parts) if style else self.called(node, parts)

    def template(self, node: Expr) -> declaration.Text:
        """The template that the operation declares for this language, or for all."""
        return getattr(traits(node.op), self.language) or traits(node.op).text

    def filled(self, node: Expr, parts: Sequence[Piece], template: str, level: int = ATOM) -> Piece:
        """A template filled with operands and attributes; a call, if it names no operand."""
        spec, used = OPS.get(node.op), []
        operands = dict(zip(spec.arguments if spec else ("x", "w"), parts))
        attributes = {**spec.attributes, **node.attrs} if spec else node.attrs

        def fill(field: re.Match[str]) -> str:
            name, least = field.groups()
            if name not in operands:
                return str(attributes[name]) if name in attributes else field[0]
            used.append(name)
            return self.held(operands[name], getattr(declaration, least)) if least else operands[name].text

        text = FIELD.sub(fill, template)
        return Piece(text, level) if used else self.called(node, parts, text)

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
        number = value.item()
        text = self.size(number) if isinstance(number, int) and not isinstance(number, bool) else self.number(number)
        return Piece(text, NEGATIVE if text.startswith("-") else PRODUCT if self.times in text else ATOM)

    def number(self, number: Any) -> str:
        """A number that is not a size."""
        return repr(number).replace("e-0", "e-")

    def size(self, n: int) -> str:
        """A whole number as a product of sizes, if it is one; else itself."""
        number, letters = in_letters(n, self.sizes)
        self.used.update(dict.fromkeys(letters))
        return self.times.join([str(number)] * (number != 1 or not letters) + letters)

    def within(self, k: int, n: int) -> str:
        """A place on an axis of size n; counted from the end if it is late and not a multiple of a size."""
        late = self.size(k).isdigit() and n // 2 < k < n and not self.size(n).isdigit()
        return f"{self.size(n)} - {n - k}" if late else self.size(k)

    def shape(self, shape: Sequence[int]) -> str:
        inside = ", ".join(self.size(n) for n in shape)
        return f"({inside}{',' if len(shape) == 1 else ''})"

    def index(self, index: Any, total: Sequence[int]) -> str:
        """An index of an array of shape ``total``, without the brackets: ``:, H:2 * H``."""
        left = iter(total)
        entries = complete(index, len(total))
        return ", ".join("None" if entry is None else self.entry(entry, next(left)) for entry in entries)

    def entry(self, entry: Any, n: int) -> str:
        if not isinstance(entry, slice):
            if isinstance(entry, (int, np.integer)):
                return self.size(int(entry))
            raise FormulaError(f"an index of type {type(entry).__name__} is no formula; take slices such as h[:, :n]")
        start = self.within(entry.start, n) if entry.start else ""
        stop = self.within(entry.stop, n) if entry.stop is not None and entry.stop != n else ""
        return f"{start}:{stop}" + (f":{entry.step}" if entry.step not in (None, 1) else "")


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
    entries = list(index) if isinstance(index, tuple) else [index]
    at = next((k for k, entry in enumerate(entries) if entry is Ellipsis), None)
    if at is not None:
        read = sum(entry is not None for entry in entries) - 1
        entries[at : at + 1] = [slice(None)] * (ndim - read)
    return entries


def infix(symbol: str, level: int, left: int, right: int) -> Style:
    """A style: a symbol between two operands, which must hold together at least as ``left`` and ``right``."""
    return lambda p, node, parts: Piece(f"{p.held(parts[0], left)} {symbol} {p.held(parts[1], right)}", level)


def options(attrs: Mapping[str, Any]) -> list[str]:
    """Attributes as keywords, without those that are None or False: ``axis=0``, ``keepdims=True``."""
    shown = {key: attr for key, attr in attrs.items() if attr is not None and attr is not False}
    shown = {key: tuple(attr.tolist()) if isinstance(attr, np.ndarray) and attr.ndim == 1 else attr
            for key, attr in shown.items()}  # fmt: skip
    for key, attr in shown.items():
        if isinstance(attr, (Leaf, np.ndarray)):
            raise FormulaError(f"{key} is an array, which is no formula")
    return [f"{key}={attr!r}" for key, attr in shown.items()]
