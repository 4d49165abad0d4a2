"""The table of a hand-derived backward: a row for each gradient that it returns, and for each that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..layers.problem import LayerProblem, misfit
from ..numeric.compare import CLOSE, EMPTY, ROUNDED, compared
from ..numeric.derivatives import ONE_BY_ONE, Slopes
from ..numeric.problem import Problem
from ..report import Row, distance, row
from .adapter import Derivation


class DerivationProblem(LayerProblem):
    """A derivation as a `Problem`: autograd stands for the numbers in all elements, where it agrees with them.

    Numbers along a few directions show whether it does: ``trusted`` are the numbers of these inputs. ``measured`` are
    the derivatives that were measured, which the table is about.
    """

    smooth = 1

    def __init__(self, adapter: Derivation, ys: Sequence[np.ndarray], rng: np.random.Generator):
        super().__init__(adapter, ys, rng)
        self.derivation, self.case = adapter, adapter.case(self.dys)
        self.trusted, self.measured = list[int](), list[Slopes]()

    def numbers(self) -> list[Slopes]:
        measured = super().numbers()
        self.measured = list(measured)
        for k, (name, slope) in enumerate(zip(self.names, measured)):
            g = self.case.right(f"d{name}")
            agrees = distance(slope.of(g), slope.values) <= CLOSE
            self.trusted += [k] if agrees else []
            if agrees and g.size <= ONE_BY_ONE[0]:
                measured[k] = self.along(k, np.eye(g.size), slope.exact)
        return measured

    def along(self, k: int, along: np.ndarray, exact: bool, xs: Sequence[np.ndarray] | None = None) -> Slopes:
        if k not in self.trusted:
            return super().along(k, along, exact, xs)
        case = self.case if xs is None else self.derivation.case(self.dys, dict(zip(self.names, xs)))
        return Slopes(along, along @ np.ravel(case.right(f"d{self.names[k]}")), np.zeros(len(along)), exact)

    def table(self) -> list[Row]:
        """The rows, in the order in which backward returned the gradients, then those that it did not return.

        Gradients by arguments are compared with numbers and with autograd, those by local variables with autograd.
        """
        by_argument, case = {row.name: row for row in super().table()}, self.case
        case.take(self.first.answer if self.first else {})
        for entry, g, slope in zip(by_argument.values(), self.gradients, self.measured):
            if case.hand.get(entry.name) is not None:
                self._against_both(entry, g, slope)
        if len(self.trusted) < len(by_argument):
            f, rng = self.derivation.outputs, np.random.default_rng(0)
            for rule, entry in zip(compared(Problem(lambda **now: f(**now), case.given, rng))[0], by_argument.values()):
                if rule.verdict == "wrong":
                    self.sure = self.sure and entry.verdict != "wrong"
                    entry.note = "compared with numbers: autograd differs from them, so a gradient rule is wrong"
        returned = [by_argument.get(name) or self._inner(name, g) for name, g in case.hand.items()]
        if not all(np.isfinite(y).all() for y in self.ys) or not any(y.size for y in self.ys):
            note = "forward gives NaN or inf here" if any(y.size for y in self.ys) else EMPTY
            returned = [Row(row.name, "unchecked", shape=row.shape, note=note, counts=row.counts) for row in returned]
        self._right_at_kinks(returned)
        self._find_consequences([row for row in returned if row.verdict == "wrong" and row.name in case.read])
        self.derivation.follow(case)
        absent = [name for name in by_argument if name not in case.hand]
        return returned + [Row(name, "unchecked", note="not returned") for name in absent]

    def _against_both(self, entry: Row, g: np.ndarray, slope: Slopes) -> None:
        """Add the errors of a gradient by an argument against both references; of a wrong one in all elements."""
        right = self.case.right(entry.name)
        entry.autograd, entry.numbers = distance(g, right), distance(slope.of(g), slope.values)
        if entry.verdict == "unchecked":
            entry.note = "compared with autograd only: the numbers are too rough"
            entry.verdict = verdict(entry.autograd)
        elif entry.verdict == "wrong" and not entry.note:
            exact = row(entry.name, "wrong", g, right)
            entry.rel_error, entry.worst, entry.right = exact.rel_error, exact.worst, exact.right
            entry.cosine, entry.ratio, entry.blocks = exact.cosine, exact.ratio, self._blocks(entry, g, right)

    def _inner(self, name: str, g: Any) -> Row:
        """The row of a gradient by a local variable, or by an argument that has none."""
        case = self.case
        if g is None and name[1:] in case.given:
            return Row(name, "right", note="is None", counts=False)
        if misfit(g, np.shape(g)):
            return Row(name, "wrong", np.inf, note=misfit(g, ()))
        if name not in case.read:
            note = f"{name[1:]} is computed several times, and no array of its gradients has this shape"
            note = note if case.several(name) else f"no such value; there are {', '.join(case.known)}"
            return Row(name, "unchecked", shape=np.shape(g), counts=False, note=note)
        right, label, text = case.right(name), case.label(name), case.read[name].text
        result = row(name, verdict(distance(g, right)), g, right)
        result.blocks = self._blocks(result, np.asarray(g), right)
        note = f"taken for {text}" if text else f"taken for the gradient by {label}" if label != name[1:] else ""
        result.note = misfit(g, right.shape) or note
        return result

    def _right_at_kinks(self, rows: Sequence[Row]) -> None:
        """Set gradients by local variables right that differ in no more elements than right ones by arguments.

        At a kink, such as relu at 0, either slope is right.
        """
        count = sum(self._different(row) for row in rows if row.verdict == "right" and (row.autograd or 0) > CLOSE)
        for inner in rows:
            wrong = inner.verdict == "wrong" and inner.autograd is None and inner.name in self.case.read
            if wrong and 0 < self._different(inner) <= count:
                inner.verdict, inner.note = "right", "other than autograd at a kink"

    def _different(self, entry: Row) -> int:
        """In how many elements a gradient differs from the right one; 0 if their shapes differ."""
        g, right = np.asarray(self.case.hand[entry.name]), self.case.right(entry.name)
        return int(np.sum(~np.isclose(g, right, rtol=CLOSE, atol=0))) if g.shape == right.shape else 0

    def _find_consequences(self, wrong: Sequence[Row]) -> None:
        """A consequence is what it should be, given the gradients by hand that come before it."""
        self.upstream = self.case.upstream()
        for entry in wrong:
            g = np.asarray(self.case.hand[entry.name], np.float64)
            entry.consequence = distance(g, self.upstream[entry.name]) <= CLOSE
        if wrong and all(entry.consequence for entry in wrong):  # each follows from another: the first is the cause
            wrong[0].consequence = False

    def errors_on(self, adapter: Any, rng: np.random.Generator) -> dict[str, float]:
        dys = [rng.standard_normal(y.shape) for y in adapter.run().outputs]
        hand, case = adapter.run(adapter.floats, dys).answer, adapter.case(dys)
        pairs = {name: (hand.get(name), case.right(name)) for name in (f"d{name}" for name in self.names)}
        errors = {name: distance(g, right) for name, (g, right) in pairs.items()
                  if g is not None and np.isfinite(right).all()}  # fmt: skip
        return {name: error for name, error in errors.items() if error > ROUNDED}

    def pairs(self, wrong: Row) -> list[tuple[Any, Any]]:
        if wrong.name not in self.case.read:
            return []
        got = np.asarray(self.case.hand[wrong.name])
        return [(got, self.upstream[wrong.name]), (got, self.case.right(wrong.name))]

    def way(self, name: str) -> tuple[str, str] | None:
        return self.case.way(name)

    def _blocks(self, wrong: Row, g: np.ndarray, right: np.ndarray) -> dict[str, Row]:
        """The rows of the gate blocks of a stacked gradient that is wrong."""
        names = self.derivation.blocks.get(np.shape(g)[-1], ()) if np.ndim(g) else ()
        if wrong.verdict != "wrong" or g.shape != right.shape or len(names) < 2:
            return {}
        parts = zip(names, np.split(g, len(names), axis=-1), np.split(right, len(names), axis=-1))
        return {f"{wrong.name}.{block}": row(f"{wrong.name}.{block}", verdict(distance(mine, theirs)), mine, theirs)
                for block, mine, theirs in parts}  # fmt: skip


def verdict(error: float) -> str:
    """The verdict on a relative error in float64."""
    return "right" if error <= CLOSE else "precision" if error <= ROUNDED else "wrong"
