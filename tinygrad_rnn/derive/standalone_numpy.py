"""Formulas as NumPy that stands alone: operations that NumPy lacks are written out, or defined at the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from ..formula import Expr, numpy_printer
from ..formula.printer import ATOM, NEGATIVE, PRODUCT, SUM, Style
from ..formula.unicode_styles import Piece
from .helpers import HELPERS


class Writer(numpy_printer.Writer):
    """Writes formulas for a module of their own; its helpers are those of HELPERS."""

    known: ClassVar[Mapping[str, str]] = HELPERS


def _silu(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], PRODUCT)} * {w.called(Expr('sigmoid', node.args), parts).text}", PRODUCT)


def _affine(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    x, W, b = (w.held(part, least) for part, least in zip(parts, (NEGATIVE, NEGATIVE, PRODUCT)))
    return Piece(f"{x} @ {W} + {b}", SUM)


def _leaky(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    x, slope = parts[0], node.attrs.get("slope", 0.01)
    return Piece(f"np.where({w.held(x, SUM)} > 0, {x.text}, {slope} * {w.held(x, PRODUCT)})", ATOM)


def _mean_squared(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"(({w.held(parts[0], SUM)} - {w.held(parts[1], PRODUCT)})**2).mean()", ATOM)


def _cross_entropy(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    """Of logits x and targets t."""
    x, t = parts
    return Piece(f"(np.logaddexp({x.text}, 0) - {w.held(t, PRODUCT)} * {w.held(x, NEGATIVE)}).mean()", ATOM)


def _cast(w: Writer, node: Expr, parts: Sequence[Piece]) -> Piece:
    return Piece(f"{w.held(parts[0], ATOM)}.astype({parts[1].text}.dtype)", ATOM)


STYLES: Mapping[str, Style] = {
    **numpy_printer.STYLES,
    "norm": lambda w, node, parts: w.called(node, parts, "np.linalg.norm"),
    "relu": lambda w, node, parts: Piece(f"np.maximum({parts[0].text}, 0)", ATOM),
    "silu": _silu,
    "affine": _affine,
    "softplus": lambda w, node, parts: Piece(f"np.logaddexp({parts[0].text}, 0)", ATOM),
    "leaky_relu": _leaky,
    "hard_sigmoid": lambda w, node, parts: Piece(f"np.clip({w.held(parts[0], PRODUCT)} / 6 + 0.5, 0, 1)", ATOM),
    "mean_squared_error": _mean_squared,
    "binary_cross_entropy": _cross_entropy,
    "cast": _cast,
}
Writer.styles = STYLES
