"""Gradients from the values of a function alone: the complex step where it works, else differences.

The complex step, Im f(x + ih) / h, has no cancellation: with h = 1e-30 it is exact up to rounding. A function that
drops the imaginary part (``abs``, a real buffer, an index) is detected, because the result then differs from central
differences. The differences are extrapolated over ever smaller steps (`richardson`), and the estimate with the least
error counts: from long steps if values inside are rounded to float32, from short steps near a kink.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...engine.tensor import value
from ...errors import InvalidValue
from ..report import distance
from .richardson import Number, derivative, scale, tried

#: For the complex step, and for differences, which take ten times as long:
SMALL = (64, 16)  # a tensor with more elements is compared along DIRECTIONS random directions
ONE_BY_ONE = (1024, 256)  # if these show an error, up to so many elements are compared element by element
DIRECTIONS = 8


def outputs(result: Any) -> list[np.ndarray]:
    """The floating or complex outputs of a function as arrays, in order."""
    arrays = [np.asarray(value(leaf)) for leaf in flatten(result)[0]]
    return [array for array in arrays if array.dtype.kind in "fc"]


@dataclass
class Slopes:
    """The derivatives ``values`` of L by an input along the rows of ``along``, with error bounds ``spread``."""

    along: np.ndarray
    values: np.ndarray
    spread: np.ndarray
    exact: bool = False  # by the complex step

    def of(self, gradient: np.ndarray) -> np.ndarray:
        """The derivatives along the same directions by ``gradient``."""
        flat = np.asarray(gradient, np.float64).reshape(-1)
        with np.errstate(all="ignore"):  # of values that are not finite
            return flat if self.whole and np.array_equal(self.along, np.eye(flat.size)) else self.along @ flat

    @property
    def whole(self) -> bool:
        """Are there as many directions as elements?"""
        return len(self.along) == self.along.shape[1]


def repeats(where: str, L: Number, xs: Sequence[np.ndarray]) -> None:
    """Raise InvalidValue if L gives another value when it is called again."""
    if not np.array_equal(tried(L, xs), tried(L, xs), equal_nan=True):
        raise InvalidValue(f"{where} gives another result when it is called again, should be a function of its inputs; "
                           "make its random generator inside, with a seed, and start from the same state")  # fmt: skip


def slopes(L: Number, xs: Sequence[np.ndarray], rng: np.random.Generator, noise: float) -> list[Slopes]:
    """The derivatives by each of ``xs`` (float64). ``noise`` is the rounding error of L."""
    results = []
    for k, x in enumerate(xs):
        exact = survives(L, xs, k, rng, noise)
        whole = x.size <= SMALL[0 if exact else 1]
        along = np.eye(x.size) if whole else rng.standard_normal((DIRECTIONS, x.size))
        results.append(slopes_along(L, xs, k, along, noise, exact))
    return results


def slopes_along(L: Number, xs: Sequence[np.ndarray], k: int, along: np.ndarray, noise: float, exact: bool) -> Slopes:
    """The derivatives of L by x_k along the rows of ``along``."""
    pairs = []
    for row in along:
        v = row.reshape(xs[k].shape)
        if exact:
            pairs.append((complex_step(L, xs, k, v), 0.0))
        else:
            table = derivative(L, xs, k, v, noise)
            pairs.append((table.best, table.error))
    values, spread = np.array(pairs, np.float64).reshape(-1, 2).T
    return Slopes(along, values, spread, exact)


def roundoff(L: Number, xs: Sequence[np.ndarray]) -> float:
    """The rounding error of L: fourth differences on lines so short that a smooth L is straight there.

    The lines are longer than the rounding of float32, which values inside may have, and the fourth differences of a
    smooth function are far less than any rounding. The median over three lines, since a line may cross a kink.
    """
    here = abs(tried(L, xs))
    rng, errors = np.random.default_rng(2), []
    for _ in range(3):
        vs = [1e-6 * x * rng.uniform(0.5, 1, x.shape) for x in xs]
        values = np.array([tried(L, [x + n * v for x, v in zip(xs, vs)]) for n in range(7)])
        errors.append(np.max(np.abs(np.diff(values, 4))) / 4)
    least = float(np.finfo(np.float64).eps * here)
    return max(float(np.median(errors)), least) if np.isfinite(errors).all() else least


def complex_step(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> float:
    """dL/dx_k along v by the complex step, exact up to rounding."""
    h = 1e-30 * scale(xs[k], v)
    return float(np.imag(L([x + 1j * h * (v if j == k else 0) for j, x in enumerate(xs)])) / h)


def central(at: Callable[[int], float], h: float) -> float:
    """The slope at 0 by central differences of fourth order; ``at(n)`` is the value at n h."""
    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * h)


def survives(L: Number, xs: Sequence[np.ndarray], k: int, rng: np.random.Generator, noise: float) -> bool:
    """Does the complex step agree with differences along a random direction of x_k?"""
    v = rng.standard_normal(xs[k].shape)
    if not v.size:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exact = complex_step(L, xs, k, v)
    except Exception:  # a function may raise anything on complex numbers
        return False
    table = derivative(L, xs, k, v, noise)
    return distance(exact, table.best) <= 1e-4 or not abs(exact - table.best) > 100 * table.error


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
