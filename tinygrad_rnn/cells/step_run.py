"""What a cell leaves on the graph: which of its steps produced a state, and which nodes are blocks of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..engine.graph import Node
from ..engine.tensor import Tensor
from .param import BlockName

if TYPE_CHECKING:
    from .cell import Cell


class StepRun:
    """Consecutive steps of one cell: step ``times[k]`` begins at ``starts[k]`` on the clock of the graph.

    ``states[k]`` are the positions on the clock of the states before step k, ``states[-1]`` those of the last states,
    ``params`` those of the parameters; None for a value that needs no gradient. ``end`` is the position after the last
    step, or 0 if the steps are not in the graph, because a plan has run them. ``windows`` counts the runs through which
    the state has been carried without detach, this one included. A tick of the clock takes ``tick``.

    The nodes of the last states and of the outputs refer to their run, for the tools that read the graph. A run holds
    no node.
    """

    __slots__ = ("cell", "end", "params", "starts", "states", "tick", "times", "windows")

    def __init__(self, cell: Cell, times: range, state: Sequence[Tensor], params: Mapping[str, Any], windows: int = 1):
        self.cell, self.times, self.starts, self.end = cell, times, list[int](), 0
        self.states, self.params = [positions(state)], positions([params[name] for name in cell.params])
        self.windows, self.tick = windows, 1.0

    def mark(self, *tensors: Tensor) -> None:
        """Leave the run on the nodes of ``tensors``, but not on older nodes: a step may return what it was given."""
        for tensor in tensors:
            if self.is_newer(tensor):
                tensor.node.run = self  # type: ignore[union-attr]

    def move(self, at: Callable[[Any], Any], tick: float) -> None:
        """Move the run on the clock of the graph, from every place to ``at(place)``; a tick then takes ``tick``."""
        self.tick = tick
        self.starts, self.end = [at(start) for start in self.starts], at(self.end)
        self.states = [tuple([at(place) for place in places]) for places in self.states]
        self.params = tuple([at(place) for place in self.params])

    def is_newer(self, tensor: Tensor) -> bool:
        """Was the node of the tensor recorded after the first step began?"""
        return tensor.node is not None and tensor.node.seq > self.starts[0]


def positions(tensors: Sequence[Any]) -> tuple[int | None, ...]:
    """The positions of tensors on the clock of the graph; None for a tensor without a node, and for an array."""
    nodes = [getattr(tensor, "node", None) for tensor in tensors]
    return tuple([node.seq if node is not None else None for node in nodes])


def is_block(node: Node) -> bool:
    """Is it a block of a parameter, ``Wx.f``? It is sliced once and used by every step."""
    return isinstance(getattr(node, "name", None), BlockName)
