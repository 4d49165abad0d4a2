"""The smallest case that is still wrong, and what all wrong cases have in common: more rows, more steps, states."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..tracing.trace import norm
from .debugger.job import CLOSE, Job
from .layers.adapter import Adapter

ROUNDING = 1e4  # differences of a layer in float32 are off by so many times its rounding
#: What a mistake needs in order to be seen, and what that means.
MEANS = {
    "N > 1": "a sum over the batch, or rows that are mixed",
    "T > 1": "what is carried from step to step, what is added up over steps, or a cache of another step",
    "states that are not zero": "a factor of the state that came in",
}
Case = Mapping[str, Any]  # N, T, and whether the states are "still", which is zero


def smallest_case(job: Job, batched: Sequence[str]) -> tuple[dict[str, Any], str]:
    """The sizes of the smallest case that is wrong, and what the wrong cases have in common, in words.

    Cases have one or two rows, one or two steps, and the states as they are or zero. ``batched`` are the inputs with
    a row for each sample; the first of them has steps if it has three axes, or two axes of integers.
    """
    arrays = [np.asarray(x) for name, x in zip(job.adapter.input_names, job.adapter.inputs) if name in batched]
    if not arrays or not arrays[0].ndim:
        return {}, ""
    axes = ("TN" if time_leads(job.adapter, arrays[0]) else "NT") if _has_steps(arrays[0]) else "N"
    still = (True, False) if sum(x.dtype.kind == "f" for x in arrays) > 1 else (False,)
    steps = (1, 2) if "T" in axes else (1,)
    cases = [{"T": T, "N": N, "still": zero} for T, N, zero in itertools.product(steps, (1, 2), still)]
    shown = [(case, is_wrong(job, [*_cut(job.adapter, batched, axes, case)])) for case in cases]
    cases, wrong = [case for case, fails in shown if fails is not None], [case for case, fails in shown if fails]
    if not cases:
        return {}, ""
    if not wrong:
        return {}, "only larger cases fail than 2 rows and 2 steps"
    letters = [*"NT"[: len(axes)], *["still"] * (len(still) > 1)]
    return {letter: wrong[0][letter] for letter in letters}, in_common(wrong, cases)


def in_common(wrong: Sequence[Case], cases: Sequence[Case]) -> str:
    """What the wrong cases have in common; if nothing, in which ways a case can be wrong."""
    if len(wrong) == len(cases):
        return "in every case: a local derivative, or what comes in"
    states = any(case["still"] for case in cases)
    have = [[text for text, holds in zip(MEANS, (case["N"] > 1, case["T"] > 1, states and not case["still"])) if holds]
            for case in wrong]  # fmt: skip
    common = [text for text in MEANS if all(text in texts for texts in have)]
    if common:
        return "; ".join(f"only with {text}: {MEANS[text]}" for text in common)
    least = [texts for texts in have if not any(set(other) < set(texts) for other in have)]
    return f"only with {', or with '.join(dict.fromkeys(' and '.join(texts) for texts in least))}"


def is_wrong(job: Job, inputs: Sequence[Any]) -> bool | None:
    """Is the job wrong on other inputs? None if they show nothing: it does not run, or all its gradients are zero."""
    try:
        few = job.on(inputs, job.seed)
    except Exception:  # of the user's code, which need not run on fewer rows and steps
        return None
    sizes = {name: norm(slope.values) for name, slope in few.right.items() if name not in job.needless}
    rounding = ROUNDING * few.problem.coarse * max(sizes.values(), default=0)
    errors = [few.first.errors[name] for name, size in sizes.items() if size >= rounding]
    if any(error > max(CLOSE, ROUNDING * few.problem.coarse) for error in errors):
        return True
    return False if any(sizes.values()) else None


def time_leads(adapter: Adapter, x: np.ndarray) -> bool:
    """Is the first axis of an input time: do outputs depend on inputs before them there, but not along the second?"""
    before = adapter.run().outputs

    def mixes(axis: int) -> bool:
        other = np.array(x)
        np.moveaxis(other, axis, 0)[0] = np.moveaxis(x, axis, 0)[-1]
        after = adapter.with_inputs([other if y is x else y for y in adapter.inputs]).run().outputs
        return any(a.shape[:2] == x.shape[:2] and not np.array_equal(np.delete(a, 0, axis), np.delete(b, 0, axis))
                   for a, b in zip(before, after))  # fmt: skip

    return mixes(0) and not mixes(1)


def _has_steps(x: np.ndarray) -> bool:
    return x.ndim == 3 or (x.ndim == 2 and x.dtype.kind != "f")


def _cut(adapter: Adapter, batched: Sequence[str], axes: str, case: Case) -> Iterator[Any]:
    """The inputs with the first rows and steps, and with zero states if they are to be still."""
    for name, x in zip(adapter.input_names, adapter.inputs):
        if name in batched and np.ndim(x):
            along = axes if _has_steps(np.asarray(x)) else "N"
            x = x[tuple(slice(case[letter]) for letter in along)]
            x = 0 * x if case["still"] and name != batched[0] and np.asarray(x).dtype.kind == "f" else x
        yield x
