"""Mistakes with a whole gradient when it is done: its sign, its blocks, what was added up over steps and rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..report import distance
from .case import Case
from .tape import Edit

MATCH = 1e-8
Result = Callable[[Any, Mapping[str, Any]], Any]

#: What may have been done with the gradients of the single steps, or rows, in the place of adding them up.
SUMS: dict[str, tuple[str, Callable[[int], list[float]]]] = {
    "only that of the first {step}, should be the sum over all": ("overwritten", lambda n: [1.0] + [0.0] * (n - 1)),
    "only that of the last {step}, should be the sum over all": ("overwritten", lambda n: [0.0] * (n - 1) + [1.0]),
    "the first {step} is left out of the sum": ("step left out", lambda n: [0.0] + [1.0] * (n - 1)),
    "the last {step} is left out of the sum": ("step left out", lambda n: [1.0] * (n - 1) + [0.0]),
    "the sum so far is added at every {step}, so that late ones count often": (
        "factor", lambda n: [float(k + 1) for k in range(n)]),
}  # fmt: skip
#: One change to the whole: how it is told, and what it is.
WHOLE: dict[str, tuple[str, Callable[[Any, Mapping[str, int]], Any]]] = {
    "its sign is flipped": ("sign", lambda g, n: -g),
    "is zero throughout, as if it had been forgotten": ("missing", lambda g, n: 0 * g),
    "has a factor 2 too many": ("factor", lambda g, n: 2 * g),
    "has a factor 1/2 too many": ("factor", lambda g, n: g / 2),
    "has a factor N = {N} too many: a sum over the batch taken twice": ("factor N", lambda g, n: n["N"] * g),
    "has a factor 1/N = 1/{N} too many: a mean over the batch where a sum should be": (
        "factor N", lambda g, n: g / n["N"]),
    "has a factor T = {T} too many": ("factor T", lambda g, n: n["T"] * g),
    "has a factor 1/T = 1/{T} too many: a mean over time where a sum should be": ("factor T", lambda g, n: g / n["T"]),
    "has a factor 1/(N T) too many: a mean where a sum should be": ("factor N T", lambda g, n: g / n["N"] / n["T"]),
    "has a factor N T = {N} * {T} too many: a sum where a mean should be": (
        "factor N T", lambda g, n: n["N"] * n["T"] * g),
    "is transposed": ("transposed", lambda g, n: g.T if g.ndim == 2 else g),
}  # fmt: skip
IN_TIME: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "is in the wrong order of time": ("reversed", lambda g: g[:, ::-1]),
    "stands one step too late": ("step", lambda g: np.roll(g, 1, axis=1)),
    "stands one step too early": ("step", lambda g: np.roll(g, -1, axis=1)),
}


def whole(case: Case, name: str, got: Any, found: Mapping[str, Any], edits: tuple[Edit, ...]) -> Iterator[Edit]:
    """Mistakes that turn ``found[name]``, the right one with ``edits``, into ``got``: only those that do, here."""
    for kind, tensor, text, result, rank in _every(case, name, got, found, edits):
        made = result(case, found)
        if np.shape(made) == np.shape(got) and distance(got, made) <= MATCH:
            yield Edit(kind, tensor, f"{tensor}: {text}", results={name: result}, rank=rank)


def _every(case: Case, name: str, got: Any, found: Mapping[str, Any], edits: tuple[Edit, ...]) -> Iterator[Any]:
    g, counts = found[name], case.tape.counts
    for text, (kind, change) in WHOLE.items():
        if "T" not in kind or counts.get("T", 1) > 2:
            yield kind, name, text.format(**{"T": 1, **counts}), _of(name, change), 0
    if case.timed and np.ndim(g) == 3:
        for text, (kind, turn) in IN_TIME.items():
            yield kind, name, text, _turned(name, turn), 0
    yield from _copied(name, g, found)
    yield from _blocks(case, name, got, found)
    if case.lines[name][0] == "given":
        yield from _sums(case, name, edits)
    yield from _extra(case, name, got, found)


def _of(name: str, change: Callable[[Any, Mapping[str, int]], Any]) -> Result:
    return lambda case, found: change(found[name], {"T": 1, **case.tape.counts})


def _turned(name: str, turn: Callable[[Any], Any]) -> Result:
    return lambda case, found: turn(found[name])


def _copied(name: str, g: Any, found: Mapping[str, Any]) -> Iterator[Any]:
    for other in found:
        if other != name:
            yield "copied", name, f"is the gradient {other}", _turned(other, lambda x: x), 1
            yield "copied", name, f"is minus the gradient {other}", _turned(other, lambda x: -x), 1


# -- blocks ------------------------------------------------------------------------------------------------------------


def _blocks(case: Case, name: str, got: Any, found: Mapping[str, Any]) -> Iterator[Any]:
    """Gate blocks in another order, or one of them wrong."""
    rights = case.atoms(name, found[name])
    if len(rights) < 2 or np.shape(got) != np.shape(found[name]):
        return
    names, gots = [one.rpartition(".")[2] for one in rights], list(case.atoms(name, got).values())
    made_of = [_source(one, list(rights.values())) for one in gots]
    if sorted(made_of) == list(range(len(names))) != made_of:
        order = " ".join(names[k] for k in made_of)
        text = f"its gate blocks stand in the order {order}, should be {' '.join(names)}"
        yield "permuted", name, text, _placed(name, {k: _taken(n) for k, n in enumerate(made_of)}), 0
    wrong = [k for k, (a, b) in enumerate(zip(gots, rights.values())) if distance(a, b) > MATCH]
    options = [list(_block(k, names, gots[k], list(rights.values()), case)) for k in wrong]
    if not options or not all(options):
        return
    for chosen in itertools.islice(itertools.product(*options), 4):
        change = {k: how for k, (_, _, how) in zip(wrong, chosen)}
        tensor = f"{name}.{names[wrong[0]]}"
        several = [f"{names[k]} {text}" for k, (_, text, _) in zip(wrong, chosen)]
        yield chosen[0][0], tensor, "; ".join(several) if len(wrong) > 1 else chosen[0][1], _placed(name, change), 1


def _source(block: Any, rights: list[Any]) -> int:
    return next((k for k, one in enumerate(rights) if distance(block, one) <= MATCH), -1)


def _taken(k: int) -> Callable[[list[Any], Any], Any]:
    return lambda blocks, counts: blocks[k]


def _block(k: int, names: list[str], got: Any, rights: list[Any], case: Case) -> Iterator[Any]:
    """What turns one block into what it is."""
    counts = {"T": 1, **case.tape.counts}
    for text, (kind, change) in WHOLE.items():
        made = change(rights[k], counts) if "T" not in kind or counts["T"] > 2 else rights[k]
        if made is not rights[k] and np.shape(made) == np.shape(got) and distance(got, made) <= MATCH:
            yield kind, text.format(**counts), _changed(k, change)
    for j, one in enumerate(rights):
        if j != k and distance(got, one) <= MATCH:
            yield "copied", f"is the block {names[j]}", _taken(j)
        if j != k and distance(got, -one) <= MATCH:
            yield "copied", f"is minus the block {names[j]}", lambda blocks, counts, j=j: -blocks[j]


def _changed(k: int, change: Callable[[Any, Mapping[str, int]], Any]) -> Callable[[list[Any], Any], Any]:
    return lambda blocks, counts: change(blocks[k], counts)


def _placed(name: str, change: Mapping[int, Callable[[list[Any], Any], Any]]) -> Result:
    def result(case: Case, found: Mapping[str, Any]) -> Any:
        blocks, counts = list(case.atoms(name, found[name]).values()), {"T": 1, **case.tape.counts}
        return np.concatenate([change[k](blocks, counts) if k in change else b for k, b in enumerate(blocks)], axis=-1)

    return result


# -- sums over steps and rows ------------------------------------------------------------------------------------------


def _sums(case: Case, name: str, edits: tuple[Edit, ...]) -> Iterator[Any]:
    """Of what every step, or every row of the batch, gives to a parameter."""
    if case.tape.values[case.tape.lines[case.lines[name]][0]].kind != "parameter":
        return
    for what, parts in (("step", _by_step), ("row", _by_row)):
        for text, (kind, weights) in SUMS.items():
            kind = kind if what == "step" else "factor N" if kind == "factor" else "overwritten"
            yield kind, name, text.format(step=what), _weighted(name, parts, weights, edits), 1


def _weighted(name: str, parts: Any, weights: Callable[[int], list[float]], edits: tuple[Edit, ...]) -> Result:
    def result(case: Case, found: Mapping[str, Any]) -> Any:
        each = parts(case, name, edits)
        return sum(w * one for w, one in zip(weights(len(each)), each)) if len(each) > 1 else found[name]

    return result


def _by_step(case: Case, name: str, edits: tuple[Edit, ...]) -> list[Any]:
    """What every step gives."""
    case.tape.back(case.groups, edits, case.instead)
    number = case.tape.lines[case.lines[name]][0]
    found: dict[int, Any] = {}
    for (target, _), part in ((key, part) for key, part in case.tape.parts.get(number, []) if not isinstance(key, str)):
        t = case.tape.run[target]
        found[t] = found[t] + part if t in found else part
    return [found[t] for t in sorted(found)]


def _by_row(case: Case, name: str, edits: tuple[Edit, ...]) -> list[Any]:
    """What every row of the batch gives: the backward pass is linear, so the others' gradients are set to zero."""
    N = case.tape.counts["N"]
    if any(len(dy) != N for group in case.groups.values() for dy in group.values() if np.ndim(dy)):
        return []  # the first axis is not the batch
    found = []
    for n in range(N):
        groups = {key: {k: _only(dy, n) for k, dy in group.items()} for key, group in case.groups.items()}
        instead = {k: _only(g, n) for k, g in case.instead.items()}
        found.append(case.gradient(case.lines[name], case.tape.back(groups, edits, instead)))
    return found


def _only(dy: Any, n: int) -> Any:
    if not np.ndim(dy):
        return dy
    keep = np.zeros((len(dy), *[1] * (np.ndim(dy) - 1)))
    keep[n] = 1
    return dy * keep


# -- a term too many ---------------------------------------------------------------------------------------------------


def _extra(case: Case, name: str, got: Any, found: Mapping[str, Any]) -> Iterator[Any]:
    """Another array of the same shape, times a number, was added; or the whole has a factor."""
    right = found[name]
    if np.shape(got) != np.shape(right) or not np.isfinite(got).all():
        return
    others = {other: (lambda case, found, other=other: found[other]) for other in found}
    others |= {key: (lambda case, found, key=key: case.problem.arrays[key]) for key in case.problem.names}
    for k, key in enumerate(case.groups):
        others[f"{key} that comes in"] = lambda case, found, k=k: case.problem.dys[k]
    for key, of in others.items():
        term = of(case, found)
        size = float(np.sum(np.square(term)))
        if np.shape(term) != np.shape(right) or not size:
            continue
        factor = float(np.sum((got - right) * term) / size)
        if abs(factor) > 1e-12 and distance(got, right + factor * term) <= MATCH:
            if key == name:
                yield "factor", name, f"is {1 + factor:.6g} times what it should be", _plus(name, of, factor), 3
            else:
                often = "" if abs(factor - 1) < 1e-9 else f"{factor:.6g} * "
                yield "extra", name, f"has a term {often}{key} too many", _plus(name, of, factor), 3


def _plus(name: str, of: Any, factor: float) -> Result:
    return lambda case, found: found[name] + factor * of(case, found)
