"""What a function is given, by name: the leaves of its inputs, and the parameters that it finds for itself."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.pytree import flatten
from ...engine.tensor import Tensor, make, value

SIZES = {"N": 3, "D": 7, "H": 11}  # primes, so that no two axes can be mistaken for each other


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """What the function calls its positional arguments; x0, x1, ... where it does not say."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:count] + [f"x{k}" for k in range(len(names), count)]


def by_name(cell: Cell) -> Callable[..., Any]:
    """A cell as a function of all its arguments by name."""
    order = [cell.input, *cell.states]
    return lambda **given: cell(*[given[name] for name in order], **{k: x for k, x in given.items() if k not in order})


class Given:
    """A function and its inputs: ``flat``, its leaves by name, and the function of those (`__call__`).

    A leaf is called as it is reached, ``params.Wx``, ``state[0]``. A Tensor that requires a gradient and that the
    function closes over, as a variable or in a layer, is an input like others: for the time of a call it *is* the
    Tensor that is handed in.
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
        self.held: dict[str, Tensor] = {}

    def look(self, run: Callable[..., Any]) -> list[str]:
        """``run`` this function once, to find the parameters that the result depends on; those that have no name."""
        reached = {id(node): node for node in self._leaves(run)}
        for name, one in held(self.f).items():
            if reached.pop(id(one.node), None) is not None:
                self.held[name if name not in self.flat else f"f.{name}"] = one
        self.flat |= {name: value(one) for name, one in self.held.items()}
        return [f"{getattr(node, 'name', None) or 'one'} {node.shape}" for node in reached.values()]

    def _leaves(self, run: Callable[..., Any]) -> list[Any]:
        """The leaves that the result depends on, the inputs aside."""
        result = run(**{name: make(x, None) if np.asarray(x).dtype.kind == "f" else x for name, x in self.flat.items()})
        todo = [one.node for one in flatten(result)[0] if isinstance(one, Tensor) and one.node is not None]
        seen: dict[int, Any] = {}
        while todo:
            node = todo.pop()
            if id(node) not in seen:
                seen[id(node)] = node
                todo += [parent for parent in node.parents if parent is not None]
        return [node for node in seen.values() if not node.parents]

    def __call__(self, **now: Any) -> Any:
        leaves = list(now.values())
        trees = self.rebuild(leaves[: self.count])
        named = dict(zip(self.order[self.positional :], trees[self.positional :]))
        before = [(one, one._array, one.node) for one in self.held.values()]
        try:
            for (one, _, _), new in zip(before, leaves[self.count :]):
                one._array, one.node = value(new), getattr(new, "node", None)
            return self.f(*trees[: self.positional], **named)
        finally:
            for one, array, node in before:
                one._array, one.node = array, node


def paths(name: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a tree, each with the way to it."""
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from paths(f"{name}.{key}" if isinstance(key, str) else f"{name}[{key!r}]", part)
    elif isinstance(tree, (tuple, list)):
        fields = getattr(tree, "_fields", None)
        for k, part in enumerate(tree):
            yield from paths(f"{name}.{fields[k]}" if fields else f"{name}[{k}]", part)
    else:
        yield name, tree


def held(f: Callable[..., Any]) -> dict[str, Tensor]:
    """The leaf Tensors that a function closes over, that its object holds, or that it finds in its module."""
    roots = dict(_variables(getattr(f, "__func__", f)))
    owner = getattr(f, "__self__", None if inspect.isroutine(f) else f)
    found: dict[str, Tensor] = {}
    for path, one in [*_leaves("", owner), *(leaf for name, part in roots.items() for leaf in _leaves(name, part))]:
        found.setdefault(path, one)
    return found


def _variables(f: Any) -> Mapping[str, Any]:
    try:
        variables = inspect.getclosurevars(f)
    except (TypeError, ValueError):  # no Python function
        return {}
    return {**variables.globals, **variables.nonlocals}


def _leaves(name: str, one: Any) -> Iterator[tuple[str, Tensor]]:
    """The Tensors that require a gradient in a variable: itself, in a list or dict, or the ``params`` of a layer."""
    params = None if isinstance(one, (Tensor, type)) else getattr(one, "params", None)
    tree = params if isinstance(params, dict) else one
    for path, leaf in paths(name, tree):
        if isinstance(leaf, Tensor) and leaf.node is not None and not leaf.node.parents:
            yield path.removeprefix("."), leaf
