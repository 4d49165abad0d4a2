"""The eager loop in segments of k steps, each a `checkpoint`: only the states between them are saved."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..cells.step_run import StepRun
from ..engine.checkpoint import checkpoint
from ..engine.tensor import Tensor
from ..ops import concatenate
from .call import Call
from .loop import run_loop


def run_in_segments(call: Call) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs and the last states, as `run_loop` gives them."""
    xs, state, T, k = call.xs, call.state, call.xs.shape[1], call.checkpoint or 1
    ends = range(T, 0, -k) if call.reverse else range(k, T + k, k)
    outputs = []
    for end in ends:
        part = slice(max(end - k, 0), min(end, T))
        segment = _segment(call, None if call.mask is None else call.mask[:, part])
        hs, *state = segment(xs[:, part], *state, **{name: call.params[name] for name in call.cell.params})
        outputs.append(hs)
    return concatenate(outputs[:: -1 if call.reverse else 1], axis=1), tuple(state)


def _segment(call: Call, mask: Any) -> Any:
    """The loop over a segment, which draws the same random numbers when it runs again."""
    cell, params, reverse = call.cell, call.params, call.reverse
    rng = params.get("rng")
    before = copy.deepcopy(rng) if isinstance(rng, np.random.Generator) else None
    runs = 0

    def segment(xs: Tensor, *state: Tensor, **parameters: Any) -> tuple[Tensor, ...]:
        nonlocal runs
        runs += 1
        drawn = {} if before is None else {"rng": rng if runs == 1 else copy.deepcopy(before)}
        bound = cell.bind({**params, **parameters, **drawn})
        run = StepRun(cell, range(xs.shape[1])[:: -1 if reverse else 1], state, bound)
        hs, last = run_loop(run, xs, state, bound, mask)
        return hs, *last

    return checkpoint(segment)
