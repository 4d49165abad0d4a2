"""The properties of every backward pass, apart from the numbers: it repeats, modifies none of its arguments, returns
gradients that own their memory, and is linear in its cotangents, separately for each row of a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..layers.adapter import Adapter
from ..report import Diagnosis, distance

SAME = 1e-5  # linear up to the rounding of float32


def broken(kind: str, tensor: str, text: str, off: float = 0.0) -> Diagnosis:
    """A violation of the contract. Its ``match`` is ``off``, the relative error."""
    return Diagnosis(f"protocol: {kind}", tensor, f"{tensor}: {text}" if tensor else text, off)


def linearity(adapter: Adapter, dys: Sequence[np.ndarray]) -> list[Diagnosis]:
    """A backward pass is linear in its cotangents: zero in gives zero out, and scaling by 2 scales the result."""
    gradients, violations = _pulled(adapter, adapter.floats, dys), dict[str, Diagnosis]()
    for name, g in _pulled(adapter, adapter.floats, [0 * dy for dy in dys]).items():
        if np.isfinite(g).all() and g.any():
            text = "is not zero when the gradients that come in are: one of its terms lacks them"
            violations[name] = broken("zero", f"d{name}", text)
    for factor in (2.0, 1024.0):
        for name, g in _pulled(adapter, adapter.floats, [factor * dy for dy in dys]).items():
            off = distance(g, factor * gradients[name]) if name in gradients else 0.0
            if SAME < off < np.inf:
                text = "is not linear in the gradients that come in: twice as much in is not twice as much out"
                violations.setdefault(name, broken("linear", f"d{name}", text, off))
    return list(violations.values())


def rows_independent(adapter: Adapter, dys: Sequence[np.ndarray]) -> list[Diagnosis]:
    """If no row of the outputs depends on another row of the inputs, the gradient by a row must not depend on others.

    If rows do depend on each other, for example because the first axis is time, nothing is checked.
    """
    inputs = {name: adapter.floats[name] for name in adapter.batched if name in adapter.floats}
    ys = adapter.run().outputs
    lengths = [len(x) if np.ndim(x) else 0 for x in [*inputs.values(), *ys]]
    if not inputs or lengths[0] < 2 or any(length != lengths[0] for length in lengths):
        return []
    rng = np.random.default_rng(4)

    def others(x: np.ndarray) -> np.ndarray:
        return np.concatenate([x[:1], x[1:] * rng.uniform(0.5, 2, x[1:].shape)])

    moved = {**adapter.floats, **{name: others(x) for name, x in inputs.items()}}
    first = {name: np.concatenate([1.5 * x[:1] + 0.5, x[1:]]) for name, x in inputs.items()}
    depends_on_others = any(not equal(a[0], b[0]) for a, b in zip(ys, adapter.run(moved).outputs))
    after = adapter.run({**adapter.floats, **first}).outputs
    if depends_on_others or any(not equal(a[1:], b[1:]) for a, b in zip(ys, after)):
        return []
    here, there = _pulled(adapter, adapter.floats, dys), _pulled(adapter, moved, [others(dy) for dy in dys])
    text = "the gradient by the first row changes with the other rows of the batch, though the row's output does not"
    both = [name for name in inputs if name in here and name in there and np.ndim(here[name])]
    offs = {name: distance(here[name][0], there[name][0]) for name in both if here[name].shape == there[name].shape}
    return [broken("batch", f"d{name}", text, off) for name, off in offs.items() if SAME < off < np.inf]


def causality(adapter: Adapter, dys: Sequence[np.ndarray]) -> list[Diagnosis]:
    """If the output of a step does not depend on later inputs, its cotangent must not reach these inputs.

    The first input is (N, T, ...). If the output of a step depends on later inputs, as in a bidirectional layer or if
    the second axis is not time, nothing is checked.
    """
    name = next((name for name in adapter.batched if name in adapter.floats), "")
    dy, x = dys[0], adapter.floats.get(name, np.zeros(0))
    T = x.shape[1] if x.ndim > 1 else 1
    if T < 2 or dy.ndim < 2 or dy.shape[1] != T:
        return []
    t = (T - 1) // 2
    changed = np.concatenate([x[:, : t + 1], 1.5 * x[:, t + 1 :] + 0.5], axis=1)
    here, there = (adapter.run({**adapter.floats, name: array}).outputs[0] for array in (x, changed))
    if not equal(here[:, t], there[:, t]):
        return []
    at = np.arange(T).reshape(1, T, *[1] * (dy.ndim - 2)) == t
    gradients = _pulled(adapter, adapter.floats, [np.where(at, dy, 0), *(0 * dy for dy in dys[1:])])
    g = gradients.get(name)
    if g is None or g.shape != x.shape or not np.isfinite(g).all() or not np.any(g[:, t + 1 :]):
        return []
    text = f"a gradient that comes in at step {t} reaches inputs of later steps, which that output has not seen"
    return [broken("causal", f"d{name}", text, distance(g[:, t + 1 :], 0 * g[:, t + 1 :]))]


def _pulled(adapter: Adapter, floats: Mapping[str, Any], dys: Sequence[Any]) -> dict[str, np.ndarray]:
    return numbers(adapter.gradients(adapter.run(floats, dys)))


def numbers(gradients: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Copies of the gradients that are arrays of numbers, in float64."""
    arrays = {name: np.asarray(g) for name, g in gradients.items() if g is not None}
    return {name: g.astype(np.float64) for name, g in arrays.items() if g.dtype.kind in "fiu"}


def modified(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Diagnosis]:
    """Diagnoses of arguments that were modified."""
    text = "is modified: it should be read only (x = x * y makes a new array, x *= y writes into the caller's)"
    return [broken("modified", name, text) for name, x in before.items()
            if not equal(x, after[name])]  # fmt: skip


def equal(a: Any, b: Any) -> bool:
    """Are two arrays of numbers equal? Anything else counts as equal."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype.kind not in "biufc" or np.array_equal(a, b, equal_nan=True)


def shared_memory(gradients: Mapping[str, Any], handed_over: Mapping[str, Any]) -> list[Diagnosis]:
    """Diagnoses of gradients that share memory with an argument or with each other."""
    mine = {name: g for name, g in gradients.items() if isinstance(g, np.ndarray)}
    theirs = {name: x for name, x in handed_over.items() if isinstance(x, np.ndarray)}
    pairs: Iterator[tuple[str, str]] = itertools.chain(itertools.product(mine, theirs), itertools.combinations(mine, 2))
    text = "shares memory with {}: a change of one in place (clipping, +=) changes the other; return a copy"
    arrays = {**theirs, **mine}
    return [broken("shared", a, text.format(b)) for a, b in pairs if np.shares_memory(mine[a], arrays[b])]


def changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The names whose gradients differ between the two calls."""
    before, after = numbers(first), numbers(second)
    return [name for name in before if name not in after or not _same(before[name], after[name])]


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True)
