"""The change of a wrong line that makes it right: the edits of the debugger, tried on this line alone."""

from __future__ import annotations

import ast
import copy
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..check.debugger.batch import with_edit
from ..check.debugger.observe import Kind, expressions, kind_of
from ..check.debugger.scope import Scope
from ..check.debugger.statement_edits import Edit, of_statement
from ..check.numeric.compare import CLOSE
from ..check.report import distance

MOST = 4000  # edits of a line are tried, the likeliest first
LONG = 100  # letters of a line
Case = tuple[dict[str, Any], np.ndarray]  # the variables before the line, and the right value


def mended(function: Any, body: Sequence[ast.stmt], name: str, cases: Sequence[Case]) -> str:
    """The likeliest change of the statements ``body``, which assign ``name``, as ``old   ->   new``; "" if none is."""
    statements = copy.deepcopy(list(body))
    module = ast.Module(statements, [])
    edits = itertools.chain.from_iterable(edits_of(function, statements, k, cases[0][0]) for k in range(len(body)))
    for edit in sorted(edits, key=lambda edit: edit.cost)[:MOST]:
        old = [ast.unparse(statement) for statement in statements]
        edited = with_edit(module, edit).body
        if all(gives(edited, name, *case) for case in cases):
            return change(old, [ast.unparse(statement) for statement in edited])
    return ""


def edits_of(function: Any, statements: list[ast.stmt], k: int, space: Mapping[str, Any]) -> Iterator[Edit]:
    """The edits of a statement, with the arrays of ``space`` as the variables."""
    node = ast.FunctionDef("line", ast.arguments([], [], None, [], [], None, []), [statements[k]], [])
    variables = dict(space)
    for statement in statements[:k]:
        run([statement], variables)
    known = getattr(function, "__globals__", {})
    atoms = {name: kind for name, x in variables.items() if name not in known and (kind := kind_of(x)) is not None}
    unit = SimpleNamespace(function=function, around=[], node=node)
    helpers = [SimpleNamespace(function=x, around=[]) for x in known.values() if hasattr(x, "__code__")]
    job = SimpleNamespace(units=[unit, *helpers], first=SimpleNamespace(errors={}))
    seen = SimpleNamespace(kinds=kinds(node, variables), atoms=[atoms], job=job)
    yield from of_statement(0, statements, k, Scope(seen, 0))  # type: ignore[arg-type]


def kinds(node: ast.AST, space: dict[str, Any]) -> dict[int, Kind]:
    """The kinds of the expressions of a statement."""
    result: dict[int, Kind] = {}
    for part in expressions(node):
        try:
            with np.errstate(all="ignore"):
                kind = kind_of(eval(compile(ast.Expression(part), "<line>", "eval"), space))
        except Exception:  # of the user's line
            continue
        if kind is not None:
            result[id(part)] = kind
    return result


def gives(statements: Sequence[ast.stmt], name: str, space: dict[str, Any], right: np.ndarray) -> bool:
    """Do the statements give the right value?"""
    variables = {key: np.array(x) if isinstance(x, np.ndarray) else x for key, x in space.items()}
    run(statements, variables)
    got: Any = variables.get(name)
    fits = np.shape(got) == right.shape and np.asarray(got).dtype.kind in "fiu"
    return fits and distance(got, right) <= CLOSE


def run(statements: Sequence[ast.stmt], space: dict[str, Any]) -> None:
    """Run statements, up to the first that raises."""
    try:
        with np.errstate(all="ignore"):
            exec(compile(ast.Module(list(statements), []), "<line>", "exec"), space)
    except (Exception, SystemExit):  # of the user's line, or of an edit of it
        return


def change(old: Sequence[str], new: Sequence[str]) -> str:
    """The first statement that differs, before and after."""
    pairs = itertools.zip_longest(old, new, fillvalue="")
    before, after = next((a, b) for a, b in pairs if a != b)
    return "   ->   ".join(textwrap.shorten(text, LONG) for text in (before, after))
