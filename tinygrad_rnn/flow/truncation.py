"""What truncated BPTT would leave of the gradient: backward passes with the states cut at every k-th step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node, backpropagate
from ..tracing.trace import norm
from .state_history import Steps


def truncations(order: Sequence[Node], rows: Sequence[Steps], full: Mapping[Node, Any]) -> dict[int, float]:
    """For k = 1, 2, 4, ... < T: the cosine of the gradient in windows of k steps to the ``full`` one.

    ``order`` is the graph, newest first; the gradients are by the nodes of ``full``, all as one vector.
    """
    wanted = [node for node, g in full.items() if g is not None]
    if not wanted:
        return {}
    cut, longest = Cut(order, rows), max(len(row.nodes) for row in rows)
    windows = [1 << n for n in range((longest - 1).bit_length())]
    return {k: cosine([full[node] for node in wanted], cut.gradients(wanted, k)) for k in windows}


class Cut:
    """A copy of a graph, in which the states can be cut."""

    def __init__(self, order: Sequence[Node], rows: Sequence[Steps]):
        self.root = order[0]
        self.copies: dict[Node, Node] = {}
        for node in reversed(order):
            edges = [edge and (self.copies[edge[0]], *edge[1:]) for edge in node.edges]
            copy = self.copies[node] = Node(edges, node.shape, node.dtype, node.op, node.attrs)
            copy.seq = node.seq
        self.places = [{**dict.fromkeys(row.kept, 0), **row.place} for row in rows]  # passed on: from the first step
        self.reading = [(self.copies[node], node, place, t) for row, place in zip(rows, self.places)
                        for node, t in row.place.items()
                        if any(place.get(parent, t) != t for parent in node.parents)]  # fmt: skip

    def gradients(self, wanted: Sequence[Node], k: int) -> list[Any]:
        """The gradients by the ``wanted`` nodes where every k-th step starts from ``detach(state)``."""
        for copy, node, place, t in self.reading:
            whole = [edge is not None and place.get(edge[0], t) // k == t // k for edge in node.edges]
            copy.edges = [(self.copies[edge[0]], *edge[1:]) if kept else None for kept, edge in zip(whole, node.edges)]
            copy.parents = tuple([edge and edge[0] for edge in copy.edges])
        dy = np.ones(self.root.shape, self.root.dtype)
        with np.errstate(all="ignore"):
            found = backpropagate({self.copies[self.root]: dy}, [self.copies[node] for node in wanted], retain=True)
        return [found.get(self.copies[node], np.zeros(node.shape, node.dtype)) for node in wanted]


def cosine(one: Sequence[Any], other: Sequence[Any]) -> float:
    """The cosine of the angle between two gradients, each all arrays as one vector; NaN where one of them is zero."""
    a, b = (np.concatenate([np.ravel(part).astype(np.float64) for part in parts]) for parts in (one, other))
    lengths = norm(a), norm(b)
    if not all(map(math.isfinite, lengths)) or 0 in lengths:
        return math.nan
    return float(np.dot(a / lengths[0], b / lengths[1]))
