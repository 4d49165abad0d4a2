"""The sums of a backward pass: the gradient that has arrived so far at each node, and who may write to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .versions import holders


class Totals:
    """The sums of a backward pass: the gradient that has arrived so far at each node.

    ``owned`` has the nodes whose total is an array that this pass has made and nobody else holds: it is added to in
    place. What a rule returns may be a view of another gradient, or an array that the rule holds; it is not.
    """

    __slots__ = ("arrays", "owned", "waiting")

    def __init__(self, roots: dict[Any, Any]):
        self.arrays, self.owned = dict(roots), dict[Any, bool]()
        self.waiting: dict[Any, list[Any]] = {}  # uses that are summed in one go: (rule, dy, saved)

    def add(self, node: Any, g: Any) -> None:
        """One more part of the gradient of ``node``."""
        if node not in self.arrays:
            self.arrays[node] = g
        elif node in self.owned:
            self.arrays[node] += g
        else:
            self.arrays[node] = total = self.arrays[node] + g
            if total.__class__ is np.ndarray:  # not a number, which += replaces
                self.owned[node] = True

    def writable(self, node: Any) -> Any:
        """The total as an array that may be written to; zeros where nothing has arrived."""
        if node not in self.owned:
            self.arrays[node] = np.array(self.arrays[node]) if node in self.arrays else np.zeros(node.shape, node.dtype)
            self.owned[node] = True
        return self.arrays[node]

    def sole(self, node: Any, others: int = 0) -> bool:
        """Is the total an array that nobody but this pass and ``others`` known ones hold, so that it may change?"""
        total = self.arrays[node]
        return total.__class__ is np.ndarray and total.base is None and holders(self.arrays, node) == 1 + others

    def taken(self, node: Any) -> Any:
        """The total as an array of its own memory."""
        return self.arrays[node] if node in self.owned or self.sole(node) else np.array(self.arrays[node])
