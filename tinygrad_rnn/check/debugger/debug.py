"""The mistakes of a layer as lines: with the likeliest patch that was run, else the line and what it should hold."""

from __future__ import annotations

from ..report import Diagnosis
from .holds import should_hold
from .job import Job
from .patch import Patch
from .place import Place, source_line
from .quantity import gradient_by
from .search import search


def diagnoses(job: Job) -> list[Diagnosis]:
    """The mistakes of a layer whose gradients are wrong, as diagnoses of kind "line".

    With patches that were run: one that makes everything right, or up to four that do so together. Else a line that can
    be the only mistake, whose ``new`` is None, or nothing.
    """
    if not job.first.wrong or not job.units:
        return []
    result = search(job)
    for patch in result.patches:
        job.accept(patch.unit, patch.text)
    for patch in result.patches:
        patch.holds = should_hold(job, patch)
    patched = [with_patch(patch, k) for k, patch in enumerate(result.patches)]
    return patched or ([_without_patch(result.line)] if result.line else [])


def with_patch(patch: Patch, k: int) -> Diagnosis:
    return Diagnosis("line", "", str(patch), 0.0, k, None, patch.file, patch.line, patch.function, patch.old, patch.new,
                     patch.diff(), holds=patch.holds)  # fmt: skip


def _without_patch(place: Place) -> Diagnosis:
    line, unit = place.line, place.job.units[place.line.unit]
    holds = gradient_by(place.job, place.right, line.target) or place.quantity
    return Diagnosis("line", "", place.text(holds), 0.0, 0, None, unit.file, line.statement.lineno, unit.name,
                     source_line(unit, line.statement), holds=holds)  # fmt: skip
