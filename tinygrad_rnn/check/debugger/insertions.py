"""Statements that are missing: like another of the function with some variables exchanged, or a carry to the next step.

A statement that changes a variable is put in after each statement that assigns this variable, and at the end of loops,
since a variable may be read between the assignment and the next step.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator

from .edits import ATOMS
from .scope import Scope, stem_of
from .statement_edits import Edit, bodies, exchanges, renamed

COST = 3.0
CARRY = 1.5  # a change at the end of a loop costs so much less


def missing(node: ast.AST, body: list[ast.stmt], at: int, scope: Scope) -> list[str]:
    """The variables that could have to change after a statement: those it assigns, all arrays at the end of a loop.

    Also a variable that it reads, if a loop hands it to its next step.
    """
    names, statement = targets(body[at]), body[at]
    if at == len(body) - 1 and body is not node.body:  # type: ignore[attr-defined]
        names += arrays(node, scope)
    elif not hasattr(statement, "body"):
        names += [name for name in reads(statement) if name.isidentifier() and is_carried(name, node, scope)]
    return list(dict.fromkeys(names))


def insertions(k: int, node: ast.AST, body: list[ast.stmt], at: int, scope: Scope, name: str) -> Iterator[Edit]:
    """The statements that could be missing after a statement: those that change a variable."""
    last = at == len(body) - 1 and body is not node.body  # type: ignore[attr-defined]
    texts = [*carries(name, node, scope)] if is_carried(name, node, scope) else []
    if name in targets(body[at]):
        texts += [(0.9, f"{name} = {name} / {text}") for text in scope.like(("i", ()))]
        texts += [(1.2, f"{name}[{text}] -= 1") for text in scope.like(("i", (1,))) + scope.like(("i", ()))]
    if last or name in targets(body[at]):
        for cost, new in about(name, node, scope):
            yield Edit(COST + cost, k, body[at], body, at, (at + 1, at + 1, new))
    for cost, text in texts:
        yield Edit(COST + cost - CARRY * last, k, body[at], body, at, (at + 1, at + 1, functools.partial(parsed, text)))


def reads(statement: ast.AST) -> list[str]:
    """What a statement reads, as text."""
    return [ast.unparse(part) for part in ast.walk(statement)
            if isinstance(part, ATOMS) and isinstance(part.ctx, ast.Load)]  # fmt: skip


def targets(statement: ast.stmt) -> list[str]:
    """What a statement assigns, as text."""
    listed = statement.targets if isinstance(statement, ast.Assign) else (
        [statement.target] if isinstance(statement, ast.AugAssign) else [])  # fmt: skip
    parts = [part for target in listed for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [ast.unparse(part) for part in parts]


def arrays(node: ast.AST, scope: Scope) -> list[str]:
    """The arrays that a function is handed or assigns."""
    names = [*scope.names, *(name for _, _, statement in bodies(node) for name in targets(statement))]
    return [name for name in dict.fromkeys(names) if scope.seen.atoms[scope.k].get(name, ("", ()))[0] == "f"]


def about(name: str, node: ast.AST, scope: Scope) -> Iterator[tuple[float, Callable[[], list[ast.stmt]]]]:
    """The statements that change a variable, as others of the function do."""
    for _, _, model in bodies(node):
        if isinstance(model, (ast.Assign, ast.AugAssign)) and len(targets(model)) == 1:
            target = targets(model)[0]
            fixed = {} if target == name else {target: name}
            step = 0.0 if isinstance(model, ast.AugAssign) or target in ast.unparse(model.value) else 0.5
            for cost, changes in exchanges(model, fixed, scope):
                yield cost + step, functools.partial(renamed, model, {**fixed, **changes})


def carries(name: str, node: ast.AST, scope: Scope) -> Iterator[tuple[float, str]]:
    """The statements that change a variable which a loop hands to its next step."""
    kind = scope.seen.atoms[scope.k].get(name)
    for _, _, statement in bodies(node):  # it is not reset
        if targets(statement) == [name] and isinstance(statement, ast.Assign) and name not in reads(statement):
            yield -1.0, ast.unparse(statement)
    for other in scope.like(kind, name):
        hint = 0.5 * (stem_of(other) == stem_of(name)) + 0.5 * (other in scope.unread)  # dh = dh_prev
        yield from ((cost - hint, text.format(v=name, a=other)) for cost, text in OF_TWO)
        yield from ((0.8, f"{name} = {name} * {helper}({other})") for helper in scope.helpers)
        if scope.follows(other):
            factors = [factor for factor in scope.like(kind, other) if not scope.follows(factor)]
            yield from ((1.2, f"{name} += {other} * {factor}") for factor in factors)
    yield from ((0.8, f"{name} = {name} / {text}") for text in scope.like(("i", ())))


def is_carried(name: str, node: ast.AST, scope: Scope) -> bool:
    """Is an array of the backward read in a loop before it is assigned there, or are there no loops?

    A change of any other variable that is missing is an edit of the statement that assigns it.
    """
    kind = scope.seen.atoms[scope.k].get(name)
    if kind is None or not kind[1] or "[" in name or not scope.follows(name):
        return False
    loops = [loop for _, _, loop in bodies(node) if isinstance(loop, (ast.For, ast.While))]
    return not loops or any(_reads_first(name, loop) for loop in loops)


def _reads_first(name: str, loop: ast.AST) -> bool:
    for _, _, statement in bodies(loop):
        adds = isinstance(statement, ast.AugAssign) and ast.unparse(statement.target) == name
        if adds or (not hasattr(statement, "body") and name in reads(statement)):
            return True
        if name in targets(statement):
            return False
    return False


OF_TWO = ((0.5, "{v} = {a}"), (0.8, "{v} += {a}"), (0.8, "{v} = {v} * {a}"))


def parsed(text: str) -> list[ast.stmt]:
    """The statements of a text."""
    return ast.parse(text).body
