"""One panel of a picture: vertices and edges become boxes and links, the layout places them, and they become a scene.

A value that is used more than once runs into a filled dot, and from there to its uses. Gradients add at the dot, and
the sum is written beside it. Slices of the same value are drawn as one tall box. Every link has a slot for its texts:
the name of the value above the line, the gradient below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..model import Edge, Vertex
from .absorbed import absorbed
from .aspect import size_on
from .book.classes import original
from .geometry import Scene, Shape
from .labels import UNITS, gradient_text, size_text, value_text
from .layout import Box, place
from .links import End, LabelledLink, Style, draw_link, reserve
from .theme import SIZES, block

TEXTS = ("input", "state", "constant")
CIRCLE = 36.0
FEW = 4  # numbers of a constant that is drawn with its values


class Panel:
    """The boxes and links of some vertices, of edges (numbered as in the graph), and of ends; `scene` places them."""

    def __init__(
        self,
        name: str,
        vertices: Sequence[Vertex],
        edges: Mapping[int, Edge],
        ends: Sequence[End],
        style: Style,
        lanes: Mapping[str, float],
        first: Sequence[str] = (),
    ):
        self.name, self.style, self.lanes, self.first = name, style, lanes, first
        vertices, edges, self.inside = absorbed(vertices, edges)
        self.vertices = {vertex.id: vertex for vertex in vertices}
        self.edges = edges
        self.shapes: dict[str, Shape] = {}
        self.boxes: dict[str, Box] = {}
        self.links: list[LabelledLink] = []
        self.port_of: dict[str, tuple[str, str]] = {}  # box and port of a value that is a port of a box
        self.ports: dict[str, list[str]] = {}
        self.uses: dict[str, list[tuple[int, Edge]]] = {vertex.id: [] for vertex in vertices}
        for number, edge in edges.items():
            self.uses[edge.source].append((number, edge))
        weights = [edge.target for edge in edges.values() if self.vertices[edge.source].kind in ("parameter", "block")]
        self.weighted = dict.fromkeys(weights)  # their operands may stand in any order
        self.next_named: dict[str, Vertex | None] = {}
        self.end_counts = Counter[str]()
        self.ends: dict[str, list[End]] = {}
        for end in ends:
            self.ends.setdefault(end.source, []).append(end)
        self.find_ports()
        for vertex in vertices:
            if vertex.id not in self.port_of:
                self.add_box(vertex)
        for vertex in vertices:
            self.add_links(vertex)

    # -- boxes

    def find_ports(self) -> None:
        """Make the slices of the same value ports of one box, and the values that a cell returns ports of the cell."""
        for vertex in self.vertices.values():
            targets = [self.vertices[edge.target] for _, edge in self.uses[vertex.id]]
            slices = [to for to in targets if to.op == "getitem" and to.kind == "operation"]
            values = [to for to in targets if to.kind == "value"]
            if len(slices) > 1 and len(slices) == len({to.id: None for to in slices}):
                key = f"{vertex.id}s"
                self.boxes[key] = Box(key, 34.0, 34.0 * len(slices), tuple(to.id for to in slices))
                labels = [self.port_label(to) for to in slices]
                self.shapes[key] = Shape(key, "slice", ports=labels, size=SIZES["text"], about=slices[0].id)
                self.port_of.update((to.id, (key, to.id)) for to in slices)
            elif vertex.kind in UNITS:
                self.port_of.update((to.id, (vertex.id, to.id)) for to in values)
        for to, (box, _) in self.port_of.items():
            self.ports.setdefault(box, []).append(to)

    def port_label(self, slice_: Vertex) -> str:
        """The label of a slice: the name of the value computed from it, if there is one."""
        uses = [self.vertices[edge.target] for _, edge in self.uses[slice_.id]]
        return uses[0].name if len(uses) == 1 and uses[0].name else slice_.name or slice_.detail

    def add_box(self, vertex: Vertex) -> None:
        """Add the box and the shape of a vertex."""
        lines, look, size = self.label_of(vertex)
        width, height = block(lines, size)
        ports: tuple[str, ...] = ()
        if look == "operation":
            width = height = CIRCLE
            if block(lines, size)[0] > CIRCLE - 4:
                look, width = "long", block(lines, size)[0] + 14
        elif vertex.kind in UNITS:
            ports = tuple(self.ports.get(vertex.id, ()))[::-1]
            width, height = max(width + 24, 70), max(height + 16, 34.0 * max(len(ports), 2))
        else:
            width, height = width + 12, height + 6
        rank = 0 if vertex.id in self.first else None
        self.boxes[vertex.id] = Box(vertex.id, width, height, ports, rank, self.lanes.get(vertex.id))
        members = tuple(original(id) for id, edge in self.inside.items() if edge.target == vertex.id)
        self.shapes[vertex.id] = Shape(vertex.id, look, lines=lines, size=size, about=original(vertex.id),
                                       members=members)  # fmt: skip

    def label_of(self, vertex: Vertex) -> tuple[list[str], str, float]:
        """The text of a vertex, its look, and the size of the text."""
        shape, inside = self.shape_text(vertex), [edge for edge in self.inside.values() if edge.target == vertex.id]
        if vertex.kind == "operation":
            symbol = vertex.detail if vertex.op == "getitem" else vertex.symbol or vertex.op
            words = ["−" if symbol == "-" else symbol]
            for edge in inside:
                words.insert(edge.operand, edge.argument)
            return [" ".join(words)], "operation", SIZES["symbol"]
        if inside:
            return [size_text(edge.argument, edge.gradient) if edge.gradient is not None else edge.argument
                    for edge in inside], "parameter", SIZES["text"]  # fmt: skip
        if vertex.kind in UNITS:
            counted = vertex.operations > 1 and (vertex.row is not None or vertex.scope)
            count = f"{vertex.operations} operations" if counted else ""
            return [text for text in (vertex.op or vertex.name, vertex.detail, count) if text], "box", SIZES["text"] + 1
        value = value_text(vertex, self.style.values or (vertex.kind == "constant" and len(vertex.values) <= FEW))
        if vertex.shape == () and vertex.kind in ("constant", "input", "state", "parameter"):
            shape, value = "", "" if value == vertex.name else value
            known = [" ".join(filter(None, [vertex.name, value])) or vertex.kind]
        else:
            known = [text for text in (vertex.name or vertex.kind * (not value), shape, value) if text]
        if vertex.gradient is not None and not any(edge.gradient is not None for _, edge in self.uses[vertex.id]):
            known.append(gradient_text(vertex.name, vertex))  # a leaf, after the backward pass
        return known, "text" if vertex.kind in TEXTS else "parameter", SIZES["text"]

    def shape_text(self, vertex: Vertex) -> str:
        """The shape of a value, if shapes are shown; of a scalar the value says it."""
        known = vertex.shape is not None and not (vertex.shape == () and vertex.values)
        return str(vertex.shape) if known and self.style.shapes != "none" else ""

    def changes_shape(self, vertex: Vertex) -> bool:
        """Does an operation give a value of another shape than its operands, parameters apart?"""
        operands = [edge.shape for edge in self.edges.values() if edge.target == vertex.id
                    and self.vertices[edge.source].kind not in ("parameter", "block", "constant")]  # fmt: skip
        return vertex.kind == "operation" and bool(operands) and vertex.shape not in operands

    # -- links

    def add_links(self, vertex: Vertex) -> None:
        """Add the links from a value to its uses and out of the panel, through a dot if there are several."""
        box, port = self.port_of.get(vertex.id, (vertex.id, ""))
        inner = [pair for pair in self.uses[vertex.id] if self.port_of.get(pair[1].target, ("",))[0] != vertex.id]
        slices = [pair for pair in inner if self.port_of.get(pair[1].target, ("",))[0] == f"{vertex.id}s"]
        uses: list[tuple[int | None, Edge | End]] = [pair for pair in inner if pair not in slices]
        uses += [(end.about, end) for end in self.ends.get(vertex.id, [])]
        if slices:
            edge = Edge(vertex.id, f"{vertex.id}s", gradient=vertex.gradient, shape=vertex.shape)
            uses.insert(0, (slices[0][0], edge))
        name = self.value_name(vertex) if vertex.kind in ("operation", "value") else ""
        if len(uses) > 1:
            dot = f"{vertex.id}d"
            height = 7.0 if not self.style.adjoint else 2 * self.style.apart + 7.0  # so that both lines meet the dot
            self.boxes[dot] = Box(dot, 7.0, height, lane=self.lanes.get(vertex.id))
            self.shapes[dot] = Shape(dot, "dot", about=vertex.id)
            head, back = gradient_text(vertex.name, vertex), vertex.gradient is not None
            self.links.append(LabelledLink(box, dot, port, name=name, below=[head] if head else [],
                                           gradient=vertex.gradient, formula="+", back=back))  # fmt: skip
            box, port, name = dot, "", ""
        tags = self.tags(uses)
        for number, use in uses:
            self.links.append(self.link_to_use(vertex, box, port, number, use, name, tags.get(id(use), "")))

    def value_name(self, vertex: Vertex) -> str:
        """The name of a computed value, and the value where it is shown."""
        return " ".join(filter(None, [vertex.name, value_text(vertex, self.style.values)]))

    def link_to_use(
        self, vertex: Vertex, box: str, port: str, number: int | None, use: Edge | End, name: str, tag: str
    ) -> LabelledLink:
        """The link to a use; ``tag`` says which use it is, if there are several."""
        link = LabelledLink(box, "", port, name=name, gradient=use.gradient, about=number)
        shapes = self.style.shapes
        if shapes == "all" or (shapes == "changes" and not isinstance(use, End) and self.changes_shape(vertex)):
            link.above = [text for text in [self.shape_text(vertex)] if text]
        if use.gradient is not None:
            text = gradient_text("" if tag else vertex.name, vertex, use)
            link.below, link.back = [f"via {tag} {text}" if tag else text], True
        if isinstance(use, End):
            self.end_counts[use.source] += 1
            key = f"{use.source}e{self.end_counts[use.source] - 1}"
            width, height = block(use.lines, SIZES["text"])
            size = (width + 12, height + 6) if use.lines else (2.0, 2.0)
            self.boxes[key] = Box(key, *size, (), use.rank, use.lane)
            self.shapes[key] = Shape(key, "text" if use.lines else "port", lines=use.lines, size=SIZES["text"],
                                     about=use.source)  # fmt: skip
            link.target = key
            return link
        target = self.vertices.get(use.target)
        link.target = use.target if target is None else self.port_of.get(use.target, (use.target,))[0]
        mixed = target is not None and (target.symbol in ("+", "⊙") or vertex.kind in ("parameter", "block"))
        link.order = 0 if mixed or target is None or use.target in self.weighted else use.operand
        link.formula, link.cut = use.short, use.cut
        if use.cut:
            link.below = ["✂ detached"]
        return link

    def tags(self, uses: Sequence[tuple[int | None, Edge | End]]) -> dict[int, str]:
        """The name of each use in the sum of gradients, by where the value goes."""
        tags: dict[int, str] = {}
        seen = Counter[str]()
        for _, use in uses if len(uses) > 1 else ():
            tag = use.tag if isinstance(use, End) else self.next_name(use.target)
            seen[tag] += 1
            tags[id(use)] = f"{tag} ({seen[tag]})" if seen[tag] > 1 else tag
        return tags

    def next_name(self, id: str) -> str:
        """The name of the first named value downstream of a use."""
        start = self.vertices.get(id)
        vertex, passed = start, []
        while vertex and not vertex.name and len(self.uses[vertex.id]) == 1 and vertex.id not in self.next_named:
            passed.append(vertex.id)
            vertex = self.vertices.get(self.uses[vertex.id][0][1].target)
        if vertex is not None:
            vertex = self.next_named.get(vertex.id, vertex)
        self.next_named.update(dict.fromkeys(passed, vertex))
        return vertex.name if vertex and vertex.name else (start.symbol or start.op) if start else "slices"

    # -- the scene

    def scene(self, ratio: float | None = None) -> Scene:
        """Place everything. Returns the scene, in several rows where it is too wide for a picture of this ratio."""
        for link in self.links:
            reserve(link, self.style)
        width, height = place(list(self.boxes.values()), self.links, gap=(14.0, 8.0, 2 * self.style.apart + 7.0),
                              size=size_on(ratio))  # fmt: skip
        scene = Scene(width, height)
        for key, box in self.boxes.items():
            shape = self.shapes[key]
            shape.x, shape.y, shape.width, shape.height = box.x, box.y, box.width, box.height
            scene.shapes.append(shape)
        for k, link in enumerate(self.links):
            draw_link(scene, str(k), link, self.shapes, self.style)
        for shape in scene.shapes:
            shape.id = f"{self.name}{shape.id}"
        for line in scene.lines:
            line.id = f"{self.name}{line.id}"
            line.source, line.target = f"{self.name}{line.source}", f"{self.name}{line.target}"
        return scene
