"""From a scene to SVG: nothing but this package is needed.

Each shape, line and frame is a group with the id that it has in the scene: ``<g id="n3" class="node operation">``. The
colours are those of a theme, or, in a page, variables of its style sheet.
"""

from __future__ import annotations

import html
import math
from collections.abc import Container, Mapping, Sequence
from types import MappingProxyType

from ..scene.aspect import MARGIN
from ..scene.geometry import Frame, Line, Note, Point, Scene, Shape
from ..scene.labels import plain
from ..scene.theme import SHAPES, THEMES, line_style, paints, text_ink
from .curves import HEAD, curve, number, shortened

FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
ABOUT = "The graph of a computation: solid arrows run forward, dashed ones backward, with the norms of the gradients."
DASHES = {"dashed": ' stroke-dasharray="5 2"', "dotted": ' stroke-dasharray="1 4"', "solid": ""}


def svg(scene: Scene, title: str, theme: str = "light", hover: Mapping[str, str] | None = None) -> str:
    """The picture as an SVG file; ``hover`` are the texts that are shown where the pointer rests, by id."""
    x, y, width, height = map(number, view_box(scene))
    writer = Writer(dict(paints(THEMES[theme])), hover=hover or {})
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" viewBox="{x} {y} {width} {height}" role="img" font-family="{FONTS}">\n'
        f"<title>{escaped(title)}</title>\n<desc>{ABOUT}</desc>\n"
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{writer.paints["paper"]}"/>\n'
        f"{writer.content(scene)}</svg>\n"
    )


def view_box(scene: Scene) -> tuple[float, float, float, float]:
    """The part of the plane that is shown: left, top, width and height."""
    return -MARGIN, -MARGIN, scene.width + 2 * MARGIN, scene.height + 2 * MARGIN


def escaped(text: str) -> str:
    """Text as text of XML; what does not print is a space."""
    return html.escape(plain(text))


class Writer:
    """Writes the parts of a scene.

    ``paints`` are the colours by name. ``prefix`` begins every id. Parts whose ids are not in ``marks`` get the class
    ``still``; None gives it to none. ``hover`` are the titles of parts, by id.
    """

    def __init__(self, paints: Mapping[str, str], prefix: str = "", marks: Container[str] | None = None,
                 hover: Mapping[str, str] = MappingProxyType({})):  # fmt: skip
        self.paints, self.prefix, self.marks, self.hover = paints, prefix, marks, hover

    def content(self, scene: Scene) -> str:
        """All parts: frames, lines, shapes, notes, in the order in which they cover each other."""
        return "".join([*map(self.frame, scene.frames), *map(self.line, scene.lines),
                        *(self.shape(shape) for shape in scene.shapes if shape.look != "port"),
                        *(self.note(note) for note in scene.notes)])  # fmt: skip

    def group(self, id: str, kind: str, inside: str) -> str:
        still = " still" if self.marks is not None and id not in self.marks else ""
        lines = self.hover.get(id, "").split("\n")
        title = f"<title>{'&#10;'.join(map(escaped, lines))}</title>" if id in self.hover else ""
        return f'<g id="{escaped(self.prefix + id)}" class="{kind}{still}">{title}{inside}</g>\n'

    def frame(self, frame: Frame) -> str:
        """A frame with its title."""
        box = self.box(frame.x, frame.y, frame.width, frame.height, 8.0, "frame", "faint")
        title = Note(frame.x + frame.width / 2, frame.y + 12, [frame.title] if frame.title else [], 12.0, "faint")
        return f'<g class="cluster">{box}{self.note(title)}</g>\n'

    def box(self, x: float, y: float, width: float, height: float, radius: float, fill: str, ink: str,
            border: str = "solid") -> str:  # fmt: skip
        """A rectangle; x and y are its upper left corner."""
        rounded = f' rx="{number(radius)}"' if radius else ""
        return (f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"{rounded} '
                f'fill="{self.paints[fill]}" stroke="{self.paints[ink]}"{DASHES[border]}/>')  # fmt: skip

    def shape(self, shape: Shape) -> str:
        """A shape with its text."""
        form, fill, border, ink = SHAPES.get(shape.look, ("", "", "", "ink"))
        left, top = shape.x - shape.width / 2, shape.y - shape.height / 2
        if form == "circle" or (form == "dot" and shape.width >= shape.height):
            outline = (f'<circle cx="{number(shape.x)}" cy="{number(shape.y)}" r="{number(shape.width / 2)}" '
                       f'fill="{self.paints[fill]}" stroke="{self.paints["ink"]}"/>')  # fmt: skip
        elif form:
            radius = {"rounded": 7.0, "dot": shape.width / 2}.get(form, 0.0)
            outline = self.box(left, top, shape.width, shape.height, radius, fill, "ink", border)
        else:
            outline = ""
        text = self.note(Note(shape.x, shape.y, shape.lines, shape.size, ink)) if shape.lines else ""
        return self.group(shape.id, f"node {shape.look}", outline + text + self.fields(shape))

    def fields(self, shape: Shape) -> str:
        """The fields of a box of slices, with the lines between them: side by side in a wide box, else stacked."""
        parts, count, wide = "", len(shape.ports), shape.width > shape.height
        left, top = shape.x - shape.width / 2, shape.y - shape.height / 2
        for k, port in enumerate(shape.ports if shape.look == "slice" else ()):
            across, down = ((k + 0.5) / count, 0.5) if wide else (0.5, (k + 0.5) / count)
            parts += self.note(Note(left + across * shape.width, top + down * shape.height, [port], shape.size))
            if k and wide:
                parts += self.rule((left + k / count * shape.width, top), (0.0, shape.height))
            elif k:
                parts += self.rule((left, top + k / count * shape.height), (shape.width, 0.0))
        return parts

    def rule(self, start: Point, way: Point) -> str:
        """A thin straight line."""
        return (f'<path d="M{number(start[0])} {number(start[1])}l{number(way[0])} {number(way[1])}" '
                f'stroke="{self.paints["ink"]}"/>')  # fmt: skip

    def line(self, line: Line) -> str:
        """A line with its arrowhead and its texts."""
        ink, pen, style = line_style(line.look, line.level)
        points = curve(line.points, line.straight)
        tip = points[-1]
        if line.head:
            points[-2:] = shortened(points[-4], points[-2], points[-1])
        path = path_of(points, line.straight)
        colour = self.paints[ink]
        parts = f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{number(pen)}"{DASHES[style]}/>'
        if line.head:
            corners = " ".join(f"{number(x)},{number(y)}" for x, y in arrowhead(points[-1], tip, pen))
            parts += f'<polygon points="{corners}" fill="{colour}" stroke="none"/>'
        return self.group(line.id, f"edge {line.look}", parts + "".join(map(self.note, line.notes)))

    def note(self, note: Note) -> str:
        """Lines of text, centred."""
        first = note.y - 0.6 * note.size * (len(note.lines) - 1) + 0.35 * note.size
        ink = self.paints[text_ink(note.look)]
        return "".join(
            f'<text x="{number(note.x)}" y="{number(first + 1.2 * note.size * k)}" text-anchor="middle" '
            f'font-size="{number(note.size)}" fill="{ink}">{escaped(text)}</text>'
            for k, text in enumerate(note.lines)
        )


def path_of(points: Sequence[Point], straight: bool) -> str:
    """The ``d`` of a path along Bézier pieces."""
    texts = [f"{number(x)} {number(y)}" for x, y in points]
    if straight:
        return f"M{texts[0]}" + "".join(f"L{text}" for text in texts[3::3])
    pieces = (f"C{' '.join(texts[k : k + 3])}" for k in range(1, len(texts), 3))
    return f"M{texts[0]}{''.join(pieces)}"


def arrowhead(base: Point, tip: Point, pen: float) -> list[Point]:
    """The corners of an arrowhead; a wide line has a wide head."""
    dx, dy = tip[0] - base[0], tip[1] - base[1]
    length = math.hypot(dx, dy) or 1.0
    half = (0.35 * HEAD + 0.4 * pen) / length
    return [(base[0] - dy * half, base[1] + dx * half), tip, (base[0] + dy * half, base[1] - dx * half)]
