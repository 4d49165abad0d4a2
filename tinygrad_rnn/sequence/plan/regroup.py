"""Regroup sums and products, so that the loop computes only with what is carried.

::

    (x @ Wx + h @ Wh) + b        ->   h @ Wh + (x @ Wx + b)                   # the bracket is known before the loop
    dc * c * (f * (1 - f))       ->   dc * (c * (f * (1 - f)))
    dh * h_new - dh * h          ->   dh * (h_new - h)

A carried value is kept as a sum of carried terms, each times a known coefficient, plus a known rest. It is written out
where something else than a sum or product reads it, or where two read it and it has two terms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .adjoint import CARRIED, classes
from .merge import copied
from .program import Program, Statement

SUMS, PRODUCTS = {"add": 1, "subtract": -1}, ("multiply", "hadamard")
MOST = 4  #: terms of a sum that is not written out


@dataclass
class Form:
    """``rest + Σ ± term * coefficient``; a coefficient or a rest that is None is missing."""

    terms: dict[int, tuple[int, int | None]]  # by the carried value: its sign, its coefficient
    rest: tuple[int, int] | None = None  # sign, number

    def __len__(self) -> int:
        return len(self.terms) + (self.rest is not None)


class Regrouped:
    """Builds the new program; ``numbers`` are those of the old values in it."""

    def __init__(self, program: Program, leaves: Mapping[int, int], roots: Sequence[int]):
        self.old, self.new, self.numbers = program, Program(rng=program.rng, merged=program.merged), dict[int, int]()
        self.of_class = classes(program, leaves)
        live = program.used(roots)
        self.uses = Counter([arg for statement in live.values() for arg in statement.args] + list(roots))
        self.forms: dict[int, Form] = {}
        for value in program.values:
            number = value.number
            if number in self.numbers or (value.kind == "operation" and number not in live):
                continue
            if number not in program.statements:
                if value.kind != "operation":
                    self.numbers[number] = self.new.leaf(value.kind, value.name, value.array)
            elif (form := self.form(live[number])) is not None:
                self.forms[number] = form
                if (self.uses[number] > 1 and len(form) > 1) or len(form) > MOST or number in roots:
                    self.written(number)
            else:
                for arg in live[number].args:
                    self.written(arg)
                copied(program, self.new, self.numbers, live[number])

    def form(self, statement: Statement) -> Form | None:
        """The form of a carried sum or product; None for other statements."""
        known = statement.op in (*SUMS, *PRODUCTS, "negative") and not statement.attrs
        if self.of_class[statement.out] != CARRIED or not known:
            return None
        like = self.old.values[statement.out]
        sides = []
        for arg in statement.args:
            value = self.old.values[arg]
            carried = self.of_class[arg] == CARRIED
            alike = value.literal or value.dtype == like.dtype
            if like.dtype.kind != "f" or not alike or (carried and value.shape != like.shape):
                return None
            sides.append(self.operand(arg) if carried else Form({}, (1, self.numbers[arg])))
        if statement.op == "negative":
            return self.times(sides[0], -1)
        if statement.op in SUMS:
            return self.sum(sides[0], self.times(sides[1], SUMS[statement.op]))
        if all(side.terms for side in sides):
            return None
        factor, other = sides if sides[1].terms else sides[::-1]
        return self.product(other, factor.rest[1])  # type: ignore[index]

    def operand(self, number: int) -> Form:
        return self.forms.get(number) or Form({self.numbers[number]: (1, None)})

    def times(self, form: Form, sign: int) -> Form:
        rest = form.rest and (sign * form.rest[0], form.rest[1])
        return Form({term: (sign * s, factor) for term, (s, factor) in form.terms.items()}, rest)

    def product(self, form: Form, factor: int) -> Form:
        terms: dict[int, tuple[int, int | None]]
        terms = {term: (sign, factor if other is None else self.known("multiply", other, factor))
                 for term, (sign, other) in form.terms.items()}  # fmt: skip
        rest = form.rest and (form.rest[0], self.known("multiply", form.rest[1], factor))
        return Form(terms, rest)

    def sum(self, a: Form, b: Form) -> Form:
        terms = dict(a.terms)
        for term, entry in b.terms.items():
            terms[term] = self.signed_sum(terms[term], entry) if term in terms else entry
        rest = b.rest if a.rest is None else a.rest if b.rest is None else self.signed_sum(a.rest, b.rest)
        return Form(terms, rest)

    def signed_sum(self, a: tuple[int, int | None], b: tuple[int, int | None]) -> tuple[int, int]:
        """± a ± b as a sign and a number; a missing coefficient is 1."""
        first, second = (self.unit() if factor is None else factor for _, factor in (a, b))
        if a[0] == b[0]:
            return a[0], self.known("add", first, second)
        return 1, self.known("subtract", *((second, first) if a[0] < 0 else (first, second)))

    def known(self, op: str, a: int, b: int) -> int:
        """A statement on two known values; Python numbers stay Python numbers, so that no dtype widens."""
        values = self.new.values[a], self.new.values[b]
        if all(value.literal for value in values):
            return self.new.leaf("constant", "", getattr(np, op)(*(value.array for value in values)).item())
        return self.new.add(op, (a, b))

    def unit(self) -> int:
        return self.new.leaf("constant", "", 1.0)

    def written(self, number: int) -> int:
        """The number in the new program of an old value, whose form is written out."""
        if number in self.numbers:
            return self.numbers[number]
        form = self.forms.pop(number)
        parts = [(sign, term if factor is None else self.new.add("multiply", (term, factor)))
                 for term, (sign, factor) in form.terms.items()]  # fmt: skip
        parts += [form.rest] if form.rest is not None else []
        parts.sort(key=lambda part: -part[0])
        (sign, total), *others = parts
        if sign < 0:
            total = self.new.add("negative", (total,))
        for sign, part in others:
            total = self.new.add("add" if sign > 0 else "subtract", (total, part))
        value = self.old.values[number]
        if self.new.shape(total) != value.shape:  # of a known rest that is smaller than the terms
            total = self.new.add("broadcast_to", (total,), {"shape": value.shape})
        if value.name and not self.new.values[total].name:
            self.new.values[total].name = value.name
        self.numbers[number] = total
        return total


def regrouped(program: Program, leaves: Mapping[int, int], roots: Sequence[int]) -> tuple[Program, dict[int, int]]:
    """The program with its sums and products regrouped, and the numbers in it of the roots and leaves of the old."""
    result = Regrouped(program, leaves, roots)
    for root in roots:
        result.written(root)
    return result.new, result.numbers
