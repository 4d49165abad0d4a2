"""Autograd against numbers, tensor by tensor: the verdict, and how it is come to.

A tolerance that is absolute passes a wrong sign where gradients are small, and one that is only relative fails a
gradient that is zero but for rounding (that of Σ softmax, say). So nothing here is absolute, and what rounding does is
measured: both gradients are computed once more at inputs that differ in their last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...engine.tensor import make, value
from ...engine.transforms import vjp
from ...tracing.trace import norm
from ..report import Row, distance, length, row
from .bisect import worst_element
from .derivatives import ONE_BY_ONE, Number, Scalar, Slopes, outputs, roundoff, slopes, slopes_along
from .richardson import bend, climb, tried

CLOSE = 1e-7  # float64 that is right differs by less
ROUNDED = 1e-5  # and by less where something inside is float32
EMPTY = "the outputs are empty: nothing was compared"
FEW = 3  # directions tell whether a large tensor is at a kink
SMOOTH = 30  # so many elements that differ and are at no kink, the worst first: it is not for kinks


class Problem:
    """A function of named arrays, its cotangents, and the derivatives of <dy, f> in two ways."""

    coarse = 0.0  # the rounding of what computes in less than it is handed
    narrow = False  # does it take its inputs in the dtypes that were given, and in no other?

    def __init__(self, f: Callable[..., Any], given: Mapping[str, Any], rng: np.random.Generator):
        self.arrays = {name: np.asarray(x) for name, x in given.items() if np.asarray(x).dtype.kind == "f"}
        fixed = {name: x for name, x in given.items() if name not in self.arrays}
        self.names, self.rng = list(self.arrays), rng
        self.f = lambda *xs: f(**dict.fromkeys(given) | fixed | dict(zip(self.names, xs)))
        self.ys = outputs(vjp(self.f, *self.arrays.values())[0]) if self.names else []
        self.dys = [rng.standard_normal(y.shape) for y in self.ys]
        self.exact = [np.asarray(x, np.float64) for x in self.arrays.values()]
        self.L: Number = Scalar(self.f, self.dys)
        if np.isnan(tried(self.L, self.exact)) and not np.isnan(tried(self.L, list(self.arrays.values()))):
            self.narrow = True  # it insists on its dtypes
            self.L = Scalar(lambda *xs: self.f(*(make(x, None) for x in self.cast([value(x) for x in xs]))), self.dys)

    def gradient(self, *xs: Any) -> list[Any]:
        """The gradients of <dy, f> by each of xs; Tensors where xs are, to be differentiated again."""
        y, pull = vjp(self.f, *xs)
        leaves, build = flatten(y)
        dys = iter(self.dys)
        floats = [np.asarray(value(leaf)).dtype.kind == "f" for leaf in leaves]
        return list(pull(build([next(dys) if f else leaf for f, leaf in zip(floats, leaves)])))

    def autograd(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(value(g)) for g in self.gradient(*(self.cast(xs) if self.narrow else xs))]

    def cast(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [x.astype(given.dtype) for x, given in zip(xs, self.arrays.values())]

    def numbers(self, xs: Sequence[np.ndarray] | None = None, only: int | None = None) -> list[Slopes]:
        with np.errstate(all="ignore"):
            return slopes(self.L, self.exact if xs is None else xs, np.random.default_rng(1), self.noise, only)

    def along(self, k: int, along: np.ndarray, exact: bool, xs: Sequence[np.ndarray] | None = None) -> Slopes:
        """The numbers by one input along given directions."""
        with np.errstate(all="ignore"):
            return slopes_along(self.L, self.exact if xs is None else xs, k, along, self.noise, exact)

    @cached_property
    def noise(self) -> float:
        """The rounding in L."""
        with np.errstate(all="ignore"):
            return roundoff(self.L, self.exact)

    @cached_property
    def beside(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """A point near by, and autograd's gradients there."""
        rng = np.random.default_rng(3)
        near = [x + 1e-3 * np.sqrt(np.mean(np.square(x)) or 1.0) * rng.standard_normal(x.shape) for x in self.exact]
        return near, self.autograd(near)

    def moved(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Inputs that differ by rounding."""
        signs = [self.rng.choice([-1.0, 1.0], x.shape) for x in xs]
        return [(x * (1 + np.finfo(x.dtype).eps * sign)).astype(x.dtype) for x, sign in zip(xs, signs)]


def compared(problem: Problem) -> tuple[list[Row], list[np.ndarray], list[Slopes]]:
    """A row for each input: autograd against numbers; and both of them."""
    found, numbers = problem.autograd(list(problem.arrays.values())), problem.numbers()
    if not any(dy.size for dy in problem.dys):
        return [Row(f"d{name}", "unchecked", note=EMPTY) for name in problem.names], found, numbers
    rows = []
    for k, g in enumerate(found):
        verdict, got, right, note = _verdict(problem, k, g, numbers[k])
        if verdict in ("wrong", "unchecked"):
            closer = _closer(problem, k, g, numbers[k]) if np.isfinite(g).all() else numbers[k]
            if closer is not numbers[k]:
                numbers[k] = closer
                verdict, got, right, note = _verdict(problem, k, g, closer)
        if verdict == "wrong" and _is_right_beside(problem, k, got, right, numbers[k]):
            verdict, note, got = "right", "at a kink here; right beside it", right
        rows.append(_row(f"d{problem.names[k]}", verdict, g, got, right, note))
        if verdict == "wrong" and not numbers[k].whole:
            measure = partial(problem.along, k, exact=numbers[k].exact)
            with np.errstate(all="ignore"):  # of what is not finite
                rows[-1].worst = worst_element(g, measure, np.random.default_rng(4))
    return rows, found, numbers


def _row(name: str, verdict: str, g: np.ndarray, got: np.ndarray, right: np.ndarray, note: str) -> Row:
    """A row from slopes. Along random directions there is no worst element to name, and the norms are not theirs.

    ‖got‖ is that of the gradient itself. ‖right‖ is the same up to ``ratio`` where the gradient is not wrong; where it
    is, nobody knows it.
    """
    exact = got.size == g.size
    one = row(name, verdict, *((got.reshape(g.shape), right.reshape(g.shape)) if exact else (got, right)))
    if not exact:
        one.worst, one.got = None, length(np.asarray(g, np.float64))
        one.right = None if verdict in ("wrong", "unchecked") else one.got / (one.ratio or 1.0)
    one.shape, one.note = g.shape, note
    return one


def _verdict(problem: Problem, k: int, g: np.ndarray, slope: Slopes) -> tuple[str, np.ndarray, np.ndarray, str]:
    """The verdict on one gradient, what was compared, and a note."""
    got, right, close = slope.of(g), slope.found, max(CLOSE, 100 * float(np.finfo(g.dtype).eps))
    if not (np.isfinite(problem.noise) and np.isfinite(right).all()):
        return "unchecked", got, right, "no numbers: f is not finite here, or raises beside it"
    if not np.isfinite(g).all():
        return "wrong", got, right, ""
    if distance(got, right) <= close:
        return "right", got, right, ""
    noise = _noise(problem, k, g, slope)
    verdict, note = _judge(got, right, slope, noise), ""
    if verdict != "precision":
        got, right, kinks = _without_kinks(problem, k, got, slope)
        note = f"{kinks} at a kink left out" if kinks else ""
        if kinks == g.size:
            return "right" if _agrees_beside(problem, k, slope.along, slope.exact) else "unchecked", got, right, note
        verdict = "right" if distance(got, right) <= close else _judge(got, right, slope, noise)
    if verdict == "precision" and _is_noise(problem, k, got, right):
        verdict, note = "unchecked", "rounding is as large as the gradient: nothing can be told"
    return verdict, got, right, note


def _judge(got: np.ndarray, right: np.ndarray, slope: Slopes, noise: float) -> str:
    """The verdict on what is not simply close: is it rounding, are the numbers no good, or is it wrong?"""
    far, scale = length(got - right), max(length(got), length(right))
    if not np.isfinite(far):
        return "wrong"
    spread = length(slope.spread)
    if far <= 100 * noise or distance(got, right) <= CLOSE:
        return "precision"
    if far <= 10 * spread:
        return "unchecked" if spread > 0.01 * scale else "precision"
    return "precision" if far <= ROUNDED * scale else "wrong"


def _closer(problem: Problem, k: int, g: np.ndarray, slope: Slopes) -> Slopes:
    """Numbers to be surer by: of each element, if they are not too many, and by differences if those say otherwise.

    The complex step may have lost a part of the function that is too small for `survives` to see, or all of it.
    """
    off = np.nan_to_num(np.abs(slope.of(g) - slope.found), nan=np.inf)
    exact, n = slope.exact, int(np.argmax(off)) if len(off) else 0
    if exact and len(off) and np.isfinite(off[n]):
        with np.errstate(all="ignore"):
            ladder = climb(problem.L, problem.exact, k, slope.along[n].reshape(g.shape), problem.noise)
        got, found = slope.of(g)[n], slope.found[n]
        hidden = found == 0 and abs(got) <= 10 * ladder.error
        exact = not (hidden or abs(ladder.best - got) < 0.1 * abs(ladder.best - found))
    each = g.size <= ONE_BY_ONE[0 if exact else 1] and not slope.whole
    if exact == slope.exact and not each:
        return slope
    return problem.along(k, np.eye(g.size) if each else slope.along, exact)


def _is_noise(problem: Problem, k: int, got: np.ndarray, right: np.ndarray) -> bool:
    """Do both differ by what matters, and only because rounding explodes? Not where they are zero but for rounding."""
    scale = max(norm(got), norm(right))
    eps = max(problem.coarse, *(float(np.finfo(x.dtype).eps) for x in problem.arrays.values()))
    size = sum(float(np.sum(np.abs(dy * y))) for dy, y in zip(problem.dys, problem.ys))
    is_zero = scale * max(1.0, norm(problem.exact[k])) <= 1e4 * eps * size
    return norm(got - right) > 0.05 * scale and not is_zero


def _noise(problem: Problem, k: int, g: np.ndarray, slope: Slopes) -> float:
    """How far both ways move when the inputs move by rounding: no error below that is an error of the rule."""
    mine = problem.autograd(problem.moved(list(problem.arrays.values())))[k]
    theirs = problem.along(k, slope.along, slope.exact, problem.moved(problem.exact))
    return norm(slope.of(g) - slope.of(mine)) + norm(slope.found - theirs.found)


def _without_kinks(problem: Problem, k: int, got: np.ndarray, slope: Slopes) -> tuple[np.ndarray, np.ndarray, int]:
    """Both slopes with what lies at a kink set equal, and how many that are. Only among those that differ.

    The gradient at a kink may be either slope, or anything between. Where it is off by more, several kinks may meet,
    whose sizes cancel each other: then it must be right beside them.
    """
    right, off = slope.found.copy(), np.abs(got - slope.found)
    if not slope.whole:
        return got, right, 0
    suspects = np.flatnonzero(off > CLOSE * np.maximum(np.abs(got), np.abs(right)))
    kinks, others = 0, 0
    for n in suspects[np.argsort(-off[suspects])]:
        size = gap(problem, k, slope.along[n])
        if size > 0 and (off[n] <= 1.01 * size or _agrees_beside(problem, k, slope.along[n : n + 1], slope.exact)):
            right[n], kinks = got[n], kinks + 1
        else:
            others += 1
        if others == SMOOTH:
            break
    return got, right, kinks


def gap(problem: Problem, k: int, v: np.ndarray) -> float:
    """How much the slope along v changes here, from one side to the other: 0 but at a kink."""
    with np.errstate(all="ignore"):
        return bend(problem.L, problem.exact, k, v.reshape(problem.exact[k].shape), problem.noise).gap


def _is_right_beside(problem: Problem, k: int, got: np.ndarray, right: np.ndarray, slope: Slopes) -> bool:
    """Is what is off here a corner of the function, and the gradient right at a point near by that has none?

    Along a random direction of a large tensor the corners of single elements cannot be left out.
    """
    corners = [gap(problem, k, slope.along[n]) for n in np.flatnonzero(got != right)[:FEW]]
    if not np.isfinite(got).all() or norm(corners) < 0.1 * np.max(np.abs(got - right), initial=0.0):
        return False
    return _agrees_beside(problem, k, slope.along, slope.exact)


def _agrees_beside(problem: Problem, k: int, along: np.ndarray, exact: bool) -> bool:
    """Is the gradient right at a point near by, which has no corner but by bad luck?"""
    near, gradients = problem.beside
    other = problem.along(k, along, exact, near)
    return distance(other.of(gradients[k]), other.found) <= ROUNDED
