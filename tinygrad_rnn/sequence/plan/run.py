"""A planned scan as a part of the graph: one node that leads to the outputs and the last states.

Its backward pass is that of the plan. Where the gradients are recorded themselves, for higher-order gradients, the loop
runs again eagerly and its graph is used.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...cells.step_run import StepRun
from ...engine import versions
from ...engine.checkpoint import PART, Parts
from ...engine.graph import Node, Rule
from ...engine.higher_order import backpropagate_recorded, recording_on
from ...engine.tensor import Tensor, make, value
from ...errors import MutationError
from ..call import Call
from .cache import Request, plan_for, request_of
from .compiled import Plan
from .directions import MASK
from .pool import in_order
from .segments import Segments
from .unplanned import Loop

#: Rows below which a single step is not compiled: to pack a weight takes longer than a product with it.
FEW = 8


class Planned:
    """A scan that a plan has run: what its backward pass needs.

    ``reached`` are the arguments that the outputs depend on, then those of each last state, ``known`` those of any.
    ``outer`` are the nodes of the arguments that the gradient flows to, ``names`` the arguments of each.
    """

    def __init__(self, call: Call, request: Request, plan: Plan):
        self.plan: Plan | Segments = plan
        if call.checkpoint is not None:
            self.plan = Segments(plan, call.checkpoint, call.cell.input)
        self.call, self.request = call, request
        self.loop: Any = Loop(call, request.kinds) if request.wanted else None  # before random numbers are drawn
        self.reached, self.known = plan.reached(request.wanted, call.xs.shape[1])
        self.outer, self.names = list[Node](), list[list[str]]()
        self.since = 0

    def run(self) -> tuple[np.ndarray, list[np.ndarray]]:
        """The outputs (N, T, H) and the last states."""
        call, recorded = self.call, bool(self.request.wanted)
        leaves: dict[str, Any] = {}
        for arguments in (call.tensors, call.config, self.request.outer):
            for name, arg in arguments.items():
                leaves[name] = _secured(arg) if recorded else value(arg)
        xs = leaves[call.cell.input]
        leaves[call.cell.input] = self._in_order(xs if call.mask is None else np.where(call.mask, xs, 0))
        leaves[MASK] = None if call.mask is None else self._in_order(call.mask)
        state = [np.asarray(tensor._array) for tensor in call.state]
        hs, last, saved = self.plan.forward(leaves[call.cell.input], state, leaves, call.config.get("rng"))
        if recorded:
            self.saved, self.leaves = saved, leaves
        hs = hs[::-1] if call.reverse else hs
        return np.array(hs.swapaxes(0, 1), order="C"), [np.array(array) for array in last]

    def _in_order(self, array: np.ndarray) -> np.ndarray:
        """(N, T, ...) as (T, N, ...), contiguous, in the order in which the steps run."""
        array = array.swapaxes(0, 1)
        if self.call.reverse:
            array = array[::-1]
        return array if array.flags.c_contiguous else in_order(array)

    def gradients(self, parts: Parts) -> list[Any]:
        """The gradients by the nodes ``outer``."""
        if any(isinstance(dy, Tensor) for dy in parts):
            return self._recorded(parts)
        self._check()
        call = self.call
        dhs, *dstate = parts
        N, T = call.xs.shape[:2]
        dhs = self._in_order(np.zeros((N, T, *call.state[0].shape[1:]), self.request.dtype) if dhs is None else dhs)
        dstate = [np.zeros(old.shape, old.dtype) if dy is None else dy for dy, old in zip(dstate, call.state)]
        gradients = self.plan.backward(dhs, dstate, self.saved, self.leaves)
        return self._by_node(dict(zip([*call.cell.states, *self.plan.returns], gradients)))

    def _by_node(self, gradients: dict[str, Any]) -> list[Any]:
        """The gradients by nodes; a node that is several arguments gets their sum."""
        call = self.call
        dxs = gradients.get(call.cell.input)
        if dxs is not None:
            dxs = (dxs[::-1] if call.reverse else dxs).swapaxes(0, 1)
            gradients[call.cell.input] = dxs if call.mask is None else np.where(call.mask, dxs, 0)
        totals: list[Any] = []
        for node, names in zip(self.outer, self.names):
            total = None
            for name in names:
                g = gradients.get(name)
                total = g if total is None else total if g is None else total + g
            totals.append(np.zeros(node.shape, node.dtype) if total is None else total)
        return totals

    def reads(self) -> list[Any]:
        """The arrays that the backward pass depends on, besides those that the forward pass has computed."""
        return [*self.leaves.values(), *(tensor._array for tensor in self.call.state)]

    def _check(self) -> None:
        """Raise MutationError if an argument was changed by the library after the forward pass."""
        if not versions.any_written(self.since):
            return
        for name, array in self.leaves.items():
            if isinstance(array, np.ndarray) and versions.is_written(array, self.since):
                raise MutationError(
                    f"scan of {self.call.cell.name}: {name}, an array of shape {array.shape} that its gradient needs, "
                    "was changed after the forward pass; change it after backward(), or compute with a copy"
                )

    def _recorded(self, parts: Parts) -> list[Any]:
        """The gradients as Tensors: those of the loop, run again."""
        self._check()
        with recording_on(0):
            results = self.loop.run(self.call.tensors)
        roots: dict[Node, Any] = {}
        for y, dy in zip(results, parts, strict=True):
            if dy is not None and y.node is not None:
                roots[y.node] = roots[y.node] + dy if y.node in roots else dy
        gradients = backpropagate_recorded(roots, self.outer)
        return [gradients.get(node, np.zeros(node.shape, node.dtype)) for node in self.outer]


def _secured(x: Any) -> Any:
    """The array of an argument that the backward pass needs; a copy if user code can write to it."""
    return versions.saveable(x, np.asarray(value(x))) if isinstance(x, (Tensor, np.ndarray)) else x


def planned(call: Call, jit: bool = False) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The outputs and the last states, by the plan of the cell. Raises PlanError if there is none."""
    request = request_of(call, jit)
    plan = plan_for(request, call)
    N, T = call.xs.shape[:2]
    if T == 1 and plan.built.single is not None and (not jit or N < FEW):
        return _single(call, request, plan)
    this = Planned(call, request, plan)
    hs, last = this.run()
    tensors = [make(array, None) for array in (hs, *last)]
    if any(this.reached):
        _record(this, tensors)
    return tensors[0], tuple(tensors[1:])


def _single(call: Call, request: Request, plan: Plan) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The output and the new states of a single step."""
    leaves = {name: value(arg) for arguments in (call.tensors, call.config, request.outer)
              for name, arg in arguments.items()}  # fmt: skip
    state = [np.asarray(tensor._array) for tensor in call.state]
    output, *new = plan.step(leaves[call.cell.input][:, 0], state, leaves, call.config.get("rng"))
    return make(output, None), tuple([make(array, None) for array in new])


def _record(this: Planned, tensors: Sequence[Tensor]) -> None:
    """Record the node of the scan, and those of its outputs, which refer to the run (see `StepRun`)."""
    call, names = this.call, dict[Node, list[str]]()
    for name in this.request.wanted:
        if name in this.known:
            tensor = call.tensors[name] if name in call.tensors else this.request.outer[name]
            names.setdefault(tensor.node, []).append(name)
    this.outer, this.names = list(names), list(names.values())
    hub = Node([(node, GRADIENT, (this, k)) for k, node in enumerate(names)], None, None)
    hub.inside, this.since = this.loop, hub.seq
    run = StepRun(call.cell, range(0), call.state, call.params, call.windows)
    run.starts.append(hub.seq)
    for k, tensor in enumerate(tensors):
        if this.reached[k]:
            array = tensor._array
            node = tensor.node = Node([(hub, PART, (k, len(tensors)))], array.shape, array.dtype, None, OF_SCAN)
            node.run = run
            if k:
                node.name = call.cell.states[k - 1]
        this.loop.nodes.append(tensor.node and weakref.ref(tensor.node))


def _gradient(parts: Parts, this: Planned, k: int) -> Any:
    """The gradient by node k; the first call computes those by all nodes.

    None if no output that has a gradient depends on it.
    """
    if parts.done is None:
        flowing = [reached for reached, dy in zip(this.reached, parts) if dy is not None]
        flows = [any(name in reached for reached in flowing for name in names) for names in this.names]
        gradients = this.gradients(parts) if any(flows) else this.outer
        parts.done = [g if flow else None for g, flow in zip(gradients, flows)]
    g, parts.done[k] = parts.done[k], None
    return g


OF_SCAN = {"of": "scan"}
GRADIENT = Rule(_gradient)
GRADIENT.cheaper(consume_saved=_gradient)  # such a rule may return None
