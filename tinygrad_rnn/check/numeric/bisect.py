"""Find a wrong element of a large tensor by bisection: 20 halvings for a million elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .derivatives import Slopes

FEW = 16  # this many elements are compared element by element
LINES = 3  # random directions for each half: along a single direction two errors may cancel

Measure = Callable[[np.ndarray], Slopes]  # the derivatives along the rows of a matrix


def worst_element(g: np.ndarray, measure: Measure, rng: np.random.Generator) -> dict[str, Any]:
    """An element with a large error of ``g``: its index and both values.

    Bisection into the half with the larger error. It ends at the worst element if a single error dominates; if all
    elements are wrong, it ends at one with a large error.
    """
    part = np.arange(g.size)
    while len(part) > FEW:
        halves = np.array_split(part, 2)
        part = max(halves, key=lambda half: _error(g, half, measure, rng))
    along = np.zeros((len(part), g.size))
    along[np.arange(len(part)), part] = 1
    slope = measure(along)
    n = int(np.argmax(np.nan_to_num(np.abs(slope.of(g) - slope.values), nan=np.inf)))
    index = np.unravel_index(int(part[n]), g.shape)
    return {"index": tuple(map(int, index)), "got": float(g[index]), "right": float(slope.values[n])}


def _error(g: np.ndarray, part: np.ndarray, measure: Measure, rng: np.random.Generator) -> float:
    """The squared error of g in a part of its elements; inf for NaN."""
    along = np.zeros((LINES, g.size))
    along[:, part] = rng.choice([-1.0, 1.0], (LINES, len(part)))
    slope = measure(along)
    error = float(np.sum(np.square(along[:, part] @ g.reshape(-1)[part].astype(np.float64) - slope.values)))
    return np.inf if np.isnan(error) else error
