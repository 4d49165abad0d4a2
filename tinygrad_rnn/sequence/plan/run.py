"""A planned scan as a part of the graph: one node that leads to the outputs and the last states.

Its backward pass is that of the plan. Where the gradients are recorded themselves, for higher-order gradients, the loop
runs again eagerly and its graph is used.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.step_run import StepRun
from ...engine import versions
from ...engine.checkpoint import PART, Parts
from ...engine.graph import Node, Rule
from ...engine.higher_order import backpropagate_recorded, recording_on
from ...engine.tensor import Tensor, make, value
from ...errors import MutationError
from ..loop import label
from .cache import Request, plan_for
from .compiled import Plan
from .directions import MASK
from .pool import in_order
from .segments import Segments
from .unplanned import Loop


class Planned:
    """A scan that a plan has run: what its backward pass needs."""

    def __init__(self, request: Request, plan: Plan, xs: Tensor, state: Sequence[Tensor], mask: Any, reverse: bool,
                 windows: int, checkpoint: int | None):  # fmt: skip
        self.plan: Plan | Segments = plan if checkpoint is None else Segments(plan, checkpoint, request.cell.input)
        self.cell, self.xs, self.state, self.mask = request.cell, xs, state, mask
        self.request, self.reverse = request, reverse
        self.loop: Any = Loop(request, mask, reverse, windows) if request.wanted else None
        self.reached = plan.reached(request.wanted, xs.shape[1])  # by the outputs, then by each last state
        self.saved: Any = None
        self.since = 0

    def run(self) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """The outputs (N, T, H) and the last states."""
        request, recorded = self.request, bool(self.request.wanted)
        leaves = {name: _secured(tensor, recorded) for name, tensor in request.tensors.items()}
        leaves.update({name: _secured(arg, recorded) for name, arg in {**request.config, **request.outer}.items()})
        xs = self.xs._array if self.mask is None else np.where(self.mask, self.xs._array, 0)
        leaves[self.cell.input] = self._in_order(xs)
        leaves[MASK] = None if self.mask is None else self._in_order(self.mask)
        state = [np.asarray(tensor._array) for tensor in self.state]
        hs, last, saved = self.plan.forward(leaves[self.cell.input], state, leaves, request.config.get("rng"))
        if recorded:
            self.saved, self.leaves = saved, leaves
        hs = hs[::-1] if self.reverse else hs
        return np.array(np.swapaxes(hs, 0, 1), order="C"), tuple(np.array(array) for array in last)

    def _in_order(self, array: np.ndarray) -> np.ndarray:
        """(N, T, ...) as (T, N, ...), in the order in which the steps run."""
        array = np.swapaxes(array, 0, 1)
        return in_order(array[::-1] if self.reverse else array)

    def gradients(self, parts: Parts, outer: Sequence[Node]) -> list[Any]:
        """The gradients by the nodes ``outer``."""
        if any(isinstance(dy, Tensor) for dy in parts):
            return self._recorded(parts, outer)
        self._check()
        dhs, *dstate = parts
        N, T = self.xs.shape[:2]
        dhs = self._in_order(np.zeros((N, T, *self.state[0].shape[1:]), self.request.dtype) if dhs is None else dhs)
        dstate = [np.zeros(old.shape, old.dtype) if dy is None else dy for dy, old in zip(dstate, self.state)]
        gradients = self.plan.backward(dhs, dstate, self.saved, self.leaves)
        return self._by_node(dict(zip([*self.cell.states, *self.plan.returns], gradients)), outer)

    def _by_node(self, gradients: dict[str, Any], outer: Sequence[Node]) -> list[Any]:
        """The gradients by nodes; a node that is several arguments gets their sum."""
        dxs = gradients.get(self.cell.input)
        if dxs is not None:
            dxs = np.swapaxes(dxs[::-1] if self.reverse else dxs, 0, 1)
            gradients[self.cell.input] = dxs if self.mask is None else np.where(self.mask, dxs, 0)
        totals: dict[Node, Any] = {}
        for name, tensor in {**self.request.tensors, **self.request.outer}.items():
            node, g = getattr(tensor, "node", None), gradients.get(name)
            if node is not None and g is not None:
                totals[node] = totals[node] + g if node in totals else g
        return [totals[node] if node in totals else np.zeros(node.shape, node.dtype) for node in outer]

    def reads(self) -> list[Any]:
        """The arrays that the backward pass depends on, besides those that the forward pass has computed."""
        return [*self.leaves.values(), *(tensor._array for tensor in self.state)]

    def _check(self) -> None:
        """Raise MutationError if an argument was changed by the library after the forward pass."""
        for name, array in self.leaves.items():
            if isinstance(array, np.ndarray) and versions.is_written(array, self.since):
                raise MutationError(
                    f"scan of {self.cell.name}: {name}, an array of shape {array.shape} that its gradient needs, was "
                    "changed after the forward pass; change it after backward(), or compute with a copy"
                )

    def _recorded(self, parts: Parts, outer: Sequence[Node]) -> list[Any]:
        """The gradients as Tensors: those of the loop, run again."""
        self._check()
        with recording_on(0):
            results = self.loop.run(self.request.tensors)
        roots: dict[Node, Any] = {}
        for y, dy in zip(results, parts, strict=True):
            if dy is not None and y.node is not None:
                roots[y.node] = roots[y.node] + dy if y.node in roots else dy
        gradients = backpropagate_recorded(roots, list(outer))
        return [gradients.get(node, np.zeros(node.shape, node.dtype)) for node in outer]


def _secured(x: Any, recorded: bool) -> Any:
    """The array of an argument; a copy if the backward pass needs it and user code can write to it."""
    if not recorded or not isinstance(x, (Tensor, np.ndarray)):
        return value(x)
    return versions.saveable(x, np.asarray(value(x)))


def planned(
    cell: Cell,
    xs: Tensor,
    state: Sequence[Tensor],
    params: Any,
    mask: Any,
    reverse: bool,
    windows: int = 1,
    checkpoint: int | None = None,
    jit: bool = False,
) -> Any:
    """The outputs and the last states as Tensors, by the plan of the cell. Raises PlanError if there is none."""
    request = Request(cell, xs, state, params, mask is not None, jit)
    plan = plan_for(request)
    this = Planned(request, plan, xs, state, mask, reverse, windows, checkpoint)
    hs, last = this.run()
    tensors = [make(array, None) for array in (hs, *last)]
    if any(this.reached):
        _record(this, tensors)
        run = StepRun(cell, range(0), state, cell.bind(params), windows)
        run.starts.append(this.since)
        label(run, tensors[0], tensors[1:])
    return tensors[0], tuple(tensors[1:])


def _record(this: Planned, tensors: Sequence[Tensor]) -> None:
    """Record the node of the scan, and those of its outputs."""
    known = {**this.request.tensors, **this.request.outer}
    outer: dict[Node, list[str]] = {}
    for name in {name: None for names in this.reached for name in names}:
        outer.setdefault(known[name].node, []).append(name)
    hub = Node([(node, _gradient(k, list(outer), outer[node]), (this,)) for k, node in enumerate(outer)], None, None)
    hub.inside, this.since = this.loop, hub.seq
    for k, tensor in enumerate(tensors):
        if this.reached[k]:
            tensor.node = Node([(hub, PART, (k, len(tensors)))], tensor.shape, tensor.dtype, attrs={"of": "scan"})
        this.loop.nodes.append(tensor.node and weakref.ref(tensor.node))


def _gradient(k: int, outer: Sequence[Node], names: Sequence[str]) -> Rule:
    """The gradient by node k, the arguments ``names``; the first call computes those by all nodes.

    None if no output that has a gradient depends on it.
    """

    def fn(parts: Parts, this: Planned) -> Any:
        reached = [known for known, dy in zip(this.reached, parts) if dy is not None]
        if not any(name in known for known in reached for name in names):
            return None
        if not hasattr(parts, "done"):
            parts.done = this.gradients(parts, outer)  # type: ignore[attr-defined]
        g, parts.done[k] = parts.done[k], None  # type: ignore[attr-defined]
        return g

    rule = Rule(fn)
    rule.cheaper(inplace_dy=fn)  # such a rule may return None
    return rule
