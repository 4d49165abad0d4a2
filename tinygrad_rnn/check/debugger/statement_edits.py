"""Small edits of a statement: the loop that it heads, ``=`` for ``+=``, what it is assigned to, the statement out."""

from __future__ import annotations

import ast
import copy
import functools
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .edits import ATOMS, Later, expression, far, of_expression
from .scope import Scope

CHEAPEST = 25  # of the exchanges of variables in an expression or a statement, so many are tried


@dataclass
class Edit:
    """A change of a tree: ``holder[key] = new`` for a list, or of an attribute; ``statement`` is where it stands."""

    cost: float
    unit: int
    statement: ast.stmt
    holder: Any
    key: Any
    new: Any

    def built(self) -> Any:
        """The new expression, or statements."""
        return self.new.build() if isinstance(self.new, Later) else self.new

    def statements(self) -> list[ast.stmt]:
        """The new statements of an edit that puts statements in the place of some."""
        statements = self.new[2]
        return statements() if callable(statements) else statements

    def puts_in(self) -> bool:
        """Does it put statements in, and take none out?"""
        return isinstance(self.new, tuple) and self.new[0] == self.new[1]


def bodies(node: ast.AST) -> Iterator[tuple[list[ast.stmt], int, ast.stmt]]:
    """Each statement of a definition with the list that it is in and its place there."""
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        for k, statement in enumerate(body if isinstance(body, list) else []):
            yield body, k, statement  # type: ignore[misc]
            yield from bodies(statement)


def of_statement(k: int, body: list[ast.stmt], at: int, scope: Scope) -> Iterator[Edit]:
    """The edits of a statement of unit ``k``."""
    statement = body[at]
    scope.target = ast.unparse(getattr(statement, "target", None) or getattr(statement, "targets", [ast.Name("")])[0])
    for cost, holder, key, new in inner_edits(statement, scope):
        yield Edit(cost, k, statement, holder, key, new)
    for text, other in everywhere(statement, scope):
        yield Edit(1.9, k, statement, body, at, (at, at + 1, functools.partial(renamed, statement, {text: other})))
    if isinstance(statement, ast.For):
        for cost, iterable in loops(statement.iter):
            yield Edit(cost, k, statement, statement, "iter", iterable)
    for cost, statements in rewritten(statement, scope):
        yield Edit(cost, k, statement, body, at, (at, at + 1, statements))


def everywhere(statement: ast.stmt, scope: Scope) -> Iterator[tuple[str, str]]:
    """The variables that a statement reads several times, each with those that could be meant."""
    if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)) or statement.value is None:
        return
    read = [ast.unparse(node) for node in ast.walk(statement.value) if isinstance(node, ATOMS)]
    for text in dict.fromkeys(read):
        if read.count(text) > 1 and text in scope.seen.atoms[scope.k]:
            for other in scope.like(scope.seen.atoms[scope.k][text], text):
                yield text, other


def renamed(statement: ast.stmt, changes: dict[str, str]) -> list[ast.stmt]:
    """A copy of a statement with other atoms."""
    return [Renamed(changes).visit(copy.deepcopy(statement))]


def exchanges(model: ast.AST, fixed: dict[str, str], scope: Scope) -> list[tuple[float, dict[str, str]]]:
    """The cheapest exchanges of up to two atoms of a statement, or an expression, by others of their kind."""
    atoms = scope.seen.atoms[scope.k]
    listed = list(dict.fromkeys(ast.unparse(node) for node in ast.walk(model) if isinstance(node, ATOMS)))
    pairs = [(far(text, other), text, other) for text in listed if text in atoms and text not in fixed
             for other in scope.like(atoms[text], text)]  # fmt: skip
    some: list[tuple[float, dict[str, str]]] = [(0.0, {})]
    some += [(0.2 + a, {text: other}) for a, text, other in pairs]
    pairs = heapq.nsmallest(CHEAPEST, pairs)
    some += [(0.4 + a + b, {text: other, text2: other2}) for k, (a, text, other) in enumerate(pairs)
             for b, text2, other2 in pairs[k + 1 :] if text2 != text]  # fmt: skip
    return heapq.nsmallest(CHEAPEST, some, key=lambda pair: pair[0])


class Renamed(ast.NodeTransformer):
    """Exchanges atoms."""

    def __init__(self, changes: dict[str, str]):
        self.changes = changes

    def visit(self, node: ast.AST) -> Any:
        text = ast.unparse(node) if isinstance(node, ATOMS) else ""
        if text in self.changes:
            new: Any = ast.parse(self.changes[text], mode="eval").body
            new.ctx = node.ctx  # type: ignore[attr-defined]
            return new
        return self.generic_visit(node)


def inner_edits(statement: ast.stmt, scope: Scope) -> Iterator[tuple[float, Any, Any, Any]]:
    """The edits of the expressions of a statement, not of the statements inside of it: (cost, holder, key, new)."""
    for holder, key, node, top in inner_places(statement):
        loads = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        if loads and not isinstance(node, (ast.Slice, ast.Starred)):
            for cost, new in of_expression(node, scope, top):
                yield cost, holder, key, new
        elif isinstance(node, ast.Slice):
            for cost, new in slices(node, scope):
                yield cost, holder, key, new
        elif isinstance(node, ast.Name):
            for atom in scope.seen.atoms[scope.k]:
                if atom.isidentifier() and atom != node.id:
                    yield 1.5, holder, key, ast.Name(atom, ast.Store())


def inner_places(statement: ast.stmt) -> Iterator[tuple[Any, Any, ast.expr, bool]]:
    """The expressions of a statement, each with what holds it, its key there, and whether it is no factor."""
    waiting: list[tuple[Any, Any, ast.expr, bool]] = []
    for name, part in ast.iter_fields(statement):
        waiting += _places(statement, name, True) if isinstance(part, (ast.expr, list)) else []
    while waiting:
        holder, key, node, top = waiting.pop(0)
        yield holder, key, node, top
        product = isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div))
        for name in node._fields:
            waiting += _places(node, name, not product)


def _places(node: Any, name: str, top: bool) -> list[tuple[Any, Any, ast.expr, bool]]:
    part = getattr(node, name, None)
    if isinstance(part, ast.expr):
        return [(node, name, part, top)]
    if isinstance(part, list):
        direct = [(part, k, item, top) for k, item in enumerate(part) if isinstance(item, ast.expr)]
        keywords = [place for item in part if isinstance(item, ast.keyword) for place in _places(item, "value", top)]
        return [*direct, *keywords]
    return []


def slices(node: ast.Slice, scope: Scope) -> Iterator[tuple[float, ast.expr]]:
    """Other bounds: those of another slice in the function, the other end, reversed."""
    for other in scope.slices:
        if ast.dump(other) != ast.dump(node):
            yield 2, other
    yield from ((1.3, moved) for moved in map(functools.partial(_shifted, node), (-1, 1)) if moved)
    for low, high in ((node.lower, node.upper),):
        if low is not None and high is None:
            bound = low.operand if isinstance(low, ast.UnaryOp) else low
            yield 1.3, ast.Slice(None, bound, node.step)
        if high is not None and low is None:
            yield 1.3, ast.Slice(high, None, node.step)
            yield 1.3, ast.Slice(ast.UnaryOp(ast.USub(), high), None, node.step)


def _shifted(node: ast.Slice, step: int) -> ast.Slice | None:
    """The block beside another: ``2*H:3*H`` for ``H:2*H`` and for ``1*H:2*H``; None if it has no such bounds."""
    counts = [_count(bound) for bound in (node.lower, node.upper)]
    low, high = [pair[0] + step if pair else -1 for pair in counts]
    units = [pair[1] for pair in counts if pair and pair[1] is not None]
    if low < 0 or high < 0 or not units or any(ast.dump(unit) != ast.dump(units[0]) for unit in units):
        return None
    return ast.Slice(*(ast.BinOp(ast.Constant(count), ast.Mult(), units[0]) for count in (low, high)))


def _count(bound: ast.expr | None) -> tuple[int, ast.expr | None] | None:
    """2 and H of ``2*H``, 1 and H of ``H``, 0 and nothing of 0 and of no bound; None for anything else."""
    if bound is None or (isinstance(bound, ast.Constant) and bound.value == 0):
        return 0, None
    if isinstance(bound, ast.BinOp) and isinstance(bound.op, ast.Mult) and isinstance(bound.left, ast.Constant):
        return int(bound.left.value), bound.right  # type: ignore[arg-type]
    return (1, bound) if isinstance(bound, ast.Name) else None


def loops(node: ast.expr) -> Iterator[tuple[float, Any]]:
    """Another direction, or other bounds, of what a loop runs over."""
    yield 1, expression("reversed(e)", e=node)
    yield 1.1, expression("e[::-1]", e=node)
    yield 1.2, expression("reversed(list(e))", e=node)
    inner = node.args[0] if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reversed" else node
    if isinstance(node, ast.Subscript):
        yield 1, node.value
    if isinstance(inner, ast.Call) and len(inner.args) == 2:
        for new in ([inner.args[1]], [ast.Constant(0), inner.args[1]]):
            call = ast.Call(inner.func, new, [])
            yield 1.2, call if inner is node else ast.Call(node.func, [call], [])  # type: ignore[attr-defined]


def rewritten(statement: ast.stmt, scope: Scope) -> Iterator[tuple[float, list[ast.stmt]]]:
    """``=`` for ``+=`` and the reverse; the statement left out."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        constant = isinstance(statement.value, ast.Constant)
        if not constant and isinstance(target, (ast.Name, ast.Subscript, ast.Attribute)):
            yield 1, [ast.AugAssign(target, ast.Add(), statement.value)]
    elif isinstance(statement, ast.AugAssign):
        yield 1, [ast.Assign([statement.target], statement.value)]
        for op in (ast.Add(), ast.Sub(), ast.Mult()):
            if not isinstance(statement.op, type(op)):
                yield 1.1, [ast.AugAssign(statement.target, op, statement.value)]
    if not isinstance(statement, (ast.FunctionDef, ast.ClassDef, ast.Return, ast.For, ast.While)):
        yield 1.8 if not isinstance(getattr(statement, "value", None), ast.Constant) else 1.2, [ast.Pass()]
