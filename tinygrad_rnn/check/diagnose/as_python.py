"""Formulas as a diagnosis writes them: Python, in the names of the cell, functions by their bare names.

::

    code(e, {"dy": "df", "y": "f"})      # "df * f * (1 - f)"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from ...engine.declaration import AND, ATOM, SUM
from ...engine.op import OPS
from ...errors import FormulaError
from ...formula import Constant, Expr, Part, text
from ...formula.numpy_printer import Writer
from ...formula.printer import Piece


def code(part: Part, names: Mapping[str, str]) -> str:
    """A formula with ``names`` for its leaves; in the notation of a textbook if Python has no way to say it."""
    try:
        return Code({}, names).text(part)
    except FormulaError:
        return text(part, {name: enclosed(one) for name, one in names.items()})


class Code(Writer):
    """Writes formulas without ``np.``; what stands for a leaf may be more than a name."""

    numpy: ClassVar[str] = ""

    def leaf(self, name: str) -> Piece:
        told = self.leaves.get(name, name)
        sentence = re.search(r"[\w')] \w", told)
        return Piece(told, ATOM if enclosed(told) == told else AND if sentence else SUM)

    def called(self, node: Expr, parts: Sequence[Piece], name: str = "") -> Piece:
        """Attributes that are the usual ones are not told."""
        usual = OPS[node.op].attributes if node.op in OPS else {}
        attrs = {key: one for key, one in node.attrs.items() if key not in usual or one is not usual[key]}
        return super().called(Expr(node.op, node.args, attrs, node.shape), parts, name)

    def helper(self, name: str) -> str:
        return name

    def number(self, one: object) -> str:
        return repr(one)

    def constant(self, part: Constant) -> Piece:
        """An array is told as what it is: it has too many numbers."""
        array = np.asarray(part.value)
        same = array.size > 0 and (array == array.flat[0]).all()
        return super().constant(part) if same else Piece("a constant", AND)


def enclosed(told: str) -> str:
    """In parentheses if it is more than a name, a number or a call."""
    depth = 0
    for k, letter in enumerate(told):
        depth += letter in "([{"
        depth -= letter in ")]}"
        if depth == 0 and (letter in " *" or (letter == "-" and k == 0)):
            return f"({told})"
    return told


def added(summands: Iterable[str]) -> str:
    """``a + b - c`` of a, b and -c."""
    return " + ".join(summands).replace(" + -", " - ")
