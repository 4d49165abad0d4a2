"""One observed backward pass. It is the engine's own, so that every number is `backward`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node, backpropagate, fitted
from ..engine.observe import observing
from ..tracing.trace import norm
from .step_table import StepTable


class Listener:
    """An observer of a backward pass.

    ``norms`` has ‖dy‖ of the nodes asked for, ``arrays`` dy itself. ``note(table, root, t, dW)`` is called once for
    every step and parameter that it uses: dW is this step's part of the gradient by root. ``passed[node, end]`` has the
    norm of what came back to a state that a step passed on, from what was recorded after that step's ``end``.
    """

    def __init__(self, tables: Sequence[StepTable], norms: Iterable[Node | None], arrays: Iterable[Node],
                 note: Callable[[StepTable, Node, int, Any], None]):  # fmt: skip
        self.norms = dict.fromkeys((node for node in norms if node is not None), 0.0)
        self.arrays: dict[Node, Any] = dict.fromkeys(arrays)
        self.note = note
        steps = [step for table in tables for step in table.recurrence.steps]
        self.passed = {(node, step.end): 0.0 for step in steps for node in step.passed_on()}
        self._ends = sorted(self.passed, key=lambda key: key[1])  # the next end last
        self._arrived: dict[Node, Any] = dict.fromkeys(node for node, _ in self.passed)  # so far
        self._table_of = {node: table for table in tables for node in table.uses}
        self._open: dict[tuple[StepTable, Node], tuple[int, Any]] = {}  # the step whose uses are being added up

    def begin(self, target: Node, dy: Any) -> None:
        """Note the gradient that comes in from outside."""
        if target in self._arrived:
            self._arrived[target] = dy

    def operation(self, *_: Any) -> None:
        """Nothing is recorded in a backward pass."""

    def gradient(self, node: Node, dy: Any) -> None:
        """Note the gradient by a node, which is complete."""
        if node in self.norms:
            self.norms[node] = norm(dy)
        if node in self.arrays:
            self.arrays[node] = np.array(dy)
        if self._arrived:
            self._pass(node, dy)
        table = self._table_of.get(node)
        if table is not None:
            for use in table.uses[node]:
                self._add(table, use.root, table.step_of[node], use.pull(node, dy))

    def _pass(self, node: Node, dy: Any) -> None:
        """Add what comes back to the states that are passed on; what an earlier step has not read is still to come."""
        self._settle(node.seq)
        for k, parent in enumerate(node.parents):
            if parent in self._arrived:
                _, rule, saved = node.edges[k]
                g, total = fitted(rule.fn(dy, *saved), parent), self._arrived[parent]
                self._arrived[parent] = g if total is None else total + g

    def _settle(self, place: int) -> None:
        """Note the states at the ends of steps after ``place``: all later nodes have been visited."""
        while self._ends and place < self._ends[-1][1]:
            node, end = self._ends.pop()
            self.passed[node, end] = 0.0 if self._arrived[node] is None else norm(self._arrived[node])

    def _add(self, table: StepTable, root: Node, t: int, g: Any) -> None:
        """Add a use of a parameter to the total of its step."""
        later, total = self._open.get((table, root), (t, None))
        if later != t:  # newest first: the later step is complete
            self.note(table, root, later, total)
            total = None
        self._open[table, root] = t, g if total is None else total + g

    def close(self) -> None:
        """Note the steps that came last."""
        self._settle(0)
        for (table, root), (t, total) in self._open.items():
            self.note(table, root, t, total)
        self._open.clear()


def listen(target: Node, listener: Listener) -> None:
    """Backpropagate ones from ``target``; nothing is used up, and no ``.grad`` changes."""
    dy = np.ones(target.shape, target.dtype)
    with observing(listener), np.errstate(all="ignore"):
        listener.begin(target, dy)
        backpropagate({target: dy}, retain=True)
    listener.close()
