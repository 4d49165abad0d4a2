"""What a gradient by hand may be: by which values of forward, and how those of several runs are put together.

A loop computes ``A`` three times, a helper that is called twice binds its variables twice, and ``h = tanh(h @ W)``
gives one name to two values. By hand people return that of one run, the sum of all, or all of them, stacked along some
axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Reading:
    """The gradients by ``numbers`` at the runs of T steps, (T, runs in a step, ...), ``put`` together.

    ``direct`` are the values, one in each step, that it is the gradient by as it stands. ``text`` is the reading in
    words. ``inner`` says that it is by the sum inside of the gate that is named.
    """

    numbers: Sequence[int]
    put: Callable[[np.ndarray], np.ndarray]
    T: int = 1
    direct: Sequence[int] = ()
    text: str = ""
    inner: bool = False

    def of(self, runs: np.ndarray) -> np.ndarray:
        """The gradient, from those by the runs, one after the other."""
        return self.put(runs.reshape(self.T, len(runs) // self.T, *runs.shape[1:]))


def usual(numbers: Sequence[int], timed: bool, inner: bool = False) -> Reading:
    """The gradient by a value, that of all steps stacked along axis 1."""
    put: Any = (lambda S: np.moveaxis(S[:, 0], 0, 1)) if timed else (lambda S: S[0, 0])
    return Reading(numbers, put, len(numbers), numbers, "", inner)


def readings(numbers: Sequence[int], T: int, timed: bool, ndim: int) -> Iterator[Reading]:
    """All readings for the values of a name, with ``ndim`` axes, K times in each of T steps."""
    K = len(numbers) // T
    if not K or len(numbers) % T or K * T == 1:
        return
    each, every = (" in each step", "steps and runs") if timed else ("", "runs")
    picks: list[Any] = [(f"run {k + 1} of {K}{each}", lambda S, k=k: S[:, k], numbers[k::K]) for k in range(K)]
    picks += [(f"the sum over its {K} runs{each}", lambda S: S.sum(1), ())]
    flat: list[Any] = [(f"all {every}", lambda S: S.reshape(-1, *S.shape[2:]), ())]
    flat += [("all runs, from the last", lambda S: S[0, ::-1], ())] if not timed else []
    for text, pick, direct in picks if K > 1 and not timed else ():
        yield Reading(numbers, lambda S, pick=pick: pick(S)[0], T, direct, text)  # type: ignore[misc]
    for text, pick, direct in [*(picks if K > 1 and timed else []), *flat]:
        for axis in range(ndim + 1):
            yield Reading(numbers, lambda S, pick=pick, axis=axis: np.moveaxis(pick(S), 0, axis), T,  # type: ignore[misc]
                          direct if axis == 1 else (), f"{text}, along axis {axis}")  # fmt: skip
    for axes in itertools.permutations(range(ndim + 2), 2) if K > 1 and timed else ():
        yield Reading(numbers, lambda S, axes=axes: np.moveaxis(S, (0, 1), axes), T, (), f"all {every}")  # type: ignore[misc]
