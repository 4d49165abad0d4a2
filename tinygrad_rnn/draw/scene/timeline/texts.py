"""Texts of a picture over time: of the boxes, and beside the wires."""

from __future__ import annotations

from collections import Counter

from ...model import Edge, Graph, Vertex
from ..labels import BARS, number_text, subscript
from ..theme import SIZES, block
from .elements import Bar, Row, StepBox, Wire
from .units import Units

SPARKS = 8  # bars of the sizes by step
FEW = 4  # operations of a bar that are written out
SIZE = SIZES["text"]


class Texts:
    """What is written at units and wires."""

    def __init__(self, graph: Graph, units: Units):
        self.graph, self.units = graph, units
        self.uses = Counter(wire.value.id for wire in units.wires)
        feeds: dict[StepBox, Wire] = {}
        for wire in units.wires:
            if isinstance(wire.target, StepBox) and not wire.state:
                feeds.setdefault(wire.target, wire)
        self.first_feeds = dict.fromkeys(feeds.values())

    def box(self, box: StepBox) -> list[str]:
        """The lines of a step: the cell, the step, and the gradients by states with several uses."""
        fold = next((fold for fold in self.graph.folds if fold.id == box.vertex.id), None)
        if fold is not None:
            ends = [(f"|{name}| {number_text(least)}", f"… {number_text(fold.greatest[name])}")
                    for name, least in fold.least.items()]  # fmt: skip
            narrow = any(row.reverse for row in self.graph.rows)  # another direction stands beside it
            ranges = [text for pair in ends for text in pair] if narrow else list(map(" ".join, ends))
            steps = "every step" if self.graph.full else f"steps {fold.first} to {fold.last}"
            return [f"{box.vertex.op} ×{fold.count}", steps, *ranges]
        values = {edge.target: None for _, edge in self.graph.out[box.vertex.id]}
        shown = [self.graph.known[id] for id in values if self.uses[id] > 1]
        sums = [f"|d{self.name(value, box)}| {number_text(value.gradient)}" for value in shown
                if value.gradient is not None]  # fmt: skip
        return [box.vertex.op, f"step {box.first}", *sums]

    def name(self, value: Vertex, source: StepBox | Bar | str) -> str:
        """The name of a value, with the step that computed it."""
        name = value.state or value.name
        if not isinstance(source, StepBox) or not name:
            return name
        return f"{name}'" if self.graph.full else name + subscript(source.end)

    def bar(self, bar: Bar) -> str:
        """The text of a bar."""
        names = [(member.detail or member.symbol or member.op).replace("\n", " ") for member in bar.members]
        return f"{len(names)} operations" if len(names) > FEW else " → ".join(names)

    def fed(self, wire: Wire) -> str:
        """What a step calls what it gets from below."""
        assert isinstance(wire.target, StepBox)
        row = self.graph.rows[wire.target.row.number]
        edge = self.graph.edges[wire.edges[-1]]
        name = row.input if wire in self.first_feeds else edge.argument or wire.value.name
        ends = [name] if self.graph.full else [name + subscript(time) for time in (wire.target.first, wire.target.last)]
        return " … ".join(dict.fromkeys(ends))

    def head(self, wire: Wire) -> str:
        """The name beside a wire that comes out of a step or a bar."""
        return self.name(wire.value, wire.source) if not isinstance(wire.source, str) else ""

    def gradient(self, wire: Wire) -> str:
        """The gradient beside a wire: of the whole value, ``|dh| 0.79``, or of one of its uses, ``0.4``."""
        extremes = self.graph.edges[wire.edges[-1]].extremes if wire.edges else None
        if wire.gradient is None and extremes is None:
            return ""
        sizes = extremes or () if wire.gradient is None else (wire.gradient,)
        size = " … ".join(dict.fromkeys(map(number_text, sizes)))
        if isinstance(wire.target, StepBox) and not wire.state and not isinstance(wire.source, StepBox):
            fed = self.fed(wire)
            row = self.graph.rows[wire.target.row.number]
            return f"|d{fed if wire.target.first == wire.target.last else row.input}| {size}"
        name = self.name(wire.value, wire.source)
        if self.uses[wire.value.id] > 1 and not isinstance(wire.source, str):
            return size  # the line says which use it is
        return f"|d{name}| {size}" if name else size

    def leaves(self, bar: Bar) -> tuple[list[str], list[str]]:
        """The texts of what is not computed: parameters, on the left of a bar, and the others, on its right."""
        sides: tuple[list[str], list[str]] = ([], [])
        for number in bar.leaves:
            edge = self.graph.edges[number]
            source = self.graph.known[edge.source]
            text = self.leaf(source, edge)
            side = sides[not self.units.is_prepared(source)]
            side += [text] * (text not in side)
        left, right = (side if len(side) < 4 else [f"{len(side)} values"] for side in sides)
        return left, [", ".join(right)] if right else []

    def leaf(self, source: Vertex, edge: Edge) -> str:
        """The name of a leaf, with its gradient, or its shape."""
        name = self.units.prepared.get(source.id) or source.name or edge.argument or source.kind
        if edge.gradient is not None:
            return f"|d{name}| {number_text(edge.gradient)}"
        return f"{name} {source.shape}" if source.shape else name

    def params(self, row: Row, sparks: bool) -> list[str]:
        """The parameters of a row with their gradients, and with the parts of the steps as small bars."""
        about, lines = self.graph.rows[row.number], list[str]()
        for name, norms in about.weights.items():
            total = about.totals.get(name)
            lines.append(f"|{name}| {number_text(total)}" if total is not None else name[1:])
            if sparks and total is not None and about.steps > 1:
                lines.append(spark([norm for norm in norms if norm is not None]))
        if not lines:
            names = [self.graph.known[self.graph.edges[k].source] for k in row.params]
            lines = list(dict.fromkeys(vertex.name for vertex in names if vertex.name))
        return lines


def spark(norms: list[float]) -> str:
    """The sizes by step as small bars; ``?`` is NaN or inf."""
    finite = [norm for norm in norms if 0 <= norm < float("inf")]
    top, stride = max(finite, default=0.0) or 1.0, -(-len(norms) // SPARKS) or 1
    groups = [norms[k : k + stride] for k in range(0, len(norms), stride)]
    known = [[norm for norm in group if 0 <= norm < float("inf")] for group in groups]
    return "".join(BARS[min(int(max(norms) / top * 7.99), 7)] if len(norms) == len(group) else "?"
                   for norms, group in zip(known, groups))  # fmt: skip


def wide(text: str, size: float = SIZE) -> float:
    """The width of a text, 0 for no text."""
    return block([text], size)[0] if text else 0.0
