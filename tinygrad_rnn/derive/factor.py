"""Shorter gradients: common factors are written once, numbers are multiplied, a sum over n divided by n is a mean.

::

    dh * h_new - dh * h                                  dh * (h_new - h)
    dy / s - (dy * y).sum(axis=-1) / (2 * s) / H * 2 * (d / s)         (dy - y * (dy * y).mean(axis=-1)) / s

A product is a `Product`: a number, a numerator and a denominator. A sum is a list of products. A formula is taken
apart, simplified, and put together again; it is replaced only if it gets shorter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from ..formula import Constant, Expr, Leaf, Part, postorder
from ..formula.expression import form, is_a
from ..formula.simplify import Maker
from .product import Product, broadcast, is_choice, late_number, length, merged

Quotients = Mapping[tuple[str, str], Leaf]


class Collector:
    """Makes formulas shorter; ``quotients`` has the values that are quotients: y for (d, s) if y = d / s."""

    def __init__(self, make: Maker, quotients: Quotients):
        self.make, self.quotients = make, quotients
        self.gradients = ("d#", "in:", "t:dk")

    def __call__(self, root: Part) -> Part:
        done: dict[int, Part] = {}
        within = [id(arg) for part in postorder(root) if is_sum(part) for arg in part.args]  # type: ignore[union-attr]
        for part in postorder(root):
            done[id(part)] = part
            if isinstance(part, Expr):
                args = [done[id(arg)] for arg in part.args]
                new = done[id(part)] = self.make(part.op, *args, shape=part.shape, attrs=part.attrs)
                if isinstance(new, Expr) and not (is_sum(new) and id(part) in within):  # only a whole sum is factored
                    done[id(part)] = self.better(new)
        return done[id(root)]

    def better(self, part: Expr) -> Part:
        """A shorter formula of the same value, or ``part`` itself."""
        if part.op == "sum":
            return self.reduced(part)
        if not is_sum(part) and form(part) not in ("product", "quotient"):
            return part
        terms = self.terms(part)
        new = self.joined(terms, part.shape) if len(terms) > 1 else self.written(self.folded(terms[0]), part.shape)
        gained = length(part) - length(new)
        return new if new.shape == part.shape and (gained > 0 or (gained == 0 and late_number(part))) else part

    # -- taken apart

    def terms(self, part: Part, minus: bool = False) -> list[Product]:
        """The summands, each a product."""
        if is_a(part, "negative"):
            return self.terms(part.args[0], not minus)  # type: ignore[union-attr]
        if form(part) == "sum":
            assert isinstance(part, Expr)
            return [*self.terms(part.args[0], minus), *self.terms(part.args[1], minus != (part.op == "subtract"))]
        product = Product(Fraction(-1 if minus else 1))
        product.times(part)
        return [product]

    def reduced(self, part: Expr) -> Part:
        """Σ over an axis: factors that do not vary along it stand in front of Σ."""
        (inside,), axis = part.args, part.attrs.get("axis")
        if not part.attrs.get("keepdims") or axis is None or np.ndim(axis):
            return part
        axis = int(axis) % len(inside.shape)
        attrs = {**part.attrs, "axis": -1 if axis == len(inside.shape) - 1 else axis}
        front, rest = Product(), Product()
        rest.times(inside)
        front.coefficient, front.scale, rest.coefficient, rest.scale = rest.coefficient, rest.scale, Fraction(1), 1.0
        for factors, others in ((rest.above, front.above), (rest.below, front.below)):
            same = [factor for factor in factors if len(factor.shape) == len(inside.shape) and factor.shape[axis] == 1]
            others += same
            factors[:] = [factor for factor in factors if factor not in same]
        body = self.written(rest, inside.shape)
        if body.shape != inside.shape:
            return self.make("sum", inside, shape=part.shape, attrs=attrs)
        front.above.append(self.make("sum", body, shape=part.shape, attrs=attrs))
        return self.written(front, part.shape)

    # -- simplified

    def folded(self, product: Product) -> Product:
        """d / s is y if there is a value y = d / s; Σ / n is the mean."""
        above, below = list(product.above), list(product.below)
        for k, top in enumerate(above):
            for bottom in below:
                name = self.quotients.get((_name(top), _name(bottom)))
                if name is not None:
                    above[k] = name
                    below.remove(bottom)
                    break
        folded = Product(product.coefficient, product.scale, above, below)
        for k, top in enumerate(above):
            if isinstance(top, Expr) and top.op == "sum" and top.attrs.get("keepdims"):
                n = top.args[0].shape[top.attrs["axis"]] if np.ndim(top.attrs["axis"]) == 0 else 0
                if n > 1 and folded.coefficient.denominator % n == 0:
                    folded.coefficient *= n
                    above[k] = self.make("mean", top.args[0], shape=top.shape, attrs=top.attrs)
        above.sort(key=lambda part: part.shape[-1:] == (1,))  # factors that are broadcast come last
        return folded

    def joined(self, terms: Sequence[Product], shape: tuple[int, ...]) -> Part:
        """A sum; a factor that all terms have, or a gradient that several have, is written once."""
        terms = merged([self.folded(term) for term in terms])
        if len(terms) == 1:
            return self.written(terms[0], shape)
        size = abs(terms[0].coefficient)
        if size != 1 and all(abs(term.coefficient) == size for term in terms):
            rest = [Product(term.coefficient / size, term.scale, term.above, term.below) for term in terms]
            return self.written(Product(size, above=[self.joined(rest, shape)]), shape)
        for up in (False, True):
            for factor in list(terms[0].above if up else terms[0].below):
                everywhere = all(factor in (term.above if up else term.below) for term in terms)
                if everywhere and not any(map(is_choice, terms)):
                    return self.common(terms, factor, up, shape)
        total: list[tuple[bool, Part]] = []
        while terms:
            first = terms[0]
            shared = next((term for term in first.above if self.shares(term, terms)), None)
            group = [term for term in terms if shared is not None and shared in term.above] or [first]
            terms = [term for term in terms if term not in group]
            total.append(self.signed(group, shared, shape))
        return self.added(total, shape)

    def shares(self, factor: Part, terms: Sequence[Product]) -> bool:
        """Is it a gradient that several terms have?"""
        is_gradient = isinstance(factor, Leaf) and factor.name.startswith(self.gradients)
        return is_gradient and sum(factor in term.above for term in terms) > 1 and not any(map(is_choice, terms))

    def signed(self, group: list[Product], shared: Part | None, shape: tuple[int, ...]) -> tuple[bool, Part]:
        """The sum of a group and whether it is subtracted."""
        if shared is not None:
            return False, self.common(group, shared, True, broadcast(group))
        term = group[0]
        size = Product(abs(term.coefficient), abs(term.scale), term.above, term.below)
        return term.minus, self.written(size, broadcast(group))

    def common(self, terms: Sequence[Product], factor: Part, up: bool, shape: tuple[int, ...]) -> Part:
        """``factor`` * (the rest), or (the rest) / ``factor``."""
        rests = []
        for term in terms:
            rest = Product(term.coefficient, term.scale, list(term.above), list(term.below))
            (rest.above if up else rest.below).remove(factor)
            rests.append(rest)
        inside = self.joined(rests, broadcast(rests))
        if up:
            return self.make("multiply", factor, inside, shape=shape)
        return self.make("divide", inside, factor, shape=shape)

    # -- put together

    def added(self, total: list[tuple[bool, Part]], shape: tuple[int, ...]) -> Part:
        """The sum; the first term is one that is not subtracted, if there is one."""
        start = next((k for k, (minus, _) in enumerate(total) if not minus), 0)
        total = [total[start], *total[:start], *total[start + 1 :]]
        minus, result = total[0]
        result = self.make("negative", result, shape=result.shape) if minus else result
        for minus, part in total[1:]:
            both = np.broadcast_shapes(result.shape, part.shape)
            result = self.make("subtract" if minus else "add", result, part, shape=both)
        return result

    def written(self, product: Product, shape: tuple[int, ...]) -> Part:
        """A product as a formula: the number first, at most one division."""
        top, bottom = abs(product.coefficient.numerator), product.coefficient.denominator
        size = top if abs(product.scale) == 1 else abs(product.scale) * top
        front: list[Part] = [Constant(size)] if size != 1 else []
        above = [*front, *product.above] or [Constant(1)]
        below = [*([Constant(bottom)] if bottom != 1 else []), *product.below]
        result = self.product(above)
        if below:
            under = self.product(below)
            result = self.make("divide", result, under, shape=np.broadcast_shapes(result.shape, under.shape))
        return self.make("negative", result, shape=result.shape) if product.minus else result

    def product(self, factors: Sequence[Part]) -> Part:
        product = self.make.shared(factors[0])
        for part in factors[1:]:
            product = self.make("multiply", product, part, shape=np.broadcast_shapes(product.shape, part.shape))
        return product


def is_sum(part: Part) -> bool:
    """Is it a sum, a difference, or something with a minus in front?"""
    return form(part) in ("sum", "negative")


def _name(part: Part) -> str:
    return part.name if isinstance(part, Leaf) else ""
