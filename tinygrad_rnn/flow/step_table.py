"""The steps of a recurrence as a table: the nodes and states of each step, and the weights that the steps use."""

from __future__ import annotations

import bisect

from ..engine.graph import Node
from ..tracing.recurrences import Recurrence, TimeStep
from ..tracing.slices import slice_index


class StepTable:
    """The steps of one cell, by step t.

    ``nodes[t]`` are the nodes of step t, oldest first, without slices of earlier values: ``Wx.f`` and ``xs[:, t]``
    belong to no step, wherever they were computed. ``step_of`` is the step of each node. ``at[t]`` has the nodes of
    step t by how much was recorded after them in the step, so that one number means the same node in all steps.

    ``states[name][t]`` is the state after step t, None where nothing depends on it; ``untracked`` are the states, by
    name and t, that need no gradient. ``initial`` are the states before the first step, None where it does not use
    them, or they need no gradient. ``carried`` are the names of the states that the next step uses. ``weights`` has
    the names of the parameters that the steps use, by node.
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
        self.weights = self._weights()

    def _weights(self) -> dict[Node, str]:
        """The names of the parameters that the steps use, whole or a slice of them."""
        read = dict.fromkeys(parent for node in self.step_of for parent in node.parents if parent is not None)
        whole = [node.parents[0] for node in read if node not in self.step_of and slice_index(node) is not None]
        used = {**read, **dict.fromkeys(whole)}
        return {node: name for node, name in self.recurrence.param_names().items() if node in used}

    def _slices(self) -> list[float]:
        """When the slices that the steps read were recorded, in order."""
        read = {parent: None for node in self.step_of for parent in node.parents if parent is not None}
        return sorted(node.seq for node in read if node not in self.step_of and slice_index(node) is not None)

    def _after(self, seq: float, t: int) -> int:
        """How much was recorded in step t after the time ``seq``, without slices, which only some steps make."""
        end, tick = self.recurrence.steps[t].end, self.recurrence.steps[t].tick
        return int((end - seq) / tick) - (bisect.bisect(self.slices, end) - bisect.bisect(self.slices, seq))

    def same(self, t: int, after: int) -> Node | None:
        """The node of step t at the place ``after`` of a node of the model step; None for another operation."""
        node = self.at[t].get(after)
        return node if node is not None and node.op is self.at[self.model][after].op else None


def _used_states(step: TimeStep) -> list[str]:
    """The states that a step reads, or passes on."""
    read = {parent: None for node in step.nodes for parent in node.parents} | dict.fromkeys(step.passed_on())
    return [name for name, node in step.before.items() if node is not None and node in read]


def _slices_outside(node: Node, inside: dict[Node, None]) -> bool:
    """Whether it is a slice of a value that no step computed."""
    return slice_index(node) is not None and node.parents[0] not in inside
