"""A hand-written layer of NumPy, copied so that its ``forward`` runs on Tensors.

Every array of floats that it holds, also in lists, dicts and layers of its own, becomes a leaf with the name of its
attribute, ``embed.W``. An entry of ``params`` has the name to which ``forward`` unpacks it: ``W, b = self.params``.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ...engine.graph import Node
from ...engine.tensor import Tensor

PLAIN = (Tensor, ModuleType, type, str, bytes, int, float, complex, bool, np.random.Generator)
GRADIENTS = ("grads", "grad")  # arrays of these attributes are no leaves


def is_layer(x: Any) -> bool:
    """Is it an instance with a ``forward`` method, and no module of this package?"""
    return callable(getattr(type(x), "forward", None)) and not hasattr(x, "rngs")


class Instance:
    """A copy of a layer on Tensors; ``paths`` are the names of its leaves."""

    def __init__(self, layer: Any):
        self.layer = copy.deepcopy(layer)
        self.paths: dict[Node, str] = {}
        self.leaves: dict[int, Any] = {}  # by the id of the array or container
        self.alive: list[Any] = []  # so that no id is used twice
        self.modules: list[dict[str, Any]] = []  # the global names of the classes of the layer
        self.replace(self.layer, "")

    @property
    def forward(self) -> Callable[..., Any]:
        """The method that computes."""
        function: Callable[..., Any] = self.layer.forward
        return function

    def replace(self, x: Any, path: str) -> Any:
        """A leaf for an array; a list, dict or object of the user's with leaves in it."""
        if isinstance(x, np.ndarray) and x.dtype.kind == "f":
            if id(x) not in self.leaves:
                leaf = self.leaves[id(x)] = Tensor(x.copy(), requires_grad=True)
                self.alive.append(x)
                if leaf.node is not None:
                    self.paths[leaf.node] = path
            return self.leaves[id(x)]
        if isinstance(x, (np.ndarray, np.generic, *PLAIN)) or x is None or (callable(x) and not is_layer(x)):
            return x
        if id(x) not in self.leaves:
            self.leaves[id(x)] = x
            self.alive.append(x)
            self.replace_inside(x, path)
        return tuple(self.replace(entry, f"{path}[{k}]") for k, entry in enumerate(x)) if type(x) is tuple else x

    def replace_inside(self, x: Any, path: str) -> None:
        """Replace the arrays in a list, a dict or an object: those with a name of their own first."""
        if isinstance(x, list):
            x[:] = [self.replace(entry, f"{path}[{k}]") for k, entry in enumerate(x)]
        elif isinstance(x, dict):
            stem = path.rpartition(".")[0]
            for key in x:
                x[key] = self.replace(x[key], f"{stem}.{key}".lstrip("."))
        elif hasattr(x, "__dict__"):
            self.replace_attributes(x, path)

    def replace_attributes(self, x: Any, path: str) -> None:
        """Replace the arrays in the attributes of an object."""
        unpacked = _unpacked(type(x))
        self.modules += [f.__globals__ for f in vars(type(x)).values() if isinstance(f, FunctionType)]
        entries = [name for name in vars(x) if name not in GRADIENTS]
        for name in sorted(entries, key=lambda name: isinstance(vars(x)[name], (list, tuple)) and name == "params"):
            held, stem = vars(x)[name], f"{path}.{name}".lstrip(".")
            if name in unpacked and isinstance(held, (list, tuple)) and len(held) == len(unpacked[name]):
                parts = [self.replace(entry, f"{path}.{local}".lstrip("."))
                         for entry, local in zip(held, unpacked[name])]  # fmt: skip
                vars(x)[name] = type(held)(parts)
            else:
                vars(x)[name] = self.replace(held, stem)

    @contextlib.contextmanager
    def numpy(self) -> Iterator[None]:
        """Inside, ``np.zeros`` and the like give the code of the layer arrays that Tensors can be assigned to."""
        places = [(names, name) for names in self.modules for name, x in names.items() if x is np]
        for names, name in places:
            names[name] = _Numpy()
        try:
            yield
        finally:
            for names, name in places:
                names[name] = np


class _Numpy:
    """NumPy, but new arrays of floats are Tensors."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if name not in ("empty", "zeros", "ones", "full", "empty_like", "zeros_like", "ones_like"):
            return function

        def new(*args: Any, **options: Any) -> Any:
            array = function(*args, **options)
            return Tensor(np.zeros_like(array) if "empty" in name else array) if array.dtype.kind == "f" else array

        return new


def _unpacked(kind: type) -> dict[str, list[str]]:
    """The local names to which the methods of a class unpack its attributes: ``W, b = self.params``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):
        return {}
    names: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):
            target, owner = node.targets[0], node.value.value
            parts = target.elts if isinstance(target, ast.Tuple) else []
            locals_ = [part.id for part in parts if isinstance(part, ast.Name)]
            if locals_ and isinstance(owner, ast.Name) and owner.id == "self":
                names.setdefault(node.value.attr, locals_)
    return names
