"""The search for a patch: edits of the statements are run, the likeliest first, until all gradients are right."""

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
from .influence import UNKNOWN, Place, ranks
from .insertions import COST, insertions
from .job import Job
from .observe import Observation
from .patch import Patch, patch_of
from .statement_edits import Edit, bodies, of_statement

SECONDS = 8.0  # of CPU time
OFTEN = 32  # the clock is read once in so many runs
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
    for edit in candidates(job, seen, ranked):
        if runs % OFTEN == 0 and time.process_time() - start > seconds:
            break
        runs += 1
        if mends(job, edit):
            patch = patch_of(job, edit)
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


def mends(job: Job, edit: Edit) -> bool:
    """Are all gradients right with an edit, and the outputs of the forward as before?"""
    unit = job.units[edit.unit]
    edit.swap()
    try:
        placed(edit)
        code = unit.compiled()
    except (SyntaxError, ValueError, TypeError):
        return False
    finally:
        edit.swap()
    try:
        with job.running({edit.unit: code}):
            return job.is_right()
    except Exception:  # of the user's code with the edit
        return False


def placed(edit: Edit) -> None:
    """Give the new nodes of an edit the line of its statement; after `Edit.swap`."""
    if isinstance(edit.new, tuple):
        start, stop, _ = edit.new
        new = edit.holder[start:stop]
    else:
        new = [edit.holder[edit.key] if isinstance(edit.holder, list) else getattr(edit.holder, edit.key)]
    line, column = edit.statement.lineno, edit.statement.col_offset
    for root in new:
        for node in ast.walk(root):
            if "lineno" in node._attributes and not hasattr(node, "lineno"):
                node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
                node.col_offset = node.end_col_offset = column  # type: ignore[attr-defined]
