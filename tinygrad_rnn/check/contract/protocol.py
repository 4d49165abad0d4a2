"""What callers of a backward rely on beside its numbers: that it repeats, keeps its hands off what it is handed, gives
gradients that own their memory, and is linear in the gradients that come in, row by row of a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..report import Diagnosis, distance

SAME = 1e-5  # linear up to the rounding of float32


def broken(kind: str, tensor: str, text: str, off: float = 0.0) -> Diagnosis:
    """A promise of the protocol that is not kept; ``match`` is how far it is off."""
    return Diagnosis(f"protocol: {kind}", tensor, f"{tensor}: {text}" if tensor else text, off)


@dataclass
class Claims:
    """A backward as a function: ``pull(floats, dys)`` gives the gradients by name, ``forward(floats)`` the outputs."""

    pull: Callable[[Mapping[str, Any], Sequence[np.ndarray]], Mapping[str, Any]]
    forward: Callable[[Mapping[str, Any]], Sequence[np.ndarray]]
    floats: Mapping[str, np.ndarray]
    inputs: Sequence[str]  # those of floats that are no parameters
    dys: Sequence[np.ndarray]


def linearity(claims: Claims) -> list[Diagnosis]:
    """Nothing comes of nothing, and twice as much of twice as much."""
    one = _numbers(claims.pull(claims.floats, claims.dys))
    none = _numbers(claims.pull(claims.floats, [0 * dy for dy in claims.dys]))
    found = [broken("zero", f"d{name}", "is not zero when the gradients that come in are: a term of it lacks them")
             for name, g in none.items() if np.isfinite(g).all() and g.any()]  # fmt: skip
    told = [one.tensor for one in found]
    for factor in (2.0, 1024.0):
        more = _numbers(claims.pull(claims.floats, [factor * dy for dy in claims.dys]))
        for name, g in more.items():
            finite = name in one and np.isfinite(g).all() and np.isfinite(one[name]).all()
            off = distance(g, factor * one[name]) if finite else 0.0
            if off > SAME and f"d{name}" not in told:
                text = "is not linear in the gradients that come in: twice as much in is not twice as much out"
                found.append(broken("linear", f"d{name}", text, off))
                told.append(f"d{name}")
    return found


def rows_apart(claims: Claims) -> list[Diagnosis]:
    """Other rows of the batch do not change the gradient by a row, where no row's output depends on another row.

    Where the first axis is time, it does: the rows are left alone then.
    """
    inputs = {name: claims.floats[name] for name in claims.inputs}
    ys = claims.forward(claims.floats)
    lengths = [len(x) if np.ndim(x) else 0 for x in [*inputs.values(), *ys]]
    if not inputs or lengths[0] < 2 or any(length != lengths[0] for length in lengths):
        return []
    rng = np.random.default_rng(4)

    def others(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x[:1], x[1:] * rng.uniform(0.5, 2, x[1:].shape)])

    moved = {**claims.floats, **{name: others(x) for name, x in inputs.items()}}
    first = {name: np.concatenate([1.5 * x[:1] + 0.5, x[1:]]) for name, x in inputs.items()}
    others_move_it = any(not equal(a[0], b[0]) for a, b in zip(ys, claims.forward(moved)))
    it_moves_others = any(not equal(a[1:], b[1:]) for a, b in zip(ys, claims.forward({**claims.floats, **first})))
    if others_move_it or it_moves_others:
        return []
    here = _numbers(claims.pull(claims.floats, claims.dys))
    there = _numbers(claims.pull(moved, [others(dy) for dy in claims.dys]))
    text = "the gradient by the first row changes with the other rows of the batch, though the row's output does not"
    both = [name for name in claims.inputs if name in here and name in there and np.ndim(here[name])]
    offs = {name: distance(here[name][0], there[name][0]) for name in both if here[name].shape == there[name].shape}
    return [broken("batch", f"d{name}", text, off) for name, off in offs.items() if SAME < off < np.inf]


def later(claims: Claims, name: str) -> list[Diagnosis]:
    """A gradient that comes in at one step reaches no input of a later one, where the output at it has not seen those.

    ``name`` is an input (N, T, ...). What has another axis second is another thing, and so is a layer that goes both
    ways: there the output at a "step" depends on the "later" ones, and nothing is asked.
    """
    dy, x = claims.dys[0], claims.floats[name]
    T = x.shape[1] if x.ndim > 1 else 1
    if T < 2 or dy.ndim < 2 or dy.shape[1] != T:
        return []
    t = (T - 1) // 2
    changed = np.concatenate([x[:, : t + 1], 1.5 * x[:, t + 1 :] + 0.5], axis=1)
    here, there = claims.forward(claims.floats)[0], claims.forward({**claims.floats, name: changed})[0]
    if not equal(here[:, t], there[:, t]):
        return []
    at = np.arange(T).reshape(1, T, *[1] * (dy.ndim - 2)) == t
    found = _numbers(claims.pull(claims.floats, [np.where(at, dy, 0), *(0 * one for one in claims.dys[1:])]))
    g = found.get(name)
    if g is None or g.shape != x.shape or not np.isfinite(g).all() or not np.any(g[:, t + 1 :]):
        return []
    text = f"a gradient that comes in at step {t} reaches inputs of later steps, which that output has not seen"
    return [broken("causal", f"d{name}", text, distance(g[:, t + 1 :], 0 * g[:, t + 1 :]))]


def _numbers(found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    arrays = {name: np.asarray(g) for name, g in found.items() if g is not None}
    return {name: g.astype(np.float64) for name, g in arrays.items() if g.dtype.kind in "fiu"}


def modified(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Diagnosis]:
    """What was handed over should be as it was."""
    text = "is modified: it should be read only (x = x * y makes a new array, x *= y writes into the caller's)"
    return [broken("modified", name, text) for name, x in before.items()
            if not equal(x, after[name])]  # fmt: skip


def equal(a: Any, b: Any) -> bool:
    """Are two arrays of numbers the same? What is no number is not looked at."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype.kind not in "biufc" or np.array_equal(a, b, equal_nan=True)


def shared(found: Mapping[str, Any], given: Mapping[str, Any]) -> list[Diagnosis]:
    """Gradients that share memory with what came in, or with each other."""
    mine = {name: g for name, g in found.items() if isinstance(g, np.ndarray)}
    theirs = {name: x for name, x in given.items() if isinstance(x, np.ndarray)}
    pairs: Iterator[tuple[str, str]] = itertools.chain(itertools.product(mine, theirs), itertools.combinations(mine, 2))
    text = "shares memory with {}: whoever changes one in place (clipping, +=) changes the other; return a copy"
    every = {**theirs, **mine}
    return [broken("shared", a, text.format(b)) for a, b in pairs if np.shares_memory(mine[a], every[b])]


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The names whose gradients are not the same both times."""
    one, two = _numbers(first), _numbers(second)
    return [name for name in one if name not in two or not _same(one[name], two[name])]


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True)
