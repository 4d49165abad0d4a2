"""The steps of a recurrence as a table: the nodes and states of each step, and the weights that each step uses."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

from ..engine.graph import Node, fitted
from ..tracing.recurrences import Recurrence, TimeStep
from ..tracing.slices import slice_index


@dataclass
class Use:
    """A step uses ``root`` as operand ``operand`` of a node: whole, or a slice of it."""

    operand: int
    root: Node
    sliced: bool = False

    def pull(self, node: Node, dy: Any) -> Any:
        """The gradient by the root that comes through this use alone, given the gradient by the ``node``."""
        parent, rule, saved = node.edges[self.operand]
        g = fitted(rule.fn(dy, *saved), parent)
        if not self.sliced:
            return g
        _, rule, saved = parent.edges[0]
        return fitted(rule.fn(g, *saved), self.root)


class StepTable:
    """The steps of one cell, by step t.

    ``nodes[t]`` are the nodes of step t, oldest first, without slices of earlier values: ``Wx.f`` and ``xs[:, t]``
    belong to no step, wherever they were computed. ``step_of`` is the step of each node. ``at[t]`` has the nodes of
    step t by how much was recorded after them in the step, so that one number means the same node in all steps.

    ``states[name][t]`` is the state after step t, None where nothing depends on it; ``untracked`` are the states, by
    name and t, that need no gradient. ``initial`` are the states before the first step, None where it does not use
    them, or they need no gradient. ``carried`` are the names of the states that the next step uses.
    """

    def __init__(self, recurrence: Recurrence):
        self.recurrence, self.cell = recurrence, recurrence.cell
        steps = recurrence.steps
        inside = {node: None for step in steps for node in step.nodes}
        self.nodes = [[node for node in step.nodes if not _slices_outside(node, inside)] for step in steps]
        self.step_of = {node: t for t, nodes in enumerate(self.nodes) for node in nodes}
        self.slices = self._slices()
        self.at = [{self._after(node.seq, t): node for node in nodes} for t, nodes in enumerate(self.nodes)]
        T = len(self.nodes)
        self.model = max(range(min(1, T - 1), T), key=lambda t: (len(self.nodes[t]), t))  # a step that is complete
        self.states = {name: recurrence.state(name) for name in self.cell.states}
        self.untracked = {(name, t): None for t, step in enumerate(steps) for name in step.untracked}
        used = [_used_states(step) for step in steps]
        self.carried = [name for name in self.cell.states if any(name in names for names in used[1:])]
        self.initial = {name: node if name in used[0] else None for name, node in steps[0].before.items()}
        self.passed_on = {node: None for step in steps for node in step.passed_on() if node not in self.step_of}
        self.uses = self._uses()

    @property
    def weights(self) -> dict[Node, str]:
        """The names of the parameters that the steps use."""
        used = {use.root: None for uses in self.uses.values() for use in uses}
        return {node: name for node, name in self.recurrence.param_names().items() if node in used}

    def _slices(self) -> list[int]:
        """When the slices that the steps read were recorded, in order."""
        read = {parent: None for node in self.step_of for parent in node.parents if parent is not None}
        return sorted(node.seq for node in read if node not in self.step_of and slice_index(node) is not None)

    def _after(self, seq: int, t: int) -> int:
        """How much was recorded in step t after the time ``seq``, without slices, which only some steps make."""
        end = self.recurrence.steps[t].end
        return end - seq - (bisect.bisect(self.slices, end) - bisect.bisect(self.slices, seq))

    def same(self, t: int, after: int) -> Node | None:
        """The node of step t at the place ``after`` of a node of the model step; None for another operation."""
        node = self.at[t].get(after)
        return node if node is not None and node.op is self.at[self.model][after].op else None

    def _uses(self) -> dict[Node, list[Use]]:
        """The uses of parameters in all steps, by the node that uses them."""
        params = dict.fromkeys(self.recurrence.params.values())
        every = {node: [self._use(node, k, params) for k in range(len(node.parents))] for node in self.step_of}
        known = {node: [use for use in uses if use is not None] for node, uses in every.items()}
        return {node: uses for node, uses in known.items() if uses}

    def _use(self, node: Node, operand: int, params: dict[Node, None]) -> Use | None:
        """The use of a parameter as an operand; None for other operands."""
        parent = node.parents[operand]
        if parent in params:
            return Use(operand, parent)
        if parent is None or parent in self.step_of or slice_index(parent) is None:
            return None
        return Use(operand, parent.parents[0], sliced=True) if parent.parents[0] in params else None


def _used_states(step: TimeStep) -> list[str]:
    """The states that a step reads, or passes on."""
    read = {parent: None for node in step.nodes for parent in node.parents} | dict.fromkeys(step.passed_on())
    return [name for name, node in step.before.items() if node is not None and node in read]


def _slices_outside(node: Node, inside: dict[Node, None]) -> bool:
    """Whether it is a slice of a value that no step computed."""
    return slice_index(node) is not None and node.parents[0] not in inside
