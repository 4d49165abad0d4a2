"""What differs and is no mistake: the other slope at a kink, and an approximation that was meant.

``log(y + 1e-7)`` keeps a forward finite, and its gradient is taken as that of ``log(y)``: off by 1e-7 / y, on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...engine.op import OPS
from ...engine.transforms import vjp
from ..numeric.compare import CLOSE, SMOOTH, Problem, gap
from ..numeric.derivatives import Slopes
from ..report import Report, distance
from .case import Case
from .tape import Tape

SMALL = 1e-4  # what is added to keep a forward finite is less
GUARDS = ("add", "subtract", "maximum")


def excuse(case: Case, report: Report) -> None:
    """Set right what is wrong only at a kink, and "precision" what is right but for small numbers that were added."""
    wrong = [one for one in report.tensors.values() if one.verdict == "wrong" and one.name in case.lines]
    excused = 0
    for one in wrong:
        k = case.index(one.name)
        if k is not None and case.numbers and np.shape(case.hand[one.name]) == case.autograd[k].shape:
            kinks = _at_kinks(case.problem, k, case.numbers[k].of(np.asarray(case.hand[one.name])), case.numbers[k])
            if kinks:
                one.verdict, one.note, excused = "right", f"{kinks} at a kink left out", excused + kinks
    others = [one for one in wrong if one.verdict == "wrong"]
    if excused and all(case.index(one.name) is None for one in others):
        for one in others:  # by what is inside, where what comes of it is right
            got, right = np.asarray(case.hand[one.name]), case.right(one.name)
            if got.shape == right.shape and np.count_nonzero(got - right) <= excused:
                one.verdict, one.note = "right", "other than autograd at a kink"
    wrong = [one for one in wrong if one.verdict == "wrong" and case.index(one.name) is not None]
    added = _guards(case.tape) if wrong else {}
    if not added:
        return
    exact = _gradients(case, added)
    if all(distance(case.hand[one.name], exact.get(one.name)) <= CLOSE for one in wrong):
        told = ", ".join(f"{case.words.expression(number)} without the {x:g}" for number, x in added.items())
        for one in wrong:
            one.verdict, one.note = "precision", f"right for {told}"


def _at_kinks(problem: Problem, k: int, got: np.ndarray, slope: Slopes) -> int:
    """How many elements differ, if all of them are at a kink and off by no more than its two slopes are; else 0."""
    if not np.isfinite(got).all():
        return 0
    off = np.abs(got - slope.values)
    suspects = np.flatnonzero(off > CLOSE * np.maximum(np.abs(got), np.abs(slope.values)))
    fine = slope.whole and len(suspects) <= SMOOTH
    return len(suspects) if fine and all(off[n] <= 1.01 * gap(problem, k, slope.along[n]) for n in suspects) else 0


def _guards(tape: Tape) -> dict[int, float]:
    """The additions of a small number, each with the number."""
    found = {}
    for (target, _), source in tape.operands.items():
        x = tape.arrays[source]
        if tape.values[target].op in GUARDS and tape.values[source].kind == "constant" and x.ndim == 0:
            found.update({target: float(x)} if 0 < abs(x) <= SMALL else {})
    return found


def _gradients(case: Case, without: Mapping[int, float]) -> dict[str, Any]:
    """The gradients of the same computation with zeros for these numbers."""
    names = case.problem.names
    f = _again(case.tape, without)
    try:
        with np.errstate(all="ignore"):
            _, pull = vjp(lambda *xs: f(dict(zip(names, xs))), *(case.problem.arrays[name] for name in names))
            return {f"d{name}": np.asarray(g) for name, g in zip(names, pull(tuple(case.problem.dys)))}
    except Exception:  # whatever it is that the number had kept from happening
        return {}


def _again(tape: Tape, without: Mapping[int, float]) -> Callable[[Mapping[str, Any]], Any]:
    """What a tape computed, once more on other arrays."""

    def f(given: Mapping[str, Any]) -> Any:
        made: list[Any] = []
        for number, one in enumerate(tape.values):
            if one.kind != "operation" and one.kind != "block":
                made.append(given.get(one.name, tape.arrays[number]))
                continue
            sources = [tape.operands[number, k] for k in range(sum(1 for t, _ in tape.operands if t == number))]
            args = [0.0 if number in without and tape.values[n].kind == "constant" else made[n] for n in sources]
            made.append(OPS[one.op].function(*args, **dict(tape.nodes[number].attrs or {})))
        return tuple(made[number] for number in tape.outputs.values())

    return f
