"""A picture as plain geometry: shapes, lines, notes and frames. y points downward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Point = tuple[float, float]
AIR = 18.0  # space between the parts of a picture


@dataclass
class Shape:
    """A box, circle, dot or text with its centre at ``x, y``.

    ``about`` is the id of the vertex that it shows, ``members`` are the ids of all vertices of a box of several.
    """

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
    members: tuple[str, ...] = ()


#: The looks of backward lines.
BACK = ("backward", "zero", "bad", "marked")


@dataclass
class Line:
    """A line between two shapes along ``points``; ``level`` is the size of its gradient, 0 to 8.

    ``look`` is "forward", "cut", "axis", "curve <level>" or one of `BACK`: "zero" is a gradient of zero, "bad" is NaN
    or inf, "marked" is an edge that the caller of `draw` highlights. ``about`` is the number of its edge in the graph;
    a line that stands for several edges has their numbers in ``edges``.
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
    edges: tuple[int, ...] = ()


@dataclass
class Note:
    """Text without a box, with its centre at ``x, y``."""

    x: float
    y: float
    lines: Sequence[str]
    size: float = 11.0
    look: str = "ink"  # or "faint"; of numbers of the backward pass "zero", "bad", "level 3"


@dataclass
class Frame:
    """A rectangle around a group, with the title inside at the top; ``x, y`` is its upper left corner."""

    id: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""


@dataclass
class Scene:
    """A picture, or a part of a picture."""

    width: float = 0.0
    height: float = 0.0
    shapes: list[Shape] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)

    def shift(self, dx: float, dy: float) -> Scene:
        """Move everything by (dx, dy). Returns the scene itself."""
        item: Any
        for item in [*self.shapes, *self.notes, *self.frames, *(note for line in self.lines for note in line.notes)]:
            item.x += dx
            item.y += dy
        for line in self.lines:
            line.points = [(x + dx, y + dy) for x, y in line.points]
        return self

    def mirror(self) -> Scene:
        """Mirror left and right; texts stay readable. Returns the scene itself."""
        item: Any
        for item in [*self.shapes, *self.notes, *(note for line in self.lines for note in line.notes)]:
            item.x = self.width - item.x
        for frame in self.frames:
            frame.x = self.width - frame.x - frame.width
        for line in self.lines:
            line.points = [(self.width - x, y) for x, y in line.points]
        return self

    def add(self, other: Scene) -> None:
        """Add everything from another scene, in place."""
        self.shapes += other.shapes
        self.lines += other.lines
        self.notes += other.notes
        self.frames += other.frames

    def shape(self, id: str) -> Shape:
        """The shape with this id."""
        return next(shape for shape in self.shapes if shape.id == id)


def stacked(parts: list[Scene]) -> Scene:
    """The parts stacked from top to bottom."""
    scene = Scene()
    for part in parts:
        if part.width:
            scene.add(part.shift(0, scene.height + (AIR if scene.height else 0)))
            scene.height += part.height + (AIR if scene.height else 0)
            scene.width = max(scene.width, part.width)
    return scene


def side_by_side(parts: list[Scene]) -> Scene:
    """The parts from left to right, with their middles at one height."""
    scene = Scene(0.0, max((part.height for part in parts), default=0.0))
    for part in parts:
        scene.add(part.shift(scene.width, (scene.height - part.height) / 2))
        scene.width += part.width + AIR
    return scene
