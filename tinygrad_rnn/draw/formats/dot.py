"""From a scene to DOT, with every position given, so that Graphviz only has to draw: its engine ``nop2``.

Positions are in points. The text is a graph of its own, too: ``dot -Kdot`` lays it out anew.
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
    """Text as a part of a DOT label that shows it literally: no escapes, no entities, no controls."""
    return str(graphviz.escape(plain(text).replace("&", "&amp;")))


def label(lines: Sequence[str]) -> Any:
    """Several lines under each other, marked as no HTML."""
    return graphviz.nohtml("\\n".join(escaped(line) for line in lines))


def field(text: str) -> str:
    """Text as a field of a record, where some characters have a meaning."""
    return "".join("\\" + c if c in "{}|<> " else c for c in escaped(text))


def digraph(scene: Scene, theme: str = "light") -> graphviz.Digraph:
    """The whole picture."""
    writer = _Writer(scene, THEMES[theme])
    inside: dict[str, list[str]] = {}  # the shapes of a step, by what their ids begin with
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
    return writer.made


class _Writer:
    """DOT in the making: y upward, sizes of nodes in inches."""

    def __init__(self, scene: Scene, theme: Theme):
        self.theme, self.top = theme, scene.height + MARGIN
        box = f"0,0,{_n(scene.width + 2 * MARGIN)},{_n(scene.height + 2 * MARGIN)}"
        self.made = graphviz.Digraph("tinygrad_rnn", format="svg")
        self.made.attr(
            "graph", layout="nop2", bb=box, bgcolor=theme.paper, fontname=FONT, pad="0.15", outputorder="edgesfirst"
        )
        self.made.attr("node", fontname=FONT, fixedsize="true", color=theme.ink, fontcolor=theme.ink, margin="0")
        self.made.attr("edge", fontname=FONT, color=theme.ink, fontcolor=theme.ink, arrowsize="0.6")

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
            "swatch": {**filled, "penwidth": "0"},
        }.get(shape.look, {"shape": "plaintext"})

    def shape(self, one: Shape) -> None:
        text = label(one.lines)
        if one.look == "slice":
            text = "{" + "|".join(f"<p{k}> {field(port)}" for k, port in enumerate(one.ports)) + "}"
        size = {"width": _n(one.width / 72, 4), "height": _n(one.height / 72, 4), "fontsize": _n(one.size)}
        self.made.node(one.id, label=text, pos=self.at((one.x, one.y)), **size, **self.looks(one), id=one.id,
                       **{"class": one.look})  # fmt: skip

    def line(self, one: Line) -> None:
        ink, pen, style = self.theme.ink, 1.0, {"style": "solid"}
        if one.look in BACK:
            inks = {"zero": self.theme.faint, "bad": self.theme.bad, "marked": self.theme.bad}
            ink = inks.get(one.look) or colour(self.theme, one.level or 0)
            pen = {"zero": 0.7, "bad": 2.6, "marked": 4.5}.get(one.look) or stroke(one.level or 0)
            style = {"style": "dotted" if one.look == "zero" else "dashed"}
        elif one.look == "cut":
            ink, style = self.theme.faint, {"style": "dotted"}
        elif one.look == "axis":
            ink, pen, style = self.theme.faint, 0.4, {"style": "dotted"}
        elif one.look.startswith("curve "):
            ink, pen = colour(self.theme, int(one.look[6:])), 1.6
        points = curve(one.points, one.straight)
        end = f"e,{self.at(points[-1])} " if one.head else ""
        more = {} if one.head else {"arrowhead": "none"}
        if one.head:
            points[-2:] = _shortened(points[-4], points[-2], points[-1])
        if one.notes:
            first = one.notes[0]
            more |= {"label": label(first.lines), "lp": self.at((first.x, first.y)), "fontsize": _n(first.size),
                     "fontcolor": self.text_colour(first)}  # fmt: skip
        for second in one.notes[1:2]:
            more |= {"xlabel": label(second.lines), "xlp": self.at((second.x, second.y))}
        self.made.edge(one.source, one.target, pos=end + " ".join(map(self.at, points)), color=ink,
                       penwidth=_n(pen), id=one.id, **style, **more, **{"class": one.look})  # fmt: skip

    def text_colour(self, note: Note) -> str:
        if note.look.startswith("level "):
            return colour(self.theme, int(note.look[6:]))
        return {"faint": self.theme.faint, "bad": self.theme.bad}.get(note.look, self.theme.ink)

    def note(self, id: int | str, one: Note) -> None:
        self.made.node(f"note{id}", label=label(one.lines), shape="plaintext", pos=self.at((one.x, one.y)),
                       fixedsize="false", width="0", height="0", fontsize=_n(one.size),
                       fontcolor=self.text_colour(one))  # fmt: skip

    def frame(self, number: int, one: Frame, inside: Sequence[str]) -> None:
        """A cluster, with what belongs to it."""
        x, y = one.x + MARGIN, self.top - one.y
        box = f"{_n(x)},{_n(y - one.height)},{_n(x + one.width)},{_n(y)}"
        with self.made.subgraph(name=f"cluster_{number}") as made:
            made.attr("graph", bb=box, label=label([one.title]), lp=f"{_n(x + one.width / 2)},{_n(y - 10)}",
                      style="rounded,filled", color=self.theme.faint, fillcolor=self.theme.frame, fontsize="12",
                      lwidth="1", lheight="0.2", fontcolor=self.theme.faint)  # fmt: skip
            for id in inside:
                made.node(id)


def _n(x: float, digits: int = 2) -> str:
    """A number as short as it is exact enough; the same on every machine."""
    return f"{round(x, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")


def _shortened(start: Point, hint: Point, end: Point) -> tuple[Point, Point]:
    """The last two points of a curve, moved back to leave room for the arrowhead."""
    dx, dy = end[0] - hint[0], end[1] - hint[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    by = min(HEAD, 0.7 * ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5)
    tip = end[0] - dx / length * by, end[1] - dy / length * by
    return ((tip[0] + start[0]) / 2, tip[1]) if dy == 0 else hint, tip


def curve(points: Sequence[Point], straight: bool = False) -> list[Point]:
    """A way through ``points`` as Bézier pieces that are level at every point."""
    apart = [
        pair[1]
        for pair in itertools.pairwise(points)
        if abs(pair[0][0] - pair[1][0]) + abs(pair[0][1] - pair[1][1]) > 1e-6
    ]
    points, made = [points[0], *apart], [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if straight:
            made += [
                (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3),
                (x0 + (x1 - x0) * 2 / 3, y0 + (y1 - y0) * 2 / 3),
                (x1, y1),
            ]
        else:
            middle = (x0 + x1) / 2
            made += [(middle, y0), (middle, y1), (x1, y1)]
    return made
