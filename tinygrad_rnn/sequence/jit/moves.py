"""Operations that only move elements: joins, stacks, scattered slices, and arrays in another shape, as copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...ops.index import basic
from ..plan.program import Program, Statement
from .places import Place, part, viewed

#: The number of a value, where its elements go, and the shape of that place.
Copy = tuple[int, Place, tuple[int, ...]]


def _concatenated(program: Program, statement: Statement, place: Place) -> list[Copy] | None:
    rank, axis = len(program.shape(statement.out)), statement.attrs.get("axis", 0)
    if axis is None:
        return None
    result, start = [], 0
    for arg in statement.args:
        result.append((arg, part(place, start, axis % rank), program.shape(arg)))
        start += program.shape(arg)[axis]
    return result


def _stacked(program: Program, statement: Statement, place: Place) -> list[Copy]:
    shape = program.shape(statement.out)
    before = (slice(None),) * (statement.attrs.get("axis", 0) % len(shape))
    return [(arg, _at(place, (*before, k), shape), program.shape(arg)) for k, arg in enumerate(statement.args)]


def _scattered(program: Program, statement: Statement, place: Place) -> list[Copy] | None:
    index, arg = statement.attrs["index"], statement.args[0]
    return [(arg, _at(place, index, program.shape(statement.out)), program.shape(arg))] if basic(index) else None


def _assigned(program: Program, statement: Statement, place: Place) -> list[Copy] | None:
    index, (v, x), shape = statement.attrs["index"], statement.args, program.shape(statement.out)
    inner = np.empty(shape)[index].shape if basic(index) else ()
    if not basic(index) or len(inner) < len(program.shape(v)):
        return None
    return [(x, place, shape), (v, _at(place, index, shape), inner)]


def _at(place: Place, index: object, shape: tuple[int, ...]) -> Place:
    result = viewed("getitem", {"index": index}, place, shape)
    assert result is not None  # the index is basic
    return result


#: The operation: its copies, and whether its result is zero elsewhere.
MOVES: dict[str, tuple[Callable[[Program, Statement, Place], Sequence[Copy] | None], bool]] = {
    "concatenate": (_concatenated, False),
    "stack": (_stacked, False),
    "scatter": (_scattered, True),
    "assign": (_assigned, False),
}


def reshaped(shape: tuple[int, ...], new: tuple[int, ...], indices: Sequence[str]) -> list[str]:
    """The indices in an array of ``shape`` of the element at ``indices`` of the same elements in the shape ``new``."""
    if shape[:1] == new[:1] != ():
        return [indices[0], *reshaped(shape[1:], new[1:], indices[1:])]
    terms, step = [], 1
    for index, n in zip(indices[: len(new)][::-1], new[::-1]):
        terms += [index if step == 1 else f"{step} * {index}"] * (n > 1)
        step *= n
    flat, result, step = " + ".join(terms) or "0", [], 1
    for n in shape[::-1]:
        result.append("0" if n == 1 else f"({flat}) // {step} % {n}")
        step *= n
    return result[::-1]
