"""One backward pass that is listened to. It is the engine's own, so that every number is `backward`'s."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..graph import Node, backpropagate
from ..observe import observing
from .steps import Steps


def norm(x: Any) -> float:
    """‖x‖, the root of the sum of squares, in float64; squares that would vanish or overflow do not."""
    x = np.abs(np.asarray(x, np.float64))
    largest = float(x.max(initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    return largest * math.sqrt(float(np.square(x / largest).sum()))


class Listener:
    """An observer of a backward pass.

    ``norms`` has ‖dy‖ of the nodes asked for, ``arrays`` dy itself. ``told(layer, root, t, dW)`` is called once for
    every step and what it uses: dW is this step's part of the gradient by root.
    """

    def __init__(self, layers: Sequence[Steps], norms: Iterable[Node | None], arrays: Iterable[Node],
                 told: Callable[[Steps, Node, int, Any], None]):  # fmt: skip
        self.norms = dict.fromkeys((node for node in norms if node is not None), 0.0)
        self.arrays: dict[Node, Any] = dict.fromkeys(arrays)
        self.told = told
        self._of = {node: layer for layer in layers for node in layer.uses}
        self._open: dict[tuple[Steps, Node], tuple[int, Any]] = {}  # the step that is being added up

    def operation(self, *_: Any) -> None:
        """Nothing is recorded in a backward pass."""

    def gradient(self, node: Node, dy: Any) -> None:
        if node in self.norms:
            self.norms[node] = norm(dy)
        if node in self.arrays:
            self.arrays[node] = np.array(dy)
        layer = self._of.get(node)
        if layer is not None:
            for use in layer.uses[node]:
                self._add(layer, use.root, layer.place[node], use.pull(node, dy))

    def _add(self, layer: Steps, root: Node, t: int, g: Any) -> None:
        before, total = self._open.get((layer, root), (t, None))
        if before != t:  # newest first: the step before is complete
            self.told(layer, root, before, total)
            total = None
        self._open[layer, root] = t, g if total is None else total + g

    def close(self) -> None:
        """Tell of the steps that came last."""
        for (layer, root), (t, total) in self._open.items():
            self.told(layer, root, t, total)
        self._open.clear()


def listen(target: Node, listener: Listener) -> None:
    """Backpropagate ones from ``target``; nothing is used up, and no ``.grad`` changes."""
    with observing(listener), np.errstate(all="ignore"):
        backpropagate({target: np.ones(target.shape, target.dtype)}, retain=True)
    listener.close()
