"""What values are called in Python: the user's names, and names for what the user left unnamed.

``c'`` is ``c_next``, ``Wx.f`` is ``Wx_f``, an unnamed ``tanh(c')`` is ``tanh_c`` and the sum inside of an unnamed gate
``z = sigmoid(...)`` is ``A_z``. No name is a keyword, one of the module, or taken already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..formula import Expr, Leaf
from ..formula.line_breaks import identifier
from ..formula.numpy_functions import traits
from .formulas import Step


class Names:
    """Gives each name once."""

    def __init__(self, reserved: Sequence[str], taken: Iterable[str]):
        self.reserved, self.taken = reserved, dict.fromkeys([*reserved, *taken])

    def new(self, wanted: str) -> str:
        """``wanted`` as an identifier that is free: with a _ if it is reserved, a number if it is taken."""
        return identifier(wanted.replace("'", "_next"), self.taken, self.reserved)


def user_names(step: Step, names: Names) -> dict[int, str]:
    """The identifiers of the values that the user has named: arguments first, then the new states, then the rest."""
    found: dict[int, str] = {number: names.new(name) for name, number in step.numbers.items()}
    for state, number in zip(step.cell.states, step.new):
        if number not in found:
            found[number] = names.new(f"{state}_next")
    for number in step.made:
        own = step.recording.values[number].name
        if own and number not in found:
            found[number] = names.new(own.replace("'", "_new"))
    for number, own in sorted(step.inside.items()):
        if number in step.made and number not in found:
            found[number] = names.new(own)
    return found


def derived_name(step: Step, number: int, known: dict[int, str], names: Names) -> str:
    """A name for a value without one, by what it is made of, or by the gate that it is inside of."""
    for other, made in step.made.items():
        if traits(made.op).activation and _number(made.args[0]) == number and other in known:
            return names.new(f"A_{known[other].removesuffix('_next').removesuffix('_new')}")
    made = step.made[number]
    inside = [known.get(_number(arg), "").removesuffix("_next") for arg in made.args]
    word = traits(made.op).stem or made.op
    if len(inside) == 2 and all(inside) and traits(made.op).product and max(map(len, inside)) <= 2:
        return names.new("".join(inside))
    if inside[0] and len(inside) == 1 and len(f"{word}_{inside[0]}") <= 12:
        return names.new(f"{word}_{inside[0]}")
    return names.new(word)


def _number(part: object) -> int:
    """The number of the value that a leaf stands for; -1 for what is no leaf."""
    return int(part.name[1:]) if isinstance(part, Leaf) and part.name.startswith("#") else -1


def inner_leaves(expr: Expr) -> list[int]:
    """The values that an operation reads, in order, comparisons looked through."""
    found, waiting = [], list(expr.args)
    while waiting:
        part = waiting.pop(0)
        if isinstance(part, Expr):
            waiting = [*part.args, *waiting]
        elif isinstance(part, Leaf):
            found.append(_number(part))
    return found
