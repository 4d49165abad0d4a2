"""The gradients of a name that is computed several times: which of them was returned, or their sum, or their stack?

A loop computes ``A`` three times, a helper that is called twice binds its variables twice, and ``h = tanh(h @ W)``
gives one name to two values. By hand people return that of one run, the sum of all, or all of them, stacked along some
axis.
"""

from __future__ import annotations

import dis
import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..numeric.compare import CLOSE
from ..report import distance

#: Files that are not the user's: of this package, of NumPy, and operations, which are compiled.
OTHERS = (str(Path(__file__).parents[2]), str(Path(np.__file__).parent), "<operation")


def variable(frame: Any, last: Any) -> str:
    """The variable that the value of an operation is about to be bound to; "" if it goes into an expression.

    ``frame`` is inside the operation, ``last`` the code that is not looked at any more.
    """
    while frame is not None and frame.f_code is not last:
        if not frame.f_code.co_filename.startswith(OTHERS):
            name, argument = _following(frame.f_code).get(frame.f_lasti, ("", ""))
            if name.startswith("STORE_"):
                return argument
            if name != "RETURN_VALUE":
                return ""
        frame = frame.f_back
    return ""


@functools.lru_cache(maxsize=256)
def _following(code: Any) -> dict[int, tuple[str, str]]:
    """What comes after each instruction, by its place, and of what."""
    every = list(dis.get_instructions(code))
    names = [step.argval if isinstance(step.argval, str) else next(iter(step.argval), "")
             if isinstance(step.argval, tuple) else "" for step in every]  # fmt: skip
    return {step.offset: (after.opname, name) for step, after, name in zip(every, every[1:], names[1:])}


def reading(g: np.ndarray, runs: Sequence[Any], T: int) -> tuple[str, np.ndarray] | None:
    """What ``g`` is of the gradients of all runs, in words, and that; None if it is none of it."""
    for text, right in readings(runs, T):
        if right.shape == g.shape and distance(g, right) <= CLOSE:
            return text, right
    return None


def readings(runs: Sequence[Any], T: int) -> Iterator[tuple[str, np.ndarray]]:
    """Of ``runs`` in the order in which they were computed, as many in each of T steps."""
    K = len(runs) // T
    if not K or len(runs) % T or any(np.shape(run) != np.shape(runs[0]) for run in runs):
        return
    steps = np.stack(runs).reshape(T, K, *np.shape(runs[0]))
    each, every = (" in each step", "steps and runs") if T > 1 else ("", "runs")
    parts = [(f"run {k + 1} of {K}{each}", steps[:, k]) for k in range(K)] if K > 1 else []
    parts += [(f"the sum over its {K} runs{each}", steps.sum(axis=1))] if K > 1 else []
    for text, part in parts:
        yield from _placed(text, part) if T > 1 else [(text, part[0])]
    flat = steps.reshape(T * K, *steps.shape[2:])
    yield from _placed(f"all {every}", flat)
    if T == 1:
        yield from _placed("all runs, from the last", flat[::-1])
    elif K > 1:
        for first, second in itertools.permutations(range(steps.ndim), 2):
            yield f"all {every}", np.moveaxis(steps, (0, 1), (first, second))


def _placed(text: str, stacked: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    for axis in range(stacked.ndim):
        yield f"{text}, along axis {axis}", np.moveaxis(stacked, 0, axis)


def groups(numbers: Sequence[int], shapes: Mapping[int, Any]) -> list[list[int]]:
    """Values of one name, those of one shape together, in the order in which they were computed."""
    by_shape: dict[Any, list[int]] = {}
    for number in sorted(numbers):
        by_shape.setdefault(shapes[number], []).append(number)
    return list(by_shape.values())
