"""Formulas as NumPy that stands alone: operations that NumPy lacks are written out, or defined at the head."""

from __future__ import annotations

from collections.abc import Sequence

from ..engine.declaration import ATOM
from ..formula import Expr, numpy_printer
from ..formula.printer import Piece
from .helpers import called, helpers


class Writer(numpy_printer.Writer):
    """Writes formulas for a module of their own, which calls no operation: only NumPy, and helpers."""

    def calls(self, op: str) -> bool:
        return False

    def filled(self, node: Expr, parts: Sequence[Piece], template: str, level: int = ATOM) -> Piece:
        for name in called(template, tuple(helpers())):
            self.helper(name)
        return super().filled(node, parts, template, level)

    def knows(self, name: str) -> bool:
        return name in helpers()
