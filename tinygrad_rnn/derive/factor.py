"""Gradients in fewer words: what a sum has in common is written once, numbers are multiplied out, means are means.

::

    dh * h_new - dh * h                                  dh * (h_new - h)
    dy / s - (dy * y).sum(axis=-1) / (2 * s) / H * 2 * (d / s)         (dy - y * (dy * y).mean(axis=-1)) / s

A product is a `Product`: a number, what stands above the line and what below it. A sum is a list of them. Both are
taken apart, made simpler, and put together again; if that makes no formula shorter, it stays as it was.
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
    """Makes formulas shorter; ``quotients`` has the names of what is divided already: (d, s) for y = d / s."""

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
                made = done[id(part)] = self.make(part.op, *args, shape=part.shape, attrs=part.attrs)
                if isinstance(made, Expr) and not (is_sum(made) and id(part) in within):  # a sum is looked at whole
                    done[id(part)] = self.better(made)
        return done[id(root)]

    def better(self, part: Expr) -> Part:
        """The same value, shorter; ``part`` itself if it cannot be."""
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
        made = Product(Fraction(-1 if minus else 1))
        made.times(part)
        return [made]

    def reduced(self, part: Expr) -> Part:
        """Σ over the last axis, or another: what is the same along it stands in front of it."""
        (inside,), axis = part.args, part.attrs.get("axis")
        if not part.attrs.get("keepdims") or axis is None or np.ndim(axis):
            return part
        axis = int(axis) % len(inside.shape)
        attrs = {**part.attrs, "axis": -1 if axis == len(inside.shape) - 1 else axis}
        front, rest = Product(), Product()
        rest.times(inside)
        front.coefficient, front.scale, rest.coefficient, rest.scale = rest.coefficient, rest.scale, Fraction(1), 1.0
        for own, others in ((rest.above, front.above), (rest.below, front.below)):
            same = [one for one in own if len(one.shape) == len(inside.shape) and one.shape[axis] == 1]
            others += same
            own[:] = [one for one in own if one not in same]
        body = self.written(rest, inside.shape)
        if body.shape != inside.shape:
            return self.make("sum", inside, shape=part.shape, attrs=attrs)
        front.above.append(self.make("sum", body, shape=part.shape, attrs=attrs))
        return self.written(front, part.shape)

    # -- made simpler

    def folded(self, one: Product) -> Product:
        """d / s is y where there is a y = d / s; what stands above and below is gone; Σ / n is the mean."""
        above, below = list(one.above), list(one.below)
        for k, top in enumerate(above):
            for bottom in below:
                name = self.quotients.get((_name(top), _name(bottom)))
                if name is not None:
                    above[k] = name
                    below.remove(bottom)
                    break
        made = Product(one.coefficient, one.scale, above, below)
        for k, top in enumerate(above):
            if isinstance(top, Expr) and top.op == "sum" and top.attrs.get("keepdims"):
                n = top.args[0].shape[top.attrs["axis"]] if np.ndim(top.attrs["axis"]) == 0 else 0
                if n > 1 and made.coefficient.denominator % n == 0:
                    made.coefficient *= n
                    above[k] = self.make("mean", top.args[0], shape=top.shape, attrs=top.attrs)
        above.sort(key=lambda part: part.shape[-1:] == (1,))  # what is stretched comes last
        return made

    def joined(self, terms: Sequence[Product], shape: tuple[int, ...]) -> Part:
        """A sum, terms with a common factor together: all of them, or those that share a gradient."""
        terms = merged([self.folded(one) for one in terms])
        if len(terms) == 1:
            return self.written(terms[0], shape)
        size = abs(terms[0].coefficient)
        if size != 1 and all(abs(one.coefficient) == size for one in terms):
            rest = [Product(one.coefficient / size, one.scale, one.above, one.below) for one in terms]
            return self.written(Product(size, above=[self.joined(rest, shape)]), shape)
        for up in (False, True):
            for factor in list(terms[0].above if up else terms[0].below):
                if not any(map(is_choice, terms)) and all(factor in (one.above if up else one.below) for one in terms):
                    return self.common(terms, factor, up, shape)
        total: list[tuple[bool, Part]] = []
        while terms:
            first = terms[0]
            shared = next((one for one in first.above if self.shares(one, terms)), None)
            group = [one for one in terms if shared is not None and shared in one.above] or [first]
            terms = [one for one in terms if one not in group]
            total.append(self.signed(group, shared, shape))
        return self.added(total, shape)

    def shares(self, factor: Part, terms: Sequence[Product]) -> bool:
        """Is it a gradient that several terms have?"""
        is_gradient = isinstance(factor, Leaf) and factor.name.startswith(self.gradients)
        return is_gradient and sum(factor in one.above for one in terms) > 1 and not any(map(is_choice, terms))

    def signed(self, group: list[Product], shared: Part | None, shape: tuple[int, ...]) -> tuple[bool, Part]:
        """The sum of a group and whether it is subtracted."""
        if shared is not None:
            return False, self.common(group, shared, True, broadcast(group))
        one = group[0]
        size = Product(abs(one.coefficient), abs(one.scale), one.above, one.below)
        return one.minus, self.written(size, broadcast(group))

    def common(self, terms: Sequence[Product], factor: Part, up: bool, shape: tuple[int, ...]) -> Part:
        """``factor`` * (the rest), or (the rest) / ``factor``."""
        rests = []
        for one in terms:
            rest = Product(one.coefficient, one.scale, list(one.above), list(one.below))
            (rest.above if up else rest.below).remove(factor)
            rests.append(rest)
        inside = self.joined(rests, broadcast(rests))
        if up:
            return self.make("multiply", factor, inside, shape=shape)
        return self.make("divide", inside, factor, shape=shape)

    # -- put together

    def added(self, total: list[tuple[bool, Part]], shape: tuple[int, ...]) -> Part:
        """The sum, begun with what is not subtracted."""
        start = next((k for k, (minus, _) in enumerate(total) if not minus), 0)
        total = [total[start], *total[:start], *total[start + 1 :]]
        minus, made = total[0]
        made = self.make("negative", made, shape=made.shape) if minus else made
        for minus, part in total[1:]:
            both = np.broadcast_shapes(made.shape, part.shape)
            made = self.make("subtract" if minus else "add", made, part, shape=both)
        return made

    def written(self, one: Product, shape: tuple[int, ...]) -> Part:
        """A product as a formula: the number in front, one line of division."""
        top, bottom = abs(one.coefficient.numerator), one.coefficient.denominator
        size = top if abs(one.scale) == 1 else abs(one.scale) * top
        front: list[Part] = [Constant(size)] if size != 1 else []
        above = [*front, *one.above] or [Constant(1)]
        below = [*([Constant(bottom)] if bottom != 1 else []), *one.below]
        made = self.product(above)
        if below:
            under = self.product(below)
            made = self.make("divide", made, under, shape=np.broadcast_shapes(made.shape, under.shape))
        return self.make("negative", made, shape=made.shape) if one.minus else made

    def product(self, factors: Sequence[Part]) -> Part:
        made = self.make.shared(factors[0])
        for part in factors[1:]:
            made = self.make("multiply", made, part, shape=np.broadcast_shapes(made.shape, part.shape))
        return made


def is_sum(part: Part) -> bool:
    """Is it a sum, a difference, or something with a minus in front?"""
    return form(part) in ("sum", "negative")


def _name(part: Part) -> str:
    return part.name if isinstance(part, Leaf) else ""
