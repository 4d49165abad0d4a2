"""The elements of a picture over time: rows of steps, bars of operations, and the wires between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...model import Vertex


@dataclass(eq=False)
class Unit:
    """A row or a bar: the columns that it covers, and its level, upward from 0."""

    key: str
    low: int = 0
    high: int = 0
    level: int = 0


@dataclass(eq=False)
class StepBox:
    """A step of a row, or a fold of steps, in its column."""

    vertex: Vertex
    row: Row
    first: int
    last: int
    column: int = 0

    @property
    def start(self) -> int:
        """The step that ran first."""
        return self.last if self.row.reverse else self.first

    @property
    def end(self) -> int:
        """The step that ran last."""
        return self.first if self.row.reverse else self.last


@dataclass(eq=False)
class Row(Unit):
    """The steps of a recurrence, in the order of time; it begins at the column after ``low``."""

    number: int = 0
    reverse: bool = False
    boxes: list[StepBox] = field(default_factory=list)
    params: list[int] = field(default_factory=list)  # the edges from its parameters


@dataclass(eq=False)
class Bar(Unit):
    """Operations outside of the steps; ``leaves`` are the edges from what is not computed."""

    members: list[Vertex] = field(default_factory=list)
    leaves: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Wire:
    """What goes from a unit to another, along ``edges``; a text stands for a leaf or a result.

    ``state`` is the state as which a step reads it.
    """

    source: StepBox | Bar | str
    target: StepBox | Bar | str
    edges: tuple[int, ...]
    value: Vertex
    gradient: float | None
    state: str = ""
    cut: bool = False
