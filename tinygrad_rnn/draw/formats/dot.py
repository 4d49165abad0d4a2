"""From a scene to DOT with all positions, so that Graphviz only has to draw (engine ``nop2``).

Positions are in points. The text is also a complete graph: ``dot -Kdot`` computes another layout of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphviz

from ..scene.aspect import MARGIN
from ..scene.geometry import Frame, Line, Note, Point, Scene, Shape
from ..scene.labels import plain
from ..scene.theme import FONT, SHAPES, THEMES, Theme, line_style, paints, text_ink
from .curves import curve, number, shortened


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
    for place, frame in enumerate(scene.frames):
        writer.frame(place, frame, inside.get(frame.id, []))
    for shape in scene.shapes:
        writer.shape(shape)
    for line in scene.lines:
        writer.line(line)
    for place, note in enumerate(scene.notes):
        writer.note(place, note)
    return writer.graph


class _Writer:
    """Writes DOT: y upward, sizes of nodes in inches."""

    def __init__(self, scene: Scene, theme: Theme):
        self.theme, self.paints, self.top = theme, dict(paints(theme)), scene.height + MARGIN
        box = f"0,0,{number(scene.width + 2 * MARGIN)},{number(scene.height + 2 * MARGIN)}"
        self.graph = graphviz.Digraph("tinygrad_rnn", format="svg")
        self.graph.attr(
            "graph", layout="nop2", bb=box, bgcolor=theme.paper, fontname=FONT, pad="0.15", outputorder="edgesfirst"
        )
        self.graph.attr("node", fontname=FONT, fixedsize="true", color=theme.ink, fontcolor=theme.ink, margin="0")
        self.graph.attr("edge", fontname=FONT, color=theme.ink, fontcolor=theme.ink, arrowsize="0.6")

    def at(self, point: Point) -> str:
        return f"{number(point[0] + MARGIN)},{number(self.top - point[1])}"

    def looks(self, shape: Shape) -> dict[str, str]:
        """The attributes of a node."""
        if shape.look == "port":
            return {"shape": "none", "style": "invis"}
        form, fill, border, ink = SHAPES.get(shape.look, ("", "", "", ""))
        if form == "dot" and shape.height <= shape.width:
            return {"shape": "point"}
        style = "filled" + ",rounded" * (form in ("rounded", "dot")) + ",dashed" * (border == "dashed")
        outline = {"circle": "circle", "fields": "record"}.get(form, "box")
        filled = {"shape": outline, "style": style, "fillcolor": self.paints.get(fill, "")}
        faint = {"fontcolor": self.theme.faint} if ink == "faint" else {}
        return {**filled, **faint} if form else {"shape": "plaintext"}

    def shape(self, shape: Shape) -> None:
        text = label(shape.lines)
        if shape.look == "slice":
            text = "{" + "|".join(f"<p{k}> {field(port)}" for k, port in enumerate(shape.ports)) + "}"
        size = {"width": number(shape.width / 72, 4), "height": number(shape.height / 72, 4),
                "fontsize": number(shape.size)}  # fmt: skip
        self.graph.node(shape.id, label=text, pos=self.at((shape.x, shape.y)), **size, **self.looks(shape), id=shape.id,
                       **{"class": shape.look})  # fmt: skip

    def line(self, line: Line) -> None:
        ink, pen, style = line_style(line.look, line.level)
        points = curve(line.points, line.straight)
        end = f"e,{self.at(points[-1])} " if line.head else ""
        more = {} if line.head else {"arrowhead": "none"}
        if line.head:
            points[-2:] = shortened(points[-4], points[-2], points[-1])
        if line.notes:
            first = line.notes[0]
            more |= {"label": label(first.lines), "lp": self.at((first.x, first.y)), "fontsize": number(first.size),
                     "fontcolor": self.text_colour(first)}  # fmt: skip
        for second in line.notes[1:2]:
            more |= {"xlabel": label(second.lines), "xlp": self.at((second.x, second.y))}
        self.graph.edge(line.source, line.target, pos=end + " ".join(map(self.at, points)), color=self.paints[ink],
                       penwidth=number(pen), id=line.id, style=style, **more, **{"class": line.look})  # fmt: skip

    def text_colour(self, note: Note) -> str:
        return self.paints[text_ink(note.look)]

    def note(self, id: int | str, note: Note) -> None:
        self.graph.node(f"note{id}", label=label(note.lines), shape="plaintext", pos=self.at((note.x, note.y)),
                       fixedsize="false", width="0", height="0", fontsize=number(note.size),
                       fontcolor=self.text_colour(note))  # fmt: skip

    def frame(self, place: int, frame: Frame, inside: Sequence[str]) -> None:
        """A cluster with its nodes."""
        x, y = frame.x + MARGIN, self.top - frame.y
        middle = f"{number(x + frame.width / 2)},{number(y - 10)}"
        box = f"{number(x)},{number(y - frame.height)},{number(x + frame.width)},{number(y)}"
        with self.graph.subgraph(name=f"cluster_{place}") as cluster:
            cluster.attr("graph", bb=box, label=label([frame.title]), lp=middle,
                      style="rounded,filled", color=self.theme.faint, fillcolor=self.theme.frame, fontsize="12",
                      lwidth="1", lheight="0.2", fontcolor=self.theme.faint)  # fmt: skip
            for id in inside:
                cluster.node(id)
