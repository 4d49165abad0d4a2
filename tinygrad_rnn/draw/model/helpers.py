"""Functions of the user's that a cell or a function calls, such as a `layer_norm`: each call is drawn as one box."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

from ...engine.graph import Node
from ...engine.op import Op
from ...engine.tensor import Tensor
from ...tracing.called_functions import PACKAGES
from ...tracing.record import Recorder
from .iterations import Iteration, Iterations, Variables, variables

Call = tuple[str, int]  # the name of the function, and the number of the call
HIDDEN = (*PACKAGES, __name__.rpartition(".")[0], "numpy")  # packages whose functions are no helpers
STEP = 6  # operations from which a function that is called repeatedly is one box, also with several results


class CallRecorder(Recorder):
    """A recorder that also notes in which calls of the user's functions each operation ran, below the target itself,
    and in which iterations of loops, the target's included.

    ``targets`` are the codes of the function that is drawn. A frame that is kept is that of one call, and has its local
    variables also after the call.
    """

    def __init__(self, targets: Sequence[Any]):
        super().__init__()
        self.targets = targets
        self.frames: dict[int, list[FrameType]] = {}  # by the number of the value, the outermost first
        self.variables: dict[Any, Variables] = {}  # of each call, and iteration, at its end
        self.iterations: dict[int, list[Iteration]] = {}  # by the number of the value, the outermost first
        self.counted = Iterations()

    def operation(self, op: Op, args: Any, result: Tensor) -> None:
        """Add the equation of an operation, and its calls."""
        super().operation(op, args, result)
        frames: list[FrameType] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code not in self.targets:
            if _is_helper(frame):
                frames.append(frame)
            frame = frame.f_back
        number = next(reversed(self.equations))
        self.frames[number] = frames[::-1] if frame is not None else []
        outer = [] if frame is None else [frame]
        self.iterations[number] = [iteration for each in outer + self.frames[number]
                                   for iteration in self.counted.around(called(each), each)]  # fmt: skip

    def delegated(self) -> Iterator[FrameType]:
        """The call in which the target leaves all work to another function, and so on inwards; it is no box then."""
        while self.frames:
            first = next(iter(self.frames.values()))[:1]
            if not first or any(frames[:1] != first for frames in self.frames.values()):
                return
            self.frames = {number: frames[1:] for number, frames in self.frames.items()}
            yield first[0]

    def finish(self, results: Mapping[str, Any], arguments: Any = ()) -> None:
        """Name every value, also by the local variables of the function to which the target leaves the work."""
        for frame in self.delegated():
            given = frame.f_code.co_varnames[: frame.f_code.co_argcount]
            for name, number in self.recorded(frame.f_locals).items():
                if number not in self._bound.values():
                    value = self.values[number]
                    value.name = value.name or (f"{name}'" if name in given else name)
        super().finish(results, arguments)

    def iterations_by_node(self) -> dict[Node, list[Iteration]]:
        """The iterations by the nodes of the graph."""
        return {self.nodes[number]: chain for number, chain in self.iterations.items() if number in self.nodes}

    def by_node(self) -> dict[Node, list[Call]]:
        """The calls by the nodes of the graph, the outermost first. The frames, which hold others, are let go."""
        numbers: dict[FrameType, int] = {}
        frames, self.frames = self.frames, {}
        self.counted.finish()
        self.variables.update(self.counted.variables)
        for frame in dict.fromkeys(frame for chain in frames.values() for frame in chain):
            call = called(frame), numbers.setdefault(frame, len(numbers))
            self.variables[call] = variables(frame.f_locals)
        return {self.nodes[number]: [(called(frame), numbers.setdefault(frame, len(numbers))) for frame in chain]
                for number, chain in frames.items() if number in self.nodes}  # fmt: skip


def _is_helper(frame: FrameType) -> bool:
    """Is it a call of a function of the user's with a name? A comprehension and a lambda have none."""
    code, module = frame.f_code, frame.f_globals.get("__name__", "")
    return not code.co_name.startswith("<") and not code.co_filename.startswith("<operation") \
        and not module.startswith(HIDDEN)  # fmt: skip


def called(frame: FrameType) -> str:
    """The name of the function of a frame; of the main method of an object, that of its class."""
    name, arguments = frame.f_code.co_name, frame.f_code.co_varnames
    if name in ("forward", "__call__") and arguments:
        return type(frame.f_locals.get(arguments[0])).__name__
    return name


def boxes(
    calls: Mapping[Node, Sequence[Call]], order: Sequence[Node], results: Mapping[Node, str], open: Sequence[Node] = ()
) -> Iterator[tuple[str, list[Node]]]:
    """The names and the nodes of the calls that are one box: the outermost ones with several operations and one result.

    A function that is called repeatedly is a step of a loop: it may have several results. A call is no box with a node
    that is to stay ``open`` inside.
    """
    boxed: dict[Node, None] = {}
    for depth in range(max(map(len, calls.values()), default=0)):
        inside = {node: chain[depth] for node, chain in calls.items() if len(chain) > depth and node not in boxed}
        members, leaving = _members(inside, order, results)
        repeated = Counter(name for (name, _), nodes in members.items() if len(nodes) >= STEP)
        for call, nodes in members.items():
            several = 1 < len(leaving.get(call, ())) < len(nodes) // 2 and repeated[call[0]] > 1
            closed = len(nodes) > 1 and not any(node in nodes for node in open)
            if closed and (len(leaving.get(call, ())) == 1 or (several and len(nodes) >= STEP)):
                boxed.update(dict.fromkeys(nodes))
                yield call[0], nodes


def _members(
    calls: Mapping[Node, Call], order: Sequence[Node], results: Mapping[Node, str]
) -> tuple[dict[Call, list[Node]], dict[Call, dict[Node, None]]]:
    """The nodes of each call, and those of them that are read outside of it."""
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
    return members, leaving
