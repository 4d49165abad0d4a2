"""A line whose right values are known is written anew: terms, factors and products of what is visible there.

With the right values r of an expression e, a missing term is r - e and a missing factor is r / e. The products of
visible values are compared with these, which takes microseconds: only what fits is run as an edit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .edits import expression
from .job import Job
from .scope import Scope
from .solve import Probe, Solved
from .statement_edits import Edit, inner_places

FACTORS = ("{a}", "(1 - {a})", "{a} * (1 - {a})", "(1 - {a} ** 2)", "{np}.tanh({a})", "(1 - {np}.tanh({a}) ** 2)")
FACTOR_OF: tuple[Any, ...] = (lambda a: a, lambda a: 1 - a, lambda a: a * (1 - a), lambda a: 1 - a**2, np.tanh,
             lambda a: 1 - np.tanh(a) ** 2)  # fmt: skip
MATRIX_OF: tuple[Any, ...] = (lambda x, y: x @ y, lambda x, y: x.T @ y, lambda x, y: x @ y.T, np.outer)
MATRICES = ("{a} @ {b}", "{a}.T @ {b}", "{a} @ {b}.T", "{np}.outer({a}, {b})")
FITS = 1e-5
MOST_ATOMS = 60
MOST = 40  # expressions of a line that fit, so many are run
Values = list[np.ndarray]  # at some runs of a line


class Visible(Probe):
    """A probe that also evaluates texts at each run of the expression, in the variables that are visible there."""

    texts: Sequence[str] = ()

    def __post_init__(self) -> None:
        self.at: list[dict[str, Any]] = []
        super().__post_init__()

    def _value(self, k: int, x: Any) -> Any:
        frame = sys._getframe(1)
        self.at.append({text: self._evaluated(text, frame) for text in self.texts})
        return super()._value(k, x)

    @staticmethod
    def _evaluated(text: str, frame: Any) -> Any:
        try:
            x = eval(text, frame.f_globals, frame.f_locals)
            return np.array(x, np.float64) if np.asarray(x).dtype.kind in "fiu" else None
        except Exception:  # not assigned yet, or an index that is out of range
            return None

    def look(self, texts: Sequence[str], right: Sequence[Any]) -> None:
        """Run with the right values, and note the values of texts in ``at``."""
        self.texts, self.at = texts, []
        self.run(right)


def rewritten_lines(job: Job, lines: Sequence[Solved], scopes: Sequence[Scope]) -> Iterator[Edit]:
    """The edits of solved lines whose values fit."""
    for line in lines:
        holder = next(((h, key) for h, key, node, _ in inner_places(line.statement) if node is line.node), None)
        runs = line.wrong_runs()[:3]
        if holder is None or not runs or any(np.size(line.right[n]) < 2 for n in runs):
            continue
        scope = scopes[line.place[0]]
        texts = [text for text, (kind, _) in scope.seen.atoms[scope.k].items() if kind == "f"][:MOST_ATOMS]
        for cost, text in fitting(job, line, texts, runs, scope.numpy):
            yield Edit(cost, line.place[0], line.statement, *holder, expression(text, e_=line.node))


def fitting(job: Job, line: Solved, texts: Sequence[str], runs: Sequence[int], np_: str) -> list[tuple[float, str]]:
    """The expressions of ``e_`` and of visible values that have the right values, the shortest first."""
    probe = Visible(job, line.place[0], line.node)
    probe.look(texts, line.right)
    if len(probe.seen) != len(line.right):
        return []
    now, right = [np.asarray(probe.seen[n]) for n in runs], [np.asarray(line.right[n]) for n in runs]
    values = {text: [probe.at[n][text] for n in runs] for text in texts}
    atoms = {text: xs for text, xs in values.items() if xs[0] is not None and all(
        x is not None and x.shape == xs[0].shape for x in xs)}  # fmt: skip
    factors = {text.format(a=a, np=np_): values for a, values in atoms.items() for text, values in _factors(values)}
    targets, fits = [("", right)], list[str]()
    if all(e.shape == r.shape for e, r in zip(now, right)):
        with np.errstate(all="ignore"):
            ratio, term = [r / e for r, e in zip(right, now)], [r - e for r, e in zip(right, now)]
        fits = [f"e_ * {text}" for text in products(factors, ratio)]
        targets = [("e_ + ", term), ("e_ - ", [-x for x in term]), *targets]
    for start, target in targets:
        fits += [start + text for text in [*products(factors, target), *matrices(atoms, target, np_)]]
    return sorted((len(text) / 100, text) for text in dict.fromkeys(fits))[:MOST]


def _factors(values: Values) -> Iterator[tuple[str, Values]]:
    with np.errstate(all="ignore"):
        for text, f in zip(FACTORS, FACTOR_OF):
            yield text, [f(a) for a in values]


def products(factors: dict[str, Values], target: Values) -> Iterator[str]:
    """The factors, and the products of two, that are equal to the target."""
    shape = target[0].shape
    like = {text: values for text, values in factors.items() if values[0].shape == shape}
    yield from (text for text, values in factors.items() if equal(values, target))
    names, first = list(like), np.array([values[0].ravel() for values in like.values()])
    for k, name in enumerate(names):
        with np.errstate(all="ignore"):
            close = np.abs(first[k:] * first[k] - target[0].ravel()) <= FITS * np.max(np.abs(target[0]))
        for m in np.flatnonzero(close.all(axis=1)) + k:
            if equal([a * b for a, b in zip(like[name], like[names[m]])], target):
                yield f"{name} * {names[m]}"


def matrices(atoms: dict[str, Values], target: Values, np_: str) -> Iterator[str]:
    """The products of two matrices that are equal to the target."""
    for a, left in atoms.items():
        for b, other in atoms.items():
            for text, f in zip(MATRICES, MATRIX_OF):
                if matrix_shape(text, left[0].shape, other[0].shape) == target[0].shape and equal(
                    [f(x, y) for x, y in zip(left, other)], target
                ):
                    yield text.format(a=a, b=b, np=np_)


def matrix_shape(text: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | None:
    """The shape of a product of two matrices; None if they do not fit."""
    if "outer" in text:
        return (a[0], b[0]) if len(a) == len(b) == 1 else None
    if not (a and b) or len(a) + len(b) < 3 or len(a) > 2 or len(b) > 2:
        return None
    a, b = a[::-1] if "a}.T" in text else a, b[::-1] if "b}.T" in text else b
    return a[:-1] + b[1:] if a[-1] == b[0] else None


def equal(values: Values, target: Values) -> bool:
    """Are values equal to a target at all runs, also after broadcasting?"""
    for x, y in zip(values, target):
        scale = np.max(np.abs(y), initial=0)
        if not np.isfinite(scale) or scale == 0 or x.ndim > y.ndim:
            return False
        if x.shape != y.shape and any(a not in (1, b) for a, b in zip(x.shape[::-1], y.shape[::-1])):
            return False
        if not np.all(np.abs(x - y) <= FITS * scale):
            return False
    return True
