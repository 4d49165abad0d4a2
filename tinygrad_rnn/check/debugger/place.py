"""A line without a patch that can be the only mistake: with another gradient in it everything is right."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .chain import noted
from .influence import RANK, Ranks
from .job import Job
from .patch import SEEDS
from .quantity import Quantity
from .references import Line, References, lines_of, passed, stem
from .source import Unit, shown
from .statement_edits import bodies

MOST = 400  # values of a line at all its runs; more are not computed one by one
LINES = 3  # that are named at most


@dataclass
class Place:
    """A line, and what it should hold: its values at all runs on the inputs of ``job``, and a ``quantity`` in words."""

    job: Job
    line: Line
    right: Sequence[np.ndarray]
    source: str
    quantity: str

    def text(self, quantity: str = "") -> str:
        """Where it is and what it should hold; ``quantity`` says it in words, if that is known."""
        unit, line, job = self.job.units[self.line.unit], self.line, self.job
        count = sum(g is not None for g in job.first.gradients.values())
        many = f"all {count} gradients are" if count > 1 else "the gradient is"
        return "\n".join([f"{where(unit, line.statement)}: {source_line(unit, line.statement).strip()}",
                          f"    with other values of {line.target} here {many} right; no small edit gives them",
                          f"    it should hold {quantity + ', ' if quantity else ''}{self.numbers()}"])  # fmt: skip

    def numbers(self) -> str:
        """The shape, and the value that differs most in the first run where any does."""
        errors = [np.abs(now - right) for now, right in zip(self.line.values, self.right)]
        scale = max(float(np.max(np.abs(right), initial=1e-300)) for right in self.right)
        n = next((n for n, error in enumerate(errors) if np.max(error, initial=0) > 1e-6 * scale), 0)
        index = np.unravel_index(int(np.argmax(errors[n])), errors[n].shape)
        at = f"[{', '.join(str(int(k)) for k in index)}]" if index else ""
        each = f", in run {n + 1} of {len(errors)}" if len(errors) > 1 else ""
        return (f"an array {errors[n].shape}{each}: {at} is {float(self.line.values[n][index]):.6g}, "
                f"should be {float(self.right[n][index]):.6g}")  # fmt: skip


def located(job: Job, small: Job, ranked: Ranks, most: int) -> list[Place]:
    """The lines that mend everything with the gradient by a value of the forward, on two inputs.

    Of the lines that all wrong gradients depend on; the forward or the job run ``most`` times on those of ``small``.
    """
    numbered = [((k, n), at) for k, unit in enumerate(small.units) for n, (_, _, at) in enumerate(bodies(unit.node))]
    likely = [id(statement) for number, statement in numbered if ranked.places.get(number, 2.0) < RANK]
    lines = [line for line in lines_of(small) if id(line.statement) in likely]
    other = job.others(SEEDS)[0]
    alike = (here for here in places(small, lines, most) if any(places(other, list(lines_of(other)), most, here)))
    return list(itertools.islice(alike, LINES))


def places(job: Job, lines: Sequence[Line], most: int, like: Place | None = None) -> Iterator[Place]:
    """The lines that mend everything with the gradient by a value of the forward, in the order in which they run.

    If a value of their names does it, only these; else by a part of the gradient, else by any value. Only a line
    ``like`` another and the same value, if it is given.
    """
    references = References(job)
    ran = [lines[n] for n in dict.fromkeys(n for n, _ in noted(job, lines))]
    ran = [line for line in ran if not line.filled and sum(x.size for x in line.values) <= MOST]
    pairs = [(line, quantity) for line in ran
             for quantity in references.fitting(references.forward.quantities, line, len(line.values))]  # fmt: skip
    tried: dict[Line, list[Any]] = {}
    for _, group in itertools.groupby(sorted(pairs, key=by_name), by_name):
        if None in itertools.chain(*tried.values()):
            break
        for line, quantity in group:
            same = like is None or (ast.unparse(line.statement), quantity.text) == (like.source, like.quantity)
            gradients = references.gradients(quantity) if same and references.forward.evaluations < most else []
            if gradients and not any(gradients is other or other is None for other in tried.setdefault(line, [])):
                most -= 2
                tried[line].append(gradients)
                right = next((g for g in (gradients[::-1], gradients) if is_right_with(job, line, g)), None)
                if right is not None:
                    tried[line].append(None)
                    yield Place(job, line, right, ast.unparse(line.statement), quantity.text)


def by_name(pair: tuple[Line, Quantity]) -> int:
    """0 if the name of a line says that it holds the gradient by a quantity, 1 if a part of it, else 2."""
    line, quantity = pair
    return bool(quantity.way) if stem(line.target) == stem(quantity.name.split(",")[0]) else 2


def is_right_with(job: Job, line: Line, right: Sequence[np.ndarray]) -> bool:
    """Is everything right with other values in the place of those of a line?"""
    values = iter(right)

    def callback(_: int, x: Any) -> Any:
        return next(values) if isinstance(x, (np.ndarray, np.floating)) else x

    try:
        with job.running(passed(job, [line], callback)):
            return job.is_right()
    except (Exception, StopIteration):  # of the user's code, with other numbers than usual
        return False


def where(unit: Unit, statement: ast.stmt) -> str:
    """The file, the line and the function of a statement."""
    return f"{shown(unit.file)}:{statement.lineno} in {unit.name}"


def source_line(unit: Unit, statement: ast.stmt) -> str:
    """The first line of a statement in the file."""
    return unit.text.split("\n")[statement.lineno - 1]
