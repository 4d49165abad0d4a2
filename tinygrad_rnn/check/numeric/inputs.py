"""The inputs of a function by name: the leaves of its arguments, and the parameters that it closes over."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...engine.graph import newest_first
from ...engine.pytree import flatten
from ...engine.tensor import Tensor, value

SIZES = {"N": 3, "D": 7, "H": 11}  # primes, so that no axis can be mistaken for another


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the positional arguments of a function; x0, x1, ... if it has no signature."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:count] + [f"x{k}" for k in range(len(names), count)]


class NamedInputs:
    """A function of trees as a function of named arrays (`__call__`); ``flat`` are its inputs by name.

    The name of a leaf is its path, ``params.Wx``, ``state[0]``. A Tensor that requires a gradient and that the
    function closes over, as a variable or in a layer, is an input too: during a call it *becomes* the Tensor that is
    handed in.
    """

    def __init__(self, f: Callable[..., Any], inputs: tuple[Any, ...], named: Mapping[str, Any]):
        self.f = f
        self.flat: dict[str, Any] = {}
        trees = {**dict(zip(argument_names(f, len(inputs)), inputs)), **named}
        self.order, self.positional = list(trees), len(inputs)
        for name, tree in trees.items():
            self.flat.update((path, value(leaf)) for path, leaf in paths(name, tree))
        _, self.rebuild = flatten(list(trees.values()))
        self.count = len(self.flat)
        self.closed_over: dict[str, Tensor] = {}

    def find_parameters(self, result: Any) -> list[str]:
        """Find the parameters that a result of the function depends on. Returns those without a name."""
        roots = [leaf.node for leaf in flatten(result)[0] if isinstance(leaf, Tensor) and leaf.node is not None]
        reached = {id(node): node for node in newest_first(roots, used=True) if not node.parents}
        for name, tensor in closed_over(self.f).items():
            if reached.pop(id(tensor.node), None) is not None:
                self.closed_over[name if name not in self.flat else f"f.{name}"] = tensor
        self.flat |= {name: value(tensor) for name, tensor in self.closed_over.items()}
        return [f"{getattr(node, 'name', None) or 'one'} {node.shape}" for node in reached.values()]

    def __call__(self, **now: Any) -> Any:
        leaves = list(now.values())
        trees = self.rebuild(leaves[: self.count])
        named = dict(zip(self.order[self.positional :], trees[self.positional :]))
        before = [(tensor, tensor._array, tensor.node) for tensor in self.closed_over.values()]
        try:
            for (tensor, _, _), new in zip(before, leaves[self.count :]):
                tensor._array, tensor.node = value(new), getattr(new, "node", None)
            return self.f(*trees[: self.positional], **named)
        finally:
            for tensor, array, node in before:
                tensor._array, tensor.node = array, node


def paths(name: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a tree, each with its path."""
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from paths(f"{name}.{key}" if isinstance(key, str) else f"{name}[{key!r}]", part)
    elif isinstance(tree, (tuple, list)):
        fields = getattr(tree, "_fields", None)
        for k, part in enumerate(tree):
            yield from paths(f"{name}.{fields[k]}" if fields else f"{name}[{k}]", part)
    else:
        yield name, tree


def closed_over(f: Callable[..., Any]) -> dict[str, Tensor]:
    """The leaf Tensors that a function closes over, that are in its object, or that it uses as globals."""
    roots = dict(_variables(getattr(f, "__func__", f)))
    owner = getattr(f, "__self__", None if inspect.isroutine(f) else f)
    tensors: dict[str, Tensor] = {}
    for path, tensor in [*_leaves("", owner), *(leaf for name, part in roots.items() for leaf in _leaves(name, part))]:
        tensors.setdefault(path, tensor)
    return tensors


def _variables(f: Any) -> Mapping[str, Any]:
    """The global and nonlocal variables of a function."""
    try:
        variables = inspect.getclosurevars(f)
    except (TypeError, ValueError):  # not a Python function
        return {}
    return {**variables.globals, **variables.nonlocals}


def _leaves(name: str, variable: Any) -> Iterator[tuple[str, Tensor]]:
    """The Tensors that require a gradient: a variable itself, those in a list or dict, or the ``params`` of a layer."""
    params = None if isinstance(variable, (Tensor, type)) else getattr(variable, "params", None)
    tree = params if isinstance(params, dict) else variable
    for path, leaf in paths(name, tree):
        if isinstance(leaf, Tensor) and leaf.node is not None and not leaf.node.parents:
            yield path.removeprefix("."), leaf
