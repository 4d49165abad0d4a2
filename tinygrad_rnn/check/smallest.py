"""The smallest case that is still wrong, and what all wrong cases have in common: more rows, more steps, states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .debugger.job import CLOSE, Job, derivatives
from .layers.adapter import Adapter
from .layers.problem import LayerProblem
from .numeric.derivatives import Slopes
from .report import distance

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
    a row for each sample; the first of them, if it has three axes, has the steps along the second.
    """
    adapter = job.adapter
    arrays = [np.asarray(x) for name, x in zip(adapter.input_names, adapter.inputs) if name in batched]
    if not arrays or not arrays[0].ndim:
        return {}, ""
    letters = {"N": True, "T": arrays[0].ndim == 3, "still": sum(x.dtype.kind == "f" for x in arrays) > 1}
    cases = [{"N": N, "T": T, "still": still} for T in (1, 2)[: 1 + letters["T"]] for N in (1, 2)
             for still in (True, False)[not letters["still"] :]]  # fmt: skip
    shown = [(case, is_wrong(job, batched, case)) for case in cases]
    cases, wrong = [case for case, fails in shown if fails is not None], [case for case, fails in shown if fails]
    if not cases:
        return {}, ""
    if not wrong:
        return {}, "only larger cases fail than 2 rows and 2 steps"
    smallest = min(wrong, key=lambda case: (case["T"], case["N"], not case["still"]))
    return {letter: smallest[letter] for letter in letters if letters[letter]}, in_common(wrong, cases)


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


def is_wrong(job: Job, batched: Sequence[str], case: Case) -> bool | None:
    """Is a smaller case wrong? None if it shows nothing: it does not run, or all its gradients are zero."""
    try:
        adapter = job.adapter.with_inputs(_cut(job.adapter, batched, case))
        with job.running(), np.errstate(all="ignore"):
            rng = np.random.default_rng(job.seed)
            problem = LayerProblem(adapter, adapter.run().outputs, rng)
            right = [derivatives(problem.L, problem.exact, k, rng, 0, job.right[name].exact)
                     for k, name in enumerate(problem.names)]  # fmt: skip
            gradients = adapter.gradients(adapter.run(adapter.floats, problem.dys))
    except Exception:  # of the user's code, which need not run on fewer rows and steps
        return None
    pairs = [(slope, gradients[name]) for slope, name in zip(right, problem.names) if name not in job.needless]
    if any(g is None or _error(slope, g) > CLOSE for slope, g in pairs):
        return True
    return False if any(np.any(slope.values) for slope, _ in pairs) else None


def _error(slope: Slopes, g: Any) -> float:
    fits = np.size(g) == slope.along.shape[1]
    return distance(slope.of(np.asarray(g, np.float64)), slope.values) if fits else np.inf


def _cut(adapter: Adapter, batched: Sequence[str], case: Case) -> list[Any]:
    """The inputs with the first rows and steps, and with zero states if they are to be still."""
    long = next(np.ndim(x) for name, x in zip(adapter.input_names, adapter.inputs) if name in batched) == 3
    inputs = []
    for name, x in zip(adapter.input_names, adapter.inputs):
        if name in batched:
            x = x[: case["N"]] if np.ndim(x) else x
            steps = np.ndim(x) == 3 or (np.ndim(x) == 2 and np.asarray(x).dtype.kind != "f")
            x = x[:, : case["T"]] if long and steps else x
            x = 0 * x if case["still"] and name != batched[0] and np.asarray(x).dtype.kind == "f" else x
        inputs.append(x)
    return inputs
