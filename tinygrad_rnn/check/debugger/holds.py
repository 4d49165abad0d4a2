"""What a line holds: its values at all its runs, and in words the gradient that they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from .batch import switched
from .influence import values
from .instrument import MARK, instrumented, with_constant
from .job import Job
from .patch import Patch
from .quantity import gradient_by
from .statement_edits import bodies


def should_hold(job: Job, patch: Patch) -> str:
    """What the new line of a patch holds in a mended job, in words; "" if it is no gradient by a value."""
    statement = nearest(job, patch.unit, patch.new, patch.line)
    if statement is None:
        return ""
    for values_at_runs in held(job, patch.unit, statement, patch.old):
        text = gradient_by(job, values_at_runs, target_of(statement))
        if text:
            return text
    return ""


def target_of(statement: ast.stmt) -> str:
    """What a statement assigns; "" if it assigns nothing."""
    target: Any = getattr(statement, "target", None) or getattr(statement, "targets", [None])[0]
    return ast.unparse(target) if target is not None else ""


def nearest(job: Job, k: int, text: str, line: int) -> ast.stmt | None:
    """The simple statement of unit ``k`` that is nearest to a line and has a part of this text."""
    simple = [statement for _, _, statement in bodies(job.units[k].node)
              if isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return))]  # fmt: skip
    lines = [line.strip() for line in job.units[k].text.split("\n")]
    first = text.split("\n")[0].strip()
    at = [statement for statement in simple if first in lines[statement.lineno - 1 : statement.end_lineno]]
    return min(at, key=lambda statement: abs(statement.lineno - line), default=None)


def held(job: Job, k: int, statement: ast.stmt, old: str) -> Iterator[list[Any]]:
    """The values of the expressions that a statement computes at all their runs, then those of what it assigns.

    Of several expressions, those in the ``old`` line are left out.
    """
    seen: list[Any] = []

    def note(_: int, x: Any = None) -> Any:
        seen.append(np.array(x)) if isinstance(x, (np.ndarray, np.floating)) else None
        return True if x is None else x

    names = [unit.function.__name__ for unit in job.units]
    nodes = [node for node in values(statement, names) if _text(node) not in old.replace(" ", "")] or (
        values(statement, names)[:1])  # fmt: skip
    other = isinstance(statement, ast.AugAssign) and not isinstance(statement.op, ast.Add)
    codes = [instrumented(job.units[k], [node], 0, note) for node in ([] if other else nodes)]
    target: Any = getattr(statement, "target", None)
    if target is not None:
        base = target.value if isinstance(target, ast.Subscript) else target
        load: Any = ast.parse(ast.unparse(base), mode="eval").body
        after: Any = ast.Expr(ast.Call(ast.Constant(MARK), [ast.Constant(1), load], []))
        tree = switched(job.units[k].node, {}, {id(statement): [(0, [after])]})
        codes.append(with_constant(job.units[k].compiled(ast.fix_missing_locations(tree)), note))
    for code in codes:
        seen.clear()
        with job.running({k: code}):
            job.outcome()
        yield list(seen)


def _text(node: ast.expr) -> str:
    return ast.unparse(node).replace(" ", "")
