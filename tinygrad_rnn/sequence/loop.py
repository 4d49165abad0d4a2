"""The loop of `scan`: the cell step by step, with masks for short rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cells.step_run import StepRun, positions
from ..engine.context import context as running
from ..engine.graph import clock
from ..engine.tensor import Tensor, make
from ..ops import stack, where


def run_loop(run: StepRun, xs: Tensor, state: Any, bound: Any, mask: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The loop of the docstring of `scan`. Masked steps read zeros, so that no padding reaches a gradient."""
    cell, times, starts = run.cell, run.times, run.starts
    hs: list[Any] = [None] * len(times)
    if mask is not None:
        xs = where(mask, xs, 0)
    before, state = running.step, twins(state)
    try:
        for t in times:
            running.step = t
            starts.append(clock())
            given = state if mask is None else twins(state)
            new = cell.step(xs[:, t], given, bound, check=t == times[0])
            if mask is not None:
                here = mask[:, t]
                new = tuple(where(fit(here, tensor), tensor, old) for tensor, old in zip(new, state, strict=True))
            first = new[0]  # the next step may change this Tensor in place, so a twin is collected
            hs[t] = make(first._array, first.node) if mask is None else where(fit(here, first), first, 0)
            state = new
            run.states.append(positions(new))
    finally:
        running.step, run.end = before, clock()
    outputs = stack(hs, axis=1)
    label(run, outputs, state)
    return outputs, tuple(state)


def label(run: StepRun, hs: Tensor, state: Sequence[Tensor]) -> None:
    """Name the last state, for messages about it, and leave the run on its nodes."""
    for name, tensor in zip(run.cell.states[::-1], state[::-1], strict=True):  # of two names the first stays
        if run.is_newer(tensor):
            tensor.node.name = name  # type: ignore[union-attr]
    run.mark(*state, hs)


def twins(state: Sequence[Tensor]) -> list[Tensor]:
    """The same states as new Tensors. A cell may change these in place without changing those of the caller."""
    return [make(tensor._array, tensor.node if running.recording else None) for tensor in state]


def fit(here: np.ndarray, tensor: Any) -> np.ndarray:
    """A mask (N, 1) with as many axes as ``tensor``."""
    return here.reshape(-1, *(1,) * (tensor.ndim - 1))
