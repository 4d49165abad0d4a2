"""Derivatives of random programs from independent sources, and what a gradient is compared with.

The derivative in a direction is taken from the program on plain arrays: by complex step, and where the program is not
analytic by central differences in longdouble, extrapolated to step 0, with an estimate of their error. A point so close
to a kink that the estimate is large says nothing: `NearKink`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from helpers.random.programs import Program

H = 1e-30
EPS = {np.dtype(kind): float(np.finfo(kind).eps) for kind in (np.float16, np.float32, np.float64, np.longdouble)}


class NearKink(Exception):
    """The differences do not agree with each other: there is a kink within a step."""


def directions(program: Program, seed: int = 1) -> list[Any]:
    """Random numbers of both signs, none near 0, for every tracked leaf."""
    rng = np.random.default_rng(seed)
    shapes = [np.shape(leaf.array) for leaf in program.tracked]
    return [np.asarray(rng.uniform(0.5, 1, s) * rng.choice([-1.0, 1.0], s)) for s in shapes]


def tolerance(program: Program, values: dict[str, Any]) -> float:
    """The relative error allowed, by the narrowest floating dtype on the way."""
    dtypes = [np.asarray(a).dtype for a in values.values() if isinstance(a, (np.ndarray, np.generic))]
    eps = max([EPS[d] for d in dtypes if d.kind == "f"], default=EPS[np.dtype(float)])
    return max(eps * 200, 1e-9)


def loss(program: Program, names: dict[str, Any]) -> Any:
    """Σ <weight, output>, and the sum of the sizes of its terms."""
    terms = [np.asarray(names[out]) * w for out, w in zip(program.outputs, program.weights)]
    return sum(t.sum() for t in terms), sum(np.abs(t.imag).sum() for t in terms)


def by_complex_step(program: Program, vs: Sequence[Any], constants: dict[str, Any]) -> tuple[float, float] | None:
    """(derivative, size of its terms), or None if the program does not take complex numbers."""
    arrays = [leaf.array + 1j * H * v for leaf, v in zip(program.tracked, vs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            y, size = loss(program, program.on_arrays(arrays, constants, wide=True))
        except (TypeError, ValueError, np.exceptions.ComplexWarning):
            return None
    return float(np.imag(y)) / H, float(size) / H


def extrapolated(at: Callable[[Any], Any], step: float) -> tuple[Any, Any]:
    """The derivative at 0 of a function of a number, and an estimate of the error."""
    h = np.longdouble(step)
    d1, d2, d4 = ((at(k) - at(-k)) / (2 * k) for k in (h, h / 2, h / 4))
    better, best = (4 * d2 - d1) / 3, (4 * d4 - d2) / 3
    best, coarse = (16 * best - better) / 15, best
    return best, np.max(np.abs(best - coarse), initial=0)


def by_differences(at: Callable[[Any], Any]) -> tuple[Any, float]:
    """The same with the step that gives the smaller error estimate; raises `NearKink` if both are useless."""
    best = min((extrapolated(at, step) for step in (1e-3, 1e-4)), key=lambda pair: float(pair[1]))
    if not best[1] <= 1e-6 * (1 + float(np.max(np.abs(best[0]), initial=0))):
        raise NearKink
    return best[0], float(best[1])


def floor(rtol: float) -> float:
    """What rounding on the way may leave of numbers around 1 that cancel."""
    return 1e-13 if rtol <= 1e-9 else 0.05 * rtol


class Truth:
    """The derivative of one program in one direction; differences are made only where the complex step disagrees."""

    def __init__(self, program: Program, seed: int = 1):
        self.program, self.vs = program, directions(program, seed)
        self.constants: dict[str, Any] = {}
        wide = [np.asarray(leaf.array, np.longdouble) for leaf in program.tracked]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program.on_arrays(wide, self.constants, wide=True)
        self.exact = by_complex_step(program, self.vs, self.constants)
        self._differences: tuple[float, float] | None = None

    def differences(self) -> tuple[float, float]:
        if self._differences is None:
            self._differences = by_differences(self._at)
        return self._differences

    def _at(self, t: Any) -> Any:
        arrays = [np.asarray(leaf.array, np.longdouble) + t * v for leaf, v in zip(self.program.tracked, self.vs)]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return loss(self.program, self.program.on_arrays(arrays, self.constants, wide=True))[0]
        except (ValueError, IndexError):  # another shape there
            raise NearKink from None

    def compare(self, gradients: Sequence[Any], rtol: float, what: str) -> None:
        """<gradient, v> is the derivative in the direction v."""
        terms = [np.asarray(g, np.longdouble) * v for g, v in zip(gradients, self.vs)]
        given, size = float(sum(t.sum() for t in terms)), float(sum(np.abs(t).sum() for t in terms))
        if self.exact is not None:
            right, scale = self.exact
            if abs(given - right) <= rtol * (size + scale) + floor(rtol):
                return
        right, noise = self.differences()
        if not abs(given - right) <= rtol * (size + abs(right)) + 20 * noise + max(floor(rtol), 1e-11):
            raise AssertionError(f"{what}: the derivative is {float(right):.12g}, the gradient gives {given:.12g}")
