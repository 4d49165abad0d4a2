"""The loop that a planned scan stands for: recorded again where the steps have to be in the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...cells.step_run import StepRun
from ...engine.context import context
from ...engine.graph import USED, Node
from ...engine.tensor import Tensor, make, value
from ..loop import run_loop
from .cache import Request
from .verify import copied


class Loop:
    """A call of scan, without its arrays: the nodes, shapes and dtypes of its arguments, and its configuration."""

    def __init__(self, request: Request, mask: Any, reverse: bool, windows: int):
        self.cell, self.mask, self.reverse, self.windows = request.cell, mask, reverse, windows
        self.config, self.scope = copied(request.config), context.scope
        self.nodes: list[Any] = []  # weak references to the nodes of the outputs
        self.leaves: dict[str, tuple[Any, Any, Any]] = {}
        for name, tensor in request.tensors.items():
            array = np.asarray(value(tensor))
            self.leaves[name] = getattr(tensor, "node", None), array.shape, array.dtype

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
            arrays = {name: np.ones(shape, dtype) for name, (_, shape, dtype) in self.leaves.items()}
        else:
            given = next(edge[2][0] for edge in hub.edges).request.tensors
            arrays = {name: np.asarray(value(tensor)) for name, tensor in given.items()}
        nodes = {name: in_place_of(node) for name, (node, *_) in self.leaves.items()}
        before = context.scope
        try:
            context.scope = self.scope
            return self.run({name: make(array, nodes[name]) for name, array in arrays.items()})
        finally:
            context.scope = before
