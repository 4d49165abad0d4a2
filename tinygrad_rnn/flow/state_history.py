"""A row of steps, looked at closely: where its states are, where they come in, and which weights each step uses."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

from ..engine.graph import Node, fitted
from ..tracing.recurrences import Row, Step
from ..tracing.slices import slice_index


@dataclass
class Use:
    """A step uses ``root`` as operand ``operand`` of a node: whole, or a slice of it."""

    operand: int
    root: Node
    sliced: bool = False

    def pull(self, node: Node, dy: Any) -> Any:
        """The gradient by the root that comes through this use alone, given that of the ``node`` that uses it."""
        came, rule, kept = node.edges[self.operand]
        g = fitted(rule.fn(dy, *kept), came)
        if not self.sliced:
            return g
        _, rule, kept = came.edges[0]
        return fitted(rule.fn(g, *kept), self.root)


class Steps:
    """The steps of one cell. ``nodes[t]`` are those of step t, oldest first, without the slices of what came before:
    ``Wx.f`` and ``xs[:, t]`` belong to no step, wherever they were made. ``place`` is the step of each node, ``at[t]``
    has the nodes of step t by how much came after them in the step, so that all steps have the same node at one number.

    ``states[name][t]`` is the state after step t, None where nothing depends on it; ``loose`` are those, by name and t,
    that need no gradient. ``initial`` are the states before the first step, None where it does not use them, or they
    need no gradient. ``carried`` are the names of those that the next step uses.
    """

    def __init__(self, row: Row):
        self.row, self.cell = row, row.cell
        every = {node: None for step in row.steps for node in step.nodes}
        self.nodes = [[node for node in step.nodes if not _reads(node, every)] for step in row.steps]
        self.place = {node: t for t, nodes in enumerate(self.nodes) for node in nodes}
        self.slices = self._slices()
        self.at = [{self._after(node.seq, t): node for node in nodes} for t, nodes in enumerate(self.nodes)]
        T = len(self.nodes)
        self.model = max(range(min(1, T - 1), T), key=lambda t: (len(self.nodes[t]), t))  # a step that is all there
        self.states = {name: row.state(name) for name in row.cell.states}
        self.loose = {(name, t): None for t, step in enumerate(row.steps) for name in step.loose}
        used = [_used(step) for step in row.steps]
        self.carried = [name for name in row.cell.states if any(name in own for own in used[1:])]
        self.initial = {name: node if name in used[0] else None for name, node in row.steps[0].before.items()}
        self.kept = {node: None for step in row.steps for node in step.kept() if node not in self.place}
        self.uses = self._uses()

    def _slices(self) -> list[int]:
        """When the slices that the steps read were made, in order."""
        read = {parent: None for node in self.place for parent in node.parents if parent is not None}
        return sorted(node.seq for node in read if node not in self.place and slice_index(node) is not None)

    def _after(self, seq: int, t: int) -> int:
        """How much was recorded in step t after the time ``seq``, without slices: some steps make them, some do not."""
        end = self.row.steps[t].end
        return end - seq - (bisect.bisect(self.slices, end) - bisect.bisect(self.slices, seq))

    def same(self, t: int, after: int) -> Node | None:
        """The node of step t that is where the model has one, if it is the same operation."""
        node = self.at[t].get(after)
        return node if node is not None and node.op is self.at[self.model][after].op else None

    def _uses(self) -> dict[Node, list[Use]]:
        """What every step uses of the parameters, by the node that uses it."""
        params = dict.fromkeys(self.row.params.values())
        uses = {node: [self._use(node, k, params) for k in range(len(node.parents))] for node in self.place}
        kept = {node: [use for use in own if use is not None] for node, own in uses.items()}
        return {node: own for node, own in kept.items() if own}

    def _use(self, node: Node, operand: int, params: dict[Node, None]) -> Use | None:
        parent = node.parents[operand]
        if parent in params:
            return Use(operand, parent)
        if parent is None or parent in self.place or slice_index(parent) is None:
            return None
        if parent.parents[0] in params:
            return Use(operand, parent.parents[0], sliced=True)
        return None


def _used(step: Step) -> list[str]:
    """The states that a step reads, or gives on as they are."""
    read = {parent: None for node in step.nodes for parent in node.parents} | dict.fromkeys(step.kept())
    return [name for name, node in step.before.items() if node is not None and node in read]


def _reads(node: Node, every: dict[Node, None]) -> bool:
    """Is it a slice of what no step has made?"""
    return slice_index(node) is not None and node.parents[0] not in every
