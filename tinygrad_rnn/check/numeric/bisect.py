"""The wrong element of a large tensor, by bisection: 20 halvings find one in a million."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .derivatives import Slopes

FEW = 16  # as many elements are looked at one by one
LINES = 3  # random directions of each half: in one alone two errors may cancel

Measure = Callable[[np.ndarray], Slopes]  # the derivatives along the rows of a matrix


def worst_element(g: np.ndarray, measure: Measure, rng: np.random.Generator) -> dict[str, Any]:
    """An element where ``g`` is far from the derivatives: its index and both values.

    The half that is further off, again and again: that leads to the worst element where one is off by much, and where
    all are off, to one of the worse.
    """
    among = np.arange(g.size)
    while len(among) > FEW:
        halves = np.array_split(among, 2)
        among = max(halves, key=lambda half: _off(g, half, measure, rng))
    along = np.zeros((len(among), g.size))
    along[np.arange(len(among)), among] = 1
    slope = measure(along)
    n = int(np.argmax(np.nan_to_num(np.abs(slope.of(g) - slope.found), nan=np.inf)))
    index = np.unravel_index(int(among[n]), g.shape)
    return {"index": tuple(map(int, index)), "got": float(g[index]), "right": float(slope.found[n])}


def _off(g: np.ndarray, part: np.ndarray, measure: Measure, rng: np.random.Generator) -> float:
    """How far g is off in a part of its elements; a NaN is further than anything."""
    along = np.zeros((LINES, g.size))
    along[:, part] = rng.choice([-1.0, 1.0], (LINES, len(part)))
    slope = measure(along)
    far = float(np.sum(np.square(along[:, part] @ g.reshape(-1)[part].astype(np.float64) - slope.found)))
    return np.inf if np.isnan(far) else far
