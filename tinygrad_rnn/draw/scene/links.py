"""What joins two shapes: a line forward, a dashed one back on the same way, and what is written beside them.

::

              c'
    (+) ─────────────► (tanh)
        ◄ ─ ─ ─ ─ ─ ─
        dc' (1, 5) ‖1.0‖
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .geometry import Line, Note, Point, Scene, Shape
from .layout import Link
from .theme import SIZES, Scale, block


@dataclass
class End:
    """Where a value leaves the panel: with ``lines`` as a text, without as a bare port on its rail."""

    source: str
    tag: str  # what the sum at a branch calls this use
    lines: Sequence[str] = ()
    gradient: float | None = None
    lane: float | None = None
    about: int | None = None


@dataclass
class Style:
    """What is asked of the whole picture."""

    scale: Scale
    backward: bool = True
    adjoint: bool = False

    @property
    def apart(self) -> float:
        """How far the two directions run from the middle of their slot."""
        return 8.0 if self.adjoint else 3.5


@dataclass
class Tie:
    """A link and what is written beside it."""

    link: Link
    name: str = ""  # of the value, above the lines
    above: list[str] = field(default_factory=list)  # what comes back, above them
    below: list[str] = field(default_factory=list)  # and below
    gradient: float | None = None
    formula: str = ""
    about: int | None = None
    cut: bool = False
    back: bool = False  # is there a way back?


def reserve(tie: Tie, style: Style) -> None:
    """The slot of a link: its line runs through the middle, texts are above and below."""
    up, head, down = _texts(tie)
    box = block([tie.formula], SIZES["small"])[0] + 14 if boxed(tie, style) else 0.0
    tie.link.width = max(up[0], head[0], down[0], box, 12.0)
    above, below = up[1] + head[1], down[1] + (10.0 if box else 0.0)
    tie.link.height = 2 * (max(above, below) + style.apart + 1) if above or below else 8.0


def _texts(tie: Tie) -> list[tuple[float, float]]:
    """The sizes of the name, of what is above the lines, of what is below."""
    return [block([tie.name] if tie.name else [], SIZES["name"]), block(tie.above, SIZES["small"]),
            block(tie.below, SIZES["small"])]  # fmt: skip


def boxed(tie: Tie, style: Style) -> bool:
    """Does the way back run through a box with the arithmetic of the rule?"""
    return style.adjoint and tie.back and tie.formula not in ("", "=")


def draw_tie(scene: Scene, id: str, tie: Tie, shapes: Mapping[str, Shape], style: Style) -> None:
    """The two lines of a link, each with its texts."""
    source, target, (x, y) = shapes[tie.link.source], shapes[tie.link.target], tie.link.at
    there = _ends(_moved(tie.link.points, -style.apart if tie.back else 0.0), source, target)
    look, head = "cut" if tie.cut else "forward", target.look not in ("dot", "port")
    line = Line(f"f{id}", source.id, target.id, there, look, about=tie.about, head=head)
    up, above, down = _texts(tie)
    if tie.name:
        line.notes = [Note(x, y - style.apart - above[1] - up[1] / 2 - 1, [tie.name], SIZES["name"])]
    scene.lines.append(line)
    if tie.cut:
        scene.notes.append(Note(x, y + 2 + down[1] / 2, tie.below, SIZES["small"], "faint"))
    if tie.back:
        _draw_back(scene, id, tie, source, target, style)


def _draw_back(scene: Scene, id: str, tie: Tie, source: Shape, target: Shape, style: Style) -> None:
    """The way back, through a box if the arithmetic is shown."""
    (x, y), (_, above, down), box = tie.link.at, _texts(tie), boxed(tie, style)
    way = _ends(_moved(tie.link.points, style.apart), source, target)[::-1]
    look, level = kind(tie.gradient), style.scale.level(tie.gradient or 0.0)
    line = Line(f"b{id}", target.id, source.id, way, look, level, tie.about, head=source.look != "dot")
    colour = {"backward": f"level {level}", "bad": "bad"}.get(look, "faint")
    drop = style.apart + (10.0 if box else 1.0)
    places = ((tie.below, y + drop + down[1] / 2), (tie.above, y - style.apart - above[1] / 2 - 1))
    line.notes = [Note(x, at, texts, SIZES["small"], colour) for texts, at in places if texts]
    if not box:
        scene.lines.append(line)
        return
    wide = block([tie.formula], SIZES["small"])[0] + 10
    shape = Shape(f"a{id}", "formula", x, y + style.apart, wide, 17.0, [tie.formula], SIZES["small"])
    scene.shapes.append(shape)
    scene.lines += _through(line, shape)


def kind(gradient: float | None) -> str:
    """How a gradient of that norm is drawn."""
    if gradient is None or gradient == 0:
        return "zero"
    return "backward" if math.isfinite(gradient) else "bad"


def _moved(points: Sequence[Point], dy: float) -> list[Point]:
    """The way beside a way: lower by dy, and where it is steep, as far to the side."""
    moved = [(x, y + dy) for x, y in points]
    for k, ((x, y), (nx, ny)) in enumerate(itertools.pairwise(points)):
        side = math.copysign(min(abs(dy), 4.0), dy)
        aside = 0.0 if abs(ny - y) < 4 * abs(dy) else -side if ny > y else side
        if aside and k > 0 and k + 2 < len(points):
            moved[k], moved[k + 1] = (x + aside, y + dy), (nx + aside, ny + dy)
    return moved


def _ends(points: list[Point], source: Shape, target: Shape) -> list[Point]:
    """The line up to the edge of a circle, which its bounding box only touches."""
    for k, one, sign in ((0, source, 1), (-1, target, -1)):
        if one.look in ("operation", "dot"):
            radius, x, y = one.width / 2, points[k][0], points[k][1]
            off = min(abs(y - one.y), radius * 0.9)
            points[k] = (one.x + sign * math.sqrt(radius**2 - off**2), y) if one.look == "operation" else (x, y)
    return points


def _through(line: Line, box: Shape) -> list[Line]:
    """The way back in two pieces, into the box and out of it."""
    right = [p for p in line.points if p[0] > box.x + box.width / 2]
    left = [p for p in line.points if p[0] < box.x - box.width / 2]
    into = Line(
        line.id, line.source, box.id, [*right, (box.x + box.width / 2, box.y)], line.look, line.level, line.about
    )
    into.notes = line.notes
    out = Line(f"{line.id}o", box.id, line.target, [(box.x - box.width / 2, box.y), *left], line.look, line.level,
               line.about)  # fmt: skip
    return [into, out]
