"""What a cell leaves on the graph: which of its steps made a state, and which nodes are blocks of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..engine.graph import Node
from ..engine.tensor import Tensor
from .param import BlockName

if TYPE_CHECKING:
    from .cell import Cell


class Run:
    """Which steps of which cell lie behind a state: step ``times[k]`` begins at ``starts[k]`` on the graph's clock.

    ``states[k]`` are the places on the clock of the states before it, ``states[-1]`` of the last ones, ``params`` of
    the parameters; None for what needs no gradient. It is left on the nodes that the steps made, for whoever looks at
    the graph; it holds no node.
    """

    __slots__ = ("cell", "end", "params", "starts", "states", "times", "windows")

    def __init__(self, cell: Cell, times: range, state: Sequence[Tensor], bound: Mapping[str, Any], windows: int = 1):
        self.cell, self.times, self.starts, self.end = cell, times, list[int](), 0
        self.states, self.params = [places(state)], places([bound[name] for name in cell.params])
        self.windows = windows  # that the state has been carried through without detach

    def mark(self, *values: Tensor) -> None:
        """Leave it on the nodes of values, but for those that were there before: a step may pass on what it got."""
        for one in values:
            if self.made(one):
                one.node.run = self  # type: ignore[union-attr]

    def made(self, one: Tensor) -> bool:
        """Was it made since the first step began?"""
        return one.node is not None and one.node.seq > self.starts[0]


def places(values: Sequence[Tensor]) -> tuple[int | None, ...]:
    """The places of values on the graph's clock."""
    return tuple([one.node.seq if one.node is not None else None for one in values])


def is_block(node: Node) -> bool:
    """Is it a block of a parameter, ``Wx.f``? Made once, and used by every step."""
    return isinstance(getattr(node, "name", None), BlockName)
