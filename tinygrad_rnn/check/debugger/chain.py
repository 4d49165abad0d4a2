"""Lines by their names: the first line that does not hold what its name says is mended, then the next.

``df`` says that a line holds the gradient by ``f``, or by what goes into ``f``. While all lines before it are right, an
edit of this line alone has to give that gradient. So two mistakes that are only right together are found one by one.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .batch import SIZE, Batch, is_single
from .job import Job
from .observe import Observation
from .patch import SEEDS, Patch, patch_of
from .references import Line, References, is_held, lines_of, passed
from .scope import Scope
from .source import Unit
from .statement_edits import Edit, of_statement

MISTAKES = 4
EDITS = 600  # of a line
WORK = 1200.0  # in all, in the unit of `Observation.runs`
EARLIER = 4  # lines before a wrong one that are tried too
Wrong = tuple[int, Line, int, list[Line]]  # when a line is wrong, the line, its run, and lines before it


def chained(job: Job, small: Job) -> list[Patch]:
    """Patches of lines, one after another, with which all gradients are right in the end; else nothing.

    They are found on the inputs of ``small``. A name may mean something else: if it leads nowhere, the line that was
    mended first is taken as right.
    """
    jobs = [*dict.fromkeys([small, job]), *job.others(SEEDS)]
    before = [(list(each.units), dict(each.exact), each.first) for each in jobs]
    chain = Chain(jobs)
    for _ in range(MISTAKES):
        patches = chain.in_turn()
        same = all(each.same_outputs(first.outputs) for each, (_, _, first) in zip(jobs, before))
        if patches and same and not any(each.first.wrong for each in jobs):
            return in_order([patch for _, patch in patches], before[0][0])
        for each, (units, exact, first) in zip(jobs, before):
            each.units[:], each.exact, each.first = units, dict(exact), first
        if not patches or chain.left <= 0:
            break
        chain.right.append(patches[0][0])
    return []


def in_order(patches: list[Patch], units: Sequence[Unit]) -> list[Patch]:
    """The patches as changes of one text after another, with the place of each in the order."""
    texts_now = {patch.unit: units[patch.unit].text for patch in patches}
    for n, patch in enumerate(patches):
        lines = texts_now[patch.unit].split("\n")
        count = len(patch.old.split("\n"))
        lines[patch.line - 1 : patch.line - 1 + count] = patch.new.split("\n")
        patch.before, patch.text, patch.rank = texts_now[patch.unit], "\n".join(lines), (n + 1, len(patches))
        texts_now[patch.unit] = patch.text
    return patches


class Chain:
    """The search: ``right`` are lines that count as right, ``least`` the runs at which a line has to be right."""

    def __init__(self, jobs: Sequence[Job]):
        self.jobs, self.job = jobs, jobs[0]
        self.references, self.left = References(self.job), Observation(self.job).runs(WORK)
        self.right: list[str] = []
        self.least: dict[str, int] = {}

    def in_turn(self) -> list[tuple[str, Patch]]:
        """Patch one line after another, up to four; each with the text of the line that was wrong."""
        job, patches = self.job, dict[str, Patch]()
        for _ in range(3 * MISTAKES):
            wrong = list(self.wrong())
            step = self.next(wrong, patches) if job.first.wrong and len(patches) < MISTAKES else None
            if step is None:
                break
            key, unit, text, patch = step
            before = job.units[unit].text
            try:
                self.accept(unit, text)
            except Exception:  # of the user's code with the edit, on other inputs than those of the search
                self.right.append(key)
                self.accept(unit, before)
                continue
            if patch is None:  # a line is as it was
                patches.pop(key)
            elif job.first.wrong and len(wrong) > 1 and next(self.wrong(), wrong[1])[0] < wrong[1][0]:
                self.right.append(key)  # it makes lines wrong that were right
                self.accept(unit, before)
            else:
                patches[key] = patch
        return list(patches.items())

    def accept(self, unit: int, text: str) -> None:
        for job in self.jobs:
            job.accept(unit, text)

    def next(self, wrong: Sequence[Wrong], patches: dict[str, Patch]) -> tuple[str, int, str, Patch | None] | None:
        """The likeliest edit that mends the first wrong line: the line, the unit, its text then, and the patch.

        A line that was mended and is wrong at a later run is put back, without a patch, to be mended anew.
        """
        seen = Observation(self.job)
        for _, line, run, earlier in wrong:
            text, scope = ast.unparse(line.statement), Scope(seen, line.unit)
            for key, old in patches.items():
                if old.new.strip() == text:
                    self.least[key] = run
                    return key, old.unit, self.job.units[old.unit].text.replace(old.new, old.old, 1), None
            for source in [line, *earlier]:
                edit = self.mending(source, line, max(run, self.least.get(text, 0)), scope)
                patch = patch_of(self.job, edit) if edit is not None else None
                if patch is not None:
                    return ast.unparse(source.statement), patch.unit, patch.text, patch
        return None

    def wrong(self) -> Iterator[Wrong]:
        """The lines that do not hold a gradient of their name, in the order of their runs: when, the line, its first
        wrong run, and the lines of the same function without a known name that ran before it, the last first.
        """
        lines, taken = list(lines_of(self.job)), list[int]()
        events = noted(self.job, lines)
        for at, (n, run) in enumerate(events):
            line = lines[n]
            if n not in taken and not self.references.hold(line, line.values[: run + 1], len(line.values), True):
                taken.append(n)
                before = dict.fromkeys(m for m, _ in reversed(events[:at]) if lines[m].unit == line.unit and m != n)
                nameless = [m for m in before if not self.references.of(lines[m], len(lines[m].values))]
                if ast.unparse(line.statement) not in self.right:
                    yield at, line, run, [lines[m] for m in nameless[:EARLIER]]

    def mending(self, source: Line, line: Line, run: int, scope: Scope) -> Edit | None:
        """The likeliest edit of a line with which another line is right up to a run."""
        edits = (edit for edit in of_statement(source.unit, source.body, source.at, scope) if not is_single(edit))
        most = EDITS if source is line else EDITS // 4
        queue = iter(sorted(itertools.islice(edits, 4 * EDITS), key=lambda edit: edit.cost)[:most])
        while self.left > 0 and (batch := Batch(self.job, list(itertools.islice(queue, SIZE)), line)).edits:
            self.left -= len(batch.edits)
            for n, edit in enumerate(batch.edits):
                values = batch.held(n)
                if len(values) > run and self.references.hold(line, values[: run + 1], len(values)):
                    return edit
        return None


def noted(job: Job, lines: Sequence[Line]) -> list[tuple[int, int]]:
    """Run the job, and note what each line holds; the (line, run) in the order in which they happened."""
    events: list[tuple[int, int]] = []

    def note(n: int, x: Any) -> Any:
        if is_held(lines[n], x):
            events.append((n, len(lines[n].values)))
            lines[n].values.append(np.array(x))
        return x

    with job.running(passed(job, lines, note)):
        job.outcome()
    return events
