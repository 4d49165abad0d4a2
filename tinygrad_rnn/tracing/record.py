"""Watching a computation: what it computes, from what, and what the user calls it.

A `Recording` is an observer that numbers every value in the order in which it comes to be. It holds the graph for as
long as it is looked at.

A name is the one in the user's code. ``Tensor(name=...)`` wins, parameters have theirs, their blocks are ``Wx.f``, and
a local variable of the function names the value that it holds at the end: ``f = sigmoid(f)`` makes the gate ``f``. An
argument keeps its name, so what is assigned to it is primed: ``c = f * c + g * i`` makes ``c'`` from ``c``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.context import mode
from ..engine.graph import Node, fitted
from ..engine.observe import locals_of, observing
from ..engine.op import Op
from ..engine.tensor import Tensor, value


@dataclass
class Value:
    """One value; its kind is "input", "state", "parameter", "block" (of one), "constant" or "operation"."""

    number: int
    kind: str
    op: str
    symbol: str
    name: str
    shape: tuple[int, ...] | None
    dtype: str
    norm: float | None
    detail: str = ""  # which part a slice takes
    scope: str = ""  # the scopes that were open when it was made, "encoder/attention"


@dataclass
class Edge:
    """Operand ``operand`` of the operation that made ``target``, by its name there, is ``source``."""

    source: int
    target: int
    operand: int
    argument: str


def norm(x: Any) -> float:
    """‖x‖, the root of the sum of squares, taken in float64."""
    return float(np.sqrt(np.sum(np.square(np.asarray(x, np.float64)))))


class Recording:
    """A computation while it is looked at; it holds the graph."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.edges: list[Edge] = []
        self.outputs: dict[str, int] = {}
        self.nodes: dict[int, Node] = {}  # by the number of their value
        self._numbers: dict[int, int] = {}  # by the id of a node, or of a constant
        self._alive: list[Any] = []  # so that no id is used twice
        self._bound: list[tuple[str, int]] = []

    # what happens

    def given(self, x: Any, name: str, kind: str) -> int:
        """Note a value that no operation made."""
        array = value(x)
        if not name and np.ndim(array) == 0:
            name = f"{array}"
        return self.add(x, kind, name, np.shape(array), np.asarray(array).dtype, array)

    def operation(self, spec: Op, args: Any, made: Tensor) -> None:
        operands = [self.number(a) for a in args]
        number = self.add(made, "operation", "", made.shape, made.dtype, made._array, spec)
        self.values[number].detail = slices(made.node)
        for k, (source, argument) in enumerate(zip(operands, spec.named(list(map(value, args))))):
            self.edges.append(Edge(source, number, k, argument))

    def gradient(self, node: Node, dy: Any) -> None:
        """Not needed: `pull` goes back by itself."""

    def locals(self, variables: dict[str, Any]) -> None:
        """Note which values the variables are bound to, wherever that is new."""
        latest = dict(self._bound)
        for name, one in variables.items():
            number = self._numbers.get(id(_key(one))) if isinstance(one, Tensor) else None
            if number is not None and latest.get(name) != number:
                self._bound.append((name, number))

    def number(self, x: Any) -> int:
        """The number of a value; one that was not seen before is a constant."""
        found = self._numbers.get(id(_key(x)))
        return self.given(x, getattr(x, "name", None) or "", "constant") if found is None else found

    def add(self, x: Any, kind: str, name: str, shape: Any, dtype: Any, array: Any, spec: Any = None) -> int:
        """Note one more value; its number."""
        number, key = len(self.values), _key(x)
        op, symbol = (spec.name, spec.symbol) if spec else ("", "")
        size = None if array is None else norm(array)
        self.values.append(Value(number, kind, op, symbol, name, shape, str(dtype), size, scope="/".join(mode.scope)))
        self._numbers[id(key)] = number
        self._alive.append(key)
        if isinstance(key, Node):
            self.nodes[number] = key
        return number

    # what it comes to

    def finish(self, results: Mapping[str, Any], arguments: Any = ()) -> None:
        """Give every value its name; the names of ``results`` are for those that have no other."""
        for number, key in enumerate(self._alive):
            self.values[number].name = getattr(key, "name", None) or self.values[number].name
        for name, number in dict(self._bound).items():
            one = self.values[number]
            one.name = one.name or (f"{name}'" if name in arguments else name)
        for name, result in results.items():
            one = self.values[self.number(result)]
            one.name = one.name or name
            self.outputs[untaken(one.name, self.outputs)] = one.number
        for edge in self.edges:
            source, target = self.values[edge.source], self.values[edge.target]
            if source.kind == "parameter" and target.op == "getitem" and target.name.startswith(f"{source.name}."):
                target.kind = "block"

    def named(self) -> dict[str, int]:
        """The number of each value that has a name of its own."""
        return {one.name: one.number for one in self.values if one.name and one.kind != "constant"}

    def pull(self, cotangents: Mapping[int, Any], instead: Mapping[int, Any] | None = None) -> tuple[Any, Any]:
        """Backpropagation that forgets nothing: the gradients by value number, and their parts by (target, operand).

        A gradient in ``instead`` is the one that is passed on in the place of the right one.
        """
        totals, parts = dict(cotangents), {}
        for number in range(len(self.values) - 1, -1, -1):
            if number not in totals or number not in self.nodes:
                continue
            dy = instead.get(number, totals[number]) if instead else totals[number]
            for k, edge in enumerate(self.nodes[number].edges):
                source = None if edge is None else self._numbers.get(id(edge[0]))
                if source is not None and edge[0].shape is not None:
                    part = np.array(fitted(edge[1].fn(dy, *edge[2]), edge[0]))
                    parts[number, k] = part
                    totals[source] = totals[source] + part if source in totals else part
        return totals, parts


def untaken(name: str, taken: Mapping[str, Any]) -> str:
    """The name, with a number where it is taken: ``y·2``."""
    found, count = name, 1
    while found in taken:
        count += 1
        found = f"{name}·{count}"
    return found


def slices(node: Node | None) -> str:
    """The index of a slice as Python writes it: ``[..., 0:5]``; nothing for other operations."""
    if node is None or node.op is None or node.op.name != "getitem":
        return ""
    index = node.attrs["index"]
    return f"[{', '.join(map(_index, index if isinstance(index, tuple) else (index,)))}]"


def _index(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop, part.step)]
        return ":".join(ends if ends[2] else ends[:2])
    return "..." if part is Ellipsis else str(part) if np.ndim(part) == 0 else f"array {np.shape(part)}"


def _key(x: Any) -> Any:
    """What a value is known by: its node where it has one, so that two Tensors on one node are one value."""
    return x.node if isinstance(x, Tensor) and x.node is not None else x


def record(
    call: Callable[..., Any], inputs: Mapping[str, Any], kinds: Mapping[str, str], codes: Sequence[Any],
    recording: Any = None,
) -> Any:  # fmt: skip
    """Run ``call(**tensors)`` on new leaves for ``inputs`` and note all it does: the `Recording` and the result.

    ``codes`` are those of the functions whose local variables name the values; ``recording`` may be one of one's own.
    """
    recording, before = recording or Recording(), mode.recording
    tensors = {}
    for name, array in inputs.items():
        floats = np.asarray(array).dtype.kind == "f"
        tensors[name] = Tensor(np.array(array), name=name, requires_grad=True) if floats else array
        recording.given(tensors[name], name, kinds.get(name, "input"))
    mode.recording = True
    try:
        with observing(recording), locals_of(codes, recording.locals):
            return recording, call(**tensors)
    finally:
        mode.recording = before
