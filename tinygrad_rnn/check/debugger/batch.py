"""Many edits of a function in one compiled function: a number chooses which of them runs.

if chosen(1): statement_1
elif chosen(2): statement_2
else: statement

To compile a function takes longer than to run a short one, so that a search compiles its candidates together.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .instrument import MARK, with_constant
from .job import Job
from .source import copied
from .statement_edits import Edit

COMPOUND = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.FunctionDef, ast.ClassDef)
SIZE = 48  # edits of a batch


class Batch:
    """Edits that can be run one by one; ``values`` are what a ``line`` assigns meanwhile, if one is given."""

    def __init__(self, job: Job, edits: Sequence[Edit], line: Any = None):
        self.job, self.edits, self.line, self.current = job, list(edits), line, -1
        self.values: list[Any] = []
        self.codes: dict[int, Any] = {}
        self.single: list[int] = []  # edits that are compiled by themselves
        for unit in dict.fromkeys(edit.unit for edit in edits):
            numbers = [n for n, edit in enumerate(edits) if edit.unit == unit]
            together = [n for n in numbers if not is_single(edits[n])]
            self.single += [n for n in numbers if is_single(edits[n])]
            try:
                self.codes[unit] = self._code(unit, together)
            except (SyntaxError, ValueError, TypeError):
                self.single += together

    def _code(self, unit: int, numbers: Sequence[int]) -> Any:
        tree = switched(self.job.units[unit].node, *self._alternatives(numbers))
        return with_constant(self.job.units[unit].compiled(tree), self._is_chosen)

    def _alternatives(self, numbers: Sequence[int]) -> tuple[dict[int, list[Any]], dict[int, list[Any]]]:
        """The statements of edits instead of others and after others, by the id of these, with their numbers."""
        instead: dict[int, list[Any]] = {}
        after: dict[int, list[Any]] = {}
        for n in numbers:
            where, statement, new = alternative(self.edits[n])
            (instead if where == "instead" else after).setdefault(id(statement), []).append((n, new))
        if self.line is not None:
            after.setdefault(id(self.line.statement), []).append((None, [passed_on(self.line.target, 0)]))
        return instead, after

    def _is_chosen(self, n: int, *value: Any) -> Any:
        if not value:
            return n == self.current
        self.values.append(np.array(value[0]))
        return value[0]

    def held(self, n: int) -> list[Any]:
        """What the line holds with edit ``n``; nothing if it does not run, or if these are no numbers."""
        self.values, code = [], self.code(n)
        try:
            with self.job.running({self.edits[n].unit: code}), np.errstate(all="ignore"):
                self.job.outcome()
        except Exception:  # of the user's code with the edit
            return []
        return self.values if all(x.dtype.kind in "fiu" for x in self.values) else []

    def code(self, n: int) -> Any:
        """The code of the unit of edit ``n`` with this edit; None if it cannot be compiled."""
        edit, self.current = self.edits[n], n
        if n not in self.single:
            return self.codes[edit.unit]
        try:
            return self.job.units[edit.unit].compiled(with_edit(self.job.units[edit.unit].node, edit))
        except (SyntaxError, ValueError, TypeError):
            return None


def is_single(edit: Edit) -> bool:
    """Is it a change of the head of a loop, or of another compound statement?"""
    return isinstance(edit.statement, COMPOUND) and not isinstance(edit.new, tuple)


def alternative(edit: Edit) -> tuple[str, ast.stmt, list[ast.stmt]]:
    """("instead" or "after", a statement, the statements that come instead of it or after it)."""
    if isinstance(edit.new, tuple):
        start, stop, _ = edit.new
        statements = edit.statements()
        where = ("instead", edit.holder[start]) if stop > start else ("after", edit.statement)
    else:
        statements, where = [with_edit(edit.statement, edit)], ("instead", edit.statement)
    return (*where, located(statements, edit.statement))


def with_edit(node: Any, edit: Edit) -> Any:
    """A copy of a tree with an edit; what is not changed is the same object."""
    fields: dict[str, Any] = {}
    for name, part in ast.iter_fields(node):
        if node is edit.holder and name == edit.key:
            new = located(edit.built(), edit.statement)
        elif part is edit.holder and isinstance(edit.new, tuple):
            new = [*part[: edit.new[0]], *located(edit.statements(), edit.statement), *part[edit.new[1] :]]
        elif isinstance(part, list):
            items = [with_edit(item, edit) if isinstance(item, ast.AST) else item for item in part]
            if part is edit.holder:
                items[edit.key] = located(edit.built(), edit.statement)
            new = items if any(a is not b for a, b in zip(items, part)) else part
        else:
            new = with_edit(part, edit) if isinstance(part, ast.AST) else part
        if new is not part:
            fields[name] = new
    return copied(node, **fields) if fields else node


def switched(node: Any, instead: dict[int, list[Any]], after: dict[int, list[Any]]) -> Any:
    """A copy of a tree in which statements can be exchanged: lists of (number, statements) by the id of a statement.

    Those of the number None always run.
    """
    fields = {}
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list) and body:
            fields[name] = [new for statement in body for new in _choice(statement, instead, after)]
    handlers = [switched(handler, instead, after) for handler in getattr(node, "handlers", [])]
    return copied(node, **fields, **({"handlers": handlers} if handlers else {})) if fields else node


def _choice(statement: ast.stmt, instead: dict[int, list[Any]], after: dict[int, list[Any]]) -> Iterator[ast.stmt]:
    chosen = [switched(statement, instead, after) if isinstance(statement, COMPOUND) else statement]
    for n, new in reversed(instead.get(id(statement), [])):
        chosen = [_if(n, new, chosen, statement)]
    yield from chosen
    for n, new in after.get(id(statement), []):
        yield from new if n is None else [_if(n, new, [], statement)]


def passed_on(target: str, n: int) -> ast.stmt:
    """A statement that passes a variable on under a number, and assigns what comes back."""
    statement: Any = ast.parse(f"{target} = {target}").body[0]
    statement.value = ast.Call(ast.Constant(MARK), [ast.Constant(n), statement.value], [])
    return ast.fix_missing_locations(statement)


def _if(n: int, new: list[ast.stmt], otherwise: list[ast.stmt], at: ast.stmt) -> ast.stmt:
    test = ast.Call(ast.Constant(MARK), [ast.Constant(n)], [])
    statement = ast.If(test, new, otherwise)
    located(test, at)
    return ast.copy_location(statement, at)


def located(root: Any, at: ast.stmt) -> Any:
    """A tree, or several, with the line of a statement for the nodes that have no place."""
    node: Any
    for node in ast.walk(ast.Module(root, []) if isinstance(root, list) else root):
        if "lineno" in node._attributes and not hasattr(node, "lineno"):
            node.lineno = node.end_lineno = at.lineno
            node.col_offset = node.end_col_offset = at.col_offset
    return root
