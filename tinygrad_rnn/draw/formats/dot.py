"""From a scene to DOT with all positions, so that Graphviz only has to draw (engine ``nop2``).

Positions are in points. The text is also a complete graph: ``dot -Kdot`` computes another layout of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import graphviz

from ..scene.geometry import BACK, Frame, Line, Note, Point, Scene, Shape
from ..scene.labels import plain
from ..scene.theme import FONT, THEMES, Theme, colour, stroke

MARGIN = 14.0
HEAD = 6.0  # the length of an arrowhead


def escaped(text: str) -> str:
    """Text for a DOT label that shows it literally: no escapes, no entities, no control characters."""
    return str(graphviz.escape(plain(text).replace("&", "&amp;")))


def label(lines: Sequence[str]) -> Any:
    """A label of several lines, marked as not HTML."""
    return graphviz.nohtml("\\n".join(escaped(line) for line in lines))


def field(text: str) -> str:
    """Text for a field of a record, where some characters have a meaning."""
    return "".join("\\" + c if c in "{}|<> " else c for c in escaped(text))


def digraph(scene: Scene, theme: str = "light") -> graphviz.Digraph:
    """The picture as a `graphviz.Digraph`."""
    writer = _Writer(scene, THEMES[theme])
    inside: dict[str, list[str]] = {}  # the ids of the shapes of a step, by their prefix
    for shape in scene.shapes:
        inside.setdefault(shape.id.partition("_")[0] + "_", []).append(shape.id)
    for number, frame in enumerate(scene.frames):
        writer.frame(number, frame, inside.get(frame.id, []))
    for shape in scene.shapes:
        writer.shape(shape)
    for line in scene.lines:
        writer.line(line)
    for number, note in enumerate(scene.notes):
        writer.note(number, note)
    return writer.graph


class _Writer:
    """Writes DOT: y upward, sizes of nodes in inches."""

    def __init__(self, scene: Scene, theme: Theme):
        self.theme, self.top = theme, scene.height + MARGIN
        box = f"0,0,{_n(scene.width + 2 * MARGIN)},{_n(scene.height + 2 * MARGIN)}"
        self.graph = graphviz.Digraph("tinygrad_rnn", format="svg")
        self.graph.attr(
            "graph", layout="nop2", bb=box, bgcolor=theme.paper, fontname=FONT, pad="0.15", outputorder="edgesfirst"
        )
        self.graph.attr("node", fontname=FONT, fixedsize="true", color=theme.ink, fontcolor=theme.ink, margin="0")
        self.graph.attr("edge", fontname=FONT, color=theme.ink, fontcolor=theme.ink, arrowsize="0.6")

    def at(self, point: Point) -> str:
        return f"{_n(point[0] + MARGIN)},{_n(self.top - point[1])}"

    def looks(self, shape: Shape) -> dict[str, str]:
        theme = self.theme
        if shape.look == "dot" and shape.height > shape.width:
            return {"shape": "box", "style": "filled,rounded", "fillcolor": theme.ink}
        filled = {"style": "filled", "shape": "box"}
        return {
            "operation": {"shape": "circle", "style": "filled", "fillcolor": theme.operation},
            "long": {"shape": "box", "style": "filled,rounded", "fillcolor": theme.operation},
            "slice": {"shape": "record", "style": "filled", "fillcolor": theme.operation},
            "parameter": {**filled, "fillcolor": theme.parameter},
            "box": {**filled, "style": "filled,rounded", "fillcolor": theme.box},
            "fold": {**filled, "style": "filled,rounded,dashed", "fillcolor": theme.paper},
            "formula": {**filled, "style": "filled,rounded,dashed", "fillcolor": theme.paper, "fontcolor": theme.faint},
            "dot": {"shape": "point"},
            "port": {"shape": "none", "style": "invis"},
        }.get(shape.look, {"shape": "plaintext"})

    def shape(self, shape: Shape) -> None:
        text = label(shape.lines)
        if shape.look == "slice":
            text = "{" + "|".join(f"<p{k}> {field(port)}" for k, port in enumerate(shape.ports)) + "}"
        size = {"width": _n(shape.width / 72, 4), "height": _n(shape.height / 72, 4), "fontsize": _n(shape.size)}
        self.graph.node(shape.id, label=text, pos=self.at((shape.x, shape.y)), **size, **self.looks(shape), id=shape.id,
                       **{"class": shape.look})  # fmt: skip

    def line(self, line: Line) -> None:
        ink, pen, style = self.theme.ink, 1.0, {"style": "solid"}
        if line.look in BACK:
            inks = {"zero": self.theme.faint, "bad": self.theme.bad, "marked": self.theme.bad}
            ink = inks.get(line.look) or colour(self.theme, line.level or 0)
            pen = {"zero": 0.7, "bad": 2.6, "marked": 4.5}.get(line.look) or stroke(line.level or 0)
            style = {"style": "dotted" if line.look == "zero" else "dashed"}
        elif line.look == "cut":
            ink, style = self.theme.faint, {"style": "dotted"}
        elif line.look == "axis":
            ink, pen, style = self.theme.faint, 0.4, {"style": "dotted"}
        elif line.look.startswith("curve "):
            ink, pen = colour(self.theme, int(line.look[6:])), 1.6
        points = curve(line.points, line.straight)
        end = f"e,{self.at(points[-1])} " if line.head else ""
        more = {} if line.head else {"arrowhead": "none"}
        if line.head:
            points[-2:] = _shortened(points[-4], points[-2], points[-1])
        if line.notes:
            first = line.notes[0]
            more |= {"label": label(first.lines), "lp": self.at((first.x, first.y)), "fontsize": _n(first.size),
                     "fontcolor": self.text_colour(first)}  # fmt: skip
        for second in line.notes[1:2]:
            more |= {"xlabel": label(second.lines), "xlp": self.at((second.x, second.y))}
        self.graph.edge(line.source, line.target, pos=end + " ".join(map(self.at, points)), color=ink,
                       penwidth=_n(pen), id=line.id, **style, **more, **{"class": line.look})  # fmt: skip

    def text_colour(self, note: Note) -> str:
        if note.look.startswith("level "):
            return colour(self.theme, int(note.look[6:]))
        return {"faint": self.theme.faint, "bad": self.theme.bad}.get(note.look, self.theme.ink)

    def note(self, id: int | str, note: Note) -> None:
        self.graph.node(f"note{id}", label=label(note.lines), shape="plaintext", pos=self.at((note.x, note.y)),
                       fixedsize="false", width="0", height="0", fontsize=_n(note.size),
                       fontcolor=self.text_colour(note))  # fmt: skip

    def frame(self, number: int, frame: Frame, inside: Sequence[str]) -> None:
        """A cluster with its nodes."""
        x, y = frame.x + MARGIN, self.top - frame.y
        box = f"{_n(x)},{_n(y - frame.height)},{_n(x + frame.width)},{_n(y)}"
        with self.graph.subgraph(name=f"cluster_{number}") as cluster:
            cluster.attr("graph", bb=box, label=label([frame.title]), lp=f"{_n(x + frame.width / 2)},{_n(y - 10)}",
                      style="rounded,filled", color=self.theme.faint, fillcolor=self.theme.frame, fontsize="12",
                      lwidth="1", lheight="0.2", fontcolor=self.theme.faint)  # fmt: skip
            for id in inside:
                cluster.node(id)


def _n(x: float, digits: int = 2) -> str:
    """A number with at most so many digits; the same text on every machine."""
    return f"{round(x, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")


def _shortened(start: Point, hint: Point, end: Point) -> tuple[Point, Point]:
    """The last two points of a curve, moved back to make room for the arrowhead."""
    dx, dy = end[0] - hint[0], end[1] - hint[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    by = min(HEAD, 0.7 * ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5)
    tip = end[0] - dx / length * by, end[1] - dy / length * by
    return ((tip[0] + start[0]) / 2, tip[1]) if dy == 0 else hint, tip


def curve(points: Sequence[Point], straight: bool = False) -> list[Point]:
    """A curve through ``points`` as Bézier pieces that are level at every point."""
    apart = [
        pair[1]
        for pair in itertools.pairwise(points)
        if abs(pair[0][0] - pair[1][0]) + abs(pair[0][1] - pair[1][1]) > 1e-6
    ]
    points, curve_points = [points[0], *apart], [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if straight:
            curve_points += [
                (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3),
                (x0 + (x1 - x0) * 2 / 3, y0 + (y1 - y0) * 2 / 3),
                (x1, y1),
            ]
        else:
            middle = (x0 + x1) / 2
            curve_points += [(middle, y0), (middle, y1), (x1, y1)]
    return curve_points
