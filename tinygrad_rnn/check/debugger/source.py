"""The user's functions and their source: which functions run, and how a changed syntax tree takes their place.

A changed function is compiled under the file and the line numbers of the original. While it is tried, its code takes
the place of the original's in the function object (`replaced`), so that every reference to the function runs it. The
file and the module are not changed, and the original code is put back.
"""

from __future__ import annotations

import ast
import functools
import linecache
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from ...tracing.users import is_users_file

Definition = ast.FunctionDef | ast.ClassDef


@dataclass
class Unit:
    """A function of the user's: the object, its definition in the tree of its file, and what the definition is in."""

    function: FunctionType
    file: str
    text: str
    node: ast.FunctionDef
    around: list[Definition]  # the outermost first
    original: CodeType = field(init=False)

    def __post_init__(self) -> None:
        self.original = self.function.__code__

    @property
    def name(self) -> str:
        return self.function.__qualname__.replace("<locals>.", "")

    def compiled(self, node: ast.FunctionDef | None = None) -> CodeType:
        """The code of the function as the tree is now, or of ``node`` in its place. Raises SyntaxError, ValueError."""
        inner: Any = node or self.node
        for definition in reversed(self.around):
            body = [inner] if isinstance(definition, ast.ClassDef) else _with(definition.body, self.node, inner)
            inner = copied(definition, body=body, decorator_list=[])
        module = ast.Module([inner], [])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code: Any = compile(module, self.file, "exec")
        for name in [*(definition.name for definition in self.around), self.node.name]:
            parts = [part for part in code.co_consts if isinstance(part, CodeType)]
            code = next(part for part in reversed(parts) if part.co_name == name)
        return code


def copied(node: Any, **fields: Any) -> Any:
    """A shallow copy of a node with some fields replaced."""
    new = type(node)(**{name: getattr(node, name) for name in node._fields if hasattr(node, name)})
    ast.copy_location(new, node)
    for name, part in fields.items():
        setattr(new, name, part)
    return new


def _with(body: Sequence[ast.stmt], old: ast.stmt, new: ast.stmt) -> list[ast.stmt]:
    return [new if statement is old else statement for statement in body]


@contextmanager
def replaced(codes: Mapping[int, CodeType], units: Sequence[Unit]) -> Iterator[None]:
    """Run units with other code, by their places in ``units``; the code before is put back at the end."""
    before = {k: units[k].function.__code__ for k in codes}
    try:
        for k, code in codes.items():
            units[k].function.__code__ = code
        yield
    finally:
        for k, code in before.items():
            units[k].function.__code__ = code


# -- the functions -----------------------------------------------------------------------------------------------------


def units_of(roots: Sequence[Any]) -> list[Unit]:
    """The functions of the user's files that can be reached from ``roots``: functions, classes and objects."""
    units, trees = [], dict[str, ast.Module]()
    for function in functions_of(roots):
        file = function.__code__.co_filename
        if file not in trees:
            linecache.checkcache(file)  # it may have been written and loaded once more
        text = "".join(linecache.getlines(file, function.__globals__))
        if file not in trees:
            trees[file] = _parsed(text)
        place = definition_of(trees[file], function.__code__)
        if place:
            units.append(Unit(function, file, text, place[-1], place[:-1]))  # type: ignore[arg-type]
    return units


def functions_of(roots: Sequence[Any]) -> list[FunctionType]:
    """The functions that are reached from ``roots`` through their modules, closures, wrappers and classes."""
    functions: dict[int, FunctionType] = {}
    seen: dict[int, Any] = {}
    waiting = list(reversed(roots))
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, ModuleType):
            continue
        seen[id(item)] = item
        if isinstance(item, FunctionType):
            if _is_users(item.__code__.co_filename):
                functions[id(item)] = item
                parts = [item.__globals__.get(name) for name in names_in(item.__code__)]
                waiting += [part for part in parts if isinstance(part, (FunctionType, type))]
            waiting += [cell.cell_contents for cell in item.__closure__ or () if _is_filled(cell)]
            waiting += [item.__wrapped__] if hasattr(item, "__wrapped__") else []
        else:
            waiting += _parts(item)
    return list(functions.values())


def shown(file: str) -> str:
    """A file by its name; an input of a notebook as ``In [7]``."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kind, name = getattr(getattr(shell, "compile", None), "format_code_name", lambda _: None)(file) or ("", "")
    return re.sub(r"In\s*\[", "In [", name) if kind == "Cell" else os.path.basename(file)


def names_in(code: CodeType) -> list[str]:
    """The global names and attributes that a function and the functions inside of it read."""
    inner = [name for part in code.co_consts if isinstance(part, CodeType) for name in names_in(part)]
    return list(dict.fromkeys([*code.co_names, *inner]))


def _parts(item: Any) -> list[Any]:
    """What a class, a method, a property, a partial or an object of a user-defined class refers to."""
    if isinstance(item, type):
        functions = [getattr(part, "__func__", getattr(part, "fget", part)) for part in vars(item).values()]
        files = [part.__code__.co_filename for part in functions if isinstance(part, FunctionType)]
        return [*vars(item).values(), *item.__mro__[1:]] if any(map(_is_users, files)) or not files else []
    if isinstance(item, (staticmethod, classmethod)) or hasattr(item, "__func__"):
        return [item.__func__, getattr(item, "__self__", None)]
    if isinstance(item, property):
        return [item.fget]
    if isinstance(item, functools.partial):
        return [item.func]
    if isinstance(item, (list, tuple, dict)):
        return []
    return [type(item), *(part for part in getattr(item, "__dict__", {}).values() if callable(part))]


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _is_users(file: str) -> bool:
    """Is it a file of the user's: no library, and with source?"""
    return is_users_file(file) and bool(linecache.getlines(file))


def _parsed(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError:  # the file was changed after it was loaded
        return ast.Module([], [])


def definition_of(tree: ast.AST, code: CodeType) -> list[Definition]:
    """The definition of a function, after the definitions that it is in; nothing if there is none."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
            first = min([child.lineno, *(line.lineno for line in child.decorator_list)])
            if isinstance(child, ast.FunctionDef) and (child.name, first) == (code.co_name, code.co_firstlineno):
                return [child]
            inside = definition_of(child, code)
            if inside:
                return [child, *inside]
        elif inside := definition_of(child, code):
            return inside
    return []
