"""The gradient that truncated BPTT would give: backward passes with the states cut at every k-th step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node, backpropagate
from ..tracing.trace import norm
from .step_table import StepTable


def truncations(order: Sequence[Node], tables: Sequence[StepTable]) -> dict[int, float]:
    """For k = 1, 2, 4, ... < T: the cosine of the gradient in windows of k steps to the full gradient.

    ``order`` is the graph, newest first; the gradients are by the weights of all ``tables``, as one vector.
    """
    wanted = list(dict.fromkeys(root for table in tables for root in table.weights))
    if not wanted:
        return {}
    cut, longest = Cut(order, tables), max(len(table.nodes) for table in tables)
    full, windows = cut.gradients(wanted, longest), [1 << n for n in range((longest - 1).bit_length())]
    return {k: cosine(full, cut.gradients(wanted, k)) for k in windows}


class Cut:
    """A copy of a graph, in which the states can be cut."""

    def __init__(self, order: Sequence[Node], tables: Sequence[StepTable]):
        self.root = order[0]
        self.copies: dict[Node, Node] = {}
        for node in reversed(order):
            edges = [edge and (self.copies[edge[0]], *edge[1:]) for edge in node.edges]
            copy = self.copies[node] = Node(edges, node.shape, node.dtype, node.op, node.attrs)
            copy.seq = node.seq
        steps = [{**dict.fromkeys(table.passed_on, 0), **table.step_of} for table in tables]  # passed on: from step 0
        self.readers = [(self.copies[node], node, step_of, t) for table, step_of in zip(tables, steps)
                        for node, t in table.step_of.items()
                        if any(step_of.get(parent, t) != t for parent in node.parents)]  # fmt: skip

    def gradients(self, wanted: Sequence[Node], k: int) -> list[Any]:
        """The gradients by the ``wanted`` nodes where every k-th step starts from ``detach(state)``."""
        for copy, node, step_of, t in self.readers:
            whole = [edge is not None and step_of.get(edge[0], t) // k == t // k for edge in node.edges]
            edges = [edge if uncut else None for uncut, edge in zip(whole, node.edges)]
            copy.edges = [edge and (self.copies[edge[0]], *edge[1:]) for edge in edges]
            copy.parents = tuple([edge and edge[0] for edge in copy.edges])
        dy = np.ones(self.root.shape, self.root.dtype)
        with np.errstate(all="ignore"):
            grads = backpropagate({self.copies[self.root]: dy}, [self.copies[node] for node in wanted], retain=True)
        return [grads.get(self.copies[node], np.zeros(node.shape, node.dtype)) for node in wanted]


def cosine(first: Sequence[Any], second: Sequence[Any]) -> float:
    """The cosine of the angle between two gradients, each all arrays as one vector; NaN where one of them is zero."""
    a, b = (np.concatenate([np.ravel(part).astype(np.float64) for part in parts]) for parts in (first, second))
    lengths = norm(a), norm(b)
    if not all(map(math.isfinite, lengths)) or 0 in lengths:
        return math.nan
    return float(np.dot(a / lengths[0], b / lengths[1]))
