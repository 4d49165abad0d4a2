"""Autograd against numbers, tensor by tensor: how the verdict on a gradient is found.

An absolute tolerance passes a wrong sign where gradients are small. A relative tolerance fails a gradient that is zero
up to rounding (that of Σ softmax, for example). So nothing here is absolute, and the effect of rounding is measured:
both gradients are computed again at inputs that differ in their last bit.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ...tracing.trace import norm
from ..report import Row, distance, row
from .derivatives import ONE_BY_ONE, Slopes, worst_element
from .problem import Problem
from .richardson import derivative, kink

CLOSE = 1e-7  # the error of a right gradient in float64 is less
ROUNDED = 1e-5  # the error of a right gradient with float32 inside is less
EMPTY = "the outputs are empty: nothing was compared"
FEW = 3  # directions that show whether a large tensor is at a kink
CLEAR = 1e5  # so many times the rounding of a few elements is more than that of all


def compared(problem: Problem) -> tuple[list[Row], list[np.ndarray], list[Slopes]]:
    """Compare autograd with numbers. Returns (a row for each input, the gradients, the numerical derivatives)."""
    gradients, numbers = problem.autograd(list(problem.arrays.values())), problem.numbers()
    if not any(dy.size for dy in problem.dys):
        return [Row(f"d{name}", "unchecked", note=EMPTY) for name in problem.names], gradients, numbers
    rows = []
    for k, g in enumerate(gradients):
        if not problem.is_needed(k):
            rows.append(_missing(f"d{problem.names[k]}", g, numbers[k]))
            continue
        verdict, got, right, note = _verdict(problem, k, g, numbers[k])
        if verdict in ("wrong", "unchecked"):
            refined = _refined(problem, k, g, numbers[k]) if np.isfinite(g).all() else numbers[k]
            if refined is not numbers[k]:
                numbers[k] = refined
                verdict, got, right, note = _verdict(problem, k, g, refined)
        single = problem.smooth == 1 and numbers[k].whole  # each element was looked at
        if verdict == "wrong" and not single and _is_right_nearby(problem, k, got, right, numbers[k]):
            verdict, note, got = "right", "at a kink here; right beside it", right
        rows.append(_row(f"d{problem.names[k]}", verdict, g, got, right, note))
        if verdict == "wrong" and not numbers[k].whole:
            measure = partial(problem.along, k, exact=numbers[k].exact)
            with np.errstate(all="ignore"):  # of values that are not finite
                rows[-1].worst = worst_element(g, measure, np.random.default_rng(4))
    return rows, gradients, numbers


def _missing(name: str, zeros: np.ndarray, slope: Slopes) -> Row:
    """The row of a gradient that is not given, ``zeros`` in its place: right where the numbers are zero."""
    got, right = slope.of(zeros), slope.values
    return _row(name, "right" if distance(got, right) <= CLOSE else "wrong", zeros, got, right, "")


def _row(name: str, verdict: str, g: np.ndarray, got: np.ndarray, right: np.ndarray, note: str) -> Row:
    """A row from derivatives along directions. Of random ones ‖got‖ is the norm of g, ‖right‖ known by ``ratio``."""
    exact = got.size == g.size
    result = row(name, verdict, *((got.reshape(g.shape), right.reshape(g.shape)) if exact else (got, right)))
    if not exact:
        result.worst, result.got = None, norm(np.asarray(g, np.float64))
        result.right = None if verdict in ("wrong", "unchecked") else result.got / (result.ratio or 1.0)
    result.shape, result.note = g.shape, note
    return result


def _verdict(problem: Problem, k: int, g: np.ndarray, slope: Slopes) -> tuple[str, np.ndarray, np.ndarray, str]:
    """The verdict on a gradient, the two arrays that were compared, and a note."""
    got, right, close = slope.of(g), slope.values, max(CLOSE, 100 * float(np.finfo(g.dtype).eps))
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
            return "right" if _agrees_nearby(problem, k, slope.along, slope.exact) else "unchecked", got, right, note
        verdict = "right" if distance(got, right) <= close else _judge(got, right, slope, noise)
    if verdict == "precision" and _is_noise(problem, k, got, right):
        verdict, note = "unchecked", "rounding is as large as the gradient: no verdict is possible"
    return verdict, got, right, note


def _judge(got: np.ndarray, right: np.ndarray, slope: Slopes, noise: float) -> str:
    """The verdict on a gradient that is not close: is it rounding, are the numbers inaccurate, or is it wrong?"""
    error, scale = norm(got - right), max(norm(got), norm(right))
    if not np.isfinite(error):
        return "wrong"
    spread = norm(slope.spread)
    if error <= 100 * noise or distance(got, right) <= CLOSE:
        return "precision"
    if error <= 10 * spread:
        return "unchecked" if spread > 0.01 * scale else "precision"
    return "precision" if error <= ROUNDED * scale else "wrong"


def _refined(problem: Problem, k: int, g: np.ndarray, slope: Slopes) -> Slopes:
    """More reliable numbers: for each element, if there are not too many; by differences, if these disagree.

    The complex step may have lost a part of the function that is too small for `survives` to notice, or all of it.
    """
    off = np.nan_to_num(np.abs(slope.of(g) - slope.values), nan=np.inf)
    exact, n = slope.exact, int(np.argmax(off)) if len(off) else 0
    if exact and len(off) and np.isfinite(off[n]):
        with np.errstate(all="ignore"):
            table = derivative(problem.L, problem.exact, k, slope.along[n].reshape(g.shape), problem.noise)
        got, number = slope.of(g)[n], slope.values[n]
        hidden = number == 0 and abs(got) <= 10 * table.error
        exact = not (hidden or abs(table.best - got) < 0.1 * abs(table.best - number))
    whole = g.size <= ONE_BY_ONE[0 if exact else 1] and not slope.whole
    if exact == slope.exact and not whole:
        return slope
    return problem.along(k, np.eye(g.size) if whole else slope.along, exact)


def _is_noise(problem: Problem, k: int, got: np.ndarray, right: np.ndarray) -> bool:
    """Is the error large only because rounding grows without bound, and not because both are zero up to rounding?"""
    scale = max(norm(got), norm(right))
    eps = max(problem.coarse, *(float(np.finfo(x.dtype).eps) for x in problem.arrays.values()))
    size = sum(float(np.sum(np.abs(dy * y))) for dy, y in zip(problem.dys, problem.ys))
    is_zero = scale * max(1.0, norm(problem.exact[k])) <= 1e4 * eps * size
    return norm(got - right) > 0.05 * scale and not is_zero


def _noise(problem: Problem, k: int, g: np.ndarray, slope: Slopes) -> float:
    """How much both gradients change if the inputs change in their last bit: a smaller error is no mistake."""
    gradient = problem.autograd(problem.moved(list(problem.arrays.values())))[k]
    error, point = slope.of(g) - slope.values, problem.moved(problem.exact)
    for part in (np.argsort(-np.abs(error))[:FEW], np.arange(len(error))):  # a few tell if the error is far larger
        numbers = problem.along(k, slope.along[part], slope.exact, point)
        of_numbers = norm(slope.values[part] - numbers.values) * np.sqrt(len(error) / max(len(part), 1))
        noise = norm(slope.of(g) - slope.of(gradient)) + of_numbers
        if norm(error) > CLEAR * noise:
            break
    return noise


def _without_kinks(problem: Problem, k: int, got: np.ndarray, slope: Slopes) -> tuple[np.ndarray, np.ndarray, int]:
    """Both gradients with the elements at a kink set equal, and the number of these elements.

    There a gradient is between both slopes. If it is not, kinks may cancel: then it must be right at a nearby point.
    """
    right, off = slope.values.copy(), np.abs(got - slope.values)
    if not slope.whole:
        return got, right, 0
    suspects = np.flatnonzero(off > CLOSE * np.maximum(np.abs(got), np.abs(right)))
    kinks, others = 0, 0
    for n in suspects[np.argsort(-off[suspects])]:
        size = gap(problem, k, slope.along[n])
        if size > 0 and (off[n] <= 1.01 * size or _agrees_nearby(problem, k, slope.along[n : n + 1], slope.exact)):
            right[n], kinks = got[n], kinks + 1
        else:
            others += 1
        if others >= problem.smooth:
            break
    if others > FEW and not kinks:
        problem.smooth = min(problem.smooth, FEW)  # L is smooth: of the next gradients fewer elements tell
    return got, right, kinks


def gap(problem: Problem, k: int, v: np.ndarray) -> float:
    """The difference of the slopes along v on both sides: 0 except at a kink."""
    key = (k, v.tobytes())
    if key not in problem.gaps:
        with np.errstate(all="ignore"):
            table = kink(problem.L, problem.exact, k, v.reshape(problem.exact[k].shape), problem.noise)
        problem.gaps[key] = table.gap
    return problem.gaps[key]


def _is_right_nearby(problem: Problem, k: int, got: np.ndarray, right: np.ndarray, slope: Slopes) -> bool:
    """Is f at a kink along the directions, of which no element can be left out, and the gradient right nearby?"""
    worst = np.argsort(-np.abs(got - right))[:FEW]
    kinks = [gap(problem, k, slope.along[n]) for n in worst if got[n] != right[n]]
    if not np.isfinite(got).all() or norm(kinks) < 0.1 * np.max(np.abs(got - right), initial=0.0):
        return False
    return _agrees_nearby(problem, k, slope.along, slope.exact)


def _agrees_nearby(problem: Problem, k: int, along: np.ndarray, exact: bool) -> bool:
    """Is the gradient right at a nearby point, which almost certainly has no kink?"""
    point, gradients = problem.nearby
    numbers = problem.along(k, along, exact, point)
    return distance(numbers.of(gradients[k]), numbers.values) <= ROUNDED
