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
from typing import Any

from .batch import SIZE, Batch
from .influence import UNKNOWN, Ranks, ranks
from .insertions import COST, insertions, missing
from .job import Job
from .observe import Observation
from .patch import Patch, patch_of
from .rewrite import rewritten_lines
from .scope import Scope
from .shrink import smaller
from .solve import RANK, Solved, confirmed, solved_lines
from .statement_edits import Edit, bodies, of_statement

WORK = 8000.0  # of a search, in the unit of `Observation.runs`
FIRST = 1000.0  # so much of it before the lines are solved for
SECONDS = 60.0  # of CPU time: no search on a usual machine takes so long
MISTAKES = 4  # so many are looked for, one after another
WEIGHT = 4.0  # how much the rank of a statement counts beside the cost of an edit
PUTS_IN = 1.5  # so much less an edit costs that puts a statement in
FORWARD = 0.3  # so much more an edit of the forward costs: the outputs stay as they are
PROMOTED = 3.0  # so much less an edit costs in a line that can mend everything


@dataclass
class SearchResult:
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
        step = run(job, edits, seen.runs(WORK / 2), job, partial=True)
        if step.edit is None or step.patch is None:
            return []
        job.accept(step.edit.unit, step.patch.text)
        patches.append(step.patch)
    for k, patch in enumerate(patches):
        patch.rank = (k + 1, len(patches))
    return [] if job.first.wrong else patches


def search(job: Job) -> SearchResult:
    """The likeliest edit that makes every gradient right; without any, the lines that can be the mistake.

    Edits are run on smaller inputs, if the same gradients are wrong there; what helps there is run on the given ones.
    """
    small = smaller(job)
    seen = Observation(small)
    ranked = ranks(small, seen)
    edits = Candidates(job, seen if small is job else Observation(job), ranked)
    result = run(job, edits, seen.runs(FIRST), small)
    if result.patch is None:
        result.lines = solved_lines(small, seen, ranked)
        edits.promote([line.statement for line in result.lines])
        fitting = rewritten_lines(small, result.lines, edits.scopes)
        later = run(job, itertools.chain(fitting, edits), seen.runs(WORK) - result.runs, small)
        lines = [] if later.patch else confirmed(small, result.lines, seen.runs(WORK))
        result = SearchResult(later.edit, later.patch, lines, result.runs + later.runs)
    return result


def run(job: Job, edits: Iterator[Edit], most: int, small: Job, partial: bool = False) -> SearchResult:
    """Run ``most`` edits on the inputs of ``small``, or fewer if one makes every gradient right on those of ``job``."""
    runs, stop = 0, time.process_time() + SECONDS
    while runs < most and time.process_time() < stop:
        batch = Batch(small, list(itertools.islice(edits, min(SIZE, most - runs))))
        if not batch.edits:
            break
        for n, edit in enumerate(batch.edits):
            runs += 1
            helps = mends(small, edit.unit, batch.code(n), partial)
            patch = patch_of(job, edit, partial) if helps else None
            if patch is not None:
                return SearchResult(edit, patch, [], runs)
    return SearchResult(None, None, [], runs)


class Candidates:
    """The edits of all statements that ran, ordered by cost and by how likely the statement is wrong."""

    def __init__(self, job: Job, seen: Observation, ranked: Ranks):
        # the least cost of the edits of a statement, what its rank adds to their costs, and what gives them
        self.sources: list[tuple[float, int, float, ast.stmt, Any]] = []
        self.queue: list[tuple[float, int, Edit]] = []
        self.count = itertools.count()
        self.scopes = [Scope(seen, k) for k in range(len(job.units))]
        for k, unit in enumerate(job.units):
            scope = self.scopes[k]
            for n, (body, at, statement) in enumerate(bodies(unit.node)):
                likely = WEIGHT * ranked.places.get((k, n), 2.0) + FORWARD * seen.is_forward(k)
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

    def promote(self, statements: Sequence[ast.stmt]) -> None:
        """Run the edits of some statements earlier, and those that put a statement in."""

        def less(at: ast.stmt, puts_in: bool) -> float:
            return PROMOTED if any(at is other for other in statements) else PUTS_IN * puts_in

        sources = [(less(source[3], source[4].func is insertions), source) for source in self.sources]
        self.sources = [(least - gain, n, offset - gain, at, edits) for gain, (least, n, offset, at, edits) in sources]
        self.queue = [(cost - less(edit.statement, edit.puts_in()), n, edit) for cost, n, edit in self.queue]
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
