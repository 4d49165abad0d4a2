"""The mistakes of a layer as lines: with the likeliest patch that was run, else the line and what it should hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..layers.adapter import Adapter
from ..report import Diagnosis
from .job import Job
from .place import source_line, told
from .search import search


def diagnoses(adapter: Adapter, roots: Sequence[Any]) -> list[Diagnosis]:
    """The mistakes of a layer whose gradients are wrong, as diagnoses of kind "line".

    With a patch that was run, if there is any; else the line that can be the only mistake, whose ``new`` is None.
    Nothing if no line can be the only mistake.
    """
    job = Job(adapter, roots)
    if not job.first.wrong or not job.units:
        return []
    found = search(job)
    if found.patch is not None:
        patch = found.patch
        return [Diagnosis("line", "", str(patch), 0.0, 0, None, patch.file, patch.line, patch.function, patch.old,
                          patch.new, patch.diff())]  # fmt: skip
    if not found.lines:
        return []
    line = found.lines[0]
    unit = job.units[line.place[0]]
    return [Diagnosis("line", "", told(job, found.lines), 0.0, 0, None, unit.file, line.statement.lineno, unit.name,
                      source_line(unit, line.statement))]  # fmt: skip
