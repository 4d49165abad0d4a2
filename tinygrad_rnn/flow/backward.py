"""One backward pass that is listened to. It is the engine's own, so that every number is `backward`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node, backpropagate, fitted
from ..engine.observe import observing
from ..tracing.trace import norm
from .state_history import Steps


class Listener:
    """An observer of a backward pass.

    ``norms`` has ‖dy‖ of the nodes asked for, ``arrays`` dy itself. ``told(layer, root, t, dW)`` is called once for
    every step and what it uses: dW is this step's part of the gradient by root. ``passed[node, end]`` has the norm of
    what came back to a state that a step passed on: by what was made after that step, which ended at ``end``.
    """

    def __init__(self, layers: Sequence[Steps], norms: Iterable[Node | None], arrays: Iterable[Node],
                 told: Callable[[Steps, Node, int, Any], None]):  # fmt: skip
        self.norms = dict.fromkeys((node for node in norms if node is not None), 0.0)
        self.arrays: dict[Node, Any] = dict.fromkeys(arrays)
        self.told = told
        self.passed = {(node, step.end): 0.0 for layer in layers for step in layer.row.steps for node in step.kept()}
        self._ends = sorted(self.passed, key=lambda key: key[1])  # the next one last
        self._came: dict[Node, Any] = dict.fromkeys(node for node, _ in self.passed)
        self._of = {node: layer for layer in layers for node in layer.uses}
        self._open: dict[tuple[Steps, Node], tuple[int, Any]] = {}  # the step that is being added up

    def begin(self, target: Node, dy: Any) -> None:
        """What comes in from outside."""
        if target in self._came:
            self._came[target] = dy

    def operation(self, *_: Any) -> None:
        """Nothing is recorded in a backward pass."""

    def gradient(self, node: Node, dy: Any) -> None:
        if node in self.norms:
            self.norms[node] = norm(dy)
        if node in self.arrays:
            self.arrays[node] = np.array(dy)
        if self._came:
            self._pass(node, dy)
        layer = self._of.get(node)
        if layer is not None:
            for use in layer.uses[node]:
                self._add(layer, use.root, layer.place[node], use.pull(node, dy))

    def _pass(self, node: Node, dy: Any) -> None:
        """Add what comes back to the states that are passed on; newest first: what a step has not seen is not there."""
        self._settle(node.seq)
        for k, parent in enumerate(node.parents):
            if parent in self._came:
                _, rule, kept = node.edges[k]
                g, total = fitted(rule.fn(dy, *kept), parent), self._came[parent]
                self._came[parent] = g if total is None else total + g

    def _settle(self, place: int) -> None:
        """All that was made after ``place`` has had its turn."""
        while self._ends and place < self._ends[-1][1]:
            node, end = self._ends.pop()
            self.passed[node, end] = 0.0 if self._came[node] is None else norm(self._came[node])

    def _add(self, layer: Steps, root: Node, t: int, g: Any) -> None:
        before, total = self._open.get((layer, root), (t, None))
        if before != t:  # newest first: the step before is complete
            self.told(layer, root, before, total)
            total = None
        self._open[layer, root] = t, g if total is None else total + g

    def close(self) -> None:
        """Tell of the steps that came last."""
        self._settle(0)
        for (layer, root), (t, total) in self._open.items():
            self.told(layer, root, t, total)
        self._open.clear()


def listen(target: Node, listener: Listener) -> None:
    """Backpropagate ones from ``target``; nothing is used up, and no ``.grad`` changes."""
    dy = np.ones(target.shape, target.dtype)
    with observing(listener), np.errstate(all="ignore"):
        listener.begin(target, dy)
        backpropagate({target: dy}, retain=True)
    listener.close()
