"""Positions over time: the columns from left to right, the levels from bottom to top, and the tracks of the wires."""

from __future__ import annotations

from collections import Counter, defaultdict

from ..theme import SIZES, block
from .elements import Bar, Row, StepBox, Unit, Wire
from .levels import Levels, unit_of
from .routes import BAR, TRACK, Routes
from .texts import Texts, wide

LANE, EDGE = 46.0, 22.0  # the distance of the lanes of states, and from the first to the edge of a box
NARROW, GAP = 84.0, 30.0  # the least width of a box, the least distance of columns
LOOP = 44.0  # the length of the loop of a state that returns to the same box
STUB = 54.0  # the length of a wire to a text
CLEAR = 9.0  # between a box and a text beside a lane
BOX = 13.0  # the size of text in a box


class Placement(Routes):
    """Places units; y points downward, and the lowest level ends at 0."""

    def __init__(self, levels: Levels, texts: Texts, sparks: bool):
        super().__init__(levels, texts)
        self.params = {row: texts.params(row, sparks) for row in self.units.rows}
        self.place_columns()
        self.place_levels()

    # -- columns

    def place_columns(self) -> None:
        """Set the middle and half the width of every column."""
        count = 2 + max(unit.high for unit in self.levels.all)
        half, rooms = [0.0] * (count + 1), [GAP] * (count + 1)
        for row in self.units.rows:
            entry = row.high if row.reverse else row.low
            half[entry] = max(half[entry], max(map(wide, self.params[row]), default=0.0) / 2 + 9)
            for box in row.boxes:
                half[box.column] = max(half[box.column], self.box_width(box) / 2)
        narrow = Counter(bar.level for bar in self.units.bars if bar.low == bar.high)
        for bar in self.units.bars:
            if bar.low == bar.high and narrow[bar.level] > 1:  # others of its kind may stand beside it
                half[bar.low] = max(half[bar.low], self.bar_width(bar) / 2)
                for side, lines in enumerate(self.texts.leaves(bar)):
                    column = bar.high if side else bar.low - 1
                    if lines and column > 0:
                        rooms[column] = max(rooms[column], max(map(wide, lines)) + 90)
        for wire in self.units.wires:
            self.make_room(wire, half, rooms)
        self.x, self.half, x = [], half, 0.0
        for column in range(count):
            x += TRACK * self.passing[column] + half[column]
            self.x.append(x)
            x += half[column] + rooms[column]

    def box_width(self, box: StepBox) -> float:
        """The width of the box of a step: of its text, and of the wires above and below it."""
        above = sum(self.spread(wire) for wire in self.at[box, True][:-1])
        below = sum(self.spread(wire) for wire in self.at[box, False][:-1])
        return max(block(self.texts.box(box), BOX)[0] + 14, above + 40, below + 40, NARROW)

    def make_room(self, wire: Wire, half: list[float], rooms: list[float]) -> None:
        """Widen the room beside a column for the texts of a wire."""
        text = max(wide(self.texts.gradient(wire)), wide(self.texts.head(wire), SIZES["name"]))
        ends = [end for end in (wire.source, wire.target) if isinstance(end, StepBox)]
        if wire in self.tracks and isinstance(wire.source, Bar):  # the text is to the left
            column = self.tracks[wire][0]
            rooms[column - 1] = max(rooms[column - 1], text + 30)
            return
        if not self.is_level(wire):
            if isinstance(wire.source, Bar) and wire.source.low == wire.source.high:
                text += self.bar_width(wire.source) / 2
            elif isinstance(wire.source, Bar):
                text += self.aside(wire)
            column = ends[0].column if ends else self.column(wire) if not isinstance(wire.source, str) else 1
            rooms[column] = max(rooms[column], text + 24 - half[column])
            return
        inner = len(ends) == 2 and ends[0].row is ends[1].row
        text += LOOP if self.graph.full else 40.0 if wire.cut else 0.0 if inner else 10.0  # 10 to the frame
        for end in ends[:1] if isinstance(wire.source, StepBox) else ends:
            forward = (end is wire.source) is not end.row.reverse
            rooms[end.column - (not forward)] = max(rooms[end.column - (not forward)], text + 2 * CLEAR)
            beyond = end.column + (1 if forward else -1)
            if isinstance(wire.target, str) or isinstance(wire.source, str):
                name = wire.target if isinstance(wire.target, str) else wire.value.name
                half[beyond] = max(half[beyond], wide(name, SIZES["name"]) / 2 + 4)

    # -- levels

    def place_levels(self) -> None:
        """Set the upper and the lower edge of every level, from the lowest."""
        levels: dict[int, list[Unit]] = defaultdict(list)
        for unit in self.levels.all:
            levels[unit.level].append(unit)
        rooms = self.rooms()
        self.top: dict[int, float] = {}
        self.bottom: dict[int, float] = {}
        y = 0.0
        for level in range(max(levels) + 1):
            self.bottom[level] = y = y - rooms.get(level - 1, 26.0)
            self.top[level] = y = y - max((self.height(unit) for unit in levels[level]), default=0.0)
        self.highest = y - rooms.get(max(levels), 0.0)

    def rooms(self) -> dict[int, float]:
        """The height of the space above each level; -1 is below all."""
        rooms: dict[int, float] = defaultdict(lambda: 26.0)
        rooms[-1] = 0.0
        for wire in self.ups:
            if isinstance(wire.source, str) or isinstance(wire.target, str):
                end = wire.source if isinstance(wire.target, str) else wire.target
                level = unit_of(end).level - isinstance(wire.source, str)
                rooms[level] = max(rooms[level], STUB + 24)
                continue
            lines = bool(self.texts.gradient(wire)) + isinstance(wire.source, StepBox)
            tracks = 2.0 + self.far(wire) if wire in self.tracks else 0.0
            if isinstance(wire.target, Bar) and wire not in self.tracks:
                tracks = 8.0 * (abs(self.end_x(wire, wire.source, True) - self.end_x(wire, wire.target, False)) > 1)
            for level in (unit_of(wire.source).level, unit_of(wire.target).level - 1):
                rooms[level] = max(rooms[level], 24.0 + 16.0 * lines + 2 * tracks)
        if any(bar.level == 0 for bar in self.units.bars):
            rooms[-1] = max(rooms[-1], 4.0)
        return rooms

    def height(self, unit: Unit) -> float:
        """The height of a row or a bar."""
        if not isinstance(unit, Row):
            return BAR
        states = len(self.graph.rows[unit.number].states)
        lanes = 2 * EDGE + LANE * (states - 1)
        params = block(self.params[unit], SIZES["text"])[1] + 8 if self.params[unit] else 0.0
        texts = max((block(self.texts.box(box), BOX)[1] for box in unit.boxes), default=0.0) + 10
        return max(lanes, texts, params + (lanes if self.has_entry(unit) else 0.0))

    def has_entry(self, row: Row) -> bool:
        """Does a state enter the row, or leave it, beside the box of its parameters?"""
        first = row.boxes[-1 if row.reverse else 0]
        return any(wire.target is first and wire.state for wire in self.units.wires)

    def lane(self, row: Row, state: str) -> float:
        """The y of the lane of a state: the first state is on top."""
        states = self.graph.rows[row.number].states
        return self.top[row.level] + EDGE + LANE * (states.index(state) if state in states else 0)
