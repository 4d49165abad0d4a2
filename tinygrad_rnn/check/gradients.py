"""`check_gradients`: is what autograd gives the derivative of what the function computes?

A tolerance that is absolute passes a wrong sign where gradients are small, and one that is only relative fails a
gradient that is zero but for rounding (that of Σ softmax, say). So nothing here is absolute, and what rounding does is
measured: both gradients are computed once more at inputs that differ in their last bit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..cell import Cell
from ..tensor import value
from ..trace import sample
from ..transforms import vjp
from ..tree import flatten
from ..watch import norm
from .numbers import DIRECTIONS, Number, Scalar, Slopes, corner, is_kink, outputs, roundoff, slopes
from .report import Report, Row, distance, row

SIZES = {"N": 3, "D": 7, "H": 11}  # primes, so that no two axes can be mistaken for each other
CLOSE = 1e-7  # float64 that is right differs by less
ROUNDED = 1e-5  # and by less where something inside is float32


def check_gradients(f: Callable[..., Any], *inputs: Any, seed: int = 0) -> Report:
    """Compare the gradients of ``f(*inputs)`` by every floating input with numbers.

    ``f`` takes Tensors and gives a Tensor, or several; every output gets a random cotangent. Inputs are arrays, Tensors
    or trees of them; a cell without inputs gets random ones. Numbers come from the complex step, or from extrapolated
    differences, in float64 whatever the inputs are. Errors are relative to the norm of each gradient and nothing is
    absolute: a wrong sign at 1e-12 is wrong. Rounding is measured, by moving the inputs by it: a gradient that is off
    by no more than that is "precision". Elements at a kink (relu at 0) are left out and counted.
    """
    rng = np.random.default_rng(seed)
    if isinstance(f, Cell) and not inputs:
        return _checked(f.name, by_name(f), sample(f, rng, SIZES), rng)
    names = argument_names(f, len(inputs))
    flat: dict[str, Any] = {}
    for name, tree in zip(names, inputs):
        leaves = flatten(tree)[0]
        flat.update({f"{name}[{k}]" if len(leaves) > 1 else name: value(leaf) for k, leaf in enumerate(leaves)})
    rebuild = flatten(list(inputs))[1]
    title = getattr(f, "__name__", type(f).__name__)
    return _checked(title, lambda **given: f(*rebuild(list(given.values()))), flat, rng)


def by_name(cell: Cell) -> Callable[..., Any]:
    """A cell as a function of all its arguments by name."""
    order = [cell.input, *cell.states]
    return lambda **given: cell(*[given[name] for name in order], **{k: x for k, x in given.items() if k not in order})


def argument_names(f: Callable[..., Any], count: int) -> list[str]:
    """What the function calls its positional arguments; x0, x1, ... where it does not say."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return names[:count] + [f"x{k}" for k in range(len(names), count)]


class Problem:
    """A function of named arrays, its cotangents, and the derivatives of <dy, f> in two ways."""

    coarse = 0.0  # the rounding of what computes in less than it is handed

    def __init__(self, f: Callable[..., Any], given: Mapping[str, Any], rng: np.random.Generator):
        self.arrays = {name: np.asarray(x) for name, x in given.items() if np.asarray(x).dtype.kind == "f"}
        fixed = {name: x for name, x in given.items() if name not in self.arrays}
        self.names, self.rng = list(self.arrays), rng
        self.f = lambda *xs: f(**dict.fromkeys(given) | fixed | dict(zip(self.names, xs)))
        self.ys = outputs(vjp(self.f, *self.arrays.values())[0]) if self.names else []
        self.dys = [rng.standard_normal(y.shape) for y in self.ys]
        self.exact = [np.asarray(x, np.float64) for x in self.arrays.values()]
        self.L: Number = Scalar(self.f, self.dys)

    def autograd(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        y, pull = vjp(self.f, *xs)
        leaves, build = flatten(y)
        dys = iter(self.dys)
        floats = [np.asarray(value(one)).dtype.kind == "f" for one in leaves]
        return [np.asarray(value(g)) for g in pull(build([next(dys) if f else 0 for f in floats]))]

    def numbers(self, xs: Sequence[np.ndarray] | None = None) -> list[Slopes]:
        with np.errstate(all="ignore"):
            return slopes(self.L, self.exact if xs is None else xs, np.random.default_rng(1))

    def moved(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Inputs that differ by rounding."""
        signs = [self.rng.choice([-1.0, 1.0], x.shape) for x in xs]
        return [(x * (1 + np.finfo(x.dtype).eps * sign)).astype(x.dtype) for x, sign in zip(xs, signs)]


def _checked(title: str, f: Callable[..., Any], given: Mapping[str, Any], rng: np.random.Generator) -> Report:
    problem = Problem(f, given, rng)
    report = Report(f"{title}: autograd against numbers")
    if problem.ys:
        for one in compared(problem)[0]:
            report.tensors[one.name] = one
    return report


def compared(problem: Problem) -> tuple[list[Row], list[np.ndarray], list[Slopes]]:
    """A row for each input: autograd against numbers; and both of them."""
    given = list(problem.arrays.values())
    found, numbers = problem.autograd(given), problem.numbers()
    noise: list[float] | None = None
    rows = []
    for k, (g, slope) in enumerate(zip(found, numbers)):
        got, right = slope.of(g), slope.found
        far = distance(got, right)
        if far > max(CLOSE, 100 * np.finfo(g.dtype).eps):
            got, right, kinks = _without_kinks(problem, k, got, slope)
            noise = noise or _noise(problem, given, found, numbers)
            verdict, note = _judge(got, right, slope, noise[k]), f"{kinks} at a kink left out" if kinks else ""
            if verdict == "precision" and _is_noise(problem, k, got, right):
                verdict, note = "unchecked", "rounding is as large as the gradient: nothing can be told"
            if kinks == g.size:
                verdict = "right" if _agrees_beside(problem, k) else "unchecked"
            elif verdict == "wrong" and _is_right_beside(problem, k, got, right, slope):
                verdict, note, got = "right", "at a kink here; right beside it", right
        else:
            verdict, note = "right", ""
        rows.append(_row(f"d{problem.names[k]}", verdict, g.shape, got, right, note))
    return rows, found, numbers


def _row(name: str, verdict: str, shape: tuple[int, ...], got: np.ndarray, right: np.ndarray, note: str) -> Row:
    """A row from slopes; along random directions there is no worst element to name."""
    exact = got.size == int(np.prod(shape))
    one = row(name, verdict, *((got.reshape(shape), right.reshape(shape)) if exact else (got, right)))
    one.worst = one.worst if exact else None
    one.shape, one.note = shape, note
    return one


def _judge(got: np.ndarray, right: np.ndarray, slope: Slopes, noise: float) -> str:
    """The verdict on what is not simply close: is it rounding, are the numbers no good, or is it wrong?"""
    far, scale = norm(got - right), max(norm(got), norm(right))
    if not np.isfinite(far):
        return "wrong"
    spread = norm(slope.spread)
    if far <= 100 * noise or distance(got, right) <= CLOSE:
        return "precision"
    if far <= 10 * spread:
        return "unchecked" if spread > 0.01 * scale else "precision"
    return "precision" if far <= ROUNDED * scale else "wrong"


def _is_noise(problem: Problem, k: int, got: np.ndarray, right: np.ndarray) -> bool:
    """Do both differ by what matters, and only because rounding explodes? Not where they are zero but for rounding."""
    scale = max(norm(got), norm(right))
    eps = max(problem.coarse, *(float(np.finfo(x.dtype).eps) for x in problem.arrays.values()))
    size = sum(float(np.sum(np.abs(dy * y))) for dy, y in zip(problem.dys, problem.ys))
    is_zero = scale * max(1.0, norm(problem.exact[k])) <= 1e4 * eps * size
    return norm(got - right) > 0.05 * scale and not is_zero


def _noise(problem: Problem, given: Any, found: Any, numbers: Any) -> list[float]:
    """How far both ways move when the inputs move by rounding: no error below that is an error of the rule."""
    mine = problem.autograd(problem.moved(given))
    theirs = problem.numbers(problem.moved(problem.exact))
    return [
        norm(slope.of(a) - slope.of(b)) + norm(slope.found - other.found)
        for a, b, slope, other in zip(found, mine, numbers, theirs)
    ]


def _without_kinks(problem: Problem, k: int, got: np.ndarray, slope: Slopes) -> tuple[np.ndarray, np.ndarray, int]:
    """Both slopes with what lies at a kink set equal, and how many that are. Only among those that differ."""
    right, x = slope.found.copy(), problem.exact[k]
    suspects = np.flatnonzero(np.abs(got - right) > CLOSE * np.maximum(np.abs(got), np.abs(right)))
    if len(suspects) > 100 or len(slope.along) != x.size:
        return got, right, 0
    rough = roundoff(problem.L, problem.exact)
    kinks = [n for n in suspects if is_kink(problem.L, problem.exact, k, slope.along[n].reshape(x.shape), rough)]
    right[kinks] = got[kinks]
    return got, right, len(kinks)


def _is_right_beside(problem: Problem, k: int, got: np.ndarray, right: np.ndarray, slope: Slopes) -> bool:
    """Is what is off here a corner of the function, and the gradient right at a point near by that has none?

    Along a random direction of a large tensor the corners of single elements cannot be left out.
    """
    vs = [slope.along[n].reshape(problem.exact[k].shape) for n in np.flatnonzero(got != right)[:DIRECTIONS]]
    rough = roundoff(problem.L, problem.exact)
    corners = [corner(problem.L, problem.exact, k, v, rough)[0] for v in vs]
    if not np.isfinite(got).all() or norm(corners) < 0.1 * np.max(np.abs(got - right), initial=0.0):
        return False
    return _agrees_beside(problem, k)


def _agrees_beside(problem: Problem, k: int) -> bool:
    """Is the gradient right at a point near by, which has no corner but by bad luck?"""
    rng = np.random.default_rng(3)
    near = [x + 1e-3 * np.sqrt(np.mean(np.square(x)) or 1.0) * rng.standard_normal(x.shape) for x in problem.exact]
    other, g = problem.numbers(near)[k], problem.autograd(near)[k]
    return distance(other.of(g), other.found) <= CLOSE
