"""Gradients from the function's values alone, without any rule: complex step where it survives, else differences.

The complex step, f(x + ih)' imaginary part over h, has no cancellation: h is 1e-30 and the result exact to rounding. A
function that drops the imaginary part (``abs``, a real buffer, an index) is noticed, because then it differs from the
central differences taken beside it. Those try several steps and keep the one that is least off: a long one where
something inside is rounded to float32, a short one near a kink.
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


STEPS = (1e-3, 1e-1, 1e-2, 1e-4, 1e-5)  # of a difference, relative to x; the first that is good will do
LONG = (1e-1, 1e-2)  # where L is rounded to float32

Number = Callable[[Sequence[np.ndarray]], Any]  # of arrays, real or complex


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


def slopes(L: Number, xs: Sequence[np.ndarray], rng: np.random.Generator) -> list[Slopes]:
    """The derivatives by each of ``xs`` (float64); raises ValueError if L is not a function."""
    if not np.array_equal(L(xs), L(xs), equal_nan=True):
        raise ValueError(
            "check: f gives another result when it is called again; make its random generator inside f, with a seed"
        )
    exact = _survives(L, xs, rng)
    noise = 0.0 if exact else roundoff(L, xs)
    found = []
    for k, x in enumerate(xs):
        along = np.eye(x.size) if x.size <= LARGE else rng.standard_normal((DIRECTIONS, x.size))
        vs = [v.reshape(x.shape) for v in along]
        pairs = [(complex_step(L, xs, k, v), 0.0) for v in vs] if exact else _differences(L, xs, k, vs, noise)
        found.append(Slopes(along, *np.array(pairs, np.float64).reshape(-1, 2).T))
    return found


def _differences(
    L: Number, xs: Sequence[np.ndarray], k: int, vs: Sequence[np.ndarray], noise: float
) -> list[tuple[float, float]]:
    """For each direction the difference that is least off, over `STEPS`."""
    tries = []
    for step in STEPS if noise <= 1e-11 * abs(L(xs)) else LONG:
        tries.append([difference(L, xs, k, v, step, noise) for v in vs])
        slope, spread = np.array(tries[-1], np.float64).reshape(-1, 2).T
        if np.sum(spread) <= 1e-9 * np.sum(np.abs(slope)):
            break
    return [min(one, key=lambda pair: (not np.isfinite(pair[1]), pair[1])) for one in zip(*tries)]


def roundoff(L: Number, xs: Sequence[np.ndarray]) -> float:
    """How far L is off by rounding: what is not smooth in it, on a line so short that it is straight."""
    rng, far = np.random.default_rng(2), [float(np.finfo(np.float64).eps * abs(L(xs)))]
    for _ in range(4):
        vs = [1e-9 * x * rng.uniform(0.5, 1, x.shape) for x in xs]
        a, b, c, d = (L([x + n * v for x, v in zip(xs, vs)]) for n in range(4))
        far += [abs(a - 2 * b + c), abs(b - 2 * c + d)]
    return float(max(far))


def complex_step(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> float:
    """dL/dx_k along v, exact to rounding."""
    h = 1e-30 * _scale(xs[k], v)
    moved = [x + 1j * h * (v if j == k else 0) for j, x in enumerate(xs)]
    return float(np.imag(L(moved)) / h)


def difference(
    L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray, step: float = STEPS[0], noise: float = 0.0
) -> tuple[float, float]:
    """dL/dx_k along v by central differences at h, h/2, h/4, extrapolated (Richardson), and how far it may be off.

    That is the last correction, and what ``noise`` in L comes to.
    """
    h = step * _scale(xs[k], v)

    def central(h: float) -> Any:
        up, down = ([x + sign * h * v if j == k else x for j, x in enumerate(xs)] for sign in (1, -1))
        return (L(up) - L(down)) / (2 * h)

    a, b, c = central(h), central(h / 2), central(h / 4)
    ab, bc = b + (b - a) / 3, c + (c - b) / 3
    best = bc + (bc - ab) / 15
    return float(best), float(abs(best - bc) + 4 * noise / h)


def corner(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray, noise: float = 0.0) -> tuple[float, float]:
    """How much the slope along v changes here, from one side to the other, and the larger of both slopes.

    ``noise`` is the rounding in L: no change that it may have made counts, and the step is longer where it is large.
    """
    here = L(xs)
    h = (1e-6 if noise <= 1e-11 * abs(here) else 1e-3) * _scale(xs[k], v)
    up, down = (L([x + sign * h * v if j == k else x for j, x in enumerate(xs)]) for sign in (1, -1))
    right, left = up - here, here - down
    change = abs(right - left) - 10 * noise
    return float(max(change, 0) / h), float(max(abs(right), abs(left)) / h)


def is_kink(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray, noise: float = 0.0) -> bool:
    """Does L have a corner here: other slopes to the two sides?"""
    change, slope = corner(L, xs, k, v, noise)
    return change > 1e-2 * slope


def _still(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray) -> bool:
    """Is L just the same at another x_k?"""
    return bool(L(xs) == L([x + v if j == k else x for j, x in enumerate(xs)]))


def _scale(x: np.ndarray, v: np.ndarray) -> float:
    """How large a step along v is one of the size of x."""
    size = np.sqrt(np.mean(np.square(x))) or 1.0
    return float(max(size, np.max(np.abs(x * (v != 0)), initial=0)) / np.max(np.abs(v)))


def _survives(L: Number, xs: Sequence[np.ndarray], rng: np.random.Generator) -> bool:
    """Does the complex step see what differences see, along one random direction of every input?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for k, x in enumerate(xs):
                v = rng.standard_normal(x.shape)
                if x.size:
                    slope, error = difference(L, xs, k, v, noise=float(np.finfo(np.float64).eps * abs(L(xs))))
                    exact = complex_step(L, xs, k, v)
                    if exact == 0 and abs(slope) <= error and not _still(L, xs, k, v):
                        return False
                    if distance(exact, slope) > 1e-4 and abs(exact - slope) > 100 * error:
                        return False
    except Exception:  # whatever a function may do when it is handed complex numbers
        return False
    return True
