"""A line without a patch that can be the only mistake: with another gradient in it everything is right."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .chain import noted
from .influence import ALONE, Ranks
from .job import Job
from .patch import SEEDS
from .quantity import Quantity
from .references import Line, References, is_held, lines_of, parts_of, passed, stem
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
    source: tuple[str, str]
    quantity: str
    begins: int = 0  # when it is wrong first, among all runs of lines; later if it holds another gradient then

    def text(self, quantity: str = "") -> str:
        """Where it is and what it should hold; ``quantity`` says it in words, if that is known."""
        unit, line, job = self.job.units[self.line.unit], self.line, self.job
        count = sum(g is not None for g in job.first.gradients.values())
        many = f"all {count} gradients are" if count > 1 else "the gradient is"
        return "\n".join([f"{where(unit, line.statement)}: {source_line(unit, line.statement).strip()}",
                          f"    with other values of {line.target} here {many} right; no small edit gives them",
                          f"    it should hold {quantity + ', ' if quantity else ''}{self.numbers()}"])  # fmt: skip

    def first_wrong(self) -> int:
        """The first run in which the line holds another value than it should."""
        scale = max(float(np.max(np.abs(right), initial=1e-300)) for right in self.right)
        pairs = list(zip(self.line.values, self.right))
        return next((n for n, (a, b) in enumerate(pairs)
                     if a.shape != b.shape or np.max(np.abs(a - b), initial=0) > 1e-6 * scale), 0)  # fmt: skip

    def numbers(self) -> str:
        """The shape, and the value that differs most in the first run where any does."""
        n = self.first_wrong()
        now, right, runs = self.line.values[n], self.right[n], len(self.right)
        if now.shape != right.shape:
            return f"an array {right.shape}, and is {now.shape}"
        index = np.unravel_index(int(np.argmax(np.abs(now - right))), now.shape)
        at = f"[{', '.join(str(int(k)) for k in index)}]" if index else ""
        each = f", in run {n + 1} of {runs}" if runs > 1 else ""
        return f"an array {now.shape}{each}: {at} is {float(now[index]):.6g}, should be {float(right[index]):.6g}"


def located(job: Job, ranked: Ranks, most: int) -> list[Place]:
    """The lines that mend everything with the gradient by a value of the forward, the first wrong first.

    Of the lines that all wrong gradients depend on; the forward or the job run ``most`` times.
    """
    numbered = [((k, n), at) for k, unit in enumerate(job.units) for n, (_, _, at) in enumerate(bodies(unit.node))]
    likely = [id(statement) for number, statement in numbered if ranked.places.get(number, 2.0) < ALONE]
    likely += [node for node, rank in ranked.nodes.items() if rank < ALONE]
    lines = [line for line in all_lines(job) if id(line.node or line.statement) in likely]
    return sorted(places(job, lines, most), key=lambda here: here.begins)[:LINES]


def mends_others(job: Job, here: Place, most: int) -> bool:
    """Does the gradient by the same value mend everything on other inputs too?"""
    other = job.others(SEEDS)[0]
    return any(places(other, all_lines(other), most, here))


def all_lines(job: Job) -> list[Line]:
    """The lines, and the parts of statements that can be wrong by themselves."""
    return [*lines_of(job), *parts_of(job)]


def places(job: Job, lines: Sequence[Line], most: int, like: Place | None = None) -> list[Place]:
    """The lines that mend everything with the gradient by a value of the forward.

    If a value of their names does it, only these and lines before, the nearest first; else any value. Only a line
    ``like`` another and the same value, if it is given.
    """
    references, events = References(job), noted(job, lines)
    ran = [line for line in (lines[n] for n in dict.fromkeys(n for n, _ in events))
           if not line.filled and sum(x.size for x in line.values) <= MOST]  # fmt: skip
    pairs = [(line, quantity) for line in ran
             for quantity in references.fitting(references.forward.quantities, line, len(line.values))]  # fmt: skip
    tried, hits = dict[Line, list[Any]](), list[Place]()
    named = sorted((pair for pair in pairs if by_name(pair) < 2), key=by_name)
    for group in (named, [pair for pair in pairs if by_name(pair) == 2]):
        first = min((ran.index(here.line) for here in hits), default=len(ran))
        for line, quantity in sorted(group, key=lambda pair: -ran.index(pair[0])) if hits else group:
            done = None in tried.setdefault(line, []) and by_name((line, quantity)) > 0
            if done or line in ran[first:] or len(hits) == 2 * LINES:
                continue
            same = like is None or (source_of(line), quantity.text) == (like.source, like.quantity)
            gradients = references.gradients(quantity) if same and references.forward.evaluations < most else []
            if gradients and not any(gradients is other or other is None for other in tried[line]):
                most -= 2
                tried[line].append(gradients)
                right = next((g for g in (gradients[::-1], gradients) if is_right_with(job, line, g)), None)
                if right is not None:
                    tried[line].append(None)
                    hits.append(Place(job, line, right, source_of(line), quantity.text))
    for here in hits:
        here.begins = _begins(here, events, lines, references)
    return hits


def _begins(here: Place, events: Sequence[tuple[int, int]], lines: Sequence[Line], references: References) -> int:
    """When a place is wrong first; later if it holds another gradient then, or is a part of a line."""
    begins = events.index((lines.index(here.line), here.first_wrong()))
    known = references.known(here.line.values[here.first_wrong()])
    return (2 * len(events) - begins if known else begins) + 2 * len(events) * bool(here.line.node)


def source_of(line: Line) -> tuple[str, str]:
    """The text of the statement of a line, and what of it is meant."""
    return ast.unparse(line.statement), line.target


def by_name(pair: tuple[Line, Quantity]) -> int:
    """0 if the name of a line says that it holds the gradient by a quantity, 1 if a part of it, else 2."""
    line, quantity = pair
    return bool(quantity.way) if stem(line.target) == stem(quantity.name.split(",")[0]) else 2


def is_right_with(job: Job, line: Line, right: Sequence[np.ndarray]) -> bool:
    """Is everything right with other values in the place of those of a line?"""
    values = iter(right)

    def callback(_: int, x: Any) -> Any:
        return np.array(next(values)) if is_held(line, x) else x

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
