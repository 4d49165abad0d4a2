"""Gradients from the function's values alone, without any rule: complex step where it survives, else differences.

The complex step, f(x + ih)' imaginary part over h, has no cancellation: h is 1e-30 and the result exact to rounding. A
function that drops the imaginary part (``abs``, a real buffer, an index) is noticed, because then it differs from the
central differences taken beside it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tensor import make, value
from ..tree import flatten
from .report import distance

LARGE = 256  # a tensor of more elements is looked at along DIRECTIONS random directions
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

    def of(self, gradient: np.ndarray) -> np.ndarray:
        """What ``gradient`` says of the same directions."""
        return self.along @ np.asarray(gradient, np.float64).reshape(-1)


def slopes(L: Scalar, xs: Sequence[np.ndarray], rng: np.random.Generator) -> list[Slopes]:
    """The derivatives by each of ``xs`` (float64); raises ValueError if L is not a function."""
    if not np.array_equal(L(xs), L(xs), equal_nan=True):
        raise ValueError(
            "check: f gives another result when it is called again; make its random generator inside f, with a seed"
        )
    step = complex_step if _survives(L, xs, rng) else difference
    found = []
    for k, x in enumerate(xs):
        along = np.eye(x.size) if x.size <= LARGE else rng.standard_normal((DIRECTIONS, x.size))
        pairs = [step(L, xs, k, v.reshape(x.shape)) for v in along]
        found.append(Slopes(along, *np.array(pairs, np.float64).reshape(-1, 2).T))
    return found


def complex_step(L: Scalar, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> tuple[float, float]:
    """dL/dx_k along v, and 0: it is exact."""
    h = 1e-30 * _scale(xs[k], v)
    moved = [x + 1j * h * (v if j == k else 0) for j, x in enumerate(xs)]
    return float(np.imag(L(moved)) / h), 0.0


def difference(L: Scalar, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> tuple[float, float]:
    """dL/dx_k along v by central differences at h, h/2, h/4, extrapolated (Richardson), and the last correction."""
    h = 1e-3 * _scale(xs[k], v)

    def central(h: float) -> Any:
        up, down = ([x + sign * h * v if j == k else x for j, x in enumerate(xs)] for sign in (1, -1))
        return (L(up) - L(down)) / (2 * h)

    a, b, c = central(h), central(h / 2), central(h / 4)
    ab, bc = b + (b - a) / 3, c + (c - b) / 3
    best = bc + (bc - ab) / 15
    return float(best), float(abs(best - bc))


def is_kink(L: Scalar, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> bool:
    """Does L have a corner here: other slopes to the two sides?"""
    h = 1e-6 * _scale(xs[k], v)
    here, up, down = (L([x + sign * h * v if j == k else x for j, x in enumerate(xs)]) for sign in (0, 1, -1))
    right, left = up - here, here - down
    return bool(abs(right - left) > 1e-2 * max(abs(right), abs(left)))


def _scale(x: np.ndarray, v: np.ndarray) -> float:
    """How large a step along v is one of the size of x."""
    size = np.sqrt(np.mean(np.square(x))) or 1.0
    return float(max(size, np.max(np.abs(x * (v != 0)), initial=0)) / np.max(np.abs(v)))


def _survives(L: Scalar, xs: Sequence[np.ndarray], rng: np.random.Generator) -> bool:
    """Does the complex step see what differences see, along one random direction of every input?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for k, x in enumerate(xs):
                v = rng.standard_normal(x.shape)
                if x.size:
                    slope, error = difference(L, xs, k, v)
                    exact, _ = complex_step(L, xs, k, v)
                    if distance(exact, slope) > 1e-4 and abs(exact - slope) > 100 * error:
                        return False
    except Exception:  # whatever a function may do when it is handed complex numbers
        return False
    return True
