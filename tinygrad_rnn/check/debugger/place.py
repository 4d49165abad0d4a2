"""A line that was solved for but not patched, in words: where it is, and what it should hold."""

from __future__ import annotations

import ast
from collections.abc import Sequence

import numpy as np

from .job import Job
from .solve import Solved, shape_of
from .source import Unit, shown


def place_text(job: Job, lines: Sequence[Solved], quantity: str = "") -> str:
    """The first line with what it should hold, and the other lines that can be the mistake instead of it.

    ``quantity`` says in words what it should hold, if that is known.
    """
    line, others = lines[0], lines[1:]
    unit = job.units[line.place[0]]
    count = sum(g is not None for g in job.first.gradients.values())
    many = f"all {count} gradients are" if count > 1 else "the gradient is"
    text = [f"{where(unit, line.statement)}: {source_line(unit, line.statement).strip()}",
            f"    with other values of {ast.unparse(line.node)} here {many} right; no small edit gives them",
            f"    {holds(line, quantity)}"]  # fmt: skip
    if others:
        text.append(f"    a mistake in {'one of these lines' if len(others) > 1 else 'this line'} could be the only "
                    "mistake as well:")  # fmt: skip
        for other in others:
            at = job.units[other.place[0]]
            text.append(f"    {where(at, other.statement)}: {source_line(at, other.statement).strip()}")
    return "\n".join(text)


def where(unit: Unit, statement: ast.stmt) -> str:
    """The file, the line and the function of a statement."""
    return f"{shown(unit.file)}:{statement.lineno} in {unit.name}"


def source_line(unit: Unit, statement: ast.stmt) -> str:
    """The first line of a statement in the file."""
    return unit.text.split("\n")[statement.lineno - 1]


def holds(line: Solved, quantity: str = "") -> str:
    """What a line should hold: the shape, and the largest value that differs in the first run where any does."""
    quantity = f"{quantity}, " if quantity else ""
    runs = len(line.values)
    for n in line.wrong_runs()[:1]:
        now, right = line.values[n], np.asarray(line.right[n])
        shape = shape_of(now)
        if shape != right.shape:
            what = type(now).__name__ if not shape else f"array {shape}"
            return f"it should hold {quantity}an array {right.shape}, is a {what}"
        if not line.unique:
            break
        error = np.abs(now - right)
        index = np.unravel_index(int(np.argmax(error)), error.shape)
        at = f"[{', '.join(str(int(k)) for k in index)}]" if index else ""
        each = f", in run {n + 1} of {runs}" if runs > 1 else ""
        return (f"it should hold {quantity}an array {right.shape}{each}: {at} is {float(now[index]):.6g}, "
                f"should be {float(right[index]):.6g}")  # fmt: skip
    return f"it should hold {quantity}an array {np.shape(line.values[0])}"
