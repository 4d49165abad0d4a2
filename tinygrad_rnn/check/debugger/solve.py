"""Lines that can mend everything by themselves, and the values that they should hold: found by solving for the values.

The gradients are linear in the values that a line of the backward computes, or nearly. So there is a Jacobian of all
gradients by the values of a line at all its runs, and least squares give the values with which the gradients are
right, if there are any:  right = gradients + J (values' - values).  A line that was solved is run with these values.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .influence import Place, values
from .instrument import instrumented
from .job import Job
from .observe import Observation
from .statement_edits import bodies

MOST = 400  # values of a line at all its runs; more are not solved for
SPARE = 6  # so many more equations than unknowns, or a line cannot be told apart from others
RANK = 1.0  # the rank of the likeliest lines: all that is wrong changes with them
REPEATS = 7  # of Newton's method, for lines in whose values the gradients are not linear
WORK = 6000.0  # for all lines, in the unit of `Observation.runs`


@dataclass
class Solved:
    """A line that mends everything with the values ``right`` in the place of its ``values``, one for each run.

    ``distinct`` is False if there are too few gradients to tell whether only a mistake here can explain them;
    ``follows`` is True if the values depend on the gradients by the outputs.
    """

    place: Place
    statement: ast.stmt
    node: ast.expr
    values: list[Any]
    right: list[Any]
    distinct: bool
    follows: bool
    rank: float

    def wrong_runs(self) -> list[int]:
        """The runs in which the line holds another value than it should."""
        pairs = enumerate(zip(self.values, self.right))
        return [n for n, (now, right) in pairs
                if np.max(np.abs(now - right), initial=0) > 1e-6 * np.max(np.abs(right), initial=1e-300)]  # fmt: skip

    def begins(self) -> float:
        """When the line goes wrong first, between 0 and 1: a line that goes wrong later is a consequence."""
        return min(self.wrong_runs(), default=0) / len(self.values)


@dataclass
class Probe:
    """Runs of a job with other values of an expression; ``values`` are those of the last run without any."""

    job: Job
    unit: int
    node: ast.expr
    values: list[Any] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)
    runs: int = 0

    def __post_init__(self) -> None:
        self.code = instrumented(self.job.units[self.unit], [self.node], 0, self._value)
        self.base = self.run([])
        self.values = list(self.seen)

    def _value(self, _: int, x: Any) -> Any:
        n = len(self.seen)
        self.seen.append(np.array(x) if isinstance(x, np.ndarray) else x)
        return self.others[n] if n < len(self.others) else x

    def run(self, others: Sequence[Any]) -> np.ndarray:
        """All gradients in a vector, with other values of the expression."""
        self.others, self.seen, self.runs = list(others), [], self.runs + 1
        with self.job.running({self.unit: self.code}):
            outcome = self.job.outcome()
        self.right = not outcome.wrong and self.job.same_outputs(outcome.outputs)
        return np.concatenate([self._row(name, outcome.gradients[name]) for name in self.job.right])

    def _row(self, name: str, g: Any) -> np.ndarray:
        slope = self.job.right[name]
        fits = g is not None and np.size(g) == slope.along.shape[1]
        return np.asarray(slope.of(np.asarray(g, np.float64))) if fits else np.zeros(len(slope.values))

    def size(self) -> int:
        """How many numbers the values have; 0 if one is no array of floats."""
        floats = all(isinstance(x, (np.ndarray, np.floating, float)) and np.asarray(x).dtype.kind == "f"
                     for x in self.values)  # fmt: skip
        return sum(np.size(x) for x in self.values) if floats else 0


def solved_lines(job: Job, seen: Observation, ranked: dict[Place, float]) -> list[Solved]:
    """The lines that mend everything by themselves, the likeliest first, and of equal ones the first that runs."""
    left = seen.runs(WORK)
    found: list[Solved] = []
    whole, names = job.with_all_elements(), [unit.function.__name__ for unit in job.units]
    statements = {(k, n): statement for k, unit in enumerate(job.units)
                  for n, (_, _, statement) in enumerate(bodies(unit.node))}  # fmt: skip
    for place in sorted(statements, key=lambda place: ranked.get(place, 2.0)):
        for node in values(statements[place], names) if ranked.get(place, 2.0) < RANK else []:
            line, runs = solved(whole, place, statements[place], node, ranked[place], left)
            left -= runs
            found += [line] if line else []
    found = [line for line in found if line.distinct] or found
    order = {key: n for n, key in enumerate(seen.kinds)}  # of their first runs
    return sorted(found, key=lambda line: (not line.follows, line.rank, line.begins(), order.get(id(line.node), 0)))


def follows(job: Job, place: Place, node: ast.expr) -> bool:
    """Do the values of an expression change with the gradients by the outputs?"""
    before, job.dys = job.dys, [2.0 * dy + 1 for dy in job.dys]
    try:
        other = Probe(job, place[0], node).values
    finally:
        job.dys = before
    return any(np.shape(a) != np.shape(b) or not np.array_equal(a, b)
               for a, b in zip(other, Probe(job, place[0], node).values))  # fmt: skip


def solved(job: Job, place: Place, at: ast.stmt, node: ast.expr, rank: float, most: int) -> tuple[Solved | None, int]:
    """A line with the values that mend everything, or None if there are none; and how many runs that took.

    At most ``most`` runs, and a few.
    """
    try:
        probe = Probe(job, place[0], node)
    except Exception:  # of the user's code, which is instrumented
        return None, 1
    if not 0 < probe.size() <= MOST:
        return None, 1
    right, spare = _newton(probe, most)
    if right is None:
        return None, probe.runs
    line = Solved(place, at, node, probe.values, right, spare >= SPARE, follows(job, place, node), rank)
    return line, probe.runs


def _newton(probe: Probe, most: int) -> tuple[list[np.ndarray] | None, int]:
    """The values that mend everything, or None; and how many equations there are to spare."""
    right = np.concatenate([slope.values for slope in probe.job.right.values()])
    now, base = [np.asarray(x, np.float64) for x in probe.values], probe.base
    for _ in range(REPEATS):
        J = jacobian(probe, now, base) if probe.runs + probe.size() <= most else None
        if J is None or not np.isfinite(J).all() or not np.isfinite(base).all():
            break
        step, *_, singular = np.linalg.lstsq(J, right - base, rcond=1e-9)
        before, now = base, _moved(now, step)
        moved = _run(probe, now)
        if moved is None or not np.isfinite(moved).all():
            break
        base = moved
        if probe.right:
            return now, int(np.sum(np.any(J != 0, axis=1)) - np.sum(singular > 1e-9 * singular[0]))
        linear = np.linalg.norm(before + J @ step - base) < 1e-3 * np.linalg.norm(base - before)
        if linear and np.linalg.norm(right - base) > 1e-3 * np.linalg.norm(right - before):
            break
    return None, 0


def jacobian(probe: Probe, now: Sequence[np.ndarray], base: np.ndarray) -> np.ndarray | None:
    """The derivatives of all gradients by all values, by differences; None if the code does not run with others."""
    columns = []
    scale = max((float(np.max(np.abs(x), initial=0)) for x in now), default=0) or 1.0
    h = 1e-4 * scale
    size = sum(x.size for x in now)
    for j in range(size):
        row = _run(probe, _moved(now, h * (np.arange(size) == j)))
        if row is None:
            return None
        columns.append((row - base) / h)
    J = np.array(columns).T
    J[np.abs(J) < 1e-9 * np.max(np.abs(J), initial=0)] = 0
    return J


def _moved(now: Sequence[np.ndarray], step: np.ndarray) -> list[np.ndarray]:
    """The values with a step from a vector of all of them."""
    ends = np.cumsum([x.size for x in now])
    return [x + part.reshape(x.shape) for x, part in zip(now, np.split(step, ends[:-1]))]


def _run(probe: Probe, now: Sequence[np.ndarray]) -> np.ndarray | None:
    try:
        return probe.run([x if isinstance(y, np.ndarray) else x[()] for x, y in zip(now, probe.values)])
    except Exception:  # of the user's code, with other numbers than usual
        return None
