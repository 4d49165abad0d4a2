"""The mistakes behind wrong gradients: as lines of the user's source with patches that were run.

Without source, as in a REPL, the first wrong local variable is named. What is true of a wrong gradient as a whole (its
sign, a factor, its order) is told where no line is found.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.observe import locals_of
from .contract.protocol import broken
from .debugger.debug import diagnoses, with_patch
from .debugger.forward import forward_patch
from .debugger.guards import meant
from .debugger.job import Job
from .debugger.patch import SEEDS
from .layers.adapter import Adapter
from .layers.arguments import parameters
from .layers.names import is_gradient
from .layers.problem import LayerProblem
from .numeric.compare import ROUNDED
from .report import Diagnosis, Report, distance
from .smallest import smallest_case
from .timeout import TookTooLong

EDIT = 5.0  # seconds of a call with an edit: a loop may never end with it
MATCH = 1e-8
#: What is said of a gradient, its kind, and the right gradient changed in this way.
WHOLE: dict[str, tuple[str, Callable[[Any, Mapping[str, int]], Any]]] = {
    "its sign is flipped": ("sign", lambda g, n: -g),
    "is zero throughout, as if it had been forgotten": ("missing", lambda g, n: 0 * g),
    "has a factor 2 too many": ("factor", lambda g, n: 2 * g),
    "has a factor 1/2 too many": ("factor", lambda g, n: g / 2),
    "has a factor N = {N} too many: a sum over the batch taken twice": ("factor N", lambda g, n: n["N"] * g),
    "has a factor 1/N = 1/{N} too many: a mean over the batch where a sum should be": (
        "factor N", lambda g, n: g / n["N"]),
    "has a factor T = {T} too many": ("factor T", lambda g, n: n["T"] * g),
    "has a factor 1/T = 1/{T} too many: a mean over time where a sum should be": ("factor T", lambda g, n: g / n["T"]),
    "has a factor 1/(N T) too many: a mean where a sum should be": ("factor N T", lambda g, n: g / n["N"] / n["T"]),
    "has a factor N T = {N} * {T} too many: a sum where a mean should be": (
        "factor N T", lambda g, n: n["N"] * n["T"] * g),
    "is transposed": ("transposed", lambda g, n: g.T if g.ndim == 2 else g),
    "is in the wrong order of time": ("reversed", lambda g, n: g[:, ::-1] if g.ndim == 3 else g),
}  # fmt: skip


def explain(problem: LayerProblem, report: Report) -> None:
    """Add to the report what the wrong gradients come from: lines, else what is true of the gradients as a whole."""
    if not problem.sure or not any(row.verdict == "wrong" for row in report.tensors.values()):
        return
    search_lines(problem.adapter, report)
    lines = [line for line in report.lines if line.kind == "line"]
    wrong = [row for row in report.tensors.values() if row.verdict == "wrong"]
    causes = [row for row in wrong if not row.consequence]
    for line in lines:
        assigned = re.match(r"\s*(\w+)", line.old or line.new or "")
        line.way = problem.way(assigned[1] if assigned else "") or problem.way(report.first_wrong or "")
    if len(causes) > 1 and len(lines) == 1 and lines[0].new is not None:
        for row in causes:  # all are right with the change of this line
            row.consequence = True
    counts, wholes = sizes_of(problem.adapter.inputs), list[Diagnosis]()
    for row in causes if not lines else []:
        texts = (whole_gradient(row.name, got, right, counts) for got, right in problem.pairs(row))
        wholes += next(filter(None, texts), [])
    report.diagnoses = wholes + report.diagnoses


def search_lines(adapter: Adapter, report: Report) -> None:
    """Add to the report the lines that are wrong, and the smallest case that fails.

    Gradients that are right for a forward without the small constants that keep it finite get "precision".
    """
    roots = adapter.roots
    weights = adapter.saves and any(isinstance(root, FunctionType) for root in roots)  # may be inputs of functions
    try:
        adapter.timeout = min(adapter.timeout, EDIT)
        adapter.keep_apart()
        job = Job(adapter, roots)
        constants = meant(job) if job.first.wrong else ""
        if constants:
            for row in (row for row in report.tensors.values() if row.verdict == "wrong"):
                row.verdict, row.note = "precision", f"right without {constants}"
            return
        report.smallest, report.evidence = smallest_case(job, [] if weights else adapter.batched)
        if job.first.wrong and job.units:
            report.diagnoses, report.searched = diagnoses(job) + report.diagnoses, True
        if not report.lines and not any(unit.function is inspect.unwrap(roots[-1]) for unit in job.units):
            report.notes += no_source(roots[-1], adapter, job.dys)
    except TookTooLong:
        report.notes.append("no line is named: the search reached the time limit; a larger timeout gives it more")
    except Exception as error:  # the verdict stands even if the search fails
        report.notes.append(f"no line was looked for: {type(error).__name__}: {error}")


def other_forward(adapter: Adapter, cell: Cell, text: str) -> Diagnosis:
    """The diagnosis of a forward that is not the cell's, with the line that makes it another, if one is found."""
    try:
        patch = forward_patch(adapter, adapter.roots, cell)
    except Exception:  # of the user's code, on other inputs
        patch = None
    if patch is None:
        return broken("forward", "", text)
    proof = f"    with this change forward is that of {cell.name}, on {1 + len(SEEDS)} inputs"
    text = "\n".join([text, *str(patch).split("\n")[:-1], proof])
    return replace(with_patch(patch, 0), kind="protocol: forward", text=text)


def no_source(root: Any, adapter: Adapter, dys: Sequence[Any]) -> list[str]:
    """Why the lines of a function cannot be looked into, as a note, with its first wrong variable; [] for an object."""
    if not isinstance(root, FunctionType):
        return []
    if root.__name__ == "<lambda>":
        return ["the backward is a lambda: a mistake inside of it has no line; write it as a def"]
    text = f"the source of {root.__qualname__} is not available, so no line of it is named: run it from a file"
    return ["; ".join(filter(None, [text, wrong_variable(adapter, root, dys)]))]


def wrong_variable(adapter: Adapter, function: Any, dys: Sequence[Any]) -> str:
    """The first local variable that is named as a gradient and is never that gradient, in words; "" if there is none.

    ``df`` is the gradient by f, or by what goes into the activation that gives f, at any step. Arguments do not count.
    """
    right, code = adapter.known_gradients(dys), inspect.unwrap(function).__code__
    lines, changes = [code.co_firstlineno], dict[str, list[tuple[int, Any]]]()  # what each becomes, from which line on

    def note(variables: dict[str, Any]) -> None:
        for name, x in variables.items():
            array = isinstance(x, np.ndarray) and x.dtype.kind == "f" and name not in parameters(function)
            runs = changes.setdefault(name, []) if array else []
            if array and not (runs and np.array_equal(x, runs[-1][1], equal_nan=True)):
                runs.append((lines[-1], np.array(x)))
        lines.append(sys._getframe(2).f_lineno)  # the line that runs next

    with locals_of([code] if right else [], note):
        adapter.run(adapter.floats, dys)
    for name, runs in changes.items():
        meant = [of for of in right if is_gradient(name, of.split(",")[0].rstrip("'"))]
        fits = [g for of in meant for g in right[of] if any(np.shape(g) == x.shape for _, x in runs)]
        if fits and not any(distance(x, g) <= ROUNDED for _, x in runs for g in fits):
            text = f"its local variable {name}, from line {runs[0][0]} on, is never the gradient by"
            return f"{text} {meant[0].split(',')[0]}"
    return ""


def whole_gradient(name: str, got: Any, right: Any, counts: Mapping[str, int]) -> list[Diagnosis]:
    """What is true of a wrong gradient as a whole, to 1e-8; ``counts`` are N and T."""
    diagnoses = []
    for text, (kind, change) in WHOLE.items():
        ambiguous = any(counts[letter] <= 2 for letter in kind.split()[1:])  # a factor of 2 or 1 has another reason
        candidate = right if ambiguous else change(right, counts)
        differs = np.shape(candidate) == np.shape(got) and distance(candidate, right) > MATCH
        if differs and distance(got, candidate) <= MATCH:
            diagnoses.append(Diagnosis(kind, name, f"{name}: {text.format(**counts)}", distance(got, candidate)))
    return diagnoses


def sizes_of(inputs: list[Any]) -> dict[str, int]:
    """N and T of a layer's inputs; T is 1 if no input has three axes.

    Time leads, (T, N, D), if the second axis and not the first is that of the rows of a state, (N, H).
    """
    shapes = [np.shape(x) for x in inputs]
    steps, rows = next((shape for shape in shapes if len(shape) == 3), ()), [x[0] for x in shapes if len(x) == 2]
    if steps and steps[1] in rows and steps[0] not in rows:
        return {"N": steps[1], "T": steps[0]}
    return {"N": shapes[0][0] if shapes and shapes[0] else 1, "T": steps[1] if steps else 1}
