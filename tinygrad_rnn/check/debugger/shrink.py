"""The layer on fewer rows and steps: there a search is faster, and the gradients determine the values of a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .job import Job

SIZES = (2, 3)  # of an axis that is cut


def smaller(job: Job) -> Job:
    """The job on inputs that are cut along axes which input and output share, as long as the same is wrong."""
    main = max(job.adapter.inputs, key=np.ndim, default=0.0)
    shared = [size for size in np.shape(main) if any(size in np.shape(y) for y in job.first.outputs)]
    for size in dict.fromkeys(shared):
        for new in SIZES if size > SIZES[0] else ():
            cut = _job_on(job, [_cut(x, size, new) for x in job.adapter.inputs])
            if cut is not None and cut.first.wrong == job.first.wrong and cut.needless == job.needless:
                job = cut
                break
    return job


def _job_on(job: Job, inputs: Sequence[Any]) -> Job | None:
    """The job on other inputs; None if the layer does not run on them, or does not give one axis less of outputs."""
    try:
        cut = Job(job.adapter.with_inputs(inputs), job.roots, job.seed)
    except Exception:  # of the user's code, on inputs of other shapes
        return None
    cut.units = job.units  # the nodes of these are known to others
    shapes = [(np.shape(a), np.shape(b)) for a, b in zip(cut.first.outputs, job.first.outputs)]
    changed = [sum(x != y for x, y in zip(a, b)) if len(a) == len(b) else 2 for a, b in shapes]
    return cut if max(changed, default=0) == 1 else None


def _cut(x: Any, size: int, new: int) -> Any:
    """The first ``new`` of ``size`` along the axes that have this size."""
    return x[tuple(slice(new) if n == size else slice(None) for n in np.shape(x))] if size in np.shape(x) else x
