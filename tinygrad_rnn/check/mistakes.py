"""The mistakes behind wrong gradients, as lines of the user's source with patches that were run."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import FunctionType
from typing import Any

from ..cells.cell import Cell
from .contract.protocol import broken
from .debugger.debug import diagnoses
from .debugger.forward import forward_patch
from .debugger.guards import meant
from .debugger.job import Job
from .debugger.patch import SEEDS
from .layers.adapter import Adapter
from .local_variables import wrong_variable
from .report import Diagnosis, Report
from .smallest import smallest_case
from .timeout import TookTooLong

EDIT = 5.0  # seconds of a call with an edit: a loop may never end with it


def explain(adapter: Adapter, roots: Sequence[Any], report: Report, batched: Sequence[str]) -> None:
    """Add to the report what the wrong gradients come from.

    ``roots`` are the user's functions, classes and objects; ``batched`` the inputs with a row for each sample.
    Gradients that are right for a forward without the small constants that keep it finite get "precision".
    """
    wrong = [row for row in report.tensors.values() if row.verdict == "wrong"]
    if not wrong:
        return
    try:
        adapter.timeout = min(adapter.timeout, EDIT)
        adapter.keep_apart()
        job = Job(adapter, roots)
        constants = meant(job) if job.first.wrong else ""
        if constants:
            for row in wrong:
                row.verdict, row.note = "precision", f"right without {constants}"
            return
        report.smallest, report.evidence = smallest_case(job, batched)
        if job.first.wrong and job.units:
            report.diagnoses, report.searched = diagnoses(job) + report.diagnoses, True
        if not report.lines and not any(unit.function is inspect.unwrap(roots[-1]) for unit in job.units):
            report.notes += no_source(roots[-1], adapter, job.dys)
    except TookTooLong:
        report.notes.append("no line is named: the search reached the time limit; a larger timeout gives it more")
    except Exception as error:  # the verdict stands even if the search fails
        report.notes.append(f"no line was looked for: {type(error).__name__}: {error}")


def other_forward(adapter: Adapter, roots: Sequence[Any], cell: Cell, text: str) -> Diagnosis:
    """The diagnosis of a forward that is not the cell's, with the line that makes it another, if one is found."""
    try:
        patch = forward_patch(adapter, roots, cell)
    except Exception:  # of the user's code, on other inputs
        patch = None
    diagnosis = broken("forward", "", text)
    if patch is None:
        return diagnosis
    proof = f"    with this change forward is that of {cell.name}, on {1 + len(SEEDS)} inputs"
    diagnosis.text = "\n".join([text, *str(patch).split("\n")[:-1], proof])
    diagnosis.file, diagnosis.line, diagnosis.function = patch.file, patch.line, patch.function
    diagnosis.old, diagnosis.new, diagnosis.diff = patch.old, patch.new, patch.diff()
    diagnosis.__post_init__()
    return diagnosis


def no_source(root: Any, adapter: Adapter, dys: Sequence[Any]) -> list[str]:
    """Why the lines of a function cannot be looked into, as a note, with its first wrong variable; [] for an object."""
    if not isinstance(root, FunctionType):
        return []
    if root.__name__ == "<lambda>":
        return ["the backward is a lambda: a mistake inside of it has no line; write it as a def"]
    text = f"the source of {root.__qualname__} is not available, so no line of it is named: run it from a file"
    return ["; ".join(filter(None, [text, wrong_variable(adapter, root, dys)]))]
