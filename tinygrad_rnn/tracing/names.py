"""Python names for the values of a step: the user's names as identifiers, and names for values without one.

``c'`` is ``c_next``, ``Wx.f`` is ``Wx_f``, an unnamed ``tanh(c')`` is ``tanh_c``, and the unnamed argument of a gate
``z = sigmoid(...)`` is ``A_z``. No name is a keyword or a reserved name, and no name is given twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..formula.line_breaks import identifier
from ..formula.numpy_functions import traits
from .formulas import TracedStep, number_of


class Names:
    """Gives each name once."""

    def __init__(self, reserved: Sequence[str], taken: Iterable[str]):
        self.reserved, self.taken = reserved, dict.fromkeys([*reserved, *taken])

    def new(self, wanted: str) -> str:
        """``wanted`` as an identifier that is free: with a _ if it is reserved, a number if it is taken."""
        return identifier(wanted.replace("'", "_next"), self.taken, self.reserved)


def user_names(step: TracedStep, names: Names) -> dict[int, str]:
    """Identifiers of the values that the user has named: first arguments, then new states, then all others."""
    known: dict[int, str] = {number: names.new(name) for name, number in step.inputs.items()}
    for state, number in zip(step.cell.states, step.new):
        if number not in known:
            known[number] = names.new(f"{state}_next")
    computed = [step.values[number] for number in step.equations]
    for value in computed:
        if value.name and value.number not in known:
            known[value.number] = names.new(value.name.replace("'", "_new"))
    for value in computed:
        if value.inner_name and value.number not in known:
            known[value.number] = names.new(value.inner_name)
    return known


def derived_name(step: TracedStep, number: int, known: Mapping[int, str], names: Names) -> str:
    """A name for a value that the user has not named, from its operation and operands, or from its gate."""
    for other, formula in step.formulas.items():
        if traits(formula.op).activation and number_of(formula.args[0]) == number and other in known:
            return names.new(f"A_{known[other].removesuffix('_next').removesuffix('_new')}")
    formula = step.formulas[number]
    inside = [known.get(number_of(arg), "").removesuffix("_next") for arg in formula.args]
    word = traits(formula.op).stem or formula.op
    if len(inside) == 2 and all(inside) and traits(formula.op).product and max(map(len, inside)) <= 2:
        return names.new("".join(inside))
    if inside[0] and len(inside) == 1 and len(f"{word}_{inside[0]}") <= 12:
        return names.new(f"{word}_{inside[0]}")
    return names.new(word)
