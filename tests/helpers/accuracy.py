"""How far a value or a derivative is from the true one, in units in the last place (ulp).

The true one is worked out by mpmath from the very numbers that the operation was given. A derivative is compared with
the true one at what its rule has saved: that of tanh, which saves y, with 1 - y² at this y.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from mpmath import mp

import tinygrad_rnn as tg
from helpers.accuracy_references import REFERENCES, Reference
from tinygrad_rnn.engine.op import OPS, Op

Array = np.ndarray

#: Bits that the true values are worked out with. The references subtract no two numbers that were rounded.
PRECISION = 200


@dataclass
class Error:
    """The worst error of one quantity of an operation ("y", "dx", ...), and where it was."""

    ulp: float
    at: tuple[Any, ...] = ()
    got: Any = None
    true: Any = None

    def __str__(self) -> str:
        return f"{self.ulp:.3g} ulp at {self.at}: {self.got!r}, should be {self.true}"


# -- the numbers to try ------------------------------------------------------------------------------------------------


def numbers(dtype: Any, rng: np.random.Generator, count: int) -> Array:
    """Numbers over the whole range: special ones, and ``count`` at random; half of these are of ordinary size."""
    info = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 2, -2, 0.5, 3, -3, 10, -16, -18, -20, 30, 1e2, -1e2]
    edges = [info.tiny, info.smallest_subnormal, info.max, 1 + info.eps, 1 - info.epsneg, 1 + 9 * info.eps, 1e-8, 1e8]
    edges += [info.tiny * 4, info.max / 4, info.tiny / 8, 1 - 99 * info.epsneg, 1 + 1e-4, np.log(info.max), 1e20, 1e-20]
    lowest, highest = np.log2(float(info.smallest_subnormal)), np.log2(float(info.max))
    magnitudes = 2.0 ** rng.uniform(lowest, highest - 1e-6, count // 4)
    steps = 1 + rng.integers(1, 1 << 12, count // 4) * info.eps * rng.choice([-1, 1], count // 4)
    ordinary = rng.normal(0, rng.choice([0.3, 1, 4, 30], count - 2 * (count // 4)))
    drawn = np.concatenate([magnitudes, steps, ordinary])
    drawn *= rng.choice([-1, 1], drawn.size)
    return np.concatenate([special, edges, np.negative(edges), drawn]).astype(dtype)


def columns(reference: Reference, dtype: Any, rng: np.random.Generator, count: int) -> list[Array]:
    """One array of numbers for each argument; some arguments are near each other, or equal."""
    drawn = [numbers(dtype, rng, count) for _ in range(len(reference.rules))]
    if len(drawn) > 1:
        x, w = drawn[0], rng.permutation(drawn[1])
        with np.errstate(all="ignore"):
            near = (x * (1 + np.finfo(dtype).eps * rng.integers(0, 4, x.size))).astype(dtype)
        drawn = [x, np.where(rng.random(x.size) < 0.1, near, w)]
    with np.errstate(all="ignore"):
        given = [np.array(column, dtype) for column in reference.domain(*drawn)]
    rows = 1 << (len(given[0]).bit_length() - 1)  # by which a gradient of 1 for each row is divided exactly
    return [column[-rows:] for column in given] if reference.by_row else given


# -- the errors --------------------------------------------------------------------------------------------------------


def ulp_of(true: Any, dtype: Any) -> Any:
    """The distance of neighbouring numbers of ``dtype`` around a true value."""
    info = np.finfo(dtype)
    exponent = max(int(mpmath.frexp(true)[1]) - 1, int(info.minexp)) if true else int(info.minexp)
    return mpmath.ldexp(1, min(exponent, int(info.maxexp) - 1) - info.nmant)


def distance(got: Any, true: Any, dtype: Any, scale: Any = None) -> float:
    """The error in ulp of the true value, or of ``scale``; inf if only one of the two is NaN or infinite."""
    if mpmath.isnan(true) or np.isnan(got):
        return 0.0 if mpmath.isnan(true) and np.isnan(got) else np.inf
    if mpmath.isinf(true):
        return 0.0 if got == float(true) else np.inf
    limit = mpmath.ldexp(1, int(np.finfo(dtype).maxexp))  # what infinity stands for, when a number is rounded to it
    got, true = (max(-limit, min(limit, mpmath.mpf(float(z)) if z is got else z)) for z in (got, true))
    return float(abs(got - true) / ulp_of(max(abs(true), abs(scale or 0)), dtype))


def truth(function: Callable[..., Any], numbers: Sequence[Any]) -> Any:
    """The true value; NaN where it is complex, None where it has a pole (then any infinity is right)."""
    try:
        y = function(*(mpmath.mpf(float(z)) for z in numbers))
    except (ZeroDivisionError, ValueError):
        return None
    return mpmath.nan if isinstance(y, mpmath.mpc) else mpmath.mpf(y)


def worst(got: Array, function: Callable[..., Any], scale: Any, known: dict[str, Array], dtype: Any) -> Error:
    """The worst error of ``got`` over all rows of the arrays that ``function`` names."""
    error, rows = Error(0.0), rows_of(function, known)
    sizes = [truth(scale, row) for row in rows_of(scale, known)] if scale is not None else [None] * len(rows)
    for y, row, size in zip(got, rows, sizes, strict=True):
        true = truth(function, row)
        ulp = distance(y, true, dtype, size) if true is not None else np.inf if np.isfinite(y) else 0.0
        if ulp > error.ulp:
            error = Error(ulp, row, y, true if true is None else mpmath.nstr(true, 12))
    return error


def rows_of(function: Callable[..., Any], known: dict[str, Array]) -> list[Any]:
    """What a function takes, by the names of its arguments."""
    names = list(inspect.signature(function).parameters)
    return list(zip(*(known[name] for name in names))) if names else [()] * len(known["y"])


def measured(spec: Op, dtype: Any, rng: np.random.Generator, count: int) -> Iterator[tuple[str, Error]]:
    """(quantity, its worst error) for the value and each derivative of an operation."""
    reference = REFERENCES[spec.name]
    given = columns(reference, dtype, rng, count)
    known = dict(zip(reference.rules, given)) | {"tiny": np.full_like(given[0], np.finfo(dtype).tiny)}
    with np.errstate(all="ignore"), mp.workprec(PRECISION):
        got = np.array([reference.call(*row) for row in zip(*given)] if reference.by_row else reference.call(*given))
        known["y"] = got
        yield "y", worst(got, reference.value, reference.scale.get("y"), known, dtype)
        _, pull = tg.vjp(reference.call, *given)
        gradients = pull(np.asarray(len(got), dtype) if reference.by_row else np.ones_like(got))
        for (argument, function), g in zip(reference.rules.items(), gradients):
            scale = reference.scale.get(f"d{argument}")
            yield f"d{argument}", worst(g, function, scale, known, dtype)


def elementwise() -> list[Op]:
    """The operations that work on each element alone, and the losses."""
    return [spec for spec in OPS.values() if spec.name in REFERENCES]
