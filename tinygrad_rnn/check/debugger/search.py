"""The search for a patch: edits of the statements are run, the likeliest first, until all gradients are right."""

from __future__ import annotations

import ast
import functools
import heapq
import itertools
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any

from .batch import SIZE, Batch
from .chain import MISTAKES, chained
from .influence import RANK, UNKNOWN, Ranks, ranks
from .insertions import COST, insertions, missing
from .job import Job
from .observe import Observation
from .patch import Goal, Patch, confirmed, mends
from .place import Place, located, mends_others
from .scope import Scope
from .shrink import smaller
from .statement_edits import Edit, bodies, of_statement
from .synthesis import synthesized

WORK = 6000.0  # of a search, in the unit of `Observation.runs`
FIRST = 1000.0  # so much of it before several mistakes are looked for
NEAR = 3000.0  # so much if a line is located
QUICK = 150.0  # so much for slips of the pen
SLIP = 1.1  # the cost of such an edit
SHORT = 2.4  # the cost of an expression of one or two factors
OF_FORWARD = 5000.0  # so much for edits of the forward, which change its outputs
SYNTHESES = 48  # of a line are run
LOCATING = 3000.0  # so much to locate a line
LOCATED = 2.0  # so much less an edit costs of the first line that mends everything
SECONDS = 60.0  # of CPU time: no search on a usual machine takes so long
PUTS_IN = 1.5  # so much less an edit costs later that puts a statement in
WEIGHT = 4.0  # how much the rank of a statement counts beside the cost of an edit
FORWARD = 0.3  # so much more an edit of the forward costs: the outputs stay as they are


@dataclass
class SearchResult:
    """Patches that were run, with the edit if it is one; else a line that mends everything; how many edits were run."""

    patches: list[Patch]
    edit: Edit | None = None
    line: Place | None = None
    runs: int = 0


def search(job: Job) -> SearchResult:
    """The likeliest edit that makes every gradient right, else edits of lines one after another; else a line.

    Lines that mend everything with the right gradient in their place are located first, and edited first. All is run
    on smaller inputs, if the same gradients are wrong there; what helps there is run on the given ones.
    """
    small = smaller(job)
    seen = Observation(small)
    ranked, given = ranks(small, seen), seen if small is job else Observation(job)
    places = located(small, ranked, seen.runs(LOCATING))
    result = first_of(job, small, Candidates(job, given, ranked), [*expressions_of(places, seen)], seen)
    edits = Candidates(job, given, ranked, places)
    if not result.patches:
        result = run(job, edits, seen.runs(NEAR if places else FIRST), small)
    if not result.patches:
        result.patches = chained(job, small)
    if not result.patches:
        edits.put_in_earlier()
        result = run(job, edits, seen.runs(WORK), small)
    if not result.patches:
        result.line = next((here for here in places if mends_others(job, here, seen.runs(LOCATING))), None)
    if not result.patches and not result.line:
        forward = Ranks({place: 2.0 * (rank < 2) for place, rank in ranked.places.items()}, {}, {})
        result = run(job, Candidates(job, given, forward), seen.runs(OF_FORWARD), small, methodcaller("is_consistent"))
    if not result.patches and not result.line:
        result.patches = several(job)
    return result


def first_of(job: Job, small: Job, edits: Iterator[Edit], written: Sequence[Edit], seen: Observation) -> SearchResult:
    """Short expressions of located lines, then slips of the pen anywhere, then longer expressions."""
    result = run(job, (edit for edit in written if edit.cost <= SHORT), seen.runs(NEAR), small)
    if not result.patches:
        result = run(job, itertools.takewhile(lambda edit: edit.cost <= SLIP, edits), seen.runs(QUICK), small)
    if not result.patches:
        result = run(job, (edit for edit in written if edit.cost > SHORT), seen.runs(NEAR), small)
    return result


def expressions_of(places: Sequence[Place], seen: Observation) -> Iterator[Edit]:
    """The edits that write what located lines should hold, with the variables that are visible there."""
    for here in places:
        yield from synthesized(here, Scope(seen, here.line.unit))[:SYNTHESES]


def several(job: Job) -> list[Patch]:
    """Patches of several mistakes: each makes more gradients right, and all are right in the end; else nothing."""
    patches: list[Patch] = []
    while job.first.wrong and len(patches) < MISTAKES:
        seen = Observation(job)
        step = run(job, Candidates(job, seen, ranks(job, seen)), seen.runs(FIRST), job, methodcaller("is_better"))
        if not step.patches:
            return []
        patches += step.patches
        for each in [job, *job.checked]:
            each.accept(patches[-1].unit, patches[-1].text)
    for k, patch in enumerate(patches):
        patch.rank = (k + 1, len(patches))
    return patches


def run(job: Job, edits: Iterator[Edit], most: int, small: Job, goal: Goal = methodcaller("is_right")) -> SearchResult:
    """Run ``most`` edits on the inputs of ``small``, or fewer if one reaches the goal there and on those of ``job``."""
    runs, stop = 0, time.process_time() + SECONDS
    while runs < most and time.process_time() < stop:
        batch = Batch(small, list(itertools.islice(edits, min(SIZE, most - runs))))
        if not batch.edits:
            break
        for n, edit in enumerate(batch.edits):
            runs += 1
            patch = confirmed(job, edit, goal) if mends(small, edit.unit, batch.code(n), goal) else None
            if patch is not None:
                return SearchResult([patch], edit, None, runs)
    return SearchResult([], None, None, runs)


class Candidates:
    """The edits of all statements that ran, ordered by cost and by how likely the statement is wrong."""

    def __init__(self, job: Job, seen: Observation, ranked: Ranks, places: Sequence[Place] = ()):
        # the least cost of the edits of a statement, what its rank adds to their costs, and what gives them
        self.sources: list[tuple[float, int, float, ast.stmt, Any]] = []
        self.queue: list[tuple[float, int, Edit]] = []
        self.count = itertools.count()
        self.scopes = [Scope(seen, k) for k in range(len(job.units))]
        for k, unit in enumerate(job.units):
            scope = self.scopes[k]
            for n, (body, at, statement) in enumerate(bodies(unit.node)):
                likely = WEIGHT * ranked.places.get((k, n), 2.0) + FORWARD * seen.is_forward(statement)
                likely -= sum(LOCATED / (1 + m) for m, here in enumerate(places) if statement is here.line.statement)
                if likely < 1.9 * WEIGHT:
                    self._add(1.0, likely, statement, functools.partial(of_statement, k, body, at, scope))
                for name in missing(unit.node, body, at, scope):
                    variable = re.split(r"\W", name)[0]
                    late = WEIGHT * ranked.variables.get((k, variable), UNKNOWN)
                    edits = functools.partial(insertions, k, unit.node, body, at, scope, name)
                    if late < RANK * WEIGHT:
                        self._add(COST - 2.0, late, statement, edits)
        heapq.heapify(self.sources)

    def _add(self, least: float, offset: float, statement: ast.stmt, edits: Any) -> None:
        self.sources.append((least + offset, next(self.count), offset, statement, edits))

    def __iter__(self) -> Candidates:
        return self

    def __next__(self) -> Edit:
        while self.sources and (not self.queue or self.sources[0][0] <= self.queue[0][0]):
            _, _, offset, _, edits = heapq.heappop(self.sources)
            for edit in edits():
                heapq.heappush(self.queue, (offset + edit.cost, next(self.count), edit))
        if not self.queue:
            raise StopIteration
        return heapq.heappop(self.queue)[2]

    def put_in_earlier(self) -> None:
        """Run the edits earlier that put a statement in."""
        gains = [PUTS_IN * (source[4].func is insertions) for source in self.sources]
        self.sources = [(a - gain, n, b - gain, *rest) for gain, (a, n, b, *rest) in zip(gains, self.sources)]
        self.queue = [(cost - PUTS_IN * edit.puts_in(), n, edit) for cost, n, edit in self.queue]
        heapq.heapify(self.sources)
        heapq.heapify(self.queue)
