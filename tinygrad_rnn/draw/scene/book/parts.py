"""The parts of a gated cell: affine maps, slices of a map, gates, and the operations that join the gates.

Affine values that lead only into each other are one part, ``Wx.f, Wh.f, b.f``; a scaled value joins the part it enters.
A map that only maps read comes before them all: the first map.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...model import Edge, Graph, Vertex
from ..labels import UNITS
from .classes import Classes, original

WIDE = 18  # letters of a text in one line
JOINS = (("joint", "affine"), ("affine", "affine"), ("scaled", "affine"), ("scaled", "scaled"))  # into which part


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
    joint: str = ""  # of a map: the id of the joint that it reads
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


class Parts(Classes):
    """The parts of a graph, by id, in the order of the code; ``uses`` are the parts that read a part or an argument."""

    def __init__(self, graph: Graph, blended: bool = False):
        super().__init__(graph)
        self.blends = self.blends_of() if blended else {}
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
        self.first = self._first_map()

    def _roots(self) -> dict[str, str]:
        """The vertex whose part each vertex belongs to: affine and scaled values join the part that reads them."""
        root: dict[str, str] = {}
        results, shared = dict.fromkeys(self.graph.outputs.values()), dict[tuple[str, ...], str]()
        for id in reversed(self.order):
            kind, root[id] = self.kinds[id], id
            targets = sorted(dict.fromkeys(root[edge.target] for edge in self.graph.uses(id)))
            if len(targets) > 1 and kind == "affine" and all(self.kinds[target] == kind for target in targets):
                root[id] = shared.setdefault(tuple(targets), id)
            if len(targets) != 1 or id in results:
                continue
            into = self.kinds[targets[0]]
            if id in self.blends:
                root[id] = root[self.blends[id]]
                continue
            joins = (kind, into) in JOINS
            inside = self.known[id].kind in UNITS and self.known[targets[0]].kind == "value"
            if joins or inside or kind == "constant":
                root[id] = targets[0]
        return root

    def _add(self, parts: dict[str, Part], id: str) -> None:
        """Add a vertex to its part; the slices of a value are one part."""
        root, kind = self.root[id], self.kinds[id]
        if kind == "joint":
            return  # its reader stands for it
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
                if self.kinds[edge.source] == "constant":
                    part.params.append((number, edge))
                    continue
                for source in self._joined(part, edge.source):
                    kind = self.kinds[source]
                    if self.root.get(source) != part.id:
                        owner = self.root[source] if kind != "argument" else source
                        place = self.parts[owner].fields.index(source) if kind == "slice" else 0
                        feeds.setdefault((owner, place), Feed(owner, [], place)).edges.append(number)
        part.feeds = list(feeds.values())

    def _joined(self, part: Part, source: str) -> list[str]:
        """The values that a joint joins; of any other value, itself."""
        if self.kinds[source] != "joint":
            return [source]
        part.joint = source
        return [edge.source for _, edge in self.graph.into[source]]

    def _first_map(self) -> Part | None:
        """The maps that several maps and nothing else read, as one part: a stage before the gates."""
        first: list[Part] = []
        for part in self.parts.values():
            readers = [reader for reader, _ in self.uses.get(part.id, [])]
            if part.kind == "map" and len(readers) > 1 and all(reader.kind == "map" for reader in readers):
                first.append(part)
        return first[0] if len(first) == 1 else None

    def _text(self, part: Part) -> list[str]:
        """The text of a part; of a map, the functions in it."""
        vertex, names = part.value, [self._fixed_name(edge) for _, edge in part.params]
        heads = [self.known[id] for id in part.members if self.known[id].kind in UNITS]
        if part.kind in ("map", "slice"):
            taken = [self.known[id].detail for id in part.members for _, edge in self.graph.into[id]
                     if original(edge.source) != edge.source and self.known[id].op == "getitem"]  # fmt: skip
            return list(dict.fromkeys([*(head.op for head in heads), *taken]))
        if heads:
            return [*(head.op for head in heads), *([", ".join(filter(None, names))] if any(names) else [])]
        if part.kind == "norm":
            return [self._with_parameter(part, id) for id in part.members]
        symbol = _symbol(vertex)
        if len(part.members) > 1 and vertex.id in self.blends.values():
            return self._blend(vertex.id)
        if not names:
            return [symbol]
        return [f"{names[0]} {symbol}" if part.params[0][1].operand == 0 else f"{symbol} {names[0]}"]

    def _blend(self, id: str) -> list[str]:
        """The text of a blend, ``n + z ⊙ (h − n)``, in two lines where names are long."""
        minus, product = sorted((inner for inner, outer in self.blends.items() if outer == id),
                                key=lambda inner: self.known[inner].op != "subtract")  # fmt: skip
        (factor,) = [edge.source for _, edge in self.graph.into[product] if edge.source != minus]
        operands = [edge.source for _, edge in self.graph.into[minus]]
        end, start, weight = (self.known[operand].name or "·" for operand in (*operands, factor))
        texts = f"{start} + {weight}", f"⊙ ({end} − {start})"
        return list(texts) if sum(map(len, texts)) > WIDE else [" ".join(texts)]

    def _with_parameter(self, part: Part, id: str) -> str:
        """An operation of a scaled value with its parameter: ``p ⊙``, ``+ b``."""
        symbol, fixed = _symbol(self.known[id]), [edge for _, edge in part.params if edge.target == id]
        names = [self._fixed_name(edge) for edge in fixed]
        if not any(names):
            return symbol
        return f"{names[0]} {symbol}" if fixed[0].operand == 0 or symbol == "⊙" else f"{symbol} {names[0]}"

    def _fixed_name(self, edge: Edge) -> str:
        """The name of a parameter, or of what is computed from parameters: ``σ(zeta)``, ``(1 − alpha)``."""
        vertex = self.known[edge.source]
        inner = [self.known[edge.source].name for _, edge in self.graph.into[vertex.id]]
        if vertex.op == "getitem" and inner and not vertex.name:
            return f"{inner[0]}{vertex.detail}"
        if len(inner) == 2 and all(inner) and not vertex.name:
            return f"({inner[0]} {_symbol(vertex)} {inner[1]})"
        return vertex.name or (f"{vertex.symbol}({', '.join(inner)})" if all(inner) else vertex.symbol)


def _symbol(vertex: Vertex) -> str:
    symbol = vertex.symbol or vertex.op or vertex.name
    return "−" if symbol == "-" else symbol
