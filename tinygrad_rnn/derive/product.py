"""A product in its parts: a number, the factors above the line of a fraction, and those below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ..formula import Expr, Part, postorder
from ..formula.expression import form, is_a, number


@dataclass(eq=False)
class Product:
    """``coefficient * scale`` * Π above / Π below; ``scale`` is the product of the floats."""

    coefficient: Fraction = Fraction(1)
    scale: float = 1.0
    above: list[Part] = field(default_factory=list)
    below: list[Part] = field(default_factory=list)

    def times(self, part: Part, up: bool = True) -> None:
        """Multiply by a part (``up``) or divide by it; a part that is a product is taken apart."""
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
    """The number of operations that are written; a part that is used twice is written twice."""
    count: dict[int, int] = {}
    for part in postorder(root):
        count[id(part)] = 1 + sum(count[id(arg)] for arg in part.args) if isinstance(part, Expr) else 0
    return count[id(root)]


def merged(terms: Sequence[Product]) -> list[Product]:
    """The terms with equal factors added up: a + a is 2 a."""
    known: dict[object, Product] = {}
    for term in terms:
        key = (term.scale, *sorted(map(id, term.above)), 0, *sorted(map(id, term.below)))
        if key in known:
            term = Product(known[key].coefficient + term.coefficient, term.scale, term.above, term.below)
        known[key] = term
    return [term for term in known.values() if term.coefficient] or list(terms)


def late_number(part: Part) -> bool:
    """Does a number stand inside a product, and not first?"""
    waiting, factors = [part], []
    while waiting:
        factor = waiting.pop()
        waiting += factor.args[::-1] if isinstance(factor, Expr) and form(factor) == "product" else []
        factors += [] if form(factor) == "product" else [factor]
    return any(number(factor) is not None for factor in factors[1:])


def is_choice(product: Product) -> bool:
    """Has it a truth value as a factor? That stays in its place: a number times a truth value would be float64."""
    return any(form(part) in ("comparison", "truth value") for part in product.above)


def broadcast(terms: Sequence[Product]) -> tuple[int, ...]:
    """The shape of a sum of products."""
    return np.broadcast_shapes(*(part.shape for term in terms for part in [*term.above, *term.below]))
