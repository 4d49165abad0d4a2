"""Functions of the user's that a cell or a function calls, such as a `layer_norm`: each call is drawn as one box."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

from ...engine.graph import Node
from ...engine.op import Op
from ...engine.tensor import Tensor
from ...tracing.called_functions import PACKAGES
from ...tracing.record import Recorder

Call = tuple[str, int]  # the name of the function, and the number of the call


class CallRecorder(Recorder):
    """A recorder that also notes by which call of a function each operation ran, if not by the target itself.

    ``targets`` are the codes of the function that is drawn.
    """

    def __init__(self, targets: Sequence[Any]):
        super().__init__()
        self.targets = targets
        self.calls: dict[int, Call] = {}  # by the number of the value
        self._count = 0
        self._latest: tuple[int, int, int] | None = None  # frame, place in its caller, place in it

    def operation(self, op: Op, args: Any, result: Tensor) -> None:
        """Add the equation of an operation, and its call."""
        super().operation(op, args, result)
        frame = self._helper(sys._getframe(1))
        if frame is None or frame.f_back is None:
            self._latest = None
            return
        at = id(frame), frame.f_back.f_lasti, frame.f_lasti
        latest, self._latest = self._latest, at
        if latest is None or at[:2] != latest[:2] or at[2] <= latest[2]:
            self._count += 1
        self.calls[max(self.equations)] = called(frame), self._count

    def _helper(self, frame: FrameType | None) -> FrameType | None:
        """The outermost frame of a function of the user's below the target; None if the target itself computes."""
        helper = None
        while frame is not None and frame.f_code not in self.targets:
            if not frame.f_globals.get("__name__", "").startswith(PACKAGES):
                helper = frame
            frame = frame.f_back
        return helper if frame is not None else None

    def by_node(self) -> dict[Node, Call]:
        """The calls by the nodes of the graph."""
        return {self.nodes[number]: call for number, call in self.calls.items() if number in self.nodes}


def called(frame: FrameType) -> str:
    """The name of the function of a frame; of the main method of an object, that of its class."""
    name, arguments = frame.f_code.co_name, frame.f_code.co_varnames
    if name in ("forward", "__call__") and arguments:
        return type(frame.f_locals.get(arguments[0])).__name__
    return name


def single_valued(calls: dict[Node, Call], order: Sequence[Node], results: dict[Node, str]) -> dict[Call, list[Node]]:
    """The nodes of each call with several operations of which only the last value is read outside of the call."""
    members: dict[Call, list[Node]] = {}
    leaving: dict[Call, dict[Node, None]] = {}
    for node in order:
        if node in calls:
            members.setdefault(calls[node], []).append(node)
        for parent in node.parents:
            if parent in calls and calls[parent] != calls.get(node):
                leaving.setdefault(calls[parent], {})[parent] = None
    for node in results:
        if node in calls:
            leaving.setdefault(calls[node], {})[node] = None
    return {call: nodes for call, nodes in members.items() if len(nodes) > 1 and len(leaving.get(call, ())) == 1}
