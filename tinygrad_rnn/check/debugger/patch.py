"""A patch: an edit as a change of the text of the user's file, run as it is printed."""

from __future__ import annotations

import ast
import difflib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .batch import with_edit
from .job import Job
from .source import Unit, definition_of, shown
from .statement_edits import Edit

SEEDS = (1, 2)  # beside the user's inputs, a patch is run on inputs from so many seeds


@dataclass
class Patch:
    """A change of a file: ``old`` and ``new`` are the lines from ``line`` on; ``count`` gradients are right with it.

    ``text`` is the whole file with the change.
    """

    file: str
    line: int
    function: str
    old: str
    new: str
    text: str
    before: str
    count: int = 0
    rank: tuple[int, int] = (1, 1)  # which of how many patches that are needed together
    unit: int = 0  # of the job
    holds: str = ""  # what the line should hold, in words, if that is known

    def diff(self) -> str:
        """The change as a unified diff that ``git apply`` takes."""
        name = os.path.relpath(self.file).replace(os.sep, "/")
        lines = difflib.unified_diff(self.before.splitlines(keepends=True), self.text.splitlines(keepends=True),
                                     f"a/{name}", f"b/{name}")  # fmt: skip
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def __str__(self) -> str:
        where = f"{shown(self.file)}:{self.line} in {self.function}"
        first = next((line.strip() for line in (self.old or self.new).split("\n") if line.strip()), "")
        minus = [f"    - {line}" for line in self.old.split("\n") if self.old]
        plus = [f"    + {line}" for line in self.new.split("\n") if self.new]
        many = f"all {self.count} gradients are" if self.count > 1 else "the gradient is"
        total = self.rank[1]
        change = "this change" if total == 1 else f"the {total} changes together"
        proof = f"    with {change} {many} right, on {1 + len(SEEDS)} inputs"
        holds = [f"    it should hold {self.holds}"] if self.holds else []
        meant = approximation(self.old, self.new, self.before.split("\n")[: self.line])
        note = [f"    if {meant} was meant, the gradient is an approximation, and right as such"] if meant else []
        return "\n".join([f"{where}: {first}", *holds, *minus, *plus, proof, *note])


def approximation(old: str, new: str, before: Sequence[str]) -> str:
    """What a change takes away, if it can have been meant: a clip, a rounding, a cut of the backpropagation in time.

    A cut is a zero for what is carried, under a condition with %, as in ``if t % 20 == 0: dh = np.zeros_like(dh)``.
    ``before`` are the lines of the file up to the change.
    """
    for word in ("clip", "round", "sign"):
        if re.search(rf"\b{word}\(", old) and not re.search(rf"\b{word}\(", new):
            return {"clip": "the clip", "round": "the rounding", "sign": "the sign"}[word]
    zero = re.search(r"\b(d|grad_?|delta_?)\w*\s*=.*\b(zeros(_like)?\(|0(\.0)?\b)", old)
    condition = any(re.match(r"\s*if\b.*%", line) for line in [*before[-3:-1], *old.split("\n")])
    return "the cut of the backpropagation through time" if zero and condition else ""


Goal = Callable[[Job], bool]


def confirmed(job: Job, edit: Edit, goal: Goal) -> Patch | None:
    """The edit as a patch, if the file with it reaches a goal, also on inputs from other seeds; else None."""
    patch = patch_of(job, edit)
    code = compiled(job.units[edit.unit], patch.text) if patch else None
    return patch if all(mends(other, edit.unit, code, goal) for other in [job, *job.others(SEEDS)]) else None


def patch_of(job: Job, edit: Edit) -> Patch | None:
    """The edit as a patch that is not run yet; None if it cannot be written."""
    unit = job.units[edit.unit]
    text = text_with(unit, edit)
    if text is None:
        return None
    patch = changed_lines(unit, text, sum(g is not None for g in job.first.gradients.values()))
    patch.unit = edit.unit
    return patch


def mends(job: Job, k: int, code: Any, goal: Goal) -> bool:
    """Does the job reach a goal with other code of unit ``k``: are all gradients right, and the outputs as before?"""
    if code is None:
        return False
    try:
        with job.running({k: code}):
            return goal(job)
    except Exception:  # of the user's code with the edit
        return False


def compiled(unit: Unit, text: str) -> Any:
    """The code of a unit in another text of its file; None if it cannot be compiled."""
    try:
        place = definition_of(ast.parse(text), unit.original)
        return Unit(unit.function, unit.file, text, place[-1], place[:-1]).compiled() if place else None  # type: ignore[arg-type]
    except (SyntaxError, ValueError):
        return None


def text_with(unit: Unit, edit: Edit) -> str | None:
    """The text of the file with an edit: only the expression changed, in brackets if needed, or the statement anew."""
    statement, text = edit.statement, unit.text
    if isinstance(edit.new, tuple):
        start, stop, _ = edit.new
        return _statements(text, statement, stop > start, edit.statements(), len(edit.holder))
    old = edit.holder[edit.key] if isinstance(edit.holder, list) else getattr(edit.holder, edit.key)
    written, wanted = _in_style(ast.unparse(edit.built()), text), ast.dump(with_edit(unit.node, edit))
    bare = [written[1:-1]] if written.startswith("(") else []  # of a tuple, or of an index
    changed = (splice(text, old, part) for part in (*bare, written, f"({written})"))
    return next((new for new in changed if _same_tree(unit, new, wanted)), None)


def _in_style(written: str, text: str) -> str:
    """New source with powers as most in the text of the file are written, ``x**2`` or ``x ** 2``."""
    return written.replace(" ** ", "**") if text.count("**") > 2 * text.count(" ** ") else written


def _same_tree(unit: Unit, text: str, wanted: str) -> bool:
    try:
        place = definition_of(ast.parse(text), unit.original)
    except SyntaxError:
        return False
    return bool(place) and ast.dump(place[-1]) == wanted


def splice(text: str, node: Any, written: str) -> str:
    """The text with other text for a node."""
    lines = text.encode().split(b"\n")
    first, last = lines[node.lineno - 1], lines[node.end_lineno - 1]
    new = first[: node.col_offset] + written.encode() + last[node.end_col_offset :]
    return b"\n".join([*lines[: node.lineno - 1], new, *lines[node.end_lineno :]]).decode()


def _statements(text: str, statement: ast.stmt, replaces: bool, new: list[ast.stmt], count: int) -> str:
    """The text with other statements for a statement, or after it."""
    lines = text.split("\n")
    start = statement.lineno - 1 if replaces else (statement.end_lineno or statement.lineno)
    stop = statement.end_lineno or statement.lineno
    indent = " " * statement.col_offset
    gone = replaces and count > 1 and all(isinstance(part, ast.Pass) for part in new)
    written = [] if gone else [indent + line for part in new for line in _in_style(ast.unparse(part), text).split("\n")]
    return "\n".join([*lines[:start], *written, *lines[stop:]])


def changed_lines(unit: Unit, text: str, count: int) -> Patch:
    """The patch between the text of the file and a changed text."""
    before, after = unit.text.split("\n"), text.split("\n")
    start = next((k for k, (a, b) in enumerate(zip(before, after)) if a != b), min(len(before), len(after)))
    tail = 0
    while tail < min(len(before), len(after)) - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    old, new = before[start : len(before) - tail], after[start : len(after) - tail]
    function = unit.name
    return Patch(unit.file, start + 1, function, "\n".join(old), "\n".join(new), text, unit.text, count)
