"""Formulas in textbook form, as text: ``dy ⊙ (1 − y²)``, ``dy @ wᵀ``, ``Σ over N of dy``.

::

    text(e)                      # "dy ⊙ (1 − y²)"
    along(e, {"y": "tanh"})      # "⊙ (1 − tanh²)": the steps on the way of dy, for an arrow
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .expression import DY, Expr, Leaf, Part, form, postorder
from .printer import Piece
from .simplify import simplified
from .unicode_printer import Names, Writer, negative

NO_NAMES: Mapping[str, str] = {}


def text(expr: Part, names: Names = NO_NAMES) -> str:
    """A formula on a single line; ``names`` has other names for its leaves, and for the axes "N" and "columns"."""
    return Writer(names).text(simplified(expr))


def along(expr: Part, names: Names = NO_NAMES) -> str:
    """The steps from ``dy`` to the result, without dy itself: "⊙ w, Σ over N"; "=" if there is none.

    If dy is read in several places, or nowhere, this is the whole formula.
    """
    root, writer = simplified(expr), Writer(names)
    way, pieces = _way(root), writer.pieces(root)
    if way is None:
        return pieces[id(root)].text
    spread = [node.args[0] for node, _ in way if form(node) == "stretch"]
    steps, minus = [], sum(form(node) == "negative" for node, _ in way) % 2 == 1
    for node, k in way:
        if form(node) == "negative" or (form(node) == "new axes" and node in spread):
            continue
        around = [pieces[id(arg)] for arg in node.args]
        if form(node) == "product" and minus:
            around[1 - k], minus = negative(writer, node, [around[1 - k]]), False
        if form(node) == "product":
            node, around, k = _commuted(node, around, k)
        around[k] = Piece("")
        steps.append((form(node), k, writer.operation(node, around).text.strip().removesuffix(" of")))
    return _joined(steps, minus)


def _joined(steps: Sequence[tuple[str, int, str]], minus: bool) -> str:
    """The steps on a single line, without commas between factors."""
    divided = bool(steps) and steps[0][2].startswith("/")
    line, before = ("·(−1)" if divided else "−") if minus else "", "product"
    for kind, k, step in steps:
        factor = kind in ("product", "quotient") and k == 0
        comma = ("" if step.startswith("·") else " ") if factor and before in ("product", "quotient", "slice") else ", "
        line, before = line + comma * bool(line) + step, kind
    return line or "="


def _commuted(node: Expr, around: list[Piece], k: int) -> tuple[Expr, list[Piece], int]:
    """A product with the side of dy first."""
    if k == 0:
        return node, around, k
    return Expr(node.op, node.args[::-1], node.attrs, node.shape), around[::-1], 0


def _way(root: Part) -> list[tuple[Expr, int]] | None:
    """The nodes from dy to the root, each with its operand on the side of dy; None unless there is exactly one way."""
    count: dict[int, int] = {}
    for part in postorder(root):
        is_dy = isinstance(part, Leaf) and part.name == DY
        count[id(part)] = sum(count[id(arg)] for arg in part.args) if isinstance(part, Expr) else int(is_dy)
    if count[id(root)] != 1:
        return None
    way: list[tuple[Expr, int]] = []
    while isinstance(root, Expr):
        k = next(k for k, arg in enumerate(root.args) if count[id(arg)])
        way.append((root, k))
        root = root.args[k]
    return way[::-1]
