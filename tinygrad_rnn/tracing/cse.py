"""Lines of a program, and the elimination of common subexpressions.

Equal formulas must be one object (`Maker.shared`): the readers of an object are counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..formula import Expr, Leaf, Part, postorder
from ..formula.numpy_functions import traits


@dataclass
class Line:
    """``name = part``; ``number`` is the value it is, or is the gradient of; -1 for what is only written once."""

    name: str
    part: Part
    number: int = -1
    under: int = -1  # of a gradient: the position of the forward line it came through


def once(lines: Sequence[Line], temporary: Callable[[Part], Leaf]) -> list[Line]:
    """The same lines with every formula that costs 2 or more written once; ``temporary`` names one that has no name."""
    uses, heavy = _read_often(lines), _weights(lines)
    done: dict[int, Part] = {}
    result: list[Line] = []
    for line in lines:
        for part in postorder(line.part):
            if id(part) in done:
                continue
            done[id(part)] = part
            if isinstance(part, Expr):
                new = Expr(part.op, tuple(done[id(arg)] for arg in part.args), part.attrs, part.shape)
                done[id(part)] = new
                if uses[id(part)] > 1 and heavy[id(part)] > 1 and part is not line.part:
                    leaf = done[id(part)] = temporary(part)
                    result.append(Line(leaf.name.removeprefix("t:"), new, -1, line.under))
        result.append(Line(line.name, done[id(line.part)], line.number, line.under))
        if isinstance(line.part, Expr):
            done[id(line.part)] = Leaf(f"d#{line.number}", line.part.shape)
    return result


def _read_often(lines: Sequence[Line]) -> Counter[int]:
    """How many formulas and lines read each part."""
    uses = Counter(id(line.part) for line in lines)
    seen = {id(part): part for line in lines for part in postorder(line.part)}
    for part in seen.values():
        uses.update(id(arg) for arg in (part.args if isinstance(part, Expr) else ()))
    return uses


def _weights(lines: Sequence[Line]) -> dict[int, int]:
    """What each part weighs, with all that is in it."""
    weight: dict[int, int] = {}
    for line in lines:
        for part in postorder(line.part):
            inside = [weight[id(arg)] for arg in part.args] if isinstance(part, Expr) else []
            weight[id(part)] = sum(inside) + (traits(part.op).cost if isinstance(part, Expr) else 0)
    return weight
