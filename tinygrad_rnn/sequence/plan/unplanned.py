"""The loop that a planned scan stands for: recorded again where the steps have to be in the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.step_run import StepRun
from ...engine.context import context
from ...engine.graph import USED, Node
from ...engine.tensor import Tensor, make, value
from ..call import Call
from ..loop import run_loop
from .verify import copied


class Loop:
    """A call of scan, without its arrays: the nodes, shapes and dtypes of its arguments, and its configuration."""

    def __init__(self, call: Call, kinds: Sequence[tuple[Any, Any]]):
        self.cell, self.mask, self.reverse, self.windows = call.cell, call.mask, call.reverse, call.windows
        self.config, self.scope, self.kinds = copied(call.config), context.scope, kinds
        self.names = [*(tensors := call.tensors)]
        self.arguments = [getattr(tensor, "node", None) for tensor in tensors.values()]
        self.nodes: list[Any] = []  # weak references to the nodes of the outputs

    def run(self, tensors: Mapping[str, Any]) -> tuple[Tensor, ...]:
        """The outputs and the last states of the eager loop."""
        cell = self.cell
        bound = cell.bind({**{name: tensors[name] for name in cell.params}, **copied(self.config)})
        xs, state = tensors[cell.input], [tensors[name] for name in cell.states]
        times = range(xs.shape[1])[:: -1 if self.reverse else 1]
        hs, last = run_loop(StepRun(cell, times, state, bound, self.windows), xs, state, bound, self.mask)
        return hs, *last

    def outputs(self) -> list[Node | None]:
        """The nodes of the outputs and of the last states, as far as they are alive."""
        return [node and node() for node in self.nodes]

    def record(self, hub: Node, in_place_of: Callable[[Any], Any]) -> tuple[Tensor, ...]:
        """The same on the nodes in the place of those of the arguments, for the node of the planned scan.

        Where a backward pass has used it up, the numbers are ones.
        """
        if hub.edges is USED:
            arrays = {name: np.ones(*kind) for name, kind in zip(self.names, self.kinds)}
        else:
            given = hub.edges[0][2][0].call.tensors
            arrays = {name: np.asarray(value(tensor)) for name, tensor in given.items()}
        nodes = {name: in_place_of(node) for name, node in zip(self.names, self.arguments)}
        before = context.scope
        try:
            context.scope = self.scope
            return self.run({name: make(array, nodes[name]) for name, array in arrays.items()})
        finally:
            context.scope = before
