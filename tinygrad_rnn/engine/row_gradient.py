"""The gradient of a table of which a backward pass has read a few rows: these rows, not the whole table.

The embedding of 700 tokens reads 700 of 10,000 rows, and all other rows of its gradient are zero. `RowGradient` holds
the rows that are not, from the rule of the embedding up to ``.grad``, which turns it into the whole array when it is
read. The sums are those of the whole array, bit for bit: each row adds its parts in the order of their arrival.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

_lock = threading.Lock()


class RowGradient:
    """A gradient (V, D) that is ``values[k]`` in row ``ids[k]`` and zero elsewhere.

    ``ids`` (n,) are distinct and ascending; ``values`` (n, D) owns its memory.
    """

    __array_ufunc__ = None  # `array + rows` calls __radd__
    __slots__ = ("dtype", "ids", "shape", "values")

    def __init__(self, ids: np.ndarray, values: np.ndarray, shape: tuple[int, ...]):
        self.ids, self.values, self.shape, self.dtype = ids, values, shape, values.dtype

    def dense(self) -> np.ndarray:
        """The whole array, new."""
        whole = np.zeros(self.shape, self.dtype)
        whole[self.ids] = self.values
        return whole

    def __add__(self, other: Any) -> Any:
        """The sum, new: rows if both are rows and few, else the whole array."""
        if not isinstance(other, RowGradient):
            total = self.dense()
            total += other
            return total
        if len(self.ids) + len(other.ids) > few(self.shape[0]):
            return other.__radd__(self.dense())
        ids = np.union1d(self.ids, other.ids)
        values = np.zeros((len(ids), *self.shape[1:]), self.dtype)
        for part in (self, other):
            values[np.searchsorted(ids, part.ids)] += part.values
        return RowGradient(ids, values, self.shape)

    def __radd__(self, whole: Any) -> np.ndarray:
        """The sum of a whole array and the rows, new."""
        total: np.ndarray = whole + self.dtype.type(0)  # turns -0 into 0, as adding the zeros would
        total[self.ids] += self.values
        return total


def few(rows: int) -> int:
    """The number of rows of a table up to which holding them singly is worth it."""
    return rows // 2


def whole(node: Any) -> Any:
    """The gradient of a leaf as an array, which is its gradient from then on; None without one."""
    if isinstance(held(node), RowGradient):
        with _lock:  # two threads get the same array
            if isinstance(held(node), RowGradient):
                node.gradient = node.gradient.dense()
    return held(node)


def held(node: Any) -> Any:
    """The gradient of a leaf as it is held: an array, a `RowGradient`, or None."""
    return getattr(node, "gradient", None)


def accumulated(before: Any, g: Any) -> Any:
    """The gradient of a leaf after a backward pass that adds g to ``before``, which may be None; neither changes."""
    total = g if before is None else before + g
    return total if isinstance(total, RowGradient) else np.asarray(total)
