"""The mistakes of a layer as lines: with the likeliest patch that was run, else the line and what it should hold."""

from __future__ import annotations

from collections.abc import Sequence

from ..report import Diagnosis
from .chain import chained
from .holds import should_hold, target_of
from .job import Job
from .place import place_text, source_line
from .quantity import gradient_by
from .search import search, several
from .solve import Solved


def diagnoses(job: Job) -> list[Diagnosis]:
    """The mistakes of a layer whose gradients are wrong, as diagnoses of kind "line".

    With a patch that was run, if there is any; else the line that can be the only mistake, whose ``new`` is None.
    If no line can be the only mistake, up to four patches that make everything right together, or nothing: of mistakes
    in one chain of lines, or of mistakes that each have gradients of their own.
    """
    if not job.first.wrong or not job.units:
        return []
    result = search(job)
    patches = [result.patch] if result.patch else chained(job) or ([] if result.lines else several(job))
    if result.patch:
        job.accept(result.patch.unit, result.patch.text)
    for patch in patches:
        patch.holds = should_hold(job, patch)
    if patches:
        return [Diagnosis("line", "", str(patch), 0.0, k, None, patch.file, patch.line, patch.function, patch.old,
                          patch.new, patch.diff(), holds=patch.holds) for k, patch in enumerate(patches)]  # fmt: skip
    return [place(job, result.lines)] if result.lines else []


def place(job: Job, lines: Sequence[Solved]) -> Diagnosis:
    """The line that can be the only mistake, without a patch."""
    unit, statement = job.units[lines[0].place[0]], lines[0].statement
    holds = gradient_by(lines[0].job, lines[0].right, target_of(statement))
    return Diagnosis("line", "", place_text(job, lines, holds), 0.0, 0, None, unit.file, statement.lineno, unit.name,
                     source_line(unit, statement), holds=holds)  # fmt: skip
