"""Lines that can mend everything by themselves, and the values that they should hold: found by solving for the values.

The gradients are linear in the values that a line of the backward computes, or nearly. So there is a Jacobian of all
gradients by the values of a line at all its runs, and least squares give the values with which the gradients are
right, if there are any:  right = gradients + J (values' - values).  A line that was solved is run with these values.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .influence import Place, Ranks, values
from .instrument import instrumented
from .job import CLOSE, Job
from .observe import Observation
from .statement_edits import bodies

MOST = 400  # values of a line at all its runs; more are not solved for
SPARE = 6  # so many more equations than unknowns, or a line cannot be told apart from others
SEED = 3  # of the other inputs on which a line is solved for
TOLD = 5  # lines are told at most
RANK = 1.0  # the rank of the likeliest lines: all that is wrong changes with them
REPEATS = 7  # of Newton's method, for lines in whose values the gradients are not linear
HOPELESS = 0.02  # of what is wrong: a line whose values leave more than that cannot mend everything
WORK = 6000.0  # for all lines, in the unit of `Observation.runs`


@dataclass
class Solved:
    """A line that mends everything with the values ``right`` in the place of its ``values``, one for each run.

    ``distinct`` is False if there are too few gradients to tell whether only a mistake here can explain them,
    ``unique`` if they do not determine the right values. ``job`` is what the values are of.
    """

    job: Job
    place: Place
    statement: ast.stmt
    node: ast.expr
    values: list[Any]
    right: list[Any]
    distinct: bool
    unique: bool
    rank: float

    def wrong_runs(self) -> list[int]:
        """The runs in which the line holds another value than it should."""
        scale = max(float(np.max(np.abs(right), initial=1e-300)) for right in self.right)
        return [
            n
            for n, (now, right) in enumerate(zip(self.values, self.right))
            if shape_of(now) != shape_of(right) or np.max(np.abs(now - right), initial=0) > 1e-6 * scale
        ]

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
        right, needless = self.job.right, self.job.needless
        self.names = [name for name in right if name not in needless and np.isfinite(right[name].values).all()]
        self.right = np.concatenate([right[name].values for name in self.names])
        self.run([])
        self.values = list(self.seen)

    def _value(self, _: int, x: Any) -> Any:
        n = len(self.seen)
        self.seen.append(np.array(x) if isinstance(x, np.ndarray) else x)
        return self.others[n] if n < len(self.others) else x

    def run(self, others: Sequence[Any]) -> np.ndarray:
        """All gradients in a vector, with other values of the expression."""
        self.others, self.seen, self.runs = list(others), [], self.runs + 1
        with self.job.running({self.unit: self.code}):
            gradients = self.job.gradients()
        return np.concatenate([self._row(name, gradients[name]) for name in self.names])

    def is_right(self, others: Sequence[Any]) -> bool:
        """Is everything right with other values of the expression?"""
        self.others, self.seen, self.runs = list(others), [], self.runs + 1
        with self.job.running({self.unit: self.code}):
            return self.job.is_right()

    def _row(self, name: str, g: Any) -> np.ndarray:
        slope = self.job.right[name]
        fits = g is not None and np.size(g) == slope.along.shape[1]
        return np.asarray(slope.of(np.asarray(g, np.float64))) if fits else np.zeros(len(slope.values))

    def starts(self, among: Sequence[tuple[int, ...]]) -> Iterator[list[np.ndarray]]:
        """Values to start from: those of the expression, or zeros of some shapes if it has none that are floats."""
        kinds = [
            np.asarray(x).dtype.kind if isinstance(x, (np.ndarray, np.number, float, int)) else "" for x in self.values
        ]
        if all(kind == "f" for kind in kinds) or kinds == ["i"]:
            yield [np.asarray(x, np.float64) for x in self.values]
        for shape in among:
            if shape != shape_of(self.values[0]) and len(self.values) * np.prod(shape) <= MOST:
                yield [np.zeros(shape) for _ in self.values]


def solved_lines(job: Job, seen: Observation, ranked: Ranks) -> list[Solved]:
    """The lines that mend everything by themselves, the likeliest first, and of equal ones the first that runs."""
    left, whole = seen.runs(WORK), job.with_all_elements()
    names = [unit.function.__name__ for unit in job.units]
    nodes = [((k, n), at, node) for k, unit in enumerate(job.units) for n, (_, _, at) in enumerate(bodies(unit.node))
             for node in values(at, names) if ranked.nodes.get(id(node), 2.0) < RANK]  # fmt: skip
    solved_for: list[Solved] = []
    for place, at, node in sorted(nodes, key=lambda line: (seen.is_forward(line[0][0]), ranked.nodes[id(line[2])])):
        probe, right, spare, free = solved(whole, place[0], node, left, isinstance(at, (ast.AugAssign, ast.Return)))
        left -= probe.runs if probe else 1
        if probe and right is not None:
            rank = ranked.nodes[id(node)] + 2 * seen.is_forward(place[0])
            solved_for.append(Solved(job, place, at, node, probe.values, right, spare >= SPARE, not free, rank))
    solved_for = [line for line in solved_for if line.distinct] or solved_for
    order = {key: n for n, key in enumerate(seen.kinds)}  # of their first runs
    return sorted(solved_for, key=lambda line: (line.rank, line.begins(), order.get(id(line.node), 0)))


def confirmed(job: Job, lines: Sequence[Solved], most: int) -> list[Solved]:
    """The lines that can mend everything on other inputs too, of the likeliest ones."""
    other = job.with_seed(SEED).with_all_elements()
    other.units = job.units
    return [line for line in lines[:TOLD] if _mends(other, line, most)]


def _mends(job: Job, line: Solved, most: int) -> bool:
    gives = isinstance(line.statement, (ast.AugAssign, ast.Return))
    return solved(job, line.place[0], line.node, most, gives)[1] is not None


def solved(
    job: Job, k: int, node: ast.expr, most: int, gives: bool = False
) -> tuple[Probe | None, list[np.ndarray] | None, int, int]:
    """The values of an expression with which everything is right, or None.

    And how many equations there are to spare, and how many numbers are not determined by them. It takes at most
    ``most`` runs, and a few; the probe has counted them. If it ``gives`` a gradient, its shape may be another.
    """
    try:
        probe = Probe(job, k, node)
    except Exception:  # of the user's code, which is instrumented
        return None, None, 0, 0
    shapes = dict.fromkeys(np.shape(job.adapter.floats[name]) for name in job.first.wrong if name in job.adapter.floats)
    for start in probe.starts(list(shapes) if gives or len(probe.values) == 1 else []):
        right, spare, free = newton(probe, start, most)
        if right is not None:
            return probe, right, spare, free
    return probe, None, 0, 0


def newton(probe: Probe, now: list[np.ndarray], most: int) -> tuple[list[np.ndarray] | None, int, int]:
    """Newton's method from some values: those that mend everything, or None; the equations to spare; what is free."""
    right, size = probe.right, sum(x.size for x in now)
    base = _run(probe, now)
    for _ in range(REPEATS):
        fits = base is not None and 0 < size <= min(MOST, most - probe.runs)
        J = jacobian(probe, now, base) if fits else None
        if J is None or not np.isfinite(J).all() or not np.isfinite(base).all():
            break
        step, *_, singular = np.linalg.lstsq(J, right - base, rcond=1e-9)
        if np.linalg.norm(right - base - J @ step) > HOPELESS * np.linalg.norm(right - base):
            break
        now = _moved(now, step)
        base = _run(probe, now)
        if base is None:
            break
        close = np.linalg.norm(right - base) <= CLOSE * np.linalg.norm(right)
        if close and probe.is_right(now):
            known = int(np.sum(singular > 1e-9 * singular[0]))
            return now, int(np.sum(np.any(J != 0, axis=1))) - known, size - known
    return None, 0, 0


def shape_of(x: Any) -> tuple[int, ...] | None:
    """The shape of an array or a number; None for anything else."""
    return np.shape(x) if isinstance(x, (np.ndarray, np.generic, float, int)) else None


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


def _run(probe: Probe, now: Sequence[np.ndarray]) -> Any:
    try:
        return probe.run([x if isinstance(y, np.ndarray) or x.ndim else x[()] for x, y in zip(now, probe.values)])
    except Exception:  # of the user's code, with other numbers than usual
        return None
