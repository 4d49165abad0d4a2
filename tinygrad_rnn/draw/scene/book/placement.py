"""Where the parts of a gated cell stand, as in textbooks.

::

    c ───────────●───────────+──────●───── c'      the rail of the memory
                 │           │      tanh
                 │       ┌───⊙      │
                 σ f     tanh g σ i │ σ o ── ⊙     the gates, in the order of the code
               [map]    [map] [map] [map]    │     their affine maps
    h ──────┴────┴───────┴─────┴─────┴────   └ h'  the bus: every argument that a map reads
            x

Every gate has a column. An operation stands above its rightmost operand; what comes from the left goes up and enters
from the side. y points upward; the bus is at 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from .parts import Part, Parts

PITCH, SLIM, NARROW = 166.0, 132.0, 118.0  # widths of columns: of gates, of operations alone, behind the rail
RISE = 40.0  # between an operation and what is below it
FLOOR, OVER = 38.0, 78.0  # between the bus and the maps, between the maps and the gates
RAIL = ("op", "norm")  # kinds of parts on the rail
LEAVE = 32.0  # how far above a part its branches separate
JOINT, START = 0.0, -46.0  # the x of where the bus begins, and of where the first state branches
LOW = -52.0  # the y of where the input begins


class NoBook(Exception):
    """The cell has another form."""


class Placement:
    """The parts with their places; raises NoBook for a cell that does not fit the form."""

    def __init__(self, parts: Parts, states: Sequence[str], heads: Sequence[str], swapped: bool = False,
                 pitch: float = 1.0):  # fmt: skip
        self.swapped, self.pitch = swapped, pitch  # of two uses of a value, the other stands above it
        self.parts, self.graph, self.all, self.first = parts, parts.graph, parts.parts, parts.first
        self.start = START  # where the first state branches
        self.low = LOW  # where the input begins
        self.states, self.columns, self.heads = list(states), list(heads), list(heads)
        self.sky = dict.fromkeys(heads, 0.0)  # how high each column is filled
        self.top = {head: head for head in heads}  # the part at the top of each column
        self.column: dict[str, str] = {}
        self.arguments = {self.graph.known[id].name: id for id in parts.order if parts.kinds[id] == "argument"}
        self.memory, self.rail = self._find_rail()
        self.tail = self._find_tail()
        self._stand_maps_and_gates()
        self._stand_operations()
        self._stand_rail()
        self._spread()

    # -- the rail

    def _find_rail(self) -> tuple[str, list[Part]]:
        """The memory, and the operations from it to its new value: the last state that has such a path."""
        news = {self.graph.state_of(name): id for name, id in self.graph.outputs.items()}
        for state in self.states[::-1]:
            start, end = self.arguments.get(state, ""), self.parts.root.get(news.get(state, ""), "")
            paths: list[list[Part]] = [[part] for part, _ in self.parts.uses.get(start, []) if part.kind in RAIL]
            for path in paths:  # which grows
                if path[-1].id == end:
                    return start, path
                paths += [[*path, part] for part, _ in self.parts.uses.get(path[-1].id, [])
                          if part.kind in RAIL and len(path) < 8]  # fmt: skip
        return "", []

    def _find_tail(self) -> list[Part]:
        """The operations behind the rail, such as ``o ⊙ tanh(c')``."""
        if not self.rail:
            return []
        behind = {self.rail[-1].id: None}
        for part in self.all.values():
            if part.kind in ("op", "norm") and any(feed.source in behind for feed in part.feeds):
                behind[part.id] = None
        return [self.all[id] for id in behind if id != self.rail[-1].id]

    # -- places

    def _stand_maps_and_gates(self) -> None:
        """Place the maps above the bus, and the gates above their maps."""
        maps = [part.height for part in self.all.values() if part.kind == "map" and part is not self.first]
        self.map_height = max(maps)
        self.gate_y = FLOOR + self.map_height + OVER + 17
        if self.first is not None:
            self._stand_first(self.first)
        for part in (part for part in self.all.values() if part is not self.first):
            levels = {"map": FLOOR + self.map_height / 2, "slice": FLOOR + self.map_height + 41}
            part.y = levels.get(part.kind, self.gate_y)
            if part.id in self.columns:
                self.column[part.id] = part.id
            elif part.kind == "gate":
                (feed,) = part.feeds
                if feed.source not in self.column:
                    raise NoBook  # a gate of the map before the gates
                self.column[part.id] = self.column[feed.source]
                self.top[self.column[part.id]] = part.id
        for key in self.columns:
            self.sky[key] = self.gate_y + 17

    def _stand_first(self, first: Part) -> None:
        """Place the first map before the bus, on its level."""
        first.x, first.y = JOINT - 74 - first.width / 2, 0.0
        aside = 98.0 if any(feed.source == self.memory for feed in first.feeds) else 30.0
        self.start, self.low = first.x - first.width / 2 - aside, first.bottom - 52

    def _stand_operations(self) -> None:
        """Place the operations that are neither on the rail nor behind it, each above its rightmost operand."""
        outside = [*self.rail, *self.tail]
        for part in self.all.values():
            if part.kind not in ("op", "norm") or any(part is other for other in outside):
                continue
            sources = [feed.source for feed in part.feeds if feed.source in self.column]
            if len(sources) < len([feed for feed in part.feeds if feed.source in self.all]) or not sources:
                raise NoBook
            last = max(sources, key=lambda id: self.columns.index(self.column[id]))
            key = self.column[last]
            if self.top[key] == last and not self._makes_room(part, last):
                self._stand_above(part, key, sources)
            else:
                self._stand_beside(part, key, sources)

    def _makes_room(self, part: Part, last: str) -> bool:
        """Does the part leave the place above its operand to another use: to the rail, or because it feeds a map?"""
        readers = [reader for reader, _ in self.parts.uses[last]]
        if len(readers) == 1:
            return False
        elsewhere = any(reader in [*self.rail, *self.tail] for reader in readers)
        to_map = any(reader.kind == "map" for reader, _ in self.parts.uses.get(part.id, []))
        if self.swapped and not to_map:
            return not elsewhere and part is readers[0]
        return elsewhere or to_map

    def _between(self, sources: Sequence[str], key: str) -> list[str]:
        """The columns that lines from the sources to a column pass, and that column."""
        places = [self.columns.index(self.column[id]) for id in sources]
        end = self.columns.index(key)
        return self.columns[min([*places, end]) + 1 : end + 1] or [key]

    def _stand_above(self, part: Part, key: str, sources: Sequence[str]) -> None:
        between = self._between(sources, key)
        level = max(self.sky[column] for column in [*between, key])
        shared = any(len(self.parts.uses[id]) > 1 for id in sources if self.top[key] == id)
        part.y = level + (LEAVE + 24.0 if shared else RISE) + part.height / 2
        for operand in (self.all[id] for id in sources if self.column[id] != key):
            alone = len(self.parts.uses[operand.id]) == 1
            if part.y < operand.top + LEAVE / 2:  # a line leaves its source from the side, or upward
                part.y = max(part.y, operand.y) if alone else operand.top + LEAVE
        self.column[part.id], self.top[key] = key, part.id
        for source in sources:
            column = self.column[source]
            if column != key and len(self.parts.uses[source]) == 1:
                self.sky[column] = max(self.sky[column], part.y)
        for column in between:
            self.sky[column] = max(self.sky[column], part.y)
        self.sky[key] = part.top

    def _stand_beside(self, part: Part, key: str, sources: Sequence[str]) -> None:
        """Place the part in a new column right of its operands."""
        self.columns.insert(self.columns.index(key) + 1, part.id)
        self.sky[part.id], self.column[part.id], self.top[part.id] = 0.0, part.id, part.id
        between = [column for column in self._between(sources, part.id) if column != part.id]
        part.y = max([self.all[id].top + LEAVE for id in sources] + [self.sky[column] + RISE for column in between])
        for column in between:
            self.sky[column] = max(self.sky[column], part.y)
        self.sky[part.id] = part.top

    def _stand_rail(self) -> None:
        """Place the rail above all columns, and what is behind it in columns of its own, downward."""
        level = max(self.sky.values())
        high = max((part.height for part in self.rail), default=34.0)
        turns = any(sum(feed.source in self.column for feed in part.feeds) > 1 for part in self.rail)
        self.rail_y = level + RISE + high / 2 + (LEAVE if turns and len(self.rail) == 1 else 0.0)
        if self.tail:
            lowest = [self.sky[self.column[feed.source]] for part in self.tail for feed in part.feeds
                      if feed.source in self.column]  # fmt: skip
            room = sum(part.height + RISE for part in self.tail)
            self.rail_y = max(self.rail_y, max(lowest, default=0.0) + LEAVE + room)
        latest = -1
        for part in self.rail:
            part.y = self.rail_y
            keys = [self.column[feed.source] for feed in part.feeds if feed.source in self.column
                    and self.all[feed.source] not in self.rail]  # fmt: skip
            if not keys or (place := max(map(self.columns.index, keys))) <= latest:
                place = latest + 1
                self.columns.insert(place, part.id)
                self.sky[part.id] = 0.0
            self.column[part.id], latest = self.columns[place], place
        if self.tail:
            self.columns.append("tail")
            height = self.rail_y - 17
            for part in self.tail:
                part.y = height - RISE - part.height / 2
                self.column[part.id], height = "tail", part.bottom

    def _spread(self) -> None:
        """Set the x of all parts; the map of a slice is as wide as its gates."""
        self.x: dict[str, float] = {}
        edge = JOINT + 24
        for key in self.columns:
            width = self._width(key)
            self.x[key], edge = edge + width / 2, edge + width
        over = [part.width for part in self.rail[-1:] if self.column[part.id] == self.columns[-1]]
        self.right = edge + max([40.0, *(70.0 + (wide - self._width(self.columns[-1])) / 2 for wide in over)])
        for part in self.all.values():
            if part.id in self.column:
                part.x = self.x[self.column[part.id]]
        for part in self.all.values():
            if part.kind == "slice":
                self._widen(part)

    def _widen(self, bar: Part) -> None:
        """Make a bar of slices, and its map, span the gates."""
        gates = sorted(gate.x for gate, _ in self.parts.uses[bar.id])
        if len(gates) != len(bar.fields) or any(gate.kind != "gate" for gate, _ in self.parts.uses[bar.id]):
            raise NoBook
        step = (gates[-1] - gates[0]) / (len(gates) - 1)
        for part in (bar, self.all[bar.feeds[0].source]):
            part.x, part.width = (gates[0] + gates[-1]) / 2, step * len(gates) - (0 if part is bar else step - 110)
        self.all[bar.feeds[0].source].width = bar.width

    def _width(self, key: str) -> float:
        """The width of a column."""
        return self.pitch * (NARROW if key == "tail" else PITCH if key in self.heads else SLIM)

    def gap(self, key: str, side: float) -> float:
        """The x of a line in the gap before a column."""
        place = self.columns.index(key)
        return (self.x[key] - self._width(key) / 2 if place else JOINT + 30) + side

    def level(self, state: str) -> float:
        """The height at which a state enters and leaves the frame."""
        on_top = bool(self.rail) and len(self.states) > 1 and state == self.graph.known[self.memory].name
        return self.rail_y if on_top else 0.0
