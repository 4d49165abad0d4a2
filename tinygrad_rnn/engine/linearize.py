"""Run a function once and give its derivative there: the linear map that takes dy back, or dx forward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InvalidType, InvalidValue
from .graph import Node, backpropagate, clock, context
from .higher_order import backpropagate_recorded, leaf_for, recording_on, split_at
from .pickling import twins
from .pytree import flatten
from .tensor import Tensor, make, value


def _given(x: Any) -> Any:
    """An input that is not differentiated by: a float array as a Tensor with a copy, anything else unchanged."""
    return make(np.array(x), None) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else twins(x)


def called(f: Callable[..., Any]) -> str:
    """The name of a user's function in messages."""
    name = getattr(getattr(f, "func", f), "__name__", type(f).__name__)
    return "f" if name == "<lambda>" else name


class Linearized:
    """One run of f on fresh leaves for the inputs that are differentiated by; `gradients` goes back through it.

    ``leaves`` and ``roots`` are the nodes of these leaves before the run and of the results after it: a Tensor that is
    changed in place gets another node. Both have None for a value that has no derivative.
    """

    def __init__(
        self,
        name: str,
        f: Callable[..., Any],
        args: Sequence[Any],
        argnums: Sequence[int],
        options: Mapping[str, Any] = MappingProxyType({}),
    ):
        self.name, self.called = name, called(f)
        trees = [flatten(arg) for arg in args]
        given = [leaf for leaves, _ in trees for leaf in leaves]
        self.arrays = not any(isinstance(leaf, Tensor) for leaf in given)
        self.deep = context.transforms > 0 or any(getattr(leaf, "node", None) is not None for leaf in given)
        inputs = [build([_given(leaf) for leaf in leaves]) for leaves, build in trees]
        self.leaves: list[Node | None] = []
        recorded, start = context.recording, clock()
        self.build = [trees[k] for k in argnums]
        for k, (leaves, build) in zip(argnums, self.build):
            fresh = [None if leaf is None else leaf_for(leaf, f"{name}: argument {k}") for leaf in leaves]
            inputs[k] = build(fresh)
            self.leaves += [None if x is None else x.node for x in fresh]
        with recording_on():
            y = f(*inputs, **twins(dict(options)))
        if y is None:
            raise InvalidType(f"{name}: {self.called} returned None, should return a value; is a return missing?")
        self.ys, self.build_y = flatten(y)
        if recorded and not self.arrays and not self.deep:  # does f use a Tensor that needs a gradient from outside?
            roots = [y.node for y in self.ys if isinstance(y, Tensor) and y.node is not None]
            self.deep = bool(split_at(roots, lambda node: node.seq < start)[1])
        self.roots = [y.node if isinstance(y, Tensor) else None for y in self.ys]
        self.values = [self.out(y, self.deep) for y in self.ys]
        self.like = likeness(self.ys, self.build_y)

    def out(self, x: Any, deep: bool, shared: bool = True) -> Any:
        """A result for the caller: a new object, and unless ``deep`` independent of the fresh leaves.

        An array is copied if it may be ``shared`` with a saved array or with another result.
        """
        if not isinstance(x, Tensor):
            return x
        node = x.node if deep else None
        if self.arrays and node is None:
            return np.array(x._array) if shared else np.asarray(x._array)
        return make(x._array, node)

    def value(self) -> Any:
        return self.build_y(self.values)

    def number(self) -> Any:
        """The only result, which should be a single floating number."""
        shapes = [np.shape(value(y)) for y in self.ys]
        if len(self.ys) != 1 or np.prod(shapes[0]) != 1:
            got = shapes[0] if len(self.ys) == 1 else f"{len(self.ys)} values"
            raise InvalidValue(
                f"{self.name}: {self.called} returned {got}, should be one number; jacobian is for arrays"
            )
        self.floating(0)
        return self.values[0]

    def floating(self, k: int) -> None:
        dtype = dtype_of(self.ys[k])
        if dtype.kind != "f":
            got = dtype if dtype.kind in "iubc" else f"a {type(self.ys[k]).__name__}"
            raise InvalidType(f"{self.name}: {self.called} returned {got}, should be floating to be differentiated")

    def gradients(self, dys: Sequence[Any], deep: bool, retain: bool = True) -> list[Any]:
        """The gradient by each leaf; zeros if the output does not depend on it."""
        return pull(self.roots, dys, self.leaves, deep, retain)

    def grouped(self, gradients: Sequence[Any], deep: bool) -> tuple[Any, ...]:
        """Gradients in the structure of each argument."""
        result, start = [], 0
        for leaves, build in self.build:
            result.append(build([self.out(g, deep, deep) for g in gradients[start : start + len(leaves)]]))
            start += len(leaves)
        return tuple(result)

    def transposed(self) -> tuple[list[Node | None], list[Node | None]]:
        """Nodes of cotangents u, and of pull(u), which is linear in u: its derivative by u, along v, is dy along v."""
        us = [leaf_for(np.zeros(np.shape(value(y)), dtype_of(y)), self.name) if dtype_of(y).kind == "f" else None
              for y in self.ys]  # fmt: skip
        pulled = self.gradients(us, deep=True)
        return [None if u is None else u.node for u in us], [None if g is None else g.node for g in pulled]


def likeness(leaves: Sequence[Any], build: Callable[..., Any]) -> Any:
    """A pytree of arrays of the same shapes and dtypes, which take no memory."""
    return build([x if x is None else np.broadcast_to(np.empty((), dtype_of(x)), np.shape(value(x))) for x in leaves])


def dtype_of(y: Any) -> np.dtype:
    return np.asarray(value(y)).dtype


def pull(
    roots: Sequence[Node | None], dys: Sequence[Any], leaves: Sequence[Node | None], deep: bool, retain: bool = True
) -> list[Any]:
    """The gradient of ``Σ <dy, root>`` by each leaf, itself recorded if ``deep``; zeros if no gradient reaches it."""
    wanted = [leaf for leaf in leaves if leaf is not None]
    totals: dict[Node, Any] = {}
    for root, dy in zip(roots, dys, strict=True):
        if root is not None:
            dy = dy if deep else value(dy)
            totals[root] = totals[root] + dy if root in totals else dy
    if deep:
        with recording_on(0):
            gradients: dict[Node, Any] = backpropagate_recorded(totals, wanted)
    else:
        gradients = backpropagate(totals, wanted, retain=retain)
    return [None if leaf is None else _or_zeros(gradients.get(leaf), leaf) for leaf in leaves]


def _or_zeros(g: Any, leaf: Node) -> Tensor:
    if g is None:
        g = np.zeros(leaf.shape, leaf.dtype)
    return g if isinstance(g, Tensor) else make(g, None)
