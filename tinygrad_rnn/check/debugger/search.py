"""The search for a patch: edits of the user's statements are run, the likeliest first, until every gradient is right."""

from __future__ import annotations

import ast
import heapq
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from .edits import Scope
from .influence import UNKNOWN, Place, ranks, same_outputs
from .insertions import COST, insertions
from .job import Job, Outcome
from .observe import Observation
from .statement_edits import Edit, bodies, of_statement

SECONDS = 8.0  # of CPU time
WEIGHT = 4.0  # how much the rank of a statement counts beside the cost of an edit


@dataclass
class Found:
    """An edit that was run, and how many were."""

    edit: Edit | None
    runs: int
    ranks: dict[Place, float]


def search(job: Job, seconds: float = SECONDS) -> Found:
    """The likeliest edit that makes every gradient right."""
    start = time.process_time()
    seen = Observation(job)
    ranked = ranks(job, seen)
    runs = 0
    for edit in candidates(job, seen, ranked):
        if time.process_time() - start > seconds:
            break
        runs += 1
        outcome = tried(job, edit)
        if outcome is not None and not outcome.wrong:
            return Found(edit, runs, ranked)
    return Found(None, runs, ranked)


def candidates(job: Job, seen: Observation, ranked: dict[Place, float]) -> Iterator[Edit]:
    """The edits of all statements that ran, ordered by cost and by how likely the statement is wrong."""
    sources: list[tuple[float, int, Any]] = []  # the least cost of the edits of a statement, and what gives them
    for k, unit in enumerate(job.units):
        scope = Scope(seen, k)
        for n, (body, at, _) in enumerate(bodies(unit.node)):
            likely = WEIGHT * ranked.get((k, n), 2.0)
            if likely < 1.9 * WEIGHT:
                sources.append((likely + 1, len(sources), partial(of_statement, k, body, at, scope)))
                late = min(likely, WEIGHT * UNKNOWN)
                sources.append((late + COST, len(sources), partial(insertions, k, unit.node, body, at, scope)))
    heapq.heapify(sources)
    queue: list[tuple[float, int, Edit]] = []
    count = itertools.count()
    while sources or queue:
        while sources and (not queue or sources[0][0] <= queue[0][0]):
            least, _, edits = heapq.heappop(sources)
            offset = least - (1 if edits.func is of_statement else COST)
            for edit in edits():
                heapq.heappush(queue, (offset + edit.cost, next(count), edit))
        if queue:
            yield heapq.heappop(queue)[2]


def tried(job: Job, edit: Edit) -> Outcome | None:
    """The outcome with an edit; None if it raises, or changes the outputs of the forward."""
    unit = job.units[edit.unit]
    edit.swap()
    try:
        ast.fix_missing_locations(unit.node)
        code = unit.compiled()
    except (SyntaxError, ValueError, TypeError):
        return None
    finally:
        edit.swap()
    try:
        with job.running({edit.unit: code}):
            outcome = job.outcome()
    except Exception:  # of the user's code with the edit
        return None
    return outcome if same_outputs(job, outcome) else None
