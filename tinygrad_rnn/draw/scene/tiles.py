"""One tile for each step, or fold of steps, of a row, and what is in it.

A tile has what it needs from outside as texts and boxes of its own: the states that come in, its input, its parameters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from ..model import Edge, Graph, Vertex
from .geometry import Scene
from .labels import size_text, subscript
from .links import End, Style
from .panel import Panel
from .state_lanes import lane, rails
from .step_box import CellTile
from .theme import SIZES, block


@dataclass
class Tile:
    """One step or fold of a row: its vertices, and where states come in and go out in its scene."""

    row: int
    first: int
    last: int
    members: dict[str, Vertex] = field(default_factory=dict)
    scene: Scene = field(default_factory=Scene)
    ins: dict[str, str] = field(default_factory=dict)  # the shape that a state comes in at, by its name
    outs: dict[str, str] = field(default_factory=dict)
    rails: dict[str, float] = field(default_factory=dict)  # their heights, where a shape has several
    loop: dict[str, tuple[str, str]] = field(default_factory=dict)  # where each state comes in and goes out at last
    down: float = 0.0  # how far the scene was moved
    left: float = 0.0  # where its frame begins

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    @property
    def title(self) -> str:
        return f"step {self.first}" if self.count == 1 else f"steps {self.first} to {self.last}, ×{self.count}"


def tiles(graph: Graph, row: int) -> list[Tile]:
    """The tiles of a row, in time."""
    folds = {fold.id: fold for fold in graph.folds if fold.row == row}
    found: dict[int, Tile] = {}
    inside = {time: fold.first for fold in folds.values() for time in range(fold.first, fold.last + 1)}
    for one in graph.members.get(row, []):
        if one.id in folds:
            first, last = folds[one.id].first, folds[one.id].last
        elif one.step is not None:
            first = inside.get(one.step, one.step)
            last = one.step
        else:
            continue
        tile = found.setdefault(first, Tile(row, first, last))
        tile.last = max(tile.last, last)
        tile.members[one.id] = one
    return [found[first] for first in sorted(found)]


class Filler:
    """Fills the tiles of one row."""

    def __init__(self, graph: Graph, row: int, style: Style):
        self.graph, self.row, self.style, self.about = graph, row, style, graph.rows[row]
        self.tiles = tiles(graph, row)[:1] if graph.full else tiles(graph, row)
        if self.about.reverse:
            self.tiles.reverse()  # in the order in which they ran
        self.nodes, self.into, self.out = graph.known, graph.into, graph.out
        self.folds = {fold.id: fold for fold in graph.folds if fold.row == row}

    def fill(self, tile: Tile, before: Tile | None, after: Tile | None) -> None:
        """The scene of a tile: its own vertices, and texts and boxes for what is outside."""
        states, name, start = self.about.states, self.name_of(tile), self.start(tile)
        vertices, edges = dict(tile.members), {}
        for id, one in tile.members.items():
            for number, edge in self.into.get(id, []) if one.kind != "input" else ():
                if edge.source not in tile.members:
                    outside = self.outside(self.nodes[edge.source], edge, before, start)
                    vertices.setdefault(outside.id, outside)
                    edge = replace(edge, source=outside.id)
                edges[number] = edge
        ends = self.ends(tile, after)
        values = {one.state: id for id, one in tile.members.items() if one.state and one.kind != "state"}
        tile.ins = {state: f"{name}{self.entry(state)}" for state in states if self.entry(state) in vertices}
        lanes = {self.entry(state): lane(states, state) for state in tile.ins}
        for state, value in values.items():
            leaving = [k for k, end in enumerate(end for end in ends if end.source == value) if end.lane is not None]
            if leaving:
                tile.outs[state] = f"{name}{value}e{leaving[0]}"
        tile.loop = {state: (tile.ins[state], tile.outs[state]) for state in tile.ins if state in tile.outs}
        ways = {lane(states, state): (self.entry(state), values[state]) for state in tile.ins if state in values}
        lanes |= rails(vertices, list(edges.values()), ways)
        first = [id for id in vertices if id.startswith("in_")]
        tile.scene = Panel(name, list(vertices.values()), edges, ends, self.style, lanes, first).scene()

    def name_of(self, tile: Tile) -> str:
        """What the ids of a tile begin with."""
        return f"r{self.row}t{tile.first}_"

    def entry(self, state: str) -> str:
        """The id of what stands in a tile for a state that comes in: by number, since a name could end as ids do."""
        return f"in_{self.about.states.index(state)}"

    def start(self, tile: Tile) -> int:
        """The step of a tile that runs first."""
        return tile.last if self.about.reverse else tile.first

    def fill_cell(self, tile: Tile, before: Tile | None, after: Tile | None) -> None:
        """The scene of a tile that is one box."""
        main = next(one for one in tile.members.values() if one.kind in ("cell", "fold"))
        fold = self.folds.get(main.id)
        back = [edge.gradient for _, edge in self.into.get(main.id, []) if self.nodes[edge.source].kind == "input"]
        room = max((block([size_text(one)], SIZES["small"])[0] for one in back), default=0.0)
        made = CellTile(self.name_of(tile), main, self.about.states, self.style, fold, room)
        self.feed_cell(made, tile, before, main)
        for state in self.about.states[::-1]:
            self.give_cell(made, tile, after, state)
        tile.scene = made.finished()
        tile.ins, tile.outs = ({state: one.id for state, one in ends.items()} for ends in (made.ins, made.outs))
        tile.rails, tile.loop = made.rails, made.loop

    def feed_cell(self, made: CellTile, tile: Tile, before: Tile | None, main: Vertex) -> None:
        """What comes into a cell: first states on their rails, its input and its parameters from below."""
        start, one_step, fed = self.start(tile), tile.count == 1, False
        ends = [subscript(time) if not self.graph.full else "" for time in (tile.first, tile.last)]
        for number, edge in self.into.get(main.id, []):
            source = self.nodes[edge.source]
            if source.kind == "state" and edge.argument in self.about.states and before is None:
                made.enter(edge.argument, source.name, source, edge, number)
            elif source.kind != "parameter" and not (before and source.id in before.members) and not fed:
                fed = True
                known = source.kind == "input" or edge.argument in self.about.states
                letter = edge.argument if known else "x"
                told = [f"d{letter}{ends[0]}", size_text(edge.gradient)] if edge.gradient is not None else []
                label = " … ".join(dict.fromkeys(f"{letter}{end}" for end in ends))
                made.feed(label, "text", source, edge, number, told, 18 - made.wide / 2)
        if self.about.weights:
            told = [f"{name} {size_text(norms[start])}" for name, norms in self.about.weights.items()] * one_step
            weights = Edge("", "", gradient=self.norm_of(start) if one_step else None)
            label = " ".join(name[1:] for name in self.about.weights)
            made.feed(label, "parameter", None, weights, None, told, made.wide / 2 - 14)

    def give_cell(self, made: CellTile, tile: Tile, after: Tile | None, state: str) -> None:
        """What a cell gives: on its rail to the next step, and out."""
        value = next((one for one in tile.members.values() if one.state == state), None)
        if value is None:
            return
        last = tile.first if self.about.reverse else tile.last
        others = tile.members if after is None else {**tile.members, **after.members}
        away = [(number, edge) for number, edge in self.out.get(value.id, []) if edge.target not in others]
        ends = self.graph.results.get(value.id, [])
        time = None if after is None else after.last if self.about.reverse else after.first
        carried = self.about.carried[f"d{state}"][time] if time is not None else None
        terms: list[tuple[str, float | None]] = [("next", carried)] if carried is not None else []
        terms += [("output", edge.gradient) for _, edge in away] + [("T", self.graph.cotangents[name]) for name in ends]
        label = f"{state}'" if self.graph.full else f"{state}{subscript(last)}"
        made.give(state, label, value.gradient, terms, value, [number for number, _ in away])
        for name in ends:
            made.leave(state, name, self.graph.cotangents[name], value)

    def norm_of(self, time: int) -> float | None:
        """The norm of the gradient that a step gives to all parameters taken as one."""
        norms = [norms[time] for norms in self.about.weights.values()]
        known = [norm for norm in norms if norm is not None]
        return math.nan if any(map(math.isnan, known)) else math.hypot(*known) if any(known) else None

    def outside(self, source: Vertex, edge: Edge, before: Tile | None, time: int) -> Vertex:
        """What stands in a tile for a value from outside."""
        state = source.state or (source.name if source.kind == "state" and source.name in self.about.states else "")
        own = before is None or source.id in before.members
        if state and own and source.row in (self.row, None):
            label = state + (subscript(before.last if not self.about.reverse else before.first) if before else "")
            carried = self.about.carried.get(f"d{state}", [])
            gradient = carried[time] if time < len(carried) else edge.gradient
            entry = replace(source, id=self.entry(state), kind="state", name=label, gradient=gradient)
            return replace(entry, step=None, state="")
        if source.kind in ("parameter", "block", "constant"):
            return replace(source, id=f"{source.id}c", gradient=edge.gradient)
        label = f"{edge.argument}{subscript(time)}" if source.kind == "input" else source.name or source.symbol
        return replace(source, id=f"{source.id}x", kind="input", name=label, shape=None, gradient=edge.gradient)

    def ends(self, tile: Tile, after: Tile | None) -> list[End]:
        """Where the values of a tile go: to the next one on their rails, and out of the row as texts."""
        found = []
        for one in tile.members.values():
            label = (one.state or one.name or one.symbol) + subscript(tile.first if self.about.reverse else tile.last)
            away = [(number, edge) for number, edge in self.out.get(one.id, []) if edge.target not in tile.members]
            if after is not None and one.state and any(edge.target in after.members for _, edge in away):
                time = after.last if self.about.reverse else after.first
                gradient = self.about.carried[f"d{one.state}"][time]
                found.append(End(one.id, "next", (), gradient, lane(self.about.states, one.state)))
            for number, edge in away:
                if after is None or edge.target not in after.members:
                    found.append(End(one.id, "output", [label], edge.gradient, None, number))
            for name in self.graph.results.get(one.id, []):
                rail = lane(self.about.states, one.state) if one.state and after is None else None
                found.append(End(one.id, "T", [name], self.graph.cotangents[name], rail))
        return found
