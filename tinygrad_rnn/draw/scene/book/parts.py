"""The parts of a gated cell: affine maps, slices of a map, gates, and the operations that join the gates.

Every computed value has a class, from the classes of its operands:

- constant: of parameters and numbers only (W, W.T);
- affine: a product with a parameter, ``x @ W``, and sums, slices and normalisations of such products;
- scaled: a value times or plus a parameter (``p ⊙ c``), or a normalisation of a value with its parameters;
- gate: an activation of an affine value, or of a slice of one;
- slice: one of several slices of an affine value;
- joined: everything else, such as ``f ⊙ c``.

Affine values that lead only into each other are one part, ``Wx.f, Wh.f, b.f``; a scaled value joins the part it enters.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ....formula.numpy_functions import traits
from ...model import Edge, Graph, Vertex
from ..labels import UNITS

ARGUMENTS = ("input", "state")
FIXED = ("parameter", "block", "constant")
SUMS, PRODUCTS = ("add", "subtract"), ("multiply", "divide", "hadamard")


@dataclass
class Feed:
    """What enters a part: the id of another part or of an argument, the edges, and the number of the slice."""

    source: str
    edges: list[int] = field(default_factory=list)
    field: int = 0


@dataclass
class Part:
    """A box of the picture. ``kind``: "map", "slice", "gate", "norm" (scaled values) or "op".

    ``value`` is the vertex of its value, ``members`` the ids of all vertices in it, ``params`` the edges from
    parameters. Its centre (x, y) and its size are set by the placement; y points upward.
    """

    id: str
    kind: str
    value: Vertex
    members: list[str]
    params: list[tuple[int, Edge]] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    fields: list[str] = field(default_factory=list)  # of slices: the ids of the vertices
    x: float = 0.0
    y: float = 0.0
    width: float = 34.0
    height: float = 34.0

    @property
    def top(self) -> float:
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        return self.y - self.height / 2


class Parts:
    """The parts of a graph, by id, in the order of the code; ``uses`` are the parts that read a part or an argument."""

    def __init__(self, graph: Graph):
        self.graph, self.known = graph, graph.known
        self.order = _in_order(graph)
        self.kinds: dict[str, str] = {}
        for id in self.order:
            self.kinds[id] = self._class(self.known[id])
        self.root = self._roots()
        parts: dict[str, Part] = {}
        for id in self.order:
            if self.kinds[id] not in ("argument", "constant"):
                self._add(parts, id)
        place = {id: k for k, id in enumerate(self.order)}
        first = {id: place[part.members[0 if part.kind == "gate" else -1]] for id, part in parts.items()}
        self.parts = dict(sorted(parts.items(), key=lambda item: first[item[0]]))
        self.uses: dict[str, list[tuple[Part, Feed]]] = {}
        for part in self.parts.values():
            self._feed(part)
            part.lines = self._text(part)
            for feed in part.feeds:
                self.uses.setdefault(feed.source, []).append((part, feed))

    # -- classes

    def _class(self, vertex: Vertex) -> str:
        """The class of a vertex, from those of its operands."""
        if vertex.kind in ARGUMENTS:
            return "argument"
        into = [self.kinds[edge.source] for _, edge in self.graph.into[vertex.id]]
        if vertex.kind in FIXED or all(kind == "constant" for kind in into):
            return "constant"
        if vertex.kind == "value":
            return into[0]
        if vertex.op == "getitem" and into[0] in ("affine", "slice"):
            return "slice" if self._siblings(vertex) > 1 else "affine"
        if traits(vertex.op).activation or self._is_elementwise(vertex, into):
            return "gate" if into[0] in ("affine", "slice") else "joined"
        return self._class_of_sum(vertex, into)

    def _is_elementwise(self, vertex: Vertex, into: list[str]) -> bool:
        """Is it a function of the user's of a single affine value, without parameters, such as a gate's?"""
        return vertex.kind in UNITS and len(into) == 1 and into[0] in ("affine", "slice")

    def _class_of_sum(self, vertex: Vertex, into: list[str]) -> str:
        fixed, helper = "constant" in into and self._has_parameter(vertex), vertex.kind in UNITS
        if vertex.op == "matmul" and fixed:
            return "affine"
        if "affine" in into and all(kind in ("affine", "constant") for kind in into):
            linear = vertex.op in SUMS or helper or (vertex.op in PRODUCTS and into.count("affine") == 1)
            return "affine" if linear else "joined"
        if "affine" in into and vertex.op in SUMS and "scaled" in into:
            return "affine" if all(kind in ("affine", "constant", "scaled") for kind in into) else "joined"
        open_operands = [kind for kind in into if kind != "constant"]
        scaled = vertex.op in SUMS + PRODUCTS or helper
        return "scaled" if fixed and scaled and len(open_operands) == 1 else "joined"

    def _siblings(self, vertex: Vertex) -> int:
        """How many slices of the same value there are."""
        source = self.graph.into[vertex.id][0][1].source
        return sum(self.known[edge.target].op == "getitem" for edge in self.graph.uses(source))

    def _has_parameter(self, vertex: Vertex) -> bool:
        return any(self.kinds[edge.source] == "constant" and self.known[edge.source].kind != "constant"
                   for _, edge in self.graph.into[vertex.id])  # fmt: skip

    # -- parts

    def _roots(self) -> dict[str, str]:
        """The vertex whose part each vertex belongs to: affine and scaled values join the part that reads them."""
        root: dict[str, str] = {}
        results = dict.fromkeys(self.graph.outputs.values())
        for id in reversed(self.order):
            kind, root[id] = self.kinds[id], id
            targets = list(dict.fromkeys(root[edge.target] for edge in self.graph.uses(id)))
            if len(targets) != 1 or id in results:
                continue
            into = self.kinds[targets[0]]
            joins = (kind, into) in (("affine", "affine"), ("scaled", "affine"), ("scaled", "scaled"))
            inside = self.known[id].kind in UNITS and self.known[targets[0]].kind == "value"
            if joins or inside or kind == "constant":
                root[id] = targets[0]
        return root

    def _add(self, parts: dict[str, Part], id: str) -> None:
        """Add a vertex to its part; the slices of a value are one part."""
        root, kind = self.root[id], self.kinds[id]
        if kind == "slice":
            root = f"{self.graph.into[id][0][1].source}s"
        kinds = {"affine": "map", "scaled": "norm", "joined": "op"}
        if root not in parts:
            value = self.known[id if kind == "slice" else root]
            parts[root] = Part(root, kinds.get(kind, kind), value, [])
        self.root[id] = root
        parts[root].members.append(id)
        if kind == "slice":
            parts[root].fields.append(id)

    def _feed(self, part: Part) -> None:
        """Find what enters a part, and its parameters."""
        feeds: dict[tuple[str, int], Feed] = {}
        for id in part.members:
            for number, edge in self.graph.into[id]:
                source, kind = edge.source, self.kinds[edge.source]
                if kind == "constant":
                    part.params.append((number, edge))
                elif self.root.get(source) != part.id:
                    owner = self.root[source] if kind != "argument" else source
                    place = self.parts[owner].fields.index(source) if kind == "slice" else 0
                    feeds.setdefault((owner, place), Feed(owner, [], place)).edges.append(number)
        part.feeds = list(feeds.values())

    def _text(self, part: Part) -> list[str]:
        """The text of a part; of a map, the functions in it."""
        vertex, names = part.value, [self._fixed_name(edge) for _, edge in part.params]
        heads = [self.known[id] for id in part.members if self.known[id].kind in UNITS]
        if part.kind in ("map", "slice"):
            return list(dict.fromkeys(head.op for head in heads))
        if part.kind == "norm" or heads:
            symbols = [head.op for head in heads] or [_symbol(self.known[id]) for id in part.members]
            return [*symbols, *([", ".join(filter(None, names))] if any(names) else [])]
        symbol = _symbol(vertex)
        if not names:
            return [symbol]
        return [f"{names[0]} {symbol}" if part.params[0][1].operand == 0 else f"{symbol} {names[0]}"]

    def _fixed_name(self, edge: Edge) -> str:
        """The name of a parameter, or of what is computed from parameters."""
        vertex = self.known[edge.source]
        return vertex.name or vertex.symbol


def _symbol(vertex: Vertex) -> str:
    symbol = vertex.symbol or vertex.op or vertex.name
    return "−" if symbol == "-" else symbol


def _in_order(graph: Graph) -> list[str]:
    """The ids of the vertices, each after its operands."""
    waiting = {vertex.id: len(graph.into[vertex.id]) for vertex in graph.nodes}
    order: list[str] = []
    ready = [vertex.id for vertex in graph.nodes if not waiting[vertex.id]]
    place = {vertex.id: k for k, vertex in enumerate(graph.nodes)}
    while ready:
        ready.sort(key=place.__getitem__, reverse=True)
        id = ready.pop()
        order.append(id)
        for edge in graph.uses(id):
            waiting[edge.target] -= 1
            if not waiting[edge.target]:
                ready.append(edge.target)
    return order
