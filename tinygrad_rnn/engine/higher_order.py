"""The backward pass on Tensors: gradients that can be differentiated again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import InvalidType
from . import versions
from .graph import USED, Node, Rule, context, fitted, newest_first, on_path_to
from .tensor import Tensor, make, value

_SAME = Rule(lambda dy: dy)


class InputNode(Node):
    """The node of an input that is differentiated by. It saves nothing, so a backward pass leaves it usable."""

    __slots__ = ("_edges",)

    @property
    def edges(self) -> Any:
        return self._edges

    @edges.setter
    def edges(self, edges: Any) -> None:
        if edges is not USED:
            self._edges = edges


def leaf_for(x: Any, where: str) -> Tensor:
    """A Tensor with a copy of an input, on a new node whose parent is the input's own node if it has one.

    It counts as computed, so the user's function may change it in place. That changes neither the input nor the node.
    """
    array = np.array(value(x))
    if array.dtype.kind != "f":
        raise InvalidType(f"{where} is {array.dtype}, should be floating to be differentiated by")
    parent = getattr(x, "node", None)
    return make(array, InputNode([None if parent is None else (parent, _SAME, ())], array.shape, array.dtype))


@contextmanager
def recording_on(nested: int = 1) -> Iterator[None]:
    before = context.recording, context.transforms
    try:
        context.recording, context.transforms = True, context.transforms + nested
        yield
    finally:
        context.recording, context.transforms = before


def backpropagate_recorded(roots: dict[Node, Tensor], wanted: Sequence[Node]) -> dict[Node, Tensor]:
    """As `backpropagate`, but every rule runs on Tensors, so that the gradients can be differentiated again."""
    ends = dict.fromkeys(wanted)
    order = newest_first(roots, ends)
    along = on_path_to(order, ends)
    versions.check(order, ends, along)
    total: dict[Node, Any] = dict(roots)
    gradients: dict[Node, Any] = {}
    for node in order:
        if node not in total or node not in along:
            continue
        dy = total.pop(node)
        if context.observer is not None:
            context.observer.gradient(node, value(dy))
        if node in ends:
            gradients[node] = dy
            continue
        for edge in node.edges:
            if edge is not None and edge[0] in along:
                parent, rule, saved = edge
                g = rule.fn(dy, *_lifted(node, rule, saved))
                if g is None:
                    continue
                g = fitted(g, parent)
                total[parent] = g if parent not in total else total[parent] + g
    return gradients


def _lifted(node: Node, rule: Rule, saved: Sequence[Any]) -> list[Any]:
    """The saved values of a rule, as Tensors on the nodes that the arrays came from."""
    parents = node.parents
    lifted = []
    for source, array in zip(rule.sources or [None] * len(saved), saved, strict=True):
        if source == "xs":
            lifted.append(tuple(_on(x, parent) for x, parent in zip(array, parents, strict=True)))
        else:
            lifted.append(_on(array, node if source == "y" else None if source is None else parents[source]))
    return lifted


def _on(array: Any, node: Node | None) -> Any:
    return array if node is None or isinstance(array, Tensor) else make(np.asarray(array), node)


def split_at(roots: Iterable[Node], ends: Callable[[Node], bool]) -> tuple[list[Node], list[Node]]:
    """The nodes that the roots depend on, without the ends, and the ends; each oldest first."""
    seen: dict[Node, bool] = {node: ends(node) for node in roots}
    todo = list(seen)
    for node in todo:  # which grows
        for parent in node.parents if not seen[node] else ():
            if parent is not None and parent not in seen:
                seen[parent] = ends(parent)
                todo.append(parent)
    todo.sort(key=lambda node: node.seq)
    return [node for node in todo if not seen[node]], [node for node in todo if seen[node]]
