"""A long planned loop in segments of k steps: only the states between them are saved (Chen et al. 2016).

The backward pass runs the segments from the last to the first, each forward again and then backward. With k near √T the
saved memory grows with √T, for one more forward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .compiled import Plan
from .directions import MASK


class Segments:
    """A plan that runs in segments of ``k`` steps, with the functions of a `Plan`."""

    def __init__(self, plan: Plan, k: int, input: str):
        self.plan, self.k, self.input, self.returns = plan, k, input, plan.returns

    def forward(
        self, xs: np.ndarray, state: Sequence[np.ndarray], leaves: Mapping[str, Any], rng: Any = None
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...], Any]:
        """As `Plan.forward`; what it saves are the first states and the generator of each segment."""
        outputs: Any = None
        starts = []
        for a in range(0, len(xs), self.k):
            starts.append((state, copy.deepcopy(rng)))
            inside = self._part(leaves, a)
            hs, last, _ = self.plan.forward(inside[self.input], state, inside, rng)
            if outputs is None:
                outputs = np.empty((len(xs), *hs.shape[1:]), hs.dtype)
            outputs[a : a + self.k] = hs
            state = [np.array(array) for array in last]  # not a part of the stored states
        return outputs, tuple(state), starts

    def backward(
        self, doutputs: np.ndarray, dstate: Sequence[np.ndarray], saved: Any, leaves: Mapping[str, Any]
    ) -> tuple[Any, ...]:
        """As `Plan.backward`. The gradients by what all steps share are summed over the segments."""
        count, a = len(dstate), self.k * len(saved)
        dstate = list(dstate)
        totals: list[Any] = [None] * len(self.returns)
        for state, rng in reversed(saved):
            a -= self.k
            inside = self._part(leaves, a)
            again = self.plan.forward(inside[self.input], state, inside, copy.deepcopy(rng))[2]
            gradients = self.plan.backward(doutputs[a : a + self.k], dstate, again, inside)
            dstate = [np.array(g) for g in gradients[:count]]
            for k, g in enumerate(gradients[count:]):
                totals[k] = self._added(totals[k], g, self.returns[k], a, len(doutputs))
        return (*dstate, *totals)

    def _added(self, total: Any, g: Any, name: str, a: int, T: int) -> Any:
        """The total of a gradient with that of a segment which starts at step ``a``; that by xs is put in its place."""
        if g is None:
            return total
        if name == self.input:
            total = np.empty((T, *g.shape[1:]), g.dtype) if total is None else total
            total[a : a + self.k] = g
            return total
        if total is None:
            return np.array(g)
        total += g
        return total

    def _part(self, leaves: Mapping[str, Any], a: int) -> Mapping[str, Any]:
        """The leaves of the segment that starts at step ``a``."""
        timed = [name for name in (self.input, MASK) if leaves[name] is not None]
        return {**leaves, **{name: leaves[name][a : a + self.k] for name in timed}}
