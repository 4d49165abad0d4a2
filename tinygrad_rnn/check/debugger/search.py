"""The search for a patch: edits of the statements are run, the likeliest first, until all gradients are right."""

from __future__ import annotations

import ast
import functools
import heapq
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .batch import SIZE, Batch
from .edits import Scope
from .influence import UNKNOWN, Place, ranks
from .insertions import COST, insertions
from .job import Job
from .observe import Observation
from .patch import Patch, patch_of
from .rewrite import rewritten_lines
from .solve import Solved, solved_lines
from .statement_edits import Edit, bodies, of_statement

WORK = 8000.0  # of a search, in the unit of `Observation.runs`
FIRST = 2500.0  # so much of it before the lines are solved for
SECONDS = 60.0  # of CPU time: no search on a usual machine takes so long
MISTAKES = 4  # so many are looked for, one after another
WEIGHT = 4.0  # how much the rank of a statement counts beside the cost of an edit
PROMOTED = 3.0  # so much less an edit costs in a line that can mend everything


@dataclass
class Found:
    """A patch that was run and its edit, or the lines that can mend everything; and how many edits were run."""

    edit: Edit | None
    patch: Patch | None
    lines: list[Solved]
    runs: int = 0


def several(job: Job) -> list[Patch]:
    """Patches of several mistakes: each makes more gradients right, and all are right in the end; else nothing."""
    patches: list[Patch] = []
    while job.first.wrong and len(patches) < MISTAKES:
        seen = Observation(job)
        edits = Candidates(job, seen, ranks(job, seen, partial=True))
        found = run(job, edits, seen.runs(WORK / 2), partial=True)
        if found.edit is None or found.patch is None:
            return []
        job.accept(found.edit.unit, found.patch.text)
        patches.append(found.patch)
    for k, patch in enumerate(patches):
        patch.rank = (k + 1, len(patches))
    return [] if job.first.wrong else patches


def search(job: Job) -> Found:
    """The likeliest edit that makes every gradient right; without any, the lines that can be the mistake."""
    seen = Observation(job)
    ranked = ranks(job, seen)
    edits = Candidates(job, seen, ranked)
    found = run(job, edits, seen.runs(FIRST))
    if found.patch is None:
        found.lines = solved_lines(job, seen, ranked)
        edits.promote([line.statement for line in found.lines])
        fitting = rewritten_lines(job, found.lines, edits.scopes)
        later = run(job, itertools.chain(fitting, edits), seen.runs(WORK) - found.runs)
        found = Found(later.edit, later.patch, found.lines, found.runs + later.runs)
    return found


def run(job: Job, edits: Iterator[Edit], most: int, partial: bool = False) -> Found:
    """Run ``most`` edits, or fewer if one makes every gradient right."""
    runs, stop = 0, time.process_time() + SECONDS
    while runs < most and time.process_time() < stop:
        batch = Batch(job, list(itertools.islice(edits, min(SIZE, most - runs))))
        if not batch.edits:
            break
        for n, edit in enumerate(batch.edits):
            runs += 1
            helps = mends(job, edit.unit, batch.code(n), partial)
            patch = patch_of(job, edit, partial) if helps else None
            if patch is not None:
                return Found(edit, patch, [], runs)
    return Found(None, None, [], runs)


class Candidates:
    """The edits of all statements that ran, ordered by cost and by how likely the statement is wrong."""

    def __init__(self, job: Job, seen: Observation, ranked: dict[Place, float]):
        # the least cost of the edits of a statement, what its rank adds to their costs, and what gives them
        self.sources: list[tuple[float, int, float, ast.stmt, Any]] = []
        self.queue: list[tuple[float, int, Edit]] = []
        self.count = itertools.count()
        self.scopes = [Scope(seen, k) for k in range(len(job.units))]
        for k, unit in enumerate(job.units):
            scope = self.scopes[k]
            for n, (body, at, statement) in enumerate(bodies(unit.node)):
                likely = WEIGHT * ranked.get((k, n), 2.0)
                if likely < 1.9 * WEIGHT:
                    self._add(1.0, likely, statement, functools.partial(of_statement, k, body, at, scope))
                    late = min(likely, WEIGHT * UNKNOWN)
                    self._add(COST - 1.0, late, statement, functools.partial(insertions, k, unit.node, body, at, scope))
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

    def promote(self, statements: Sequence[ast.stmt]) -> None:
        """Run the edits of some statements earlier."""

        def less(statement: ast.stmt) -> float:
            return PROMOTED if any(statement is other for other in statements) else 0.0

        self.sources = [(least - less(at), n, offset - less(at), at, edits)
                        for least, n, offset, at, edits in self.sources]  # fmt: skip
        self.queue = [(cost - less(edit.statement), n, edit) for cost, n, edit in self.queue]
        heapq.heapify(self.sources)
        heapq.heapify(self.queue)


def mends(job: Job, k: int, code: Any, partial: bool = False) -> bool:
    """Are all gradients right with other code of unit ``k``, or more if ``partial``, and the outputs as before?"""
    if code is None:
        return False
    try:
        with job.running({k: code}):
            return job.is_better() if partial else job.is_right()
    except Exception:  # of the user's code with the edit
        return False
