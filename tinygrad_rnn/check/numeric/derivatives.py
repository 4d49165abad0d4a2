"""Gradients from the function's values alone, without any rule: complex step where it survives, else differences.

The complex step, f(x + ih)' imaginary part over h, has no cancellation: h is 1e-30 and the result exact to rounding. A
function that drops the imaginary part (``abs``, a real buffer, an index) is noticed, because then it differs from the
central differences taken beside it. Those climb down a `ladder` of steps and keep what is least off: from long ones
where something inside is rounded to float32, from short ones near a kink.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...engine.tensor import make, value
from ...errors import InvalidValue
from ..report import distance
from .richardson import Number, climb, scale, tried

#: By the complex step, and by differences, which take ten times as long:
SMALL = (64, 16)  # a tensor of more elements is looked at along DIRECTIONS random directions
ONE_BY_ONE = (1024, 256)  # where those tell of a mistake, up to so many elements are looked at one by one
DIRECTIONS = 8


class Scalar:
    """``L(xs) = Σ <dy, y>`` over all outputs of ``f(*xs)``, for arrays real or complex."""

    def __init__(self, f: Callable[..., Any], dys: Sequence[np.ndarray]):
        self.f, self.dys = f, dys

    def __call__(self, xs: Sequence[np.ndarray]) -> Any:
        ys = outputs(self.f(*(make(x, None) for x in xs)))
        return sum(np.sum(dy * y) for dy, y in zip(self.dys, ys, strict=True))


def outputs(result: Any) -> list[np.ndarray]:
    """The arrays of numbers that a function gave, in order."""
    arrays = [np.asarray(value(one)) for one in flatten(result)[0]]
    return [one for one in arrays if one.dtype.kind in "fc"]


@dataclass
class Slopes:
    """The derivatives of L by one input along the rows of ``directions``, and how far they may be off."""

    along: np.ndarray
    found: np.ndarray
    spread: np.ndarray
    exact: bool = False  # by the complex step

    def of(self, gradient: np.ndarray) -> np.ndarray:
        """What ``gradient`` says of the same directions: of each element by itself, the element."""
        flat = np.asarray(gradient, np.float64).reshape(-1)
        with np.errstate(all="ignore"):  # of what is not finite
            return flat if self.whole and np.array_equal(self.along, np.eye(flat.size)) else self.along @ flat

    @property
    def whole(self) -> bool:
        """Is every element known by itself?"""
        return len(self.along) == self.along.shape[1]


def slopes(
    L: Number, xs: Sequence[np.ndarray], rng: np.random.Generator, noise: float, only: int | None = None
) -> list[Slopes]:
    """The derivatives by each of ``xs`` (float64), or by one; raises ValueError if L is not a function.

    ``noise`` is the rounding in L.
    """
    if not np.array_equal(tried(L, xs), tried(L, xs), equal_nan=True):
        raise InvalidValue("check: f gives another result when it is called again, should be a function of its inputs")
    found = []
    for k in range(len(xs)) if only is None else [only]:
        x = xs[k]
        exact = survives(L, xs, k, rng, noise)
        each = x.size <= SMALL[0 if exact else 1]
        along = np.eye(x.size) if each else rng.standard_normal((DIRECTIONS, x.size))
        found.append(slopes_along(L, xs, k, along, noise, exact))
    return found


def slopes_along(
    L: Number, xs: Sequence[np.ndarray], k: int, along: np.ndarray, noise: float, exact: bool
) -> Slopes:
    """The derivatives of L by x_k along the rows of ``along``."""
    pairs = []
    for row in along:
        v = row.reshape(xs[k].shape)
        if exact:
            pairs.append((complex_step(L, xs, k, v), 0.0))
        else:
            ladder = climb(L, xs, k, v, noise)
            pairs.append((ladder.best, ladder.error))
    found, spread = np.array(pairs, np.float64).reshape(-1, 2).T
    return Slopes(along, found, spread, exact)


def roundoff(L: Number, xs: Sequence[np.ndarray]) -> float:
    """How far L is off by rounding: what is not smooth in it, on lines so short that it is straight.

    They are longer than the rounding of float32, which something inside may be in, and fourth differences of what is
    smooth are far less than any rounding there. The median of the lines, as one may cross a kink.
    """
    here = abs(tried(L, xs))
    rng, far = np.random.default_rng(2), []
    for _ in range(3):
        vs = [1e-6 * x * rng.uniform(0.5, 1, x.shape) for x in xs]
        on = np.array([tried(L, [x + n * v for x, v in zip(xs, vs)]) for n in range(7)])
        far.append(np.max(np.abs(np.diff(on, 4))) / 4)
    least = float(np.finfo(np.float64).eps * here)
    return max(float(np.median(far)), least) if np.isfinite(far).all() else least


def complex_step(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> float:
    """dL/dx_k along v, exact to rounding."""
    h = 1e-30 * scale(xs[k], v)
    return float(np.imag(L([x + 1j * h * (v if j == k else 0) for j, x in enumerate(xs)])) / h)


def survives(L: Number, xs: Sequence[np.ndarray], k: int, rng: np.random.Generator, noise: float) -> bool:
    """Does the complex step see what differences see, along a random direction of x_k?"""
    v = rng.standard_normal(xs[k].shape)
    if not v.size:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exact = complex_step(L, xs, k, v)
    except Exception:  # whatever a function may do when it is handed complex numbers
        return False
    ladder = climb(L, xs, k, v, noise)
    return distance(exact, ladder.best) <= 1e-4 or not abs(exact - ladder.best) > 100 * ladder.error
