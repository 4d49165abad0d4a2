"""The mistakes of a layer as patches, one after another: find the likeliest edit, confirm its text, tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..layers.adapter import Adapter
from ..report import Diagnosis
from .job import Job
from .patch import Patch
from .search import search


def debug(adapter: Adapter, roots: Sequence[Any]) -> list[Patch]:
    """The patch of a layer whose gradients are wrong; nothing if none of the edits makes all gradients right."""
    job = Job(adapter, roots)
    if not job.first.wrong or not job.units:
        return []
    found = search(job)
    return [found.patch] if found.patch else []


def diagnoses(adapter: Adapter, roots: Sequence[Any]) -> list[Diagnosis]:
    """The patches as diagnoses of kind "line"."""
    return [Diagnosis("line", "", str(patch), 0.0, k, None, patch.file, patch.line, patch.function, patch.old,
                      patch.new, patch.diff()) for k, patch in enumerate(debug(adapter, roots))]  # fmt: skip
