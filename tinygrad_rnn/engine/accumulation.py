"""The running sums of a backward pass: the gradient that has reached each node, and whether the pass owns it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .row_gradient import RowGradient
from .versions import holders


class Totals:
    """The running sums of a backward pass: the gradient that has reached each node so far.

    ``owned`` has the nodes whose total is an array that this pass created and that nothing else refers to. Such a total
    is added to in place. The result of a rule is not owned: it may be a view of another gradient, or an array that the
    rule refers to. With ``rows``, the total of a leaf may be a `RowGradient`.
    """

    __slots__ = ("arrays", "owned", "rows", "waiting")

    def __init__(self, roots: dict[Any, Any], rows: bool = False):
        self.arrays, self.owned = dict(roots), dict[Any, bool]()
        self.rows = rows
        self.waiting: dict[Any, list[Any]] = {}  # uses that are summed at once: (rule, dy, saved)

    def add(self, node: Any, g: Any) -> None:
        """Add a part of the gradient of ``node``."""
        if node not in self.arrays:
            self.arrays[node] = g
        elif node in self.owned:
            self.arrays[node] += g
        else:
            self.arrays[node] = total = self.arrays[node] + g
            if total.__class__ is np.ndarray:  # += replaces a number
                self.owned[node] = True

    def add_rows(self, node: Any, rule: Any, dy: Any, saved: Any) -> bool:
        """Add ``rule(dy, *saved)``, a `RowGradient`; False, and nothing is added, where the whole array is better."""
        before = self.arrays.get(node)
        if not self.rows or node.parents or not (before is None or isinstance(before, RowGradient)):
            return False
        g = rule(dy, *saved)
        if g is None:
            return False
        self.arrays[node], self.owned[node] = g if before is None else before + g, True
        return True

    def writable(self, node: Any) -> Any:
        """The total as an array that may be written to; zeros if no gradient has arrived."""
        if node not in self.owned:
            self.arrays[node] = np.array(self.arrays[node]) if node in self.arrays else np.zeros(node.shape, node.dtype)
            self.owned[node] = True
        elif isinstance(self.arrays[node], RowGradient):
            self.arrays[node] = self.arrays[node].dense()
        return self.arrays[node]

    def sole(self, node: Any, others: int = 0) -> bool:
        """May the total be overwritten, because only this pass and ``others`` known references refer to it?"""
        total = self.arrays[node]
        return total.__class__ is np.ndarray and total.base is None and holders(self.arrays, node) == 1 + others

    def taken(self, node: Any) -> Any:
        """The total as an array that owns its memory."""
        return self.arrays[node] if node in self.owned or self.sole(node) else np.array(self.arrays[node])
