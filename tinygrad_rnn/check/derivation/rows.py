"""The table of a hand-derived backward: a row for each gradient that it returns, and for each that it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..layers.problem import LayerProblem
from ..numeric.compare import CLOSE, EMPTY, ROUNDED, Problem, compared
from ..numeric.derivatives import ONE_BY_ONE, Slopes
from ..report import Row, distance, row
from .adapter import Derivation
from .case import Case


class DerivationProblem(LayerProblem):
    """A derivation as a `Problem`: autograd stands for the numbers in all elements, where it agrees with them.

    Numbers along a few directions show whether it does: ``trusted`` are the numbers of these inputs. ``measured`` are
    the derivatives that were measured, which the table is about.
    """

    smooth = 1

    def __init__(self, adapter: Derivation, ys: Sequence[np.ndarray], rng: np.random.Generator):
        super().__init__(adapter, ys, rng)
        self.case, self.trusted, self.measured = adapter.case(self.dys), list[int](), list[Slopes]()

    def numbers(self) -> list[Slopes]:
        measured = super().numbers()
        self.measured = list(measured)
        for k, (name, slope) in enumerate(zip(self.names, measured)):
            g = self.case.by_argument(f"d{name}")
            agrees = distance(slope.of(g), slope.values) <= CLOSE
            self.trusted += [k] if agrees else []
            if agrees and g.size <= ONE_BY_ONE[0]:
                measured[k] = self.along(k, np.eye(g.size), slope.exact)
        return measured

    def along(self, k: int, along: np.ndarray, exact: bool, xs: Sequence[np.ndarray] | None = None) -> Slopes:
        if k not in self.trusted:
            return super().along(k, along, exact, xs)
        adapter: Any = self.adapter
        case = self.case if xs is None else adapter.case(self.dys, dict(zip(self.names, xs)))
        return Slopes(along, along @ np.ravel(case.by_argument(f"d{self.names[k]}")), np.zeros(len(along)), exact)


def table(adapter: Derivation, problem: DerivationProblem) -> list[Row]:
    """The rows, in the order in which backward returned the gradients, then those that it did not return.

    Gradients by arguments are compared with numbers and with autograd, those by local variables with autograd.
    """
    rows, gradients, _ = compared(problem)
    case = problem.case
    case.take(problem.first.answer if problem.first else {})
    by_argument = {row.name: problem.with_note(row) for row in rows}
    for entry, g, slope in zip(by_argument.values(), gradients, problem.measured):
        if case.hand.get(entry.name) is not None:
            _against_both(case, entry, g, slope)
    if len(problem.trusted) < len(rows):
        rules = compared(Problem(lambda **now: adapter.subject.outputs(**now), case.given, np.random.default_rng(0)))[0]
        for rule, entry in zip(rules, by_argument.values()):
            if rule.verdict == "wrong":
                entry.note = "compared with numbers: autograd differs from them, so a gradient rule is wrong"
    returned = [by_argument[name] if name in by_argument else _inner(case, name, g) for name, g in case.hand.items()]
    if not all(np.isfinite(y).all() for y in problem.ys) or not any(y.size for y in problem.ys):
        note = "forward gives NaN or inf here" if any(y.size for y in problem.ys) else EMPTY
        returned = [Row(row.name, "unchecked", shape=row.shape, note=note, counts=row.counts) for row in returned]
    _right_at_kinks(case, returned)
    absent = [f"d{name}" for name in adapter.names if f"d{name}" not in case.hand]
    return returned + [Row(name, "unchecked", note="not returned") for name in absent]


def _against_both(case: Case, entry: Row, g: np.ndarray, slope: Slopes) -> None:
    """Add the errors of a gradient by an argument against both references to its row; a wrong one in all elements."""
    right = case.by_argument(entry.name)
    entry.autograd, entry.numbers = distance(g, right), distance(slope.of(g), slope.values)
    if entry.verdict == "unchecked":
        entry.verdict, entry.note = verdict(entry.autograd), "compared with autograd only: the numbers are too rough"
    elif entry.verdict == "wrong" and not entry.note:
        exact = row(entry.name, "wrong", g, right)
        entry.rel_error, entry.worst, entry.right = exact.rel_error, exact.worst, exact.right
        entry.cosine, entry.ratio, entry.blocks = exact.cosine, exact.ratio, blocks(case, entry, g, right)


def _inner(case: Case, name: str, g: Any) -> Row:
    """The row of a gradient by a local variable, or by an argument that has none."""
    if g is None and name[1:] in case.given:
        return Row(name, "right", note="is None", counts=False)
    if g is None or np.asarray(g).dtype.kind not in "fiu":
        return Row(name, "wrong", np.inf, note=f"is {'None' if g is None else 'no array of numbers'}")
    if name not in case.read:
        note = f"{name[1:]} is computed several times, and no array of its gradients has this shape"
        note = note if case.several(name) else f"no such value; there are {', '.join(case.known)}"
        return Row(name, "unchecked", shape=np.shape(g), counts=False, note=note)
    right, label, text = case.right(name), case.label(name), case.read[name].text
    result = row(name, verdict(distance(g, right)), g, right)
    result.blocks = blocks(case, result, np.asarray(g), right)
    result.note = f"taken for {text}" if text else f"taken for the gradient by {label}" if label != name[1:] else ""
    result.note = f"is {result.shape}, should be {right.shape}" if result.shape != right.shape else result.note
    return result


def _right_at_kinks(case: Case, rows: Sequence[Row]) -> None:
    """Set gradients by local variables right that differ in no more elements than right ones by arguments.

    At a kink, such as relu at 0, either slope is right.
    """
    excused = [row for row in rows if row.verdict == "right" and (row.autograd or 0) > CLOSE]
    count = sum(_different(case, row.name, case.by_argument(row.name)) for row in excused)
    for inner in rows:
        wrong = inner.verdict == "wrong" and inner.autograd is None and inner.name in case.read
        if wrong and 0 < _different(case, inner.name, case.right(inner.name)) <= count:
            inner.verdict, inner.note = "right", "other than autograd at a kink"


def _different(case: Case, name: str, right: Any) -> int:
    """In how many elements a gradient differs from the right one; 0 if their shapes differ."""
    g = np.asarray(case.hand[name])
    return int(np.sum(~np.isclose(g, right, rtol=CLOSE, atol=0))) if g.shape == np.shape(right) else 0


def verdict(error: float) -> str:
    """The verdict on a relative error in float64."""
    return "right" if error <= CLOSE else "precision" if error <= ROUNDED else "wrong"


def blocks(case: Case, wrong: Row, g: np.ndarray, right: np.ndarray) -> dict[str, Row]:
    """The rows of the gate blocks of a stacked gradient that is wrong."""
    names = case.subject.blocks.get(np.shape(g)[-1], ()) if np.ndim(g) else ()
    if wrong.verdict != "wrong" or g.shape != right.shape or len(names) < 2:
        return {}
    parts = zip(names, np.split(g, len(names), axis=-1), np.split(right, len(names), axis=-1))
    return {f"{wrong.name}.{block}": row(f"{wrong.name}.{block}", verdict(distance(mine, theirs)), mine, theirs)
            for block, mine, theirs in parts}  # fmt: skip
