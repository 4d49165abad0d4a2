"""Leaves for the arrays that user-defined code of NumPy holds, in layers, lists, dicts and dataclasses.

A leaf has the path to its array, ``embed.W``. The name of a dict is left out where the key names the array: ``"Wf"`` in
``self.params`` is Wf, and ``"f"`` in ``self.W`` is W.f. An entry of a list has the local name to which the code unpacks
it: ``W, b = self.params`` or ``h, c = state``.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.graph import Node
from ...engine.tensor import Tensor
from ...errors import InvalidType
from .user_numpy import Rebound, is_users

PLAIN = (Tensor, ModuleType, type, str, bytes, int, float, complex, bool, np.generic, np.random.Generator, Cell,
         FunctionType, MethodType, BuiltinFunctionType, np.ufunc)  # fmt: skip
GRADIENTS = ("grads", "grad")  # arrays of these attributes are no leaves
HOLDERS = ("params", "parameters", "param", "weights", "p", "theta", "layers")  # names of dicts that say nothing
PARAMETERS = ("W", "U", "V", "R", "b", "w", "gamma", "beta", "kernel", "embed", "scale", "shift")  # names begin so
Path = tuple[tuple[str, bool], ...]  # of parts, and whether a part may be left out


def is_layer(x: Any) -> bool:
    """Is it an instance of a class of the user's that computes, by ``forward`` or by a call, or a method of one?"""
    if isinstance(x, MethodType):
        return is_users(x.__func__) and not hasattr(x.__self__, "rngs") and not isinstance(x.__self__, PLAIN)
    is_module = hasattr(x, "rngs") or isinstance(getattr(x, "params", None), Mapping)  # its Tensors have names
    method = getattr(type(x), "forward", None if is_module else inspect.getattr_static(type(x), "__call__", None))
    return isinstance(method, FunctionType) and not hasattr(x, "rngs") and not isinstance(x, PLAIN)


class Leaves:
    """Copies of what user-defined code holds, with a leaf for each array of floats."""

    def __init__(self, rebound: Rebound | None = None):
        self.rebound = rebound
        self.leaves: dict[int, Any] = {}  # by the id of the array or container
        self.places: dict[Node, Path] = {}
        self.alive: list[Any] = []  # so that no id is used twice

    @property
    def paths(self) -> dict[Node, str]:
        """The names of the leaves: their paths, as short as they are unique."""
        names: dict[Node, str] = {}
        waiting, kept = list(self.places), 0
        while waiting:
            known = {node: _text(self.places[node], kept) for node in waiting}
            counts = Counter([*known.values(), *names.values()])
            final = [node for node in waiting if counts[known[node]] == 1 or kept >= len(self.places[node])]
            names |= {node: known[node] for node in final}
            waiting, kept = [node for node in waiting if node not in names], kept + 1
        return {node: names[node] for node in self.places}

    def replace(self, x: Any, path: Path, unpacked: list[Any] | None = None) -> Any:
        """A leaf for an array; a list, dict or object of the user's with leaves in it."""
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            if id(x) not in self.leaves:
                leaf = self.leaves[id(x)] = Tensor(x.copy(), requires_grad=True)
                self.alive.append(x)
                if leaf.node is not None:
                    self.places[leaf.node] = path
            return self.leaves[id(x)]
        if isinstance(x, Tensor) and x.node is not None and not x.node.parents and not x.name:
            self.places[x.node] = path
        if self.rebound is not None and isinstance(x, FunctionType):
            return self.rebound.of(x)
        if isinstance(x, (np.ndarray, *PLAIN)) or x is None or inspect.isroutine(x):
            return x
        if type(x) is tuple or hasattr(x, "_fields"):
            fields = getattr(x, "_fields", None)
            names = fields or unpacked
            parts = [self.replace(entry, _at(path, k, names, len(x)), _inner(names, k)) for k, entry in enumerate(x)]
            return type(x)(*parts) if fields else tuple(parts)
        if id(x) not in self.leaves:
            self.leaves[id(x)] = x
            self.alive.append(x)
            self._replace_inside(x, path, unpacked)
        return x

    def _replace_inside(self, x: Any, path: Path, unpacked: list[Any] | None) -> None:
        """Replace the arrays in a list, a dict or an object: those with a name of their own first."""
        if isinstance(x, list):
            x[:] = [self.replace(entry, _at(path, k, unpacked, len(x)), _inner(unpacked, k))
                    for k, entry in enumerate(x)]  # fmt: skip
        elif isinstance(x, dict):
            for key in x:
                x[key] = self.replace(x[key], _below(path, key, isinstance(x[key], np.ndarray)))
        else:
            self._replace_attributes(x, path)

    def _replace_attributes(self, x: Any, path: Path) -> None:
        """Replace the arrays in the attributes of an object."""
        kind, unpacked = type(x), _unpacked(type(x))
        slots = [name for base in kind.__mro__ for name in vars(base).get("__slots__", ()) if hasattr(x, name)]
        entries = [name for name in (*getattr(x, "__dict__", ()), *slots) if name not in GRADIENTS]
        for name in sorted(entries, key=lambda name: isinstance(getattr(x, name), (list, tuple)) and name == "params"):
            held = self.replace(getattr(x, name), (*path, (name, False)), unpacked.get(name))
            object.__setattr__(x, name, held)
        if self.rebound is not None:
            self.rebound.rebind(x)


class Instance(Leaves):
    """A copy of a layer on Tensors, whose code makes arrays that Tensors can be assigned to."""

    def __init__(self, layer: Any, method: str, rebound: Rebound):
        super().__init__(rebound)
        self.layer = copy.deepcopy(layer)
        self.replace(self.layer, ())
        self.call: Callable[..., Any] = getattr(self.layer, method)


def argument(f: Callable[..., Any], name: str, x: Any) -> tuple[Any, dict[Node, str], str]:
    """An argument of ``f`` with leaves for the arrays that it holds; the names of the leaves, and their kind."""
    leaves, state = Leaves(), isinstance(x, (list, tuple)) and not hasattr(x, "_fields") and name not in HOLDERS
    if isinstance(x, (list, tuple, dict)) or is_layer(x):
        with contextlib.suppress(InvalidType):  # it holds a Tensor with a graph
            x = leaves.replace(copy.deepcopy(x), ((name, isinstance(x, dict)),), _unpacked(f).get(name))
    return x, leaves.paths, "input" if state else "parameter"


def _at(path: Path, k: int, names: Any, count: int) -> Path:
    """The path of entry ``k`` of a list that the code unpacks to ``names``."""
    if names and len(names) == count and isinstance(names[k], str):
        return (*path[:-1], (names[k], False))
    name, optional = path[-1] if path else ("", False)
    return (*path[:-1], (f"{name}[{k}]", optional))


def _inner(names: Any, k: int) -> Any:
    """The names to which entry ``k`` of a list is unpacked itself: ``(W, b), (U, c) = params``."""
    return names[k] if names and k < len(names) and not isinstance(names[k], str) else None


def _below(path: Path, key: Any, is_array: bool) -> Path:
    """The path of an entry of a dict; the name of the dict may be left out where the key names the array."""
    if not isinstance(key, str) or not path:
        return _at(path, key, None, -1)
    name = path[-1][0]
    optional = not is_array or name in HOLDERS or key.startswith(PARAMETERS)
    return (*path[:-1], (name, optional), (key, False))


def _text(path: Path, kept: int) -> str:
    """The path as text, with the last ``kept`` of the parts that may be left out."""
    optional = [k for k, (_, may_go) in enumerate(path) if may_go]
    gone = optional[: len(optional) - kept] if kept < len(optional) else []
    return ".".join(name for k, (name, _) in enumerate(path) if k not in gone)


def _targets(target: ast.expr | None) -> Any:
    """The names in the target of an assignment, in lists as they are nested; "" for anything else."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return [_targets(part) for part in target.elts]
    return target.id if isinstance(target, ast.Name) else ""


def _unpacked(code: Any) -> dict[str, list[Any]]:
    """The local names to which code unpacks a variable, or an attribute of self: ``W, b = self.params``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(code)))
    except (OSError, TypeError, SyntaxError):
        return {}
    names: dict[str, list[Any]] = {}
    for node in ast.walk(tree):
        locals_ = _targets(node.targets[0]) if isinstance(node, ast.Assign) else ""
        source = node.value if isinstance(node, ast.Assign) else None
        is_self = isinstance(source, ast.Attribute) and isinstance(source.value, ast.Name) and source.value.id == "self"
        name = source.attr if is_self else source.id if isinstance(source, ast.Name) else None  # type: ignore[union-attr]
        if isinstance(locals_, list) and all(locals_) and name is not None:
            names.setdefault(name, locals_)
    return names
