"""A picture as plain geometry: shapes, lines, notes and frames, with y downward. Whatever is drawn is made of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Point = tuple[float, float]


@dataclass
class Shape:
    """Something that stands somewhere; ``x, y`` is its centre. ``about`` is the id of the vertex that it shows."""

    id: str
    look: str
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    lines: Sequence[str] = ()
    size: float = 12.0
    ports: Sequence[str] = ()  # the fields of a tall box
    about: str = ""


#: The looks of ways back.
BACK = ("backward", "zero", "bad", "marked")


@dataclass
class Line:
    """From one shape to another along ``points``; ``level`` is the size of a gradient, 0 to 8.

    ``look``: "forward", one of `BACK` ("zero" gradients, "bad" ones: NaN or inf, those "marked" by who draws), "cut",
    "plain". ``about`` is the number of its edge.
    """

    id: str
    source: str
    target: str
    points: list[Point]
    look: str = "forward"
    level: int | None = None
    about: int | None = None
    notes: list[Note] = field(default_factory=list)  # the first is its label
    straight: bool = False
    head: bool = True


@dataclass
class Note:
    """Text on its own; ``x, y`` is its centre."""

    x: float
    y: float
    lines: Sequence[str]
    size: float = 11.0
    look: str = "ink"  # or "faint", "bad", "level 3"


@dataclass
class Frame:
    """A rectangle around what belongs together, with a title inside at its top; ``x, y`` is its upper left corner."""

    id: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""


@dataclass
class Scene:
    """A picture, or a part of one."""

    width: float = 0.0
    height: float = 0.0
    shapes: list[Shape] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def shift(self, dx: float, dy: float) -> Scene:
        """Move everything."""
        one: Any
        for one in [*self.shapes, *self.notes, *self.frames, *(note for line in self.lines for note in line.notes)]:
            one.x += dx
            one.y += dy
        for line in self.lines:
            line.points = [(x + dx, y + dy) for x, y in line.points]
        return self

    def mirror(self) -> Scene:
        """Right to left; texts stay readable."""
        one: Any
        for one in [*self.shapes, *self.notes, *(note for line in self.lines for note in line.notes)]:
            one.x = self.width - one.x
        for frame in self.frames:
            frame.x = self.width - frame.x - frame.width
        for line in self.lines:
            line.points = [(self.width - x, y) for x, y in line.points]
        return self

    def add(self, other: Scene) -> None:
        """Take over everything from another scene, where it stands."""
        self.shapes += other.shapes
        self.lines += other.lines
        self.notes += other.notes
        self.frames += other.frames

    def shape(self, id: str) -> Shape:
        """The shape with that id."""
        return next(one for one in self.shapes if one.id == id)
