"""What a declaration says of an operation beside its values, shapes and gradients.

A `Case` is a sample for the generic tests. `Traits` are what tools read: how the operation is written in a formula,
what its values are called, and what it is. No tool has a list of operation names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from ..errors import InvalidType

#: How tightly the text of a formula holds together, loosest first; AND and COMPARED are those of truth values.
PHRASE, AND, COMPARED, SUM, OVER, MATRIX, PRODUCT, NEGATIVE, POWER, ATOM = range(10)

#: A template, and how tightly its text holds together (ATOM if it is not said).
Text: TypeAlias = "str | tuple[str, int]"


@dataclass(frozen=True)
class Case:
    """One way to call an operation: shapes (or arrays) for its inputs, values for its attributes."""

    inputs: tuple[Any, ...]
    attrs: dict[str, Any]
    raises: str | None = None


def case(*inputs: Any, raises: str | None = None, **attrs: Any) -> Case:
    """A sample for the generic tests; with ``raises``, the text of the error it must give."""
    return Case(inputs, attrs, raises)


@dataclass(frozen=True)
class Traits:
    """What tools read of an operation.

    A template such as ``("{x:PRODUCT} / {w:NEGATIVE}", PRODUCT)`` names operands and attributes. An operand is enclosed
    in parentheses if it holds together less tightly than the level that follows its name. A template without an operand
    is the name of a function: ``latex=r"\\tanh"``.
    """

    #: The name of a notation that needs more than a template; every printer has a table of these.
    form: str = ""
    text: Text = ""  # the template for every language
    unicode: Text = ""
    code: Text = ""  # in NumPy alone; it may call helpers
    latex: Text = ""
    helper: str = ""  # the source of a function in NumPy, for what NumPy lacks
    stem: str = ""  # what values without a name are called; by default the name of the operation
    cost: int = 2  # 0: free, 1: computed again rather than saved, 3: never written inside of another formula
    activation: bool = False
    limits: tuple[float, float] | None = None  # the values near which it saturates
    branches: bool = False  # does a gradient rule decide by values, so that its formula depends on them?

    @classmethod
    def of(cls, title: str, given: Mapping[str, Any]) -> Traits:
        """The traits that the declaration of ``title`` gives by name."""
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise InvalidType(f"op {title}: {name} is no trait, should be one of {', '.join(known)}")
        return cls(**given)

    @property
    def product(self) -> bool:
        """Is it a product, elementwise or of matrices?"""
        return self.form in ("product", "matrix product")
