"""A recorded computation whose backward pass can be edited: what would the gradients be with one mistake in one line?

A *line* is a place in the code that ran: the same line of a cell runs once at every step, and a mistake in its backward
is made at every step. It is known by the instructions that were being executed, from the operation up to `record`. So
an edit found on a small case means the same on a larger one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from ...engine.codegen import first_call
from ...engine.graph import fitted
from ...tracing.record import Recorder, record
from .readings import variable

Line: TypeAlias = tuple[Any, ...]
#: A value at every run of a line: that which it makes, or its operand k.
Slot: TypeAlias = tuple[Line, int | None]
#: Of a tape, the run of the line, dy and the right part: what goes back in the place of that part.
Change: TypeAlias = Callable[["Tape", int, Any, Any], Any]


@dataclass(frozen=True, eq=False)
class Edit:
    """One mistake: how the backward pass goes wrong, and what is to be said of it.

    ``along`` are the operands at which the part that goes back is another; ``into`` the lines whose whole gradient is
    (before it is passed on); ``incoming`` the cotangents that are others; ``results`` the gradients that are others
    when all is done.
    """

    kind: str
    tensor: str
    text: str
    along: Mapping[Slot, Change] = field(default_factory=dict)
    into: Mapping[Line, Change] = field(default_factory=dict)
    incoming: Mapping[str, Callable[[dict[int, Any]], dict[int, Any]]] = field(default_factory=dict)
    results: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = field(default_factory=dict)
    way: tuple[str, str] | None = None  # the value, and what reads it, of the way back that is wrong
    cache: int = 0  # what a step has kept is used so many steps later, around the end
    block: bool = False  # it is made in one gate block of what goes back at an operand, not in all of it
    rank: int = 0  # of several that give the same numbers, the lowest is the likeliest


class Tape(Recorder):
    """A recording that keeps every array, and knows which values were made by one line."""

    def __init__(self) -> None:
        super().__init__()
        self.site: list[Line] = []
        self.lines: dict[Line, list[int]] = {}
        self.variables: dict[str, list[int]] = {}  # the values that each variable was bound to
        self.run: list[int] = []  # the how-manieth run of its line made a value
        self.operands: dict[tuple[int, int], int] = {}
        self.ways: dict[int, list[Any]] = {}  # of an operation: operand, source, rule, kept, node of the source
        self.counts: dict[str, int] = {}  # N and T
        self.totals: dict[int, Any] = {}  # of the pass that runs, or ran last
        self.late = 0
        self.current = 0  # the value whose gradient is being passed on
        self.parts: dict[int, list[Any]] = {}  # what each was the sum of: (operation and operand, or cotangent), part

    def add(self, x: Any, kind: str, name: str, array: Any) -> int:
        number = super().add(x, kind, name, array)
        line = (*_line(), _part(x)) if kind == "operation" else ("given", name or number)
        self.site.append(line)
        self.run.append(len(self.lines.setdefault(line, [])))
        self.lines[line].append(number)
        bound = variable(sys._getframe(1), record.__code__) if kind == "operation" else ""
        self.variables.setdefault(bound, []).append(number)
        return number

    def finish(self, results: Mapping[str, Any], arguments: Any = ()) -> None:
        """Names: one that a line's last run has, all its runs have. And the ways back."""
        super().finish(results, arguments)
        for numbers in self.lines.values():
            name = next((self.values[n].name for n in reversed(numbers) if self.values[n].name), "")
            for n in numbers:
                self.values[n].name = name
        for equation in self.equations.values():
            self.operands.update({(equation.out, k): source for k, source in enumerate(equation.args)})
        for number, node in self.nodes.items():
            self.ways[number] = [
                (k, self.operands[number, k], way[1].fn, way[2], way[0])
                for k, way in enumerate(node.edges)
                if way is not None and way[0].shape is not None and (number, k) in self.operands
            ]

    def at(self, slot: Slot, t: int) -> Any:
        """The array in a slot at run t of its line."""
        return self.arrays[self.number_at(slot, t)]

    def number_at(self, slot: Slot, t: int) -> int:
        line, k = slot
        number = self.lines[line][t]
        return number if k is None else self.operands[number, k]

    def way(self, key: Any, number: int) -> Any:
        """Which way a part came: the name of a cotangent, or the line, the operand, and whether from a later step."""
        if isinstance(key, str):
            return key
        target, k = key
        return self.site[target], k, self.run[target] > self.run[number]

    def back(
        self, cotangents: Mapping[str, Mapping[int, Any]], edits: Iterable[Edit] = (),
        instead: Mapping[int, Any] | None = None,
    ) -> dict[int, Any]:  # fmt: skip
        """The gradient by every value, going back with ``edits``; those in ``instead`` are passed on for the own."""
        edits = tuple(edits)
        along, into = _together(one.along for one in edits), _together(one.into for one in edits)
        self.totals, self.parts, self.late = {}, {}, sum(one.cache for one in edits)
        self._come_in(cotangents, _together(one.incoming for one in edits))
        for number in range(len(self.values) - 1, -1, -1):
            if number in self.totals and number in self.ways:
                self._pass_on(number, along, into, instead or {})
        for line in into:
            if line[0] == "given" and self.lines.get(line, [-1])[0] in self.totals:
                self._whole(self.lines[line][0], into)
        return self.totals

    def _come_in(self, cotangents: Mapping[str, Mapping[int, Any]], incoming: Mapping[str, list[Any]]) -> None:
        for name, group in cotangents.items():
            for change in incoming.get(name, ()):
                group = change(group)
            for number, dy in group.items():
                self._add(number, name, dy)

    def _pass_on(self, number: int, along: Mapping[Any, Any], into: Mapping[Any, Any], instead: Any) -> None:
        """One operation's part of the pass."""
        line, t, self.current = self.site[number], self.run[number], number
        if line in into:
            self._whole(number, into)
        dy = instead.get(number, self.totals[number])
        for k, source, rule, kept, node in self.ways[number]:
            if self.late and self.values[number].op != "getitem":
                kept = self._kept_before(number, k, kept)
            part = rule(dy, *kept)
            for change in along.get((line, k), ()):
                part = change(self, t, dy, part)
            if part.shape != node.shape:
                part = fitted(part, node)
            self._add(source, (number, k), part)

    def _kept_before(self, number: int, k: int, own: Any) -> Any:
        """What the same line has kept ``late`` steps earlier, if it runs at each step and had a gradient to give."""
        numbers = self.lines[self.site[number]]
        other = numbers[(self.run[number] - self.late) % len(numbers)]
        return next((kept for j, _, _, kept, _ in self.ways[other] if j == k), own)

    def _whole(self, number: int, into: Mapping[Any, Any]) -> None:
        """Make another of the whole gradient by a value."""
        for change in into[self.site[number]]:
            dy = self.totals[number]
            self.totals[number] = change(self, self.run[number], dy, dy)

    def _add(self, number: int, way: Any, part: Any) -> None:
        self.parts.setdefault(number, []).append((way, part))
        self.totals[number] = self.totals[number] + part if number in self.totals else part

    def stacked(self, line: Line, totals: Mapping[int, Any], over_time: bool) -> Any:
        """The gradient of a line, of all its runs side by side along axis 1."""
        found = [totals[n] if n in totals else np.zeros(self.values[n].shape or ()) for n in self.lines[line]]
        return np.stack(found, axis=1) if over_time else found[0]


def _part(x: Any) -> str:
    """Which slice is taken, so that the gates cut from one sum in a loop are lines apart; but not which step."""
    node = getattr(x, "node", None)
    if node is None or node.op is None or node.op.name != "getitem":
        return ""
    index = node.attrs["index"]
    every = index if isinstance(index, tuple) else (index,)
    return str(index) if all(isinstance(one, slice) or one is Ellipsis for one in every) else ""


def _together(tables: Iterable[Mapping[Any, Any]]) -> dict[Any, list[Any]]:
    """The changes at each place, in order."""
    found: dict[Any, list[Any]] = {}
    for table in tables:
        for place, change in table.items():
            found.setdefault(place, []).append(change)
    return found


def _line() -> Line:
    """The instructions that are being executed, from the operation up to `record`."""
    frame, found = sys._getframe(2), []
    while frame is not None and frame.f_code is not record.__code__:
        if frame.f_code is not first_call.__code__:  # which the first of several runs of a line goes through
            found.append((id(frame.f_code), frame.f_lasti))
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)


def taped(
    call: Callable[..., Any], given: Mapping[str, Any], kinds: Mapping[str, str], codes: Any,
    results: Callable[[Any], Mapping[str, Any]], arguments: Any = (),
) -> tuple[Tape, Any]:  # fmt: skip
    """Run ``call`` on arrays by name, and the tape of it; ``results`` names what it gave."""
    tape, result = record(call, given, kinds, codes, Tape())
    tape.finish(results(result), arguments)
    return tape, result
