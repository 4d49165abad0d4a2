"""A link between two shapes: a solid line forward, a dashed line backward on the same route, and texts beside them.

::

              c'
    (+) ─────────────► (tanh)
        ◄ ─ ─ ─ ─ ─ ─
          |dc'| 1.0
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
    """An end where a value leaves its panel: a text if there are ``lines``, else a port on the lane of its state."""

    source: str
    tag: str  # the name of this use in the sum of gradients at a branch
    lines: Sequence[str] = ()
    gradient: float | None = None
    lane: float | None = None
    gradient_sum: float | None = None  # of a scalar
    about: int | None = None
    rank: int | None = -1  # of the layout: in the last column, or just behind the value


@dataclass
class Style:
    """Settings of the whole picture."""

    scale: Scale
    backward: bool = True
    adjoint: bool = False
    shapes: str = "changes"
    values: bool = False  # of small arrays

    @property
    def apart(self) -> float:
        """The distance of the forward and the backward line from the middle of their slot."""
        return 8.0 if self.adjoint else 3.5


@dataclass
class LabelledLink(Link):
    """A link of the layout with the texts beside it."""

    name: str = ""  # of the value, above the lines
    above: list[str] = field(default_factory=list)  # the shape, above the lines
    below: list[str] = field(default_factory=list)  # texts about the gradient, below the lines
    gradient: float | None = None
    formula: str = ""
    about: int | None = None
    cut: bool = False
    back: bool = False  # is there a backward line?


def reserve(link: LabelledLink, style: Style) -> None:
    """Set the size of the slot of a link: the lines run through the middle, the texts are above and below."""
    up, head, down = _texts(link)
    box = block([link.formula], SIZES["small"])[0] + 14 if boxed(link, style) else 0.0
    link.width = max(up[0], head[0], down[0], box, 4.0) + 10.0  # a line may bend at the end of its slot
    above, below = up[1] + head[1], down[1] + (10.0 if box else 0.0)
    link.height = 2 * (max(above, below) + style.apart + 1) if above or below else 8.0


def _texts(link: LabelledLink) -> list[tuple[float, float]]:
    """The sizes of the name, of the texts above the lines, and of the texts below."""
    return [block([link.name] if link.name else [], SIZES["name"]), block(link.above, SIZES["small"]),
            block(link.below, SIZES["small"])]  # fmt: skip


def boxed(link: LabelledLink, style: Style) -> bool:
    """Does the backward line run through a box with the arithmetic of the gradient rule?"""
    return style.adjoint and link.back and link.formula not in ("", "=")


def draw_link(scene: Scene, id: str, link: LabelledLink, shapes: Mapping[str, Shape], style: Style) -> None:
    """Add the two lines of a link to the scene, each with its texts."""
    source, target, (x, y) = shapes[link.source], shapes[link.target], link.at
    points = _ends(_moved(link.points, -style.apart if link.back else 0.0), source, target)
    look, head = "cut" if link.cut else "forward", target.look not in ("dot", "port")
    line = Line(f"f{id}", source.id, target.id, points, look, about=link.about, head=head)
    up, above, down = _texts(link)
    if link.name:
        line.notes = [Note(x, y - style.apart - above[1] - up[1] / 2 - 1, [link.name], SIZES["name"])]
    if link.above:
        line.notes.append(Note(x, y - style.apart - above[1] / 2 - 1, link.above, SIZES["small"], "faint"))
    scene.lines.append(line)
    if link.cut:
        scene.notes.append(Note(x, y + 2 + down[1] / 2, link.below, SIZES["small"], "faint"))
    if link.back:
        _draw_back(scene, id, link, source, target, style)


def _draw_back(scene: Scene, id: str, link: LabelledLink, source: Shape, target: Shape, style: Style) -> None:
    """Add the backward line, through a box if the arithmetic is shown."""
    (x, y), (*_, down), box = link.at, _texts(link), boxed(link, style)
    points = _ends(_moved(link.points, style.apart), source, target)[::-1]
    look, level = kind(link.gradient), style.scale.level(link.gradient or 0.0)
    line = Line(f"b{id}", target.id, source.id, points, look, level, link.about, head=source.look != "dot")
    colour = {"backward": f"level {level}", "bad": "bad"}.get(look, "faint")
    drop = style.apart + (10.0 if box else 1.0)
    line.notes = [Note(x, y + drop + down[1] / 2, link.below, SIZES["small"], colour)] if link.below else []
    if not box:
        scene.lines.append(line)
        return
    width = block([link.formula], SIZES["small"])[0] + 10
    shape = Shape(f"a{id}", "formula", x, y + style.apart, width, 17.0, [link.formula], SIZES["small"])
    scene.shapes.append(shape)
    scene.lines += _through(line, shape)


def kind(gradient: float | None) -> str:
    """The look of a backward line whose gradient has this norm."""
    if gradient is None or gradient == 0:
        return "zero"
    return "backward" if math.isfinite(gradient) else "bad"


def _moved(points: Sequence[Point], dy: float) -> list[Point]:
    """A parallel of the line: lower by dy, where it leads back higher, and where it is steep, to the side."""
    moved = [(x, y + dy) for x, y in points]
    for k, ((x, y), (nx, ny)) in enumerate(itertools.pairwise(points)):
        side = math.copysign(min(abs(dy), 4.0), dy)
        aside = 0.0 if abs(ny - y) < 4 * abs(dy) else -side if ny > y else side
        if aside and k > 0 and k + 2 < len(points):
            moved[k], moved[k + 1] = (x + aside, y + dy), (nx + aside, ny + dy)
    for k, ((x, y), (nx, _)) in enumerate(itertools.pairwise(points)):
        if nx < x:  # from the end of a row back to the next
            moved[k], moved[k + 1] = (moved[k][0], y - dy), (moved[k + 1][0], y - dy)
    return moved


def _ends(points: list[Point], source: Shape, target: Shape) -> list[Point]:
    """Move the ends of a line to the edges of circles: the layout places them on the bounding boxes."""
    for k, shape, sign in ((0, source, 1), (-1, target, -1)):
        if shape.look in ("operation", "dot"):
            radius, x, y = shape.width / 2, points[k][0], points[k][1]
            off = min(abs(y - shape.y), radius * 0.9)
            points[k] = (shape.x + sign * math.sqrt(radius**2 - off**2), y) if shape.look == "operation" else (x, y)
    return points


def _through(line: Line, box: Shape) -> list[Line]:
    """The backward line in two pieces: into the box, and out of it."""
    right = list(itertools.takewhile(lambda point: point[0] > box.x + box.width / 2, line.points))
    left = list(itertools.dropwhile(lambda point: point[0] >= box.x - box.width / 2, line.points[len(right) :]))
    into = Line(
        line.id, line.source, box.id, [*right, (box.x + box.width / 2, box.y)], line.look, line.level, line.about
    )
    into.notes = line.notes
    out = Line(f"{line.id}o", box.id, line.target, [(box.x - box.width / 2, box.y), *left], line.look, line.level,
               line.about)  # fmt: skip
    return [into, out]
