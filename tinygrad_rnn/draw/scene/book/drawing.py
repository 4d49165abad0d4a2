"""From placed parts and wires to a scene: shapes, lines with their way back, texts."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from ...model import Edge, Vertex
from ..geometry import Frame, Line, Note, Point, Scene, Shape
from ..labels import number_text
from ..links import Style, kind
from ..theme import block
from .classes import original
from .gradients import Gradients
from .nets import AWAY, Stretch, beside
from .parts import Part, Parts
from .placement import JOINT, LEAVE
from .routes import BUS, Routes
from .texts import Texts

CIRCLE, DOT, LINE = 34.0, 8.0, 18.0
POINTS = ("dot", "joint")  # looks of shapes where lines meet
TEXT, NAME = 14.0, 17.0  # sizes of text
MAP = 118.0  # the width of the map of a gate


class Drawing:
    """Draws a cell; the sizes of parts are set before they are placed."""

    def __init__(self, parts: Parts, style: Style):
        self.parts, self.style, self.graph = parts, style, parts.graph
        self.gradients = Gradients(parts)
        ends = [name for name in self.graph.outputs if parts.root.get(self.graph.outputs[name])]
        ends += [self.graph.known[id].name for id in parts.order if parts.kinds[id] == "argument"]
        self.reach = 46.0 + max(block([f"|d{name}| 0.0001"], TEXT)[0] for name in ends)
        for part in parts.parts.values():
            self._measure(part)

    def _measure(self, part: Part) -> None:
        """Set the size of a part from its text."""
        wide = any(reader.kind == "slice" for reader, _ in self.parts.uses.get(part.id, []))
        if part.kind == "map":
            rows = 3 if wide else len(self._params(part)) + len(part.lines)
            rows = rows if part is self.parts.first else max(rows, 3)  # three, as most gates have
            part.width, part.height = MAP, LINE * rows + 12
        elif part.kind == "slice":
            part.height = 22.0
        else:
            width, height = block(part.lines, NAME)
            round_ = len(part.lines) == 1 and width <= CIRCLE - 4
            part.width, part.height = (CIRCLE, CIRCLE) if round_ else (width + 14, max(height + 8, CIRCLE))

    def _params(self, part: Part) -> list[tuple[Vertex, int, Edge]]:
        """The parameters of a map, and arrays that need no gradient, each once; numbers are left out."""
        seen: dict[str, tuple[Vertex, int, Edge]] = {}
        for number, edge in part.params:
            vertex, entry = self.graph.known[edge.source], ""
            while vertex.kind == "operation" and len(self.graph.into[vertex.id]) == 1:  # W.T, W[0]
                entry += vertex.detail * (len(vertex.detail) <= len("[10]"))
                number, edge = self.graph.into[vertex.id][0]
                vertex = self.graph.known[edge.source]
            if vertex.kind in ("parameter", "block") or (vertex.kind == "constant" and vertex.shape):
                named = replace(vertex, name=f"{vertex.name}{entry}") if entry else vertex
                seen.setdefault(vertex.id + entry, (named, number, edge))
        return list(seen.values())

    # -- the scene

    def scene(self, routes: Routes, pieces: list[tuple[list[Stretch], dict[str, Point]]]) -> Scene:
        """The whole scene; y points downward in it."""
        self.routes, self.placement, self.out = routes, routes.at, Scene()
        placement = routes.at
        high = max([placement.rail_y if placement.rail else 0.0, *(part.top for part in self.parts.parts.values())])
        on_top = [part for part in self.parts.parts.values() if part.kind == "gate" and part.top == high]
        self.up = high + 34.0 + (LEAVE if on_top else 0.0)  # a result of a gate leaves upward
        for part in self.parts.parts.values():
            self._add_part(part)
        self._add_ends()
        labelled: list[tuple[Stretch, Line, Line | None]] = []
        for stretches, dots in pieces:
            for id, point in dots.items():
                about = stretches[0].wires[0].source if stretches[0].wires[0].source != BUS else ""
                about = self._about(about)
                self.out.shapes.append(Shape(id, "dot", point[0], self.up - point[1], DOT, DOT, about=about))
            labelled += [(stretch, *self._add_line(stretch)) for stretch in stretches]
        left, right = placement.start - 26, placement.right + 26
        bottom = self.up - placement.low - 28
        self.out.frames.append(Frame("", left, 0.0, right - left, bottom))
        self._add_texts(labelled)
        self.out.width, self.out.height = right - left + 2 * (self.reach + 28), bottom + 58
        return self.out.shift(self.reach + 28 - left, 0.0)

    def _about(self, id: str) -> str:
        """The vertex of a part or an argument."""
        return self.parts.parts[id].value.id if id in self.parts.parts else id

    def _add_part(self, part: Part) -> None:
        x, y = part.x, self.up - part.y
        members = tuple(dict.fromkeys(
            map(original, (*(vertex.id for vertex, _, _ in self._params(part)), *part.members))))  # fmt: skip
        if part.kind == "slice":
            gates = sorted((gate.x, gate.value.name) for gate, _ in self.parts.uses[part.id])
            labels = [name for _, name in gates]
            shape = Shape(part.id, "slice", x, y, part.width, part.height, (), TEXT, labels, part.fields[0])
        elif part.kind == "map":
            shape = Shape(part.id, "parameter", x, y, part.width, part.height, (), TEXT, about=part.value.id)
            self._add_params(part, shape)
        else:
            look = "operation" if part.width == part.height == CIRCLE else "long"
            shape = Shape(part.id, look, x, y, part.width, part.height, part.lines, NAME, about=part.value.id)
        shape.members = members
        self.out.shapes.append(shape)

    def _add_params(self, part: Part, shape: Shape) -> None:
        """The parameters of a map, each with the size of its gradient: below each other, or side by side if wide."""
        params = self._params(part)
        wide = part.width > MAP
        names = block([vertex.name for vertex, _, _ in params], TEXT)[0]
        numbers = block([number_text(edge.gradient) for _, _, edge in params if edge.gradient is not None], TEXT)[0]
        left, right = (24.0, 28.0) if names < MAP / 2 else ((numbers + 2) / 2, (names + 2) / 2)
        if part.lines:
            self.out.notes.append(Note(shape.x, shape.y - shape.height / 2 + 14, part.lines, TEXT, "faint"))
        for k, (vertex, _, edge) in enumerate(params):
            x = shape.x - shape.width / 2 + shape.width * ((k + 0.5) / len(params) if wide else 0.5)
            y = shape.y + (0.0 if wide else LINE * (k - (len(params) - 1) / 2)) + 0.5 * LINE * len(part.lines)
            if edge.gradient is None:
                self.out.notes.append(Note(x, y, [vertex.name or str(vertex.shape)], TEXT))
                continue
            self.out.notes.append(Note(x - left, y, [vertex.name], TEXT))
            self.out.notes.append(Note(x + right, y, [number_text(edge.gradient)], TEXT, self._ink(edge.gradient)))

    def _ink(self, gradient: float | None) -> str:
        look = kind(gradient)
        return f"level {self.style.scale.level(gradient or 0.0)}" if look == "backward" else look

    def _add_ends(self) -> None:
        """The texts of arguments and results, and the joint of the bus."""
        if len(self.routes.bus) > 1:
            self._add_joint()
        shown = self.style.shapes != "none"
        ends: list[tuple[str, str, Vertex, Point]] = []
        for id in (id for id in self.parts.order if self.parts.kinds[id] == "argument"):
            vertex = self.graph.known[id]
            aside = (self.placement.start - self.reach - 24, self.placement.level(vertex.name))
            place = aside if vertex.kind == "state" else (self.routes.input_x(id), self.placement.low - 14)
            ends.append((id, vertex.name, vertex, place))
        for name, id in self.graph.outputs.items():
            place = (self.placement.right + self.reach + 24, self.placement.level(self.graph.state_of(name)))
            ends.append((name, name, self.graph.known[id], place))
        for id, name, vertex, (x, y) in ends:
            lines = [name, str(vertex.shape)] if shown and vertex.shape is not None else [name]
            if vertex.kind == "input":
                lines = [" ".join(lines)]
            width, height = block(lines, TEXT)
            self.out.shapes.append(Shape(id, "text", x, self.up - y, max(width, 28.0), height, lines, TEXT,
                                         about=vertex.id))  # fmt: skip

    def _add_joint(self) -> None:
        """Add the joint of the bus: a dot, or ``[x, h]`` where all that reads the bus reads these joined."""
        readers = [part for id in self.routes.bus for part, _ in self.parts.uses[id]
                   if part not in (self.routes.first, *self.placement.rail[:1])]  # fmt: skip
        joined = {part.id: part.joint and [edge.source for _, edge in self.graph.into[part.joint]] for part in readers}
        operands = joined[readers[0].id]
        shape = Shape(BUS, "joint", JOINT, self.up, DOT, DOT)
        if operands and all(others == operands for others in joined.values()):
            lines = [f"[{', '.join(self.graph.known[id].name for id in operands)}]"]
            shape.look, shape.lines, shape.size, shape.about = "long", lines, TEXT, readers[0].joint
            shape.width, shape.height = block(lines, TEXT)[0] + 12, 30.0
        self.out.shapes.append(shape)

    # -- lines

    def _add_line(self, stretch: Stretch) -> tuple[Line, Line | None]:
        """The line forward, and the line back if a gradient comes back."""
        shapes = {shape.id: shape for shape in self.out.shapes}
        source, target = shapes[stretch.start], shapes[stretch.end]
        edges = tuple(dict.fromkeys(number for wire in stretch.wires for number in wire.edges))
        points = [(x, self.up - y) for x, y in stretch.points]
        id = f"{stretch.start}-{stretch.end}"
        about = edges[0] if len(edges) == len(stretch.wires) == 1 else None
        line = Line(f"f{id}", source.id, target.id, _met(points, source, target, 0.0), about=about, straight=True,
                    head=target.look not in POINTS, edges=edges)  # fmt: skip
        self.out.lines.append(line)
        gradient, _ = self.gradients.gradient(stretch)
        if gradient is None:
            return line, None
        points = _met([(x, self.up - y) for x, y in beside(stretch.points)], source, target, AWAY)[::-1]
        back = Line(f"b{id}", target.id, source.id, points, kind(gradient), self.style.scale.level(gradient), about,
                    straight=True, head=source.look not in POINTS, edges=edges)  # fmt: skip
        self.out.lines.append(back)
        return line, back

    # -- texts

    def _add_texts(self, labelled: list[tuple[Stretch, Line, Line | None]]) -> None:
        """The names of values to the left of their lines, the gradients to the right."""
        texts, seen = Texts(self.out), Counter[str]()
        for stretch, line, _ in labelled:
            source, seen[source] = stretch.wires[0].source, seen[stretch.wires[0].source] + 1
            name, first = "", seen[source] == 1 and source in self.parts.parts
            if first and (vertex := self.gradients.vertex(stretch.wires[0])).id not in self.graph.results:
                name = vertex.name
            elif source == BUS and len(stretch.wires) == 1:
                name = self._tapped(stretch)
            if name:
                line.notes += texts.place(line, [name], NAME, "ink", right=False)
        for stretch, line, back in labelled:
            if back is not None and (text := self.gradients.text(stretch)):
                look = self._ink(self.gradients.gradient(stretch)[0])
                back.notes += texts.place(line, [text], TEXT, look, right=True)

    def _tapped(self, stretch: Stretch) -> str:
        """Which values a part takes from the bus, if it does not take all."""
        bus, part = self.routes.bus, self.parts.parts[stretch.wires[0].target]
        taken = [id for id in bus if any(feed.source == id for feed in part.feeds)]
        return ", ".join(self.graph.known[self._about(id)].name for id in taken) if len(taken) < len(bus) else ""


def _met(points: list[Point], source: Shape, target: Shape, away: float) -> list[Point]:
    """The path with its ends at the borders of circles, and short of dots."""
    path = list(points)
    for k, after, shape in ((0, 1, source), (-1, -2, target)):
        (x, y), (nx, ny) = path[k], path[after]
        length = max(abs(nx - x) + abs(ny - y), 1e-9)
        ux, uy = (nx - x) / length, (ny - y) / length
        if shape.id == BUS and shape.look == "long":
            by = abs(ux) * shape.width / 2 + abs(uy) * shape.height / 2
        elif shape.look in POINTS:
            by = DOT / 2 if not away else away + 3.0  # clear of the other lines there
        elif shape.look == "operation" and away:
            by = math.sqrt((shape.width / 2) ** 2 - away**2) - shape.width / 2
        else:
            by = 0.0
        path[k] = x + ux * min(by, length / 2), y + uy * min(by, length / 2)
    return path
