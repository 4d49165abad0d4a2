"""Small edits of an expression: the kinds of slips in a derivation, each undone.

`of_expression` gives pairs (cost, new expression) for a node. A cost of 1 is a slip of the pen (a transpose, a sign, an
operand too many); 2 and 3 are another variable, or a factor or a term that is missing.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from typing import Any

from .observe import Kind
from .scope import Scope

Edits = Iterator[tuple[float, Any]]
SUMS = {"mean": "sum", "sum": "mean", "ones": "zeros", "ones_like": "zeros_like", "max": "sum", "append": "insert"}
OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
OTHER: dict[type, Any] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
OTHER_KIND = 2.4  # the cost of a variable of another shape
ATOMS = (ast.Name, ast.Attribute, ast.Subscript)


class Later:
    """An expression that is built when it is tried: its text, with nodes in place of names."""

    def __init__(self, text: str, parts: dict[str, Any]):
        self.text, self.parts = text, parts

    def build(self) -> Any:
        parts = {name: part.build() if isinstance(part, Later) else part for name, part in self.parts.items()}
        return _filled(_parsed(self.text), parts)


def expression(text: str, **parts: Any) -> Later:
    """An expression by its text, with the nodes in place of names."""
    return Later(text, parts)


@functools.cache
def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _filled(node: Any, parts: dict[str, ast.expr]) -> Any:
    """A copy of a tree with nodes in place of names."""
    if isinstance(node, ast.Name) and node.id in parts:
        return parts[node.id]
    if isinstance(node, list):
        return [_filled(item, parts) for item in node]
    if not isinstance(node, ast.AST):
        return node
    return type(node)(**{name: _filled(part, parts) for name, part in ast.iter_fields(node)})


def of_expression(node: ast.expr, scope: Scope, top: bool) -> Edits:
    """The edits of an expression; ``top`` if it is no factor of a product, so that a factor can be added here."""
    kind, text = scope.seen.kinds.get(id(node)), ast.unparse(node)
    yield from _operators(node, scope)
    yield from _calls(node, scope)
    if isinstance(node, ast.Name):
        others = [name for name in scope.names if name != text and name not in scope.like(kind)]
        cost = OTHER_KIND - scope.misfits  # a gradient of another shape is one of another variable
        yield from ((cost + scope.hint(name) / 2, ast.Name(name, ast.Load())) for name in others)
    if kind is None:
        return
    for atom in scope.like(kind, text):
        close = isinstance(node, ATOMS) or kind == ("i", ())
        yield (1.5 + 0.5 * far(text, atom) if close else 3) + scope.hint(atom) / 2, expression(atom)
    if kind[0] == "f":
        yield from _unary(node, kind, scope, top)
        if top:
            yield from _factors(node, kind, scope)
        elif isinstance(node, ATOMS):  # a factor that is a sum
            for atom in scope.like(kind, text):
                for form in ("e - a", "e + a"):
                    yield 2.5 + scope.hint(atom), expression(form, e=node, a=expression(atom))
    elif not kind[1] and not isinstance(node, ast.Constant):
        yield 1.5, expression("e - 1", e=node)
        yield 1.5, expression("e + 1", e=node)


@functools.cache
def far(text: str, atom: str) -> float:
    """Between 0 and 1: how little two names have in common."""
    same = sum(a == b for a, b in zip(text, atom)) + sum(a == b for a, b in zip(text[::-1], atom[::-1]))
    return 1 - min(1.0, same / max(len(text), len(atom)))


def _operators(node: ast.expr, scope: Scope) -> Edits:
    """An operand too many, another operator, operands the other way round, a constant."""
    if isinstance(node, ast.BinOp):
        for part in (node.left, node.right):
            if scope.same_kind(part, node):
                yield 1, part
        for op in OPERATORS if isinstance(node.op, OPERATORS) else ():
            if not isinstance(node.op, op):
                yield 1 if OTHER.get(type(node.op)) is op else 1.4, ast.BinOp(node.left, op(), node.right)
        yield from _grouped(node)
        if isinstance(node.op, ast.Sub):
            yield 0.9, ast.BinOp(node.right, node.op, node.left)
        if isinstance(node.op, ast.MatMult) and scope.is_square(node.left) and scope.is_square(node.right):
            yield 1.2, ast.BinOp(node.right, node.op, node.left)
    elif isinstance(node, ast.UnaryOp):
        yield 1, node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        for value in (node.value - 1, node.value + 1):
            yield 1.2, ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
    elif isinstance(node, ast.Attribute) and node.attr == "T" and scope.is_square(node):
        yield 1, node.value


def _grouped(node: ast.BinOp) -> Edits:
    """Other brackets, ``a * (1 - b)`` for ``a * 1 - b``, also with another operator inside of them."""
    if isinstance(node.left, ast.BinOp):
        a, b, c = node.left.left, node.left.right, node.right
        yield 1.1, ast.BinOp(a, node.left.op, ast.BinOp(b, node.op, c))
        for op in OPERATORS:
            yield 1.7, ast.BinOp(a, node.left.op, ast.BinOp(b, op(), c))
    if isinstance(node.right, ast.BinOp):
        a, b, c = node.left, node.right.left, node.right.right
        yield 1.1, ast.BinOp(ast.BinOp(a, node.op, b), node.right.op, c)


def _calls(node: ast.expr, scope: Scope) -> Edits:
    """Another function, another axis, no function; another order of what is stacked."""
    if isinstance(node, (ast.List, ast.Tuple)) and len(node.elts) > 1:
        for i in range(len(node.elts)):
            for j in range(i + 1, len(node.elts)):
                parts = list(node.elts)
                parts[i], parts[j] = parts[j], parts[i]
                yield 1.2, type(node)(parts, node.ctx)
    if not isinstance(node, ast.Call):
        return
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in SUMS and isinstance(node.func, ast.Attribute):
        args = [ast.Constant(0), *node.args] if name == "append" else node.args
        yield 1, ast.Call(ast.Attribute(node.func.value, SUMS[name], ast.Load()), args, node.keywords)
    for arg in node.args[:1]:
        if scope.same_kind(arg, node):
            yield 1.2, arg
    yield from _other_functions(node, name, scope)
    for k, keyword in enumerate(node.keywords):
        if keyword.arg == "axis":
            for axis in ("0", "1", "None", "(0, 1)"):
                new = ast.keyword("axis", expression(axis).build())
                yield 1.3, ast.Call(node.func, node.args, [*node.keywords[:k], new, *node.keywords[k + 1 :]])


def _other_functions(node: ast.Call, name: str, scope: Scope) -> Edits:
    """Another function of one argument, or the slope of an activation in the place of its value."""
    if len(node.args) == 1 and not node.keywords and scope.same_kind(node.args[0], node):
        for cost, text in ((1.6, "1 - e ** 2"), (1.9, "e * (1 - e)"), (2.0, f"1 - {scope.numpy}.tanh(e) ** 2")):
            yield cost, expression(text, e=node.args[0])
    if len(node.args) == 1 and not node.keywords and (name in scope.helpers or scope.same_kind(node.args[0], node)):
        for helper in scope.helpers:
            if helper != name:
                yield 1.5, ast.Call(ast.Name(helper, ast.Load()), node.args, [])
        if name in scope.helpers:
            yield 1.7, expression(f"{scope.numpy}.tanh(e)", e=node.args[0])


def _unary(node: ast.expr, kind: Kind, scope: Scope, top: bool) -> Edits:
    """A sign, a transpose, a square, the derivative of a gate instead of the gate."""
    if isinstance(node, ast.Constant):
        return
    if scope.is_square(node) and not (isinstance(node, ast.Attribute) and node.attr == "T"):
        yield 1, expression("e.T", e=node)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        yield 1.5, expression("e.sum(axis=0)", e=node.value)
    if isinstance(node, ast.Subscript) and scope.same_kind(node.value, node):
        yield 1, node.value
    if len(kind[1]) == 3:  # steps in the other order
        yield 1.5, expression("e[:, ::-1]", e=node)
        yield 1.5, expression("e[::-1]", e=node)
    np, more = scope.numpy, 0.0 if isinstance(node, ATOMS) else 0.8
    if top:
        yield 1 + more / 2, expression("-e", e=node)
    for cost, text in ((1, "e ** 2"), (1.5, "1 - e"), (1.4, f"{np}.tanh(e)"), (2, f"{np}.zeros_like(e)"),
                       (2, "e * (1 - e)"), (2.5, f"{np}.copy(e)"), (2.2, f"1 - {np}.tanh(e) ** 2"), (2.3, "e / 2"),
                       (2.3, "2 * e"), (1.8, "1 - e ** 2")):  # fmt: skip
        yield cost + more, expression(text, e=node)
    for helper in scope.helpers:
        yield 1.8 + more, expression(f"{helper}(e)", e=node)


def _factors(node: ast.expr, kind: Kind, scope: Scope) -> Edits:
    """A factor, or a term, more."""
    for atom in scope.like(kind):
        a, hint = expression(atom), scope.hint(atom)
        for cost, text in ((2, "e * a"), (2.2, "e * (1 - a)"), (2.5, "e * a * (1 - a)"), (2.4, "e * (1 - a ** 2)"),
                           (2.2, "e + a"), (2.4, "e - a"), (3, f"e * (1 - {scope.numpy}.tanh(a) ** 2)"),
                           (2.6, f"e * {scope.numpy}.tanh(a)")):  # fmt: skip
            yield cost + hint, expression(text, e=node, a=a)
        for helper in scope.helpers:
            yield 2.2 + hint, expression(f"e * {helper}(a)", e=node, a=a)
    for atom in [*scope.like(("i", ())), *scope.like(("f", ()))]:
        yield 3, expression("e / a", e=node, a=expression(atom))
        yield 3, expression("e * a", e=node, a=expression(atom))
