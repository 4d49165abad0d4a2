"""The routes of the lines of a gated cell, between parts that have their places; y points upward."""

from __future__ import annotations

from dataclasses import dataclass

from ..geometry import Point
from .parts import Feed, Part
from .placement import JOINT, LEAVE, Placement

START = -46.0  # the x of where the first state branches
ASIDE = 12.0  # the distance of a line from the middle between two columns
BUS = "bus"


@dataclass
class Wire:
    """The route from a part, an argument or the bus to a part or a result; y points upward."""

    source: str
    target: str
    edges: list[int]
    points: list[Point]
    result: str = ""  # the name of the result that it leads to
    gradient: float | None = None  # that comes in at the result


class Routes:
    """The wires of a placement: from the bus, between parts, and from arguments and to results outside of the frame."""

    def __init__(self, placement: Placement, reach: float):
        self.reach = reach  # how far lines reach out of the frame
        self.at, self.parts, self.graph, self.all = placement, placement.parts, placement.graph, placement.all
        self.rail, self.tail = placement.rail, placement.tail
        self.wires = [wire for part in self.all.values() for feed in part.feeds for wire in self._wires(part, feed)]
        self.wires += self._ends()

    def _wires(self, part: Part, feed: Feed) -> list[Wire]:
        """The wires of a feed: from the bus for an argument of a map, else from its part."""
        if feed.source in self.all:
            return [Wire(feed.source, part.id, feed.edges, self._route(self.all[feed.source], part, feed))]
        if self.rail and part is self.rail[0] and feed.source == self.at.memory:
            name = self.graph.known[self.at.memory].name
            entry = [(START - self.reach, self.at.level(name)), (START, self.at.level(name)), (START, self.at.rail_y)]
            return [Wire(feed.source, part.id, feed.edges, [*entry, (part.x - part.width / 2, self.at.rail_y)])]
        if part.kind == "map" or self.at.column[part.id] == part.id:
            route = [(JOINT, 0.0), (part.x, 0.0), (part.x, part.bottom)]
        else:
            x = self.at.gap(self.at.column[part.id], ASIDE)
            route = [(JOINT, 0.0), (x, 0.0), (x, part.y), (part.x - part.width / 2, part.y)]
        return [Wire(BUS, part.id, feed.edges, route)]

    def _route(self, source: Part, part: Part, feed: Feed) -> list[Point]:
        """From a part to a part."""
        on_rail = bool(self.rail) and source in self.rail
        if on_rail and part in self.rail:
            return [(source.x + source.width / 2, source.y), (part.x - part.width / 2, part.y)]
        if part.kind == "map":
            x = self.at.gap(self.at.column[part.id], ASIDE)
            return [*self._leave(source, x), (x, part.y), (part.x - part.width / 2, part.y)]
        if on_rail:  # downward
            return [(source.x + source.width / 2, source.y), (part.x, source.y), (part.x, part.top)]
        if source in self.tail:
            return [(source.x, source.bottom), (part.x, part.top)]
        x = source.x if source.kind != "slice" else part.x
        if part in self.rail or x == part.x:
            if x == part.x:
                return [(x, source.top), (x, part.bottom)]
            return [(x, source.top), (x, part.bottom - LEAVE), (part.x, part.bottom - LEAVE), (part.x, part.bottom)]
        return self._from_the_side(source, part)

    def _from_the_side(self, source: Part, part: Part) -> list[Point]:
        """Up from the source, beside its column where another use stands above it, and into the side of the part."""
        sign = 1 if source.x < part.x else -1
        end = (part.x - sign * part.width / 2, part.y)
        if len(self.parts.uses[source.id]) == 1 or part.y <= source.top + LEAVE:
            return [(source.x, source.top), (source.x, part.y), end]
        place = self.at.columns.index(self.at.column[source.id]) + (sign > 0)
        x, y = self.at.gap(self.at.columns[place], -ASIDE * sign), source.top + LEAVE
        return [(source.x, source.top), (source.x, y), (x, y), (x, part.y), end]

    def _leave(self, source: Part, x: float) -> list[Point]:
        """From a part to the height at which its line goes down at x."""
        if source in self.rail or source.kind in ("op", "norm"):
            return [(source.x + source.width / 2, source.y), (x, source.y)]
        return [(source.x, source.top), (source.x, source.top + LEAVE), (x, source.top + LEAVE)]

    def _ends(self) -> list[Wire]:
        """The arguments' ways to the bus, and the results' ways out of the frame."""
        on_bus = {feed.source: None for part in self.all.values() for feed in part.feeds
                  if feed.source not in self.all and not (self.rail and part is self.rail[0])}  # fmt: skip
        wires = []
        for id in on_bus:
            vertex = self.graph.known[id]
            edges = [number for number, edge in self.graph.out[id] if not self._goes_to_rail(id, edge.target)]
            start = [
                (START - self.reach, self.at.level(vertex.name)),
                (JOINT, self.at.level(vertex.name)),
                (JOINT, 0.0),
            ]
            wires.append(Wire(id, BUS, edges, start if vertex.kind == "state" else [(JOINT, -52.0), (JOINT, 0.0)]))
        for name, id in self.graph.outputs.items():
            part, y = self.all[self.parts.root[id]], self.at.level(self.parts.graph.state_of(name))
            x = self.at.right
            end = [(x, y), (self.at.right + self.reach, y)]
            route = [*self._leave(part, x), *end]
            wires.append(Wire(part.id, name, [], route, name, self.graph.cotangents[name]))
        return wires

    def _goes_to_rail(self, id: str, target: str) -> bool:
        return bool(self.rail) and id == self.at.memory and self.parts.root[target] == self.rail[0].id
