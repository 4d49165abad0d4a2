"""The tiles of a row: one for each step or fold of steps, with its contents.

A tile repeats the values from outside as texts and boxes inside: the states that enter, its input, its parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from ..model import Edge, Graph, Vertex
from .geometry import Scene
from .labels import size_text, subscript
from .links import End, Style
from .panel import Panel
from .state_lanes import state_lane, state_lanes
from .step_box import CellTile
from .theme import SIZES, block


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
    lane_y: dict[str, float] = field(default_factory=dict)  # the y of each lane, where a shape has several
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
        self.folds = {fold.id: fold for fold in graph.folds if fold.row == row}

    def fill(self, tile: Tile, before: Tile | None, after: Tile | None) -> None:
        """Make the scene of a tile: its vertices, and texts and boxes for the values from outside."""
        states, name, start = self.about.states, self.name_of(tile), self.start(tile)
        vertices, edges = dict(tile.members), {}
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

    def fill_cell(self, tile: Tile, before: Tile | None, after: Tile | None) -> None:
        """Make the scene of a tile that is drawn as one box."""
        main = next(vertex for vertex in tile.members.values() if vertex.kind in ("cell", "fold"))
        fold = self.folds.get(main.id)
        back = [edge.gradient for _, edge in self.into.get(main.id, []) if self.nodes[edge.source].kind == "input"]
        room = max((block([size_text(norm)], SIZES["small"])[0] for norm in back), default=0.0)
        cell_tile = CellTile(self.name_of(tile), main, self.about.states, self.style, fold, room)
        self.feed_cell(cell_tile, tile, before, main)
        for state in self.about.states[::-1]:
            self.give_cell(cell_tile, tile, after, state)
        tile.scene = cell_tile.finished()
        tile.ins = {state: shape.id for state, shape in cell_tile.ins.items()}
        tile.outs = {state: shape.id for state, shape in cell_tile.outs.items()}
        tile.lane_y, tile.loop = cell_tile.lane_y, cell_tile.loop

    def feed_cell(self, cell_tile: CellTile, tile: Tile, before: Tile | None, main: Vertex) -> None:
        """Draw what enters a cell: the first states on their lanes, the input and the parameters from below."""
        start, one_step, fed = self.start(tile), tile.count == 1, False
        ends = [subscript(time) if not self.graph.full else "" for time in (tile.first, tile.last)]
        for number, edge in self.into.get(main.id, []):
            source = self.nodes[edge.source]
            if source.kind == "state" and edge.argument in self.about.states and before is None:
                cell_tile.enter(edge.argument, source.name, source, edge, number)
            elif source.kind != "parameter" and not (before and source.id in before.members) and not fed:
                fed = True
                known = source.kind == "input" or edge.argument in self.about.states
                letter = edge.argument if known else "x"
                texts = [f"d{letter}{ends[0]}", size_text(edge.gradient)] if edge.gradient is not None else []
                label = " … ".join(dict.fromkeys(f"{letter}{end}" for end in ends))
                cell_tile.feed(label, "text", source, edge, number, texts, 18 - cell_tile.width / 2)
        if self.about.weights:
            texts = [f"{name} {size_text(norms[start])}" for name, norms in self.about.weights.items()] * one_step
            weights = Edge("", "", gradient=self.norm_of(start) if one_step else None)
            label = " ".join(name[1:] for name in self.about.weights)
            cell_tile.feed(label, "parameter", None, weights, None, texts, cell_tile.width / 2 - 14)

    def give_cell(self, cell_tile: CellTile, tile: Tile, after: Tile | None, state: str) -> None:
        """Draw a state that a cell returns: on its lane to the next step, and out of the row."""
        value = next((vertex for vertex in tile.members.values() if vertex.state == state), None)
        if value is None:
            return
        others = tile.members if after is None else {**tile.members, **after.members}
        leaving = [(number, edge) for number, edge in self.out.get(value.id, []) if edge.target not in others]
        ends = self.graph.results.get(value.id, [])
        carried = self.about.carried[f"d{state}"][self.start(after)] if after is not None else None
        terms: list[tuple[str, float | None]] = [("next", carried)] if carried is not None else []
        terms += [("output", edge.gradient) for _, edge in leaving]
        terms += [("T", self.graph.cotangents[name]) for name in ends]
        label = f"{state}'" if self.graph.full else f"{state}{subscript(self.end(tile))}"
        cell_tile.give(state, label, value.gradient, terms, value, [number for number, _ in leaving])
        for name in ends:
            cell_tile.leave(state, name, self.graph.cotangents[name], value)

    def norm_of(self, time: int) -> float | None:
        """The norm of a step's gradient by all parameters together; None if it is zero or unknown."""
        norms = [norms[time] for norms in self.about.weights.values()]
        known = [norm for norm in norms if norm is not None]
        return math.nan if any(map(math.isnan, known)) else math.hypot(*known) if any(known) else None

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
        label = f"{edge.argument}{subscript(time)}" if source.kind == "input" else source.name or source.symbol
        return replace(source, id=f"{source.id}x", kind="input", name=label, shape=None, gradient=edge.gradient)

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
