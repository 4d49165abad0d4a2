"""How long the passes of a plan take, beside what the machine can do: for `Explained.explain`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from .compiled import Plan

STEPS = 32
FEWEST, MOST, SECONDS = 3, 20, 0.2  #: runs, and the time after which there are no more of them
SIZE = 512  #: of the product that measures the peak


@functools.cache
def peak(dtype: str) -> float:
    """Floating point operations a second of a large product, measured once a process: the best of a few."""
    a = np.ones((SIZE, SIZE), dtype)
    return 2 * SIZE**3 / _best(lambda: np.dot(a, a, out=np.empty_like(a)))


def seconds_a_step(plan: Plan, input: str, states: list[str]) -> float:
    """The time of a step, forward and backward, on random arrays."""
    values = plan.built.forward.plan.program.values
    known = [value for value in values if value.kind not in ("operation", "constant")]
    rng = np.random.default_rng(0)
    leaves: dict[str, Any] = {value.name: _random(value.array, rng) for value in known}
    leaves[input] = np.repeat(leaves[input][None], STEPS, axis=0)
    state = [leaves[name] for name in states]

    def run() -> None:
        hs, last, saved = plan.forward(leaves[input], state, leaves, rng)
        if plan.built.backward is not None:
            plan.backward(np.ones(hs.shape, hs.dtype), [np.ones_like(array) for array in last], saved, leaves)

    return _best(run) / STEPS


def _random(like: Any, rng: np.random.Generator) -> Any:
    """A random array of the shape and dtype of another; anything else unchanged."""
    return np.asarray(rng.standard_normal(like.shape), like.dtype) if isinstance(like, np.ndarray) else like


def _best(run: Callable[[], Any]) -> float:
    run()  # is not counted
    times: list[float] = []
    while len(times) < FEWEST or (len(times) < MOST and sum(times) < SECONDS):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times)
