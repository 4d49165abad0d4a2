"""The search for a patch: edits of the statements are run, the likeliest first, until all gradients are right."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from .batch import SIZE, Batch
from .edits import Scope
from .influence import UNKNOWN, Place, ranks
from .insertions import COST, insertions
from .job import Job
from .observe import Observation
from .patch import Patch, patch_of
from .statement_edits import Edit, bodies, of_statement

SECONDS = 8.0  # of CPU time
WEIGHT = 4.0  # how much the rank of a statement counts beside the cost of an edit


@dataclass
class Found:
    """An edit that was run and its patch, and how many edits were run."""

    edit: Edit | None
    patch: Patch | None
    runs: int
    ranks: dict[Place, float]


def search(job: Job, seconds: float = SECONDS) -> Found:
    """The likeliest edit that makes every gradient right."""
    start = time.process_time()
    seen = Observation(job)
    ranked = ranks(job, seen)
    runs = 0
    edits = candidates(job, seen, ranked)
    while time.process_time() - start < seconds:
        batch = Batch(job, list(itertools.islice(edits, SIZE)))
        if not batch.edits:
            break
        for n, edit in enumerate(batch.edits):
            runs += 1
            patch = patch_of(job, edit) if mends(job, edit.unit, batch.code(n)) else None
            if patch is not None:
                return Found(edit, patch, runs, ranked)
    return Found(None, None, runs, ranked)


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


def mends(job: Job, k: int, code: Any) -> bool:
    """Are all gradients right with other code of unit ``k``, and the outputs of the forward as before?"""
    if code is None:
        return False
    try:
        with job.running({k: code}):
            return job.is_right()
    except Exception:  # of the user's code with the edit
        return False
