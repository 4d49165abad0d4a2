"""A product taken apart: a number, what stands above the line of a fraction and what below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ..formula import Expr, Part, postorder
from ..formula.expression import form, is_a, number


@dataclass(eq=False)
class Product:
    """``coefficient`` * Π above / Π below; a float, ``scale``, is no fraction."""

    coefficient: Fraction = Fraction(1)
    scale: float = 1.0
    above: list[Part] = field(default_factory=list)
    below: list[Part] = field(default_factory=list)

    def times(self, part: Part, up: bool = True) -> None:
        """Multiply by a part, or divide by it, and take apart what is a product itself."""
        value = number(part)
        if isinstance(value, int) and not isinstance(value, bool) and value:
            self.coefficient *= Fraction(value) if up else 1 / Fraction(value)
        elif isinstance(value, float) and value:
            self.scale *= value if up else 1 / value
        elif is_a(part, "negative"):
            self.coefficient = -self.coefficient
            self.times(part.args[0], up)  # type: ignore[union-attr]
        elif form(part) in ("product", "quotient", "square"):
            assert isinstance(part, Expr)
            self.times(part.args[0], up)
            self.times(part.args[-1], up == (form(part) != "quotient"))
        else:
            (self.above if up else self.below).append(part)

    @property
    def minus(self) -> bool:
        return (self.coefficient < 0) != (self.scale < 0)


def length(root: Part) -> int:
    """How many operations are written; a part that is used twice is written twice."""
    count: dict[int, int] = {}
    for part in postorder(root):
        count[id(part)] = 1 + sum(count[id(arg)] for arg in part.args) if isinstance(part, Expr) else 0
    return count[id(root)]


def merged(terms: Sequence[Product]) -> list[Product]:
    """a + a is 2 a."""
    found: dict[object, Product] = {}
    for one in terms:
        key = (one.scale, *sorted(map(id, one.above)), 0, *sorted(map(id, one.below)))
        if key in found:
            one = Product(found[key].coefficient + one.coefficient, one.scale, one.above, one.below)
        found[key] = one
    return [one for one in found.values() if one.coefficient] or list(terms)


def late_number(part: Part) -> bool:
    """Does a number stand inside of a product, and not in front?"""
    waiting, factors = [part], []
    while waiting:
        one = waiting.pop()
        waiting += one.args[::-1] if isinstance(one, Expr) and form(one) == "product" else []
        factors += [] if form(one) == "product" else [one]
    return any(number(one) is not None for one in factors[1:])


def is_choice(one: Product) -> bool:
    """Is there a truth value in it? It stays where it is: a number times a truth value is float64, whatever dy is."""
    return any(form(part) in ("comparison", "truth value") for part in one.above)


def broadcast(terms: Sequence[Product]) -> tuple[int, ...]:
    """What a sum of products is broadcast to."""
    return np.broadcast_shapes(*(part.shape for one in terms for part in [*one.above, *one.below]))
