"""What is drawn over time: rows of steps, a bar for each operation outside of them, and the wires between these."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from ...model import Edge, Graph, Vertex
from .elements import Bar, Row, StepBox, Wire

LEAVES = ("parameter", "block", "constant", "input", "state")
BARS = 24  # bars that are drawn each; of more than that, those between the same rows are one


class Units:
    """The units of a graph; ``owner`` gives the step or bar that computes a value.

    ``chains`` are the keys of bars to join, the first into the second.
    """

    def __init__(self, graph: Graph, chains: Sequence[tuple[str, str]] = ()):
        self.graph = graph
        self.rows = [Row(f"r{k}", number=k, reverse=row.reverse) for k, row in enumerate(graph.rows)]
        self.bars: list[Bar] = []
        self.owner: dict[str, StepBox | Bar] = {}
        self.prepared: dict[str, str] = {}  # what is computed from parameters alone, by its text
        self.stacks_and_slices: dict[str, None] = {}  # they are drawn as lines
        folds = {fold.id: (fold.first, fold.last) for fold in graph.folds}
        for vertex in graph.nodes:
            if vertex.row is not None:
                self.add_step(vertex, folds)
            elif vertex.kind not in LEAVES:
                self.add_bar(vertex)
        for row in self.rows:
            row.boxes.sort(key=lambda box: box.first)
        if len(self.bars) > BARS:
            self.merge()
        for first, second in chains:
            self.join(first, second)
        self.wires = joined(list(self.between()))

    def add_step(self, vertex: Vertex, folds: dict[str, tuple[int, int]]) -> None:
        """Add a step, or a value that a step returns."""
        if vertex.kind in ("cell", "fold"):
            row = self.rows[vertex.row or 0]
            first, last = folds.get(vertex.id, (vertex.step or 0, vertex.step or 0))
            self.owner[vertex.id] = StepBox(vertex, row, first, last)
            row.boxes.append(self.owner[vertex.id])  # type: ignore[arg-type]
        else:
            self.add_value(vertex)

    def add_value(self, vertex: Vertex) -> None:
        """Add a value that a group of operations returns."""
        for _, edge in self.graph.into[vertex.id]:
            if edge.source in self.owner:
                self.owner[vertex.id] = self.owner[edge.source]

    def add_bar(self, vertex: Vertex) -> None:
        """Add an operation outside of the steps."""
        sources = [self.graph.known[edge.source] for _, edge in self.graph.into[vertex.id]]
        if vertex.kind == "value":
            self.add_value(vertex)
        elif sources and all(self.is_prepared(source) for source in sources) and vertex.id not in self.graph.results \
                and not vertex.detail.startswith("[array"):  # of an embedding
            inner = ", ".join(self.prepared.get(source.id, source.name) for source in sources)
            symbol = vertex.symbol or vertex.op
            behind = unicodedata.category(symbol[0]) == "Lm"  # Wᵀ
            self.prepared[vertex.id] = f"{inner}{symbol}" if behind else f"{symbol}({inner})"
        elif self.is_passing(vertex, sources):
            self.stacks_and_slices[vertex.id] = None
        else:
            self.bars.append(Bar(vertex.id, members=[vertex]))
            self.owner[vertex.id] = self.bars[-1]

    def is_prepared(self, vertex: Vertex) -> bool:
        """Is it a parameter, or computed from parameters and numbers alone?"""
        number = vertex.kind == "constant" and vertex.shape == ()
        return vertex.kind in ("parameter", "block") or number or vertex.id in self.prepared

    def is_passing(self, vertex: Vertex, sources: list[Vertex]) -> bool:
        """Is it a stack of states that one operation or row reads, or a slice, or a copy, that only a step reads?"""
        readers = self.graph.uses(vertex.id)
        rows = [self.graph.known[edge.target].row for edge in readers]
        inside = None not in rows
        if vertex.op == "stack":
            steps = [(source.row, source.step) for source in sources]
            alike = inside and len(readers) == len(sources) and len(dict.fromkeys(rows)) == 1
            result = vertex.id in self.graph.results
            return (alike or len(readers) == 1 - result) and (None, None) not in steps
        if vertex.op == "copy":
            return inside and all(source.kind in LEAVES for source in sources)
        single = len(readers) == 1 or [source.kind for source in sources] == ["input"]
        return vertex.op == "getitem" and len(sources) == 1 and single and inside

    # -- many bars

    def merge(self) -> None:
        """Make one bar of all bars that come after the same rows and go to the same rows."""
        before = self.reach(self.graph.nodes, "into", "source")
        after = self.reach(self.graph.nodes[::-1], "out", "target")
        merged: dict[tuple[int, int], Bar] = {}
        for bar in self.bars:
            key = before[bar.key], after[bar.key]
            whole = merged.setdefault(key, bar)
            if whole is not bar:
                whole.members += bar.members
        self.bars = list(merged.values())
        self.set_owners()

    def join(self, first: str, second: str) -> None:
        """Make one bar of two; it keeps the key of the second."""
        bars = {bar.key: bar for bar in self.bars}
        bars[second].members = bars[first].members + bars[second].members
        self.bars.remove(bars[first])
        self.set_owners()

    def set_owners(self) -> None:
        """Set the owners of the values of bars that were joined."""
        same = {vertex.id: bar for bar in self.bars for vertex in bar.members}
        self.owner = {id: same.get(unit.members[0].id, unit) if isinstance(unit, Bar) else unit
                      for id, unit in self.owner.items()}  # fmt: skip

    def reach(self, order: list[Vertex], ways: str, end: str) -> dict[str, int]:
        """The rows that each vertex comes from, or leads to, as bits of a number."""
        rows: dict[str, int] = {}
        for vertex in order:
            bits = 0 if vertex.row is None else 1 << vertex.row
            for _, edge in getattr(self.graph, ways)[vertex.id]:
                bits |= rows.get(getattr(edge, end), 0)
            rows[vertex.id] = bits
        return rows

    # -- wires

    def between(self) -> Iterator[Wire]:
        """The wires; edges from leaves to bars, and from parameters, are noted at their units."""
        for number, edge in enumerate(self.graph.edges):
            target, source = self.owner.get(edge.target), self.graph.known[edge.source]
            if target is None or self.owner.get(source.id) is target:
                continue
            if source.id in self.stacks_and_slices:
                yield from self.through(number, edge, target)
            elif source.id in self.owner:
                yield Wire(self.owner[source.id], target, (number,), source, edge.gradient, edge.state, edge.cut)
            elif isinstance(target, Bar):
                target.leaves.append(number)
            elif (source.kind in ("parameter", "block") and not edge.state) or source.id in self.prepared:
                target.row.params.append(number)
            else:
                yield Wire(source.id, target, (number,), source, edge.gradient, edge.state, edge.cut)
        yield from self.results()

    def through(self, number: int, edge: Edge, target: StepBox | Bar) -> Iterator[Wire]:
        """The wires through a stack or a slice."""
        inner = self.graph.into[edge.source]
        if len(inner) > 1 and len(self.graph.out[edge.source]) > 1:  # a step of the next row reads a step of this one
            inner = [pair for pair in inner if self.is_level(pair[1].source, target)]
        for before, into in inner:
            source, gradient = self.graph.known[into.source], (into if len(inner) > 1 else edge).gradient
            origin = self.owner.get(source.id, source.id)
            yield Wire(origin, target, (before, number), source, gradient, edge.state, edge.cut)

    def is_level(self, source: str, target: StepBox | Bar) -> bool:
        """Is a value computed by the steps of the same time?"""
        box = self.owner[source]
        return isinstance(box, StepBox) and isinstance(target, StepBox) and box.first == target.first

    def results(self) -> Iterator[Wire]:
        """The wires to results; a stack of states is as many results."""
        for name, id in self.graph.outputs.items():
            vertex, gradient = self.graph.known[id], self.graph.cotangents[name]
            if id in self.stacks_and_slices:
                for number, edge in self.graph.into[id]:
                    value = self.graph.known[edge.source]
                    yield Wire(self.owner[value.id], "", (number,), value, edge.gradient)
            elif id in self.owner:
                yield Wire(self.owner[id], name, (), vertex, gradient, vertex.state)


def joined(wires: list[Wire]) -> list[Wire]:
    """The wires, with all uses of a value as one wire where they are in one operation outside of the steps."""
    uses: dict[str, list[Wire]] = {}
    for wire in wires:
        uses.setdefault(wire.value.id, []).append(wire)
    merged: dict[Wire, None] = {}
    for first, *others in uses.values():
        ends = [(first.source, first.target) == (wire.source, wire.target) for wire in others]
        if others and all(ends) and isinstance(first.target, Bar):
            first.edges += tuple(number for wire in others for number in wire.edges)
            first.gradient = first.value.gradient
            merged.update(dict.fromkeys(others))
    return [wire for wire in wires if wire not in merged]
