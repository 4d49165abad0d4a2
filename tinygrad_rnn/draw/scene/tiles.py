"""The tiles of a row: one for each step or fold of steps, with its contents.

A tile repeats the values from outside as texts and boxes inside: the states that enter, its input, its parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ..model import Edge, Graph, Vertex
from .geometry import Scene
from .labels import subscript
from .links import End, Style
from .panel import Panel
from .state_lanes import state_lane, state_lanes


@dataclass
class Tile:
    """A step or fold of a row: its vertices, and where states enter and leave its scene."""

    row: int
    first: int
    last: int
    members: dict[str, Vertex] = field(default_factory=dict)
    scene: Scene = field(default_factory=Scene)
    ins: dict[str, str] = field(default_factory=dict)  # the id of the shape at which each state enters
    outs: dict[str, str] = field(default_factory=dict)  # the id of the shape at which each state leaves
    loop: dict[str, tuple[str, str]] = field(default_factory=dict)  # where each state enters and finally leaves
    down: float = 0.0  # how far the scene was moved down
    left: float = 0.0  # the left edge of its frame

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    @property
    def title(self) -> str:
        return f"step {self.first}" if self.count == 1 else f"steps {self.first} to {self.last}, ×{self.count}"


def tiles(graph: Graph, row: int) -> list[Tile]:
    """The tiles of a row, in the order of time."""
    folds = {fold.id: fold for fold in graph.folds if fold.row == row}
    tiles_by_step: dict[int, Tile] = {}
    inside = {time: fold.first for fold in folds.values() for time in range(fold.first, fold.last + 1)}
    for vertex in graph.members.get(row, []):
        if vertex.id in folds:
            first, last = folds[vertex.id].first, folds[vertex.id].last
        elif vertex.step is not None:
            first = inside.get(vertex.step, vertex.step)
            last = vertex.step
        else:
            continue
        tile = tiles_by_step.setdefault(first, Tile(row, first, last))
        tile.last = max(tile.last, last)
        tile.members[vertex.id] = vertex
    return [tiles_by_step[first] for first in sorted(tiles_by_step)]


class Filler:
    """Fills the tiles of a row."""

    def __init__(self, graph: Graph, row: int, style: Style):
        self.graph, self.row, self.style, self.about = graph, row, style, graph.rows[row]
        self.tiles = tiles(graph, row)[:1] if graph.full else tiles(graph, row)
        if self.about.reverse:
            self.tiles.reverse()  # the order in which they ran
        self.nodes, self.into, self.out = graph.known, graph.into, graph.out

    def fill(self, tile: Tile, before: Tile | None, after: Tile | None) -> None:
        """Make the scene of a tile: its vertices, and texts and boxes for the values from outside."""
        states, name, start = self.about.states, self.name_of(tile), self.start(tile)
        edges: dict[int, Edge] = {}
        vertices = {id: replace(vertex, name=self.fed(start)) if vertex.kind == "input" else vertex
                    for id, vertex in tile.members.items()}  # fmt: skip
        for id, vertex in tile.members.items():
            for number, edge in self.into.get(id, []) if vertex.kind != "input" else ():
                if edge.source not in tile.members:
                    outside = self.outside(self.nodes[edge.source], edge, before, start)
                    vertices.setdefault(outside.id, outside)
                    edge = replace(edge, source=outside.id)
                edges[number] = edge
        ends = self.ends(tile, after)
        values = {vertex.state: id for id, vertex in tile.members.items() if vertex.state and vertex.kind != "state"}
        tile.ins = {state: f"{name}{self.entry(state)}" for state in states if self.entry(state) in vertices}
        lanes = {self.entry(state): state_lane(states, state) for state in tile.ins}
        for state, value in values.items():
            leaving = [k for k, end in enumerate(end for end in ends if end.source == value) if end.lane is not None]
            if leaving:
                tile.outs[state] = f"{name}{value}e{leaving[0]}"
        tile.loop = {state: (tile.ins[state], tile.outs[state]) for state in tile.ins if state in tile.outs}
        paths = {state_lane(states, state): (self.entry(state), values[state]) for state in tile.ins if state in values}
        lanes |= state_lanes(vertices, list(edges.values()), paths)
        first = [id for id in vertices if id.startswith("in_")]
        tile.scene = Panel(name, list(vertices.values()), edges, ends, self.style, lanes, first).scene()

    def name_of(self, tile: Tile) -> str:
        """The prefix of all ids in a tile."""
        return f"r{self.row}t{tile.first}_"

    def entry(self, state: str) -> str:
        """The id of the text for a state that enters a tile: by number, since a name could look like another id."""
        return f"in_{self.about.states.index(state)}"

    def start(self, tile: Tile) -> int:
        """The step of a tile that ran first."""
        return tile.last if self.about.reverse else tile.first

    def end(self, tile: Tile) -> int:
        """The step of a tile that ran last."""
        return tile.first if self.about.reverse else tile.last

    def outside(self, source: Vertex, edge: Edge, before: Tile | None, time: int) -> Vertex:
        """The vertex that stands in a tile for a value from outside."""
        state = source.state or (source.name if source.kind == "state" and source.name in self.about.states else "")
        carries = before is None or source.id in before.members
        if state and carries and source.row in (self.row, None):
            label = state + (subscript(self.end(before)) if before else "")
            carried = self.about.carried.get(f"d{state}", [])
            gradient = carried[time] if time < len(carried) else edge.gradient
            entry = replace(source, id=self.entry(state), kind="state", name=label, gradient=gradient)
            return replace(entry, step=None, state="")
        if source.kind in ("parameter", "block", "constant"):
            return replace(source, id=f"{source.id}c", gradient=edge.gradient)
        label = self.fed(time) if source.kind == "input" else source.name or source.symbol
        return replace(source, id=f"{source.id}x", kind="input", name=label, shape=None, gradient=edge.gradient)

    def fed(self, time: int) -> str:
        """The name of the input of a step; of one body for all steps, without the step."""
        return self.about.input + ("" if self.graph.full else subscript(time))

    def ends(self, tile: Tile, after: Tile | None) -> list[End]:
        """The ends of the values of a tile: to the next tile on their lanes, and out of the row as texts."""
        ends = []
        for vertex in tile.members.values():
            label = (vertex.state or vertex.name or vertex.symbol) + subscript(self.end(tile))
            away = [(number, edge) for number, edge in self.out.get(vertex.id, []) if edge.target not in tile.members]
            if after is not None and vertex.state and any(edge.target in after.members for _, edge in away):
                gradient = self.about.carried[f"d{vertex.state}"][self.start(after)]
                ends.append(End(vertex.id, "next", (), gradient, state_lane(self.about.states, vertex.state)))
            for number, edge in away:
                if after is None or edge.target not in after.members:
                    ends.append(End(vertex.id, "output", [label], edge.gradient, None, number))
            for name in self.graph.results.get(vertex.id, []):
                lane = state_lane(self.about.states, vertex.state) if vertex.state and after is None else None
                ends.append(End(vertex.id, "T", [name], self.graph.cotangents[name], lane))
        return ends
