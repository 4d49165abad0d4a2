"""One panel of a picture: vertices and edges become boxes and links, get their places, and become a scene.

A value that is used more than once runs into a filled dot, and from there to its uses: backward, that is where
gradients add, and the sum is spelled out. Slices of one value are one tall box. Every link has a slot for its texts,
the name of the value above its line, what comes back below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..model import Edge, Vertex
from .geometry import Scene, Shape
from .labels import size_text
from .layout import Box, Link, place
from .links import End, Style, Tie, draw_tie, reserve
from .theme import SIZES, block

TEXTS = ("input", "state", "constant")
BOXES = ("cell", "fold", "module", "affine")
CIRCLE = 36.0
FEW = 6  # terms of a sum that are spelled out


class Panel:
    """Vertices, edges (numbered as in the graph) and ends, on their way to a scene."""

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
        self.known = {one.id: one for one in vertices}
        self.edges = edges
        self.shapes: dict[str, Shape] = {}
        self.boxes: dict[str, Box] = {}
        self.ties: list[Tie] = []
        self.behind: dict[str, tuple[str, str]] = {}  # a value that is a port of a box
        self.ports: dict[str, list[str]] = {}
        self.uses: dict[str, list[tuple[int, Edge]]] = {one.id: [] for one in vertices}
        for number, edge in edges.items():
            self.uses[edge.source].append((number, edge))
        weights = [edge.target for edge in edges.values() if self.known[edge.source].kind in ("parameter", "block")]
        self.weighs = dict.fromkeys(weights)  # those with a parameter among the operands, which stand in any order
        self.ahead: dict[str, Vertex | None] = {}
        self.ended = Counter[str]()
        self.ends: dict[str, list[End]] = {}
        for end in ends:
            self.ends.setdefault(end.source, []).append(end)
        self.find_ports()
        for one in vertices:
            if one.id not in self.behind:
                self.put(one)
        for one in vertices:
            self.tie(one)

    # -- boxes

    def find_ports(self) -> None:
        """Slices of one value, and the values that a cell gives, are ports of one box."""
        for one in self.known.values():
            targets = [self.known[edge.target] for _, edge in self.uses[one.id]]
            slices = [to for to in targets if to.op == "getitem" and to.kind == "operation"]
            values = [to for to in targets if to.kind == "value"]
            if len(slices) > 1 and len(slices) == len({to.id: None for to in slices}):
                key = f"{one.id}s"
                self.boxes[key] = Box(key, 34.0, 34.0 * len(slices), tuple(to.id for to in slices))
                labels = [self.port_label(to) for to in slices]
                self.shapes[key] = Shape(key, "slice", ports=labels, size=SIZES["text"], about=slices[0].id)
                self.behind.update((to.id, (key, to.id)) for to in slices)
            elif one.kind in BOXES:
                self.behind.update((to.id, (one.id, to.id)) for to in values)
        for to, (box, _) in self.behind.items():
            self.ports.setdefault(box, []).append(to)

    def port_label(self, slice_: Vertex) -> str:
        """A slice is called what comes of it, if that has a name."""
        uses = [self.known[edge.target] for _, edge in self.uses[slice_.id]]
        return uses[0].name if len(uses) == 1 and uses[0].name else slice_.name or slice_.detail

    def put(self, one: Vertex) -> None:
        """The box and the shape of a vertex."""
        lines, look, size = self.face(one)
        wide, high = block(lines, size)
        ports: tuple[str, ...] = ()
        if look == "operation":
            wide = high = CIRCLE
            if block(lines, size)[0] > CIRCLE - 4:
                look, wide = "long", block(lines, size)[0] + 14
        elif look == "box":
            ports = tuple(self.ports.get(one.id, ()))[::-1]
            wide, high = max(wide + 24, 70), max(high + 16, 34.0 * max(len(ports), 2))
        else:
            wide, high = wide + 12, high + 6
        rank = 0 if one.id in self.first else None
        self.boxes[one.id] = Box(one.id, wide, high, ports, rank, self.lanes.get(one.id))
        self.shapes[one.id] = Shape(one.id, look, lines=lines, size=size, about=one.id)

    def face(self, one: Vertex) -> tuple[list[str], str, float]:
        """What is written on a vertex, its look, and the size of the text."""
        shape = str(one.shape) if one.shape is not None else ""
        if one.kind == "operation":
            symbol = one.detail if one.op == "getitem" else one.symbol or one.op
            return ["−" if symbol == "-" else symbol], "operation", SIZES["symbol"]
        if one.kind in BOXES:
            count = f"{one.operations} operations" if one.operations > 1 and one.kind != "affine" else ""
            return [text for text in (one.op or one.name, one.detail, count) if text], "box", SIZES["text"] + 1
        if one.kind == "constant" and one.shape == ():
            return [one.name or "constant"], "text", SIZES["text"]
        known = [text for text in (one.name or one.kind, shape) if text]
        if one.gradient is not None and not any(edge.gradient is not None for _, edge in self.uses[one.id]):
            known.append(f"d{one.name} {size_text(one.gradient)}")  # a leaf, after the backward pass
        return known, "text" if one.kind in TEXTS else "parameter", SIZES["text"]

    # -- links

    def tie(self, one: Vertex) -> None:
        """The links from a value to its uses and out of the panel, through a dot if there are several."""
        box, port = self.behind.get(one.id, (one.id, ""))
        inner = [pair for pair in self.uses[one.id] if self.behind.get(pair[1].target, ("",))[0] != one.id]
        slices = [pair for pair in inner if self.behind.get(pair[1].target, ("",))[0] == f"{one.id}s"]
        uses: list[tuple[int | None, Edge | End]] = [pair for pair in inner if pair not in slices]
        uses += [(end.about, end) for end in self.ends.get(one.id, [])]
        if slices:
            uses.insert(0, (slices[0][0], Edge(one.id, f"{one.id}s", gradient=one.gradient, shape=one.shape)))
        name = one.name if one.kind in ("operation", "value") else ""
        if len(uses) > 1:
            dot = f"{one.id}d"
            high = 7.0 if not self.style.adjoint else 2 * self.style.apart + 7.0  # both lines meet it
            self.boxes[dot] = Box(dot, 7.0, high, lane=self.lanes.get(one.id))
            self.shapes[dot] = Shape(dot, "dot", about=one.id)
            head, *terms = self.sum_of(one, uses) or [""]
            tie = Tie(Link(box, dot, port), name, [head] if head else [], terms, one.gradient, "+")
            tie.back = one.gradient is not None
            self.ties.append(tie)
            box, port, name = dot, "", ""
        tags = self.tags(uses)
        for number, use in uses:
            part = f"d{one.name}_{tags[id(use)]}" if len(uses) > 1 and one.name else f"d{one.name}" if one.name else ""
            self.ties.append(self.tie_to(one, box, port, number, use, name, part))

    def tie_to(
        self, one: Vertex, box: str, port: str, number: int | None, use: Edge | End, name: str, part: str
    ) -> Tie:
        """The link to one use."""
        shape = str(one.shape) if one.shape is not None else ""
        tie = Tie(Link(box, "", port), name, gradient=use.gradient, about=number)
        if use.gradient is not None:
            tie.above, tie.below = [f"{part} {shape}".strip()], [size_text(use.gradient)]
        tie.back = use.gradient is not None
        if isinstance(use, End):
            self.ended[use.source] += 1
            key = f"{use.source}e{self.ended[use.source] - 1}"
            wide, high = block(use.lines, SIZES["text"])
            self.boxes[key] = Box(key, wide + 12 if use.lines else 2, high + 6 if use.lines else 2, (), -1, use.lane)
            self.shapes[key] = Shape(key, "text" if use.lines else "port", lines=use.lines, size=SIZES["text"],
                                     about=use.source)  # fmt: skip
            tie.link.target = key
            return tie
        target = self.known.get(use.target)
        tie.link.target = use.target if target is None else self.behind.get(use.target, (use.target,))[0]
        mixed = target is not None and (target.symbol in ("+", "⊙") or one.kind in ("parameter", "block"))
        tie.link.order = 0 if mixed or target is None or use.target in self.weighs else use.operand
        tie.formula, tie.cut = use.short, use.cut
        if use.cut:
            tie.below = ["✂ detached"]
        return tie

    def tags(self, uses: Sequence[tuple[int | None, Edge | End]]) -> dict[int, str]:
        """What a sum calls each of its terms: by where the value goes."""
        found: dict[int, str] = {}
        seen = Counter[str]()
        for _, use in uses if len(uses) > 1 else ():
            tag = use.tag if isinstance(use, End) else self.towards(use.target)
            seen[tag] += 1
            found[id(use)] = f"{tag}·{seen[tag]}" if seen[tag] > 1 else tag
        return found

    def towards(self, id: str) -> str:
        """The first value with a name on the way that a use goes on."""
        start = self.known.get(id)
        one, way = start, []
        while one is not None and not one.name and len(self.uses[one.id]) == 1 and one.id not in self.ahead:
            way.append(one.id)
            one = self.known.get(self.uses[one.id][0][1].target)
        if one is not None:
            one = self.ahead.get(one.id, one)
        self.ahead.update(dict.fromkeys(way, one))
        return one.name if one is not None and one.name else (start.symbol or start.op) if start else "slices"

    def sum_of(self, one: Vertex, uses: Sequence[tuple[int | None, Edge | End]]) -> list[str]:
        """The gradient at a branch, spelled out: its terms are the gradients along the uses."""
        if one.gradient is None:
            return []
        tags, d = self.tags(uses), f"d{one.name}" if one.name else "d"
        terms = [f"{d}_{tags[id(use)]} {size_text(use.gradient)}" for _, use in uses if use.gradient is not None]
        more = [f"+ {len(terms) - FEW} more"] if len(terms) > FEW else []
        head = f"{d} {size_text(one.gradient)} ="
        return [head, *(f"{'+ ' if k else ''}{term}" for k, term in enumerate(terms[:FEW])), *more]

    # -- the scene

    def scene(self) -> Scene:
        """Everything at its place."""
        for tie in self.ties:
            reserve(tie, self.style)
        wide, high = place(list(self.boxes.values()), [tie.link for tie in self.ties], gap=(14.0, 8.0))
        made = Scene(wide, high)
        for key, box in self.boxes.items():
            shape = self.shapes[key]
            shape.x, shape.y, shape.width, shape.height = box.x, box.y, box.width, box.height
            made.shapes.append(shape)
        for k, tie in enumerate(self.ties):
            draw_tie(made, str(k), tie, self.shapes, self.style)
        for shape in made.shapes:
            shape.id = f"{self.name}{shape.id}"
        for line in made.lines:
            line.id = f"{self.name}{line.id}"
            line.source, line.target = f"{self.name}{line.source}", f"{self.name}{line.target}"
        return made
