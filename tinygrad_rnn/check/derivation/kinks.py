"""At a kink, such as relu at 0, either slope is right."""

from __future__ import annotations

import numpy as np

from ..numeric.compare import CLOSE, SMOOTH, Problem, gap
from ..numeric.derivatives import Slopes
from ..report import Report
from .case import Case


def right_at_kinks(case: Case, report: Report) -> None:
    """Set gradients right that are wrong only at a kink, and the gradients by local variables behind them."""
    wrong = [row for row in report.tensors.values() if row.verdict == "wrong" and row.name in case.lines]
    count = 0
    for row in wrong:
        k = case.index(row.name)
        if k is not None and case.numbers and np.shape(case.hand[row.name]) == case.autograd[k].shape:
            kinks = _at_kinks(case.problem, k, case.numbers[k].of(np.asarray(case.hand[row.name])), case.numbers[k])
            if kinks:
                row.verdict, row.note, count = "right", f"{kinks} at a kink left out", count + kinks
    others = [row for row in wrong if row.verdict == "wrong"]
    if count and all(case.index(row.name) is None for row in others):
        for row in others:
            got, right = np.asarray(case.hand[row.name]), case.right(row.name)
            if got.shape == right.shape and np.count_nonzero(got - right) <= count:
                row.verdict, row.note = "right", "other than autograd at a kink"


def _at_kinks(problem: Problem, k: int, got: np.ndarray, slope: Slopes) -> int:
    """How many elements differ, if all of them are at a kink and off by no more than its two slopes are; else 0."""
    if not np.isfinite(got).all():
        return 0
    off = np.abs(got - slope.values)
    suspects = np.flatnonzero(off > CLOSE * np.maximum(np.abs(got), np.abs(slope.values)))
    fine = slope.whole and len(suspects) <= SMOOTH
    return len(suspects) if fine and all(off[n] <= 1.01 * gap(problem, k, slope.along[n]) for n in suspects) else 0
