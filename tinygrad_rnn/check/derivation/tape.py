"""A recorded computation and its backward pass, in which hand-derived gradients can stand in for the right ones.

A *line* is a place in the code that ran: the same line of a cell runs once at every step. It is known by the
instructions that were being executed, from the operation up to `record`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ...engine.codegen import first_call
from ...engine.graph import fitted
from ...tracing.record import Recorder, record
from .readings import variable

Line: TypeAlias = tuple[Any, ...]


class Tape(Recorder):
    """A recording that keeps every array, and knows which values were made by one line."""

    def __init__(self) -> None:
        super().__init__()
        self.site: list[Line] = []
        self.lines: dict[Line, list[int]] = {}
        self.variables: dict[str, list[int]] = {}  # the values that each variable was bound to
        self.operands: dict[tuple[int, int], int] = {}
        self.ways: dict[int, list[Any]] = {}  # of an operation: source, rule, saved, node of the source
        self.counts: dict[str, int] = {}  # N and T

    def add(self, x: Any, kind: str, name: str, array: Any) -> int:
        number = super().add(x, kind, name, array)
        line = (*_line(), _part(x)) if kind == "operation" else ("given", name or number)
        self.site.append(line)
        self.lines.setdefault(line, []).append(number)
        bound = variable(sys._getframe(1), record.__code__) if kind == "operation" else ""
        self.variables.setdefault(bound, []).append(number)
        return number

    def finish(self, results: Mapping[str, Any], arguments: Any = ()) -> None:
        """Give all runs of a line the name of its last run, and collect the gradient rules."""
        super().finish(results, arguments)
        for numbers in self.lines.values():
            name = next((self.values[n].name for n in reversed(numbers) if self.values[n].name), "")
            for n in numbers:
                self.values[n].name = name
        for equation in self.equations.values():
            self.operands.update({(equation.out, k): source for k, source in enumerate(equation.args)})
        for number, node in self.nodes.items():
            self.ways[number] = [
                (self.operands[number, k], way[1].fn, way[2], way[0])
                for k, way in enumerate(node.edges)
                if way is not None and way[0].shape is not None and (number, k) in self.operands
            ]

    def back(self, cotangents: Mapping[int, Any], instead: Mapping[int, Any] | None = None) -> dict[int, Any]:
        """The gradient by every value. Those in ``instead`` are passed on in the place of the right ones."""
        totals = dict(cotangents)
        for number in range(len(self.values) - 1, -1, -1):
            if number in totals and number in self.ways:
                dy = (instead or {}).get(number, totals[number])
                for source, rule, saved, node in self.ways[number]:
                    part = rule(dy, *saved)
                    part = part if part.shape == node.shape else fitted(part, node)
                    totals[source] = totals[source] + part if source in totals else part
        return totals

    def stacked(self, line: Line, totals: Mapping[int, Any], over_time: bool) -> Any:
        """The gradient of a line, of all its runs side by side along axis 1."""
        parts = [totals[n] if n in totals else np.zeros(self.values[n].shape or ()) for n in self.lines[line]]
        return np.stack(parts, axis=1) if over_time else parts[0]


def _part(x: Any) -> str:
    """Which slice is taken, so that the gates cut from one sum in a loop are lines apart; but not which step."""
    node = getattr(x, "node", None)
    if node is None or node.op is None or node.op.name != "getitem":
        return ""
    index = node.attrs["index"]
    every = index if isinstance(index, tuple) else (index,)
    return str(index) if all(isinstance(part, slice) or part is Ellipsis for part in every) else ""


def _line() -> Line:
    """The instructions that are being executed, from the operation up to `record`."""
    frame, places = sys._getframe(2), []
    while frame is not None and frame.f_code is not record.__code__:
        if frame.f_code is not first_call.__code__:  # which the first of several runs of a line goes through
            places.append((id(frame.f_code), frame.f_lasti))
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(places)


def taped(
    call: Callable[..., Any], given: Mapping[str, Any], kinds: Mapping[str, str], codes: Any,
    results: Callable[[Any], Mapping[str, Any]], arguments: Any = (),
) -> tuple[Tape, Any]:  # fmt: skip
    """Run ``call`` on arrays by name, and the tape of it; ``results`` names what it gave."""
    tape, result = record(call, given, kinds, codes, Tape())
    tape.finish(results(result), arguments)
    return tape, result
