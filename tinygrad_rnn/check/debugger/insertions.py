"""Statements that are missing: like another of the function with some variables exchanged, or a carry to the next step.

A statement that changes a variable is put in after each statement that assigns this variable, and at the end of loops,
since a variable may be read between the assignment and the next step.
"""

from __future__ import annotations

import ast
import functools
import heapq
from collections.abc import Callable, Iterator

from .edits import ATOMS, Scope, stem_of
from .statement_edits import Edit, bodies, renamed

CHEAPEST = 25  # of the exchanges of variables in a statement, so many are tried
COST = 3.0  # a variable of the same stem costs up to 1.5 less


def insertions(k: int, node: ast.AST, body: list[ast.stmt], at: int, scope: Scope) -> Iterator[Edit]:
    """The statements that could be missing after a statement, or at the end of its loop."""
    statement = body[at]
    names = targets(statement)
    if at == len(body) - 1 and body is not node.body:  # type: ignore[attr-defined]
        names += accumulated(node, scope)
    for name in dict.fromkeys(names):
        for cost, new in about(name, node, scope):
            yield Edit(COST + cost, k, statement, body, at, (at + 1, at + 1, new))


def targets(statement: ast.stmt) -> list[str]:
    """What a statement assigns, as text."""
    listed = statement.targets if isinstance(statement, ast.Assign) else (
        [statement.target] if isinstance(statement, ast.AugAssign) else [])  # fmt: skip
    parts = [part for target in listed for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [ast.unparse(part) for part in parts]


def accumulated(node: ast.AST, scope: Scope) -> list[str]:
    """The arrays that a function assigns."""
    names = [name for _, _, statement in bodies(node) for name in targets(statement)]
    return [name for name in dict.fromkeys(names) if scope.seen.atoms[scope.k].get(name, ("", ()))[0] == "f"]


def about(name: str, node: ast.AST, scope: Scope) -> Iterator[tuple[float, Callable[[], list[ast.stmt]]]]:
    """The statements that change a variable."""
    kind = scope.seen.atoms[scope.k].get(name)
    for _, _, model in bodies(node):
        if isinstance(model, (ast.Assign, ast.AugAssign)) and len(targets(model)) == 1:
            target = targets(model)[0]
            fixed = {} if target == name else {target: name}
            step = 0.0 if isinstance(model, ast.AugAssign) or target in ast.unparse(model.value) else 0.5
            for cost, changes in exchanges(model, fixed, scope):
                yield cost + step, functools.partial(renamed, model, {**fixed, **changes})
    if kind is not None and kind[1]:
        same = {other: 1.5 * (stem_of(other) == stem_of(name)) for other in scope.like(kind, name)}  # dh = dh_prev
        texts = [(cost - less, text.format(v=name, a=other)) for other, less in same.items() for cost, text in OF_TWO]
        texts += [(0.8, f"{name} = {name} * {helper}({other})")
                  for helper in scope.helpers for other in scope.like(kind, name)]  # fmt: skip
        texts += [(0.9, f"{name} = {name} / {text}") for text in scope.like(("i", ()))]
        texts += [(1.5, f"{name}[{text}] -= 1") for text in scope.like(("i", (1,))) + scope.like(("i", ()))]
        for cost, text in texts:
            yield cost, functools.partial(parsed, text)


OF_TWO = ((0.5, "{v} = {a}"), (0.8, "{v} += {a}"), (1.2, "{v} = {v} * {a}"))


def parsed(text: str) -> list[ast.stmt]:
    """The statements of a text."""
    return ast.parse(text).body


def exchanges(model: ast.stmt, fixed: dict[str, str], scope: Scope) -> list[tuple[float, dict[str, str]]]:
    """The cheapest exchanges of up to two atoms of a statement by others of their kind."""
    atoms = scope.seen.atoms[scope.k]
    listed = list(dict.fromkeys(ast.unparse(node) for node in ast.walk(model) if isinstance(node, ATOMS)))
    pairs = [(far(text, other), text, other) for text in listed if text in atoms and text not in fixed
             for other in scope.like(atoms[text], text)]  # fmt: skip
    some: list[tuple[float, dict[str, str]]] = [(0.0, {})] if fixed else []
    some += [(0.2 + a, {text: other}) for a, text, other in pairs]
    pairs = heapq.nsmallest(CHEAPEST, pairs)
    some += [(0.4 + a + b, {text: other, text2: other2}) for k, (a, text, other) in enumerate(pairs)
             for b, text2, other2 in pairs[k + 1 :] if text2 != text]  # fmt: skip
    return heapq.nsmallest(CHEAPEST, some, key=lambda pair: pair[0])


@functools.cache
def far(a: str, b: str) -> float:
    """Between 0 and 1: how little two names have in common."""
    same = sum(x == y for x, y in zip(a, b)) + sum(x == y for x, y in zip(a[::-1], b[::-1]))
    return 1 - min(1.0, same / max(len(a), len(b)))
