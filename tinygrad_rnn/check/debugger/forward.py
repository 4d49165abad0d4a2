"""The line by which a forward differs from a cell: an edit with which all outputs are the cell's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ..layers.adapter import Adapter
from ..layers.forward_match import compared_forward
from ..numeric.derivatives import Slopes
from .influence import ranks
from .job import Job, Outcome
from .observe import Observation
from .patch import Patch
from .search import Candidates, run

WORK = 6000.0  # in the unit of `Observation.runs`


class ForwardJob(Job):
    """A layer whose outputs, in the place of gradients, are compared with a cell's."""

    def __init__(self, adapter: Adapter, roots: Sequence[Any], cell: Cell, seed: int = 0):
        self.cell = cell
        super().__init__(adapter, roots, seed)

    def _right(self) -> dict[str, Slopes]:
        result = self.adapter.run()
        reference = compared_forward(self.adapter, self.cell, result.result).reference
        if len(reference) != len(result.outputs) or any(map(_misfit, reference, result.outputs)):
            return {}
        return {f"output {k}": Slopes(np.eye(y.size), np.ravel(y), np.zeros(y.size), True)
                for k, y in enumerate(reference)}  # fmt: skip

    def outcome(self) -> Outcome:
        outputs = self.adapter.run().outputs
        named = {f"output {k}": y for k, y in enumerate(outputs) if f"output {k}" in self.right}
        return Outcome(outputs, named, {name: self.error(name, y) for name, y in named.items()})

    def is_right(self) -> bool:
        outcome = self.outcome()
        return len(outcome.gradients) == len(self.right) and not outcome.wrong

    def same_outputs(self, outputs: Sequence[np.ndarray]) -> bool:
        return True

    def with_seed(self, seed: int) -> Job:
        return ForwardJob(super().with_seed(seed).adapter, self.roots, self.cell, seed)


def _misfit(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape != b.shape


def forward_patch(adapter: Adapter, roots: Sequence[Any], cell: Cell) -> Patch | None:
    """The change of a line with which forward is that of the cell; None if none is found."""
    job = ForwardJob(adapter, roots, cell)
    if not job.units or not job.first.wrong:
        return None
    seen = Observation(job)
    patches = run(job, Candidates(job, seen, ranks(job, seen)), seen.runs(WORK), job).patches
    return patches[0] if patches else None
