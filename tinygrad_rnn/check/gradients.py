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
from .numbers import Scalar, Slopes, is_kink, outputs, slopes
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

    def __init__(self, f: Callable[..., Any], given: Mapping[str, Any], rng: np.random.Generator):
        self.arrays = {name: np.asarray(x) for name, x in given.items() if np.asarray(x).dtype.kind == "f"}
        fixed = {name: x for name, x in given.items() if name not in self.arrays}
        self.names, self.rng = list(self.arrays), rng
        self.f = lambda *xs: f(**dict.fromkeys(given) | fixed | dict(zip(self.names, xs)))
        self.ys = outputs(vjp(self.f, *self.arrays.values())[0]) if self.names else []
        self.dys = [rng.standard_normal(y.shape) for y in self.ys]
        self.exact = [np.asarray(x, np.float64) for x in self.arrays.values()]
        self.L = Scalar(self.f, self.dys)

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
            verdict = _judge(got, right, slope, noise[k])
        else:
            verdict, kinks = "right", 0
        rows.append(_row(f"d{problem.names[k]}", verdict, g.shape, got, right, kinks))
    return rows, found, numbers


def _row(name: str, verdict: str, shape: tuple[int, ...], got: np.ndarray, right: np.ndarray, kinks: int) -> Row:
    """A row from slopes; along random directions there is no worst element to name."""
    exact = got.size == int(np.prod(shape))
    one = row(name, verdict, *((got.reshape(shape), right.reshape(shape)) if exact else (got, right)))
    one.worst = one.worst if exact else None
    one.shape, one.note = shape, f"{kinks} at a kink left out" if kinks else ""
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
    kinks = [n for n in suspects if is_kink(problem.L, problem.exact, k, slope.along[n].reshape(x.shape))]
    right[kinks] = got[kinks]
    return got, right, len(kinks)
