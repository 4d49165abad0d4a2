"""The routes of the lines of a gated cell, between parts that have their places; y points upward."""

from __future__ import annotations

from dataclasses import dataclass

from ..geometry import Point
from .parts import Feed, Part
from .placement import JOINT, LEAVE, NoBook, Placement

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
        self.first = placement.first
        self.bus = self._on_bus()
        self.wires = [wire for part in self.all.values() for feed in part.feeds for wire in self._wires(part, feed)]
        self.wires += self._ends()

    def _on_bus(self) -> list[str]:
        """The ids of what the bus carries: the arguments that parts read, and the value of the first map."""
        readers = [part for part in self.all.values() if part is not self.first and not self._begins_rail(part)]
        ids = [feed.source for part in readers for feed in part.feeds if feed.source not in self.all]
        if self.first is not None:
            if any(self.graph.known[feed.source].kind == "state" and feed.source in ids for feed in self.first.feeds):
                raise NoBook  # a state would have to pass the first map
            ids.append(self.first.id)
        return list(dict.fromkeys(ids))

    def _begins_rail(self, part: Part) -> bool:
        return bool(self.rail) and part is self.rail[0]

    def _wires(self, part: Part, feed: Feed) -> list[Wire]:
        """The wires of a feed: from the bus for an argument of a map, else from its part."""
        if part is self.first:
            return [Wire(feed.source, part.id, feed.edges, self._to_first(feed.source, part))]
        if feed.source in self.all and feed.source not in self.bus:
            return [Wire(feed.source, part.id, feed.edges, self._route(self.all[feed.source], part, feed))]
        if self._begins_rail(part) and feed.source == self.at.memory:
            entry = [*self._entry(feed.source), (self.at.start, self.at.rail_y)]
            return [Wire(feed.source, part.id, feed.edges, [*entry, (part.x - part.width / 2, self.at.rail_y)])]
        if part.kind == "map" or self.at.column[part.id] == part.id:
            route = [(JOINT, 0.0), (part.x, 0.0), (part.x, part.bottom)]
        else:
            x = self.at.gap(self.at.column[part.id], ASIDE)
            route = [(JOINT, 0.0), (x, 0.0), (x, part.y), (part.x - part.width / 2, part.y)]
        if len(self.bus) == 1:  # there is no bus
            return [Wire(feed.source, part.id, feed.edges, [*self._to_bus(feed.source)[:-1], *route])]
        return [Wire(BUS, part.id, feed.edges, route)]

    def _entry(self, id: str) -> list[Point]:
        """The way of an argument to where it branches: a state from the left, the input from below."""
        vertex = self.graph.known[id]
        if vertex.kind != "state":
            return [(self.input_x(id), self.at.low)]
        level = self.at.level(vertex.name)
        return [(self.at.start - self.reach, level), (self.at.start, level)]

    def input_x(self, id: str) -> float:
        """The x at which the input enters: below the bus, or below the first map if it leads there alone."""
        return JOINT if self.first is None or id in self.bus else self.first.x

    def _to_first(self, id: str, first: Part) -> list[Point]:
        """The way of an argument to the first map: a state from the left, the input from below."""
        if self.graph.known[id].kind == "state":
            return [*self._entry(id), (first.x - first.width / 2, 0.0)]
        x, turn = self.input_x(id), first.bottom - 12
        return [(x, self.at.low), (x, turn), (first.x, turn), (first.x, first.bottom)]

    def _to_bus(self, id: str) -> list[Point]:
        """The way of an argument, or of the value of the first map, to the joint of the bus."""
        if self.first is not None and id == self.first.id:
            return [(self.first.x + self.first.width / 2, 0.0), (JOINT, 0.0)]
        level = self.at.level(self.graph.known[id].name) if self.graph.known[id].kind == "state" else 0.0
        return [*self._entry(id), (JOINT, level), (JOINT, 0.0)]

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
            end = part.x + (self._below(part) > 1) * (0.3 if x > part.x else -0.3) * part.width
            return [(x, source.top), (x, part.bottom - LEAVE), (end, part.bottom - LEAVE), (end, part.bottom)]
        return self._from_the_side(source, part)

    def _below(self, part: Part) -> int:
        """How many lines enter a part of the rail from below."""
        return sum(feed.source in self.all and self.all[feed.source] not in self.rail for feed in part.feeds)

    def _from_the_side(self, source: Part, part: Part) -> list[Point]:
        """Up from the source, beside its column where another use stands above it, and into the side of the part."""
        sign = 1 if source.x < part.x else -1
        end = (part.x - sign * part.width / 2, part.y)
        if abs(source.y - part.y) < 1:
            return [(source.x + sign * source.width / 2, part.y), end]
        column = self.at.column[source.id]
        if self.at.top[column] == source.id or part.y <= source.top + LEAVE:
            return [(source.x, source.top), (source.x, part.y), end]
        place = self.at.columns.index(column) + (sign > 0)
        x, y = self.at.gap(self.at.columns[place], -ASIDE * sign), source.top + LEAVE
        return [(source.x, source.top), (source.x, y), (x, y), (x, part.y), end]

    def _leave(self, source: Part, x: float) -> list[Point]:
        """From a part to the height at which its line goes down at x."""
        if source in self.rail or source.kind in ("op", "norm"):
            return [(source.x + source.width / 2, source.y), (x, source.y)]
        return [(source.x, source.top), (source.x, source.top + LEAVE), (x, source.top + LEAVE)]

    def _ends(self) -> list[Wire]:
        """The arguments' ways to the bus, and the results' ways out of the frame."""
        wires = []
        for id in self.bus if len(self.bus) > 1 else ():
            uses = self.graph.out[self.all[id].value.id if id in self.all else id]
            edges = [number for number, edge in uses if not self._leaves_before(id, edge.target)]
            wires.append(Wire(id, BUS, edges, self._to_bus(id)))
        for name, id in self.graph.outputs.items():
            part, y = self.all[self.parts.root[id]], self.at.level(self.parts.graph.state_of(name))
            x = self.at.right
            end = [(x, y), (self.at.right + self.reach, y)]
            route = [*self._leave(part, x), *end]
            wires.append(Wire(part.id, name, [], route, name, self.graph.cotangents[name]))
        return wires

    def _leaves_before(self, id: str, target: str) -> bool:
        """Does the way of an argument to a use leave before the bus: to the rail, or to the first map?"""
        part = self.all.get(self.parts.root[target])
        return part is not None and (part is self.first or (id == self.at.memory and self._begins_rail(part)))
