"""A row of steps, looked at closely: where its states are, where they come in, and which weights each step uses."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

from ..graph import Node, fitted
from ..rows import Row


@dataclass
class Use:
    """A step uses ``root`` as operand ``operand`` of a node: whole, or the part that a slice read at ``index``."""

    operand: int
    root: Node
    index: str | None = None

    def pull(self, node: Node, dy: Any) -> Any:
        """The gradient by the root that comes through this use alone, given that of the ``node`` that uses it."""
        came, rule, kept = node.edges[self.operand]
        g = fitted(rule.fn(dy, *kept), came)
        if self.index is None:
            return g
        _, rule, kept = came.edges[0]
        return fitted(rule.fn(g, *kept), self.root)


class Steps:
    """The steps of one cell. ``nodes[t]`` are those of step t, oldest first, without the slices of what came before:
    ``Wx.f`` and ``xs[:, t]`` belong to no step, wherever they were made. ``place`` is the step of each node, ``at[t]``
    has the nodes of step t by how much came after them in the step, so that all steps have the same node at one number.

    ``states[name][t]`` is the state after step t, None where nothing depends on it; those in ``strange`` are not known,
    since the step went another way than the last one. ``initial`` are the states before the first step, None where they
    need no gradient. ``carried`` are the names of those that the next step reads.
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
        self.states = {name: self._states(name) for name in row.cell.states}
        self.strange = self._strange()
        where = {name: self._where(name) for name in row.cell.states}
        self.carried = [name for name, place in where.items() if place is not None]
        self.initial = {name: self._first(place) for name, place in where.items()}
        self.uses = self._uses()

    def _slices(self) -> list[int]:
        """When the slices that the steps read were made, in order."""
        read = {parent: None for node in self.place for parent in node.parents if parent is not None}
        return sorted(node.seq for node in read if node not in self.place and is_slice(node))

    def _after(self, seq: int, t: int) -> int:
        """How much was recorded in step t after the time ``seq``, without slices: some steps make them, some do not."""
        end = self.row.steps[t].end
        return end - seq - (bisect.bisect(self.slices, end) - bisect.bisect(self.slices, seq))

    def _states(self, name: str) -> list[Node | None]:
        """The state after every step, from where it is known to be in the last one."""
        made = self.row.made[self.cell.states.index(name)]
        if made is None:
            return [None] * len(self.nodes)
        after = self._after(made, len(self.nodes) - 1)
        found = [at.get(after) for at in self.at]
        kind = next((node.op for node in reversed(found) if node is not None), None)
        return [node if node is not None and node.op is kind else None for node in found]

    def _strange(self) -> dict[tuple[str, int], None]:
        """What one step reads of another one can only be a state; if none is known there, those missing are strange."""
        known = dict.fromkeys(node for found in self.states.values() for node in found)
        read = {self.place[parent]: None for node, t in self.place.items() for parent in node.parents
                if parent is not None and self.place.get(parent, t) < t and parent not in known}  # fmt: skip
        return {(name, t): None for t in read for name, found in self.states.items() if found[t] is None}

    def _where(self, name: str) -> tuple[int, int] | None:
        """Where a step reads what the step before has made: which node, by ``at``, and which operand."""
        before = self.states[name][self.model - 1] if self.model else None
        for after, node in self.at[self.model].items():
            for operand, parent in enumerate(node.parents):
                if parent is not None and parent is before:
                    return after, operand
        return None

    def _first(self, where: tuple[int, int] | None) -> Node | None:
        """What the first step reads there."""
        node = self.same(0, where[0]) if where else None
        return node.parents[where[1]] if node is not None and where else None

    def same(self, t: int, after: int) -> Node | None:
        """The node of step t that is where the model has one, if it is the same operation."""
        node = self.at[t].get(after)
        return node if node is not None and node.op is self.at[self.model][after].op else None

    def _uses(self) -> dict[Node, list[Use]]:
        """What every step uses that no step has made, by the node that uses it; what one step alone uses is no weight.

        A slice is told from others by its index: all steps read one ``Wx[:, :H]``, each its own ``xs[:, t]``.
        """
        found: dict[Node, list[Use]] = {}
        steps: dict[Any, dict[int, None]] = {}
        for node, t in self.place.items():
            for operand in range(len(node.parents)):
                use = self._use(node, operand)
                if use is not None:
                    found.setdefault(node, []).append(use)
                    steps.setdefault((use.root, use.index), {})[t] = None
        alone = [key for key, own in steps.items() if len(own) == 1 < len(self.nodes)]
        for key in alone:
            del steps[key]
        kept = {node: [use for use in uses if (use.root, use.index) in steps] for node, uses in found.items()}
        return {node: uses for node, uses in kept.items() if uses}

    def _use(self, node: Node, operand: int) -> Use | None:
        parent = node.parents[operand]
        if parent is None or parent in self.place:
            return None
        if is_slice(parent):
            return Use(operand, parent.parents[0], str(parent.attrs["index"]))
        return Use(operand, parent)


def is_slice(node: Node) -> bool:
    return node.op is not None and node.op.name == "getitem"


def _reads(node: Node, every: dict[Node, None]) -> bool:
    """Is it a slice of what no step has made?"""
    return is_slice(node) and node.parents[0] not in every
