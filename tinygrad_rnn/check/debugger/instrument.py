"""Instrumentation: a copy of a user's function in which the values of expressions pass through a callback.

``value = callback(k, value)``; ``k`` is the number of the expression. The callback is a constant of the code, so that
no name is added to the user's function, its closure or its module.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

from .source import Unit

MARK = "\0callback"
Callback = Callable[..., Any]  # of the number and the value


def instrumented(
    unit: Unit, wanted: Sequence[ast.expr], first: int, callback: Callback, tree: ast.FunctionDef | None = None
) -> CodeType:  # fmt: skip
    """The code of a function that passes the values of ``wanted`` on; they are numbered from ``first``.

    ``tree`` takes the place of the definition of the function.
    """
    numbers = {id(node): first + k for k, node in enumerate(wanted)}
    return with_constant(unit.compiled(marked(tree or unit.node, numbers)), callback)


def marked(tree: Any, numbers: dict[int, int]) -> Any:
    """A copy of a tree in which the expressions that have a number, by their id, are passed to the mark."""
    return _Marked(numbers).visit(tree)


class _Marked(ast.NodeTransformer):
    """Copies a tree, with each of the numbered expressions inside of a call."""

    def __init__(self, numbers: dict[int, int]):
        self.numbers = numbers

    def visit(self, node: ast.AST) -> Any:
        fields = {name: self._field(part) for name, part in ast.iter_fields(node)}
        new = ast.copy_location(type(node)(**fields), node)
        if id(node) not in self.numbers:
            return new
        args: list[Any] = [ast.copy_location(ast.Constant(self.numbers[id(node)]), node), new]
        mark = ast.copy_location(ast.Constant(MARK), node)
        return ast.copy_location(ast.Call(mark, args, []), node)

    def _field(self, part: Any) -> Any:
        if isinstance(part, list):
            return [self.visit(item) if isinstance(item, ast.AST) else item for item in part]
        return self.visit(part) if isinstance(part, ast.AST) else part


def with_constant(code: CodeType, callback: Callback) -> CodeType:
    """The code, and the code of functions inside of it, with the callback in place of the marks."""

    def changed(constant: Any) -> Any:
        return with_constant(constant, callback) if isinstance(constant, CodeType) else (
            callback if isinstance(constant, str) and constant == MARK else constant)  # fmt: skip

    return code.replace(co_consts=tuple(changed(constant) for constant in code.co_consts))
