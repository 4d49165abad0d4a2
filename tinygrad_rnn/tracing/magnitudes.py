"""How large arrays are: norms, and sums of elements beside them, because sums add up where norms do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .trace import SAFE_SQUARES, norm

SMALL, TOGETHER = 2048, 256  # elements of a small array, and how many small arrays are measured together


class Size(NamedTuple):
    """How large an array is: the root of the sum of its squares, and the sum of its elements."""

    norm: float
    sum: float


def size(x: Any) -> Size:
    """The size of an array, taken in float64."""
    return Size(norm(x), float(np.add.reduce(np.asarray(x, np.float64).ravel())))


def sizes(arrays: Sequence[Any] | np.ndarray) -> list[Size]:
    """The sizes of arrays of one shape, measured together."""
    rows = np.array(arrays, np.float64).reshape(len(arrays), -1)
    with np.errstate(all="ignore"):
        squares, totals = np.add.reduce(rows * rows, axis=1).tolist(), np.add.reduce(rows, axis=1).tolist()
    return [Size(math.sqrt(square), total) if SAFE_SQUARES[0] < square < SAFE_SQUARES[1] else size(x)
            for x, square, total in zip(arrays, squares, totals)]  # fmt: skip


class Sizes:
    """Measures many small arrays: arrays of one shape are measured together, which costs a fraction."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[Any, ...], list[tuple[dict[Any, Size], Any, Any]]] = {}

    def into(self, sizes: dict[Any, Size], key: Any, x: Any) -> None:
        """Put the size of ``x`` at ``sizes[key]``, now or at the latest in `finish`."""
        if x.size > SMALL or not x.size:
            sizes[key] = size(x)
            return
        alike = self.waiting.setdefault((x.shape, x.dtype), [])
        alike.append((sizes, key, x))
        if len(alike) == TOGETHER:
            self.measure(alike)

    def measure(self, alike: list[tuple[dict[Any, Size], Any, Any]]) -> None:
        """Measure arrays of one shape together."""
        for (known, key, _), each in zip(alike, sizes([x for *_, x in alike])):
            known[key] = each
        alike.clear()

    def finish(self) -> None:
        """Measure what still waits."""
        for alike in self.waiting.values():
            if alike:
                self.measure(alike)
