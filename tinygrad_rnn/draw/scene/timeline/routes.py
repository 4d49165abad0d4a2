"""The ways of the wires that rise over time: through their column, or on a track beside what stands in it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from ..geometry import Point
from ..theme import SIZES
from .elements import Bar, Row, StepBox, Unit, Wire
from .levels import Levels, covers, unit_of
from .texts import Texts, wide

BAR, TRACK = 32.0, 15.0  # the height of a bar, the distance of tracks


class Routes:
    """The wires that rise, and where; the middles of columns and the edges of levels are set by `Placement`."""

    x: list[float]  # the middle of every column
    half: list[float]  # and half its width
    top: dict[int, float]  # the upper and the lower edge of every level
    bottom: dict[int, float]

    def __init__(self, levels: Levels, texts: Texts):
        self.levels, self.texts, self.units, self.graph = levels, texts, levels.units, texts.graph
        self.ups = [wire for wire in self.units.wires if not self.is_level(wire)]
        self.tracks: dict[Wire, tuple[int, int]] = {}  # column and place of wires beside what is in their column
        self.passing: dict[int, int] = defaultdict(int)  # how many do, by column
        self.at: dict[tuple[StepBox, bool], list[Wire]] = defaultdict(list)  # wires above, and below, a box
        self.leaving: dict[Bar, list[Wire]] = defaultdict(list)  # wires from bars to bars
        self.entering = Counter[Bar]()
        for wire in self.ups:
            if isinstance(wire.source, Bar) and isinstance(wire.target, Bar):
                self.leaving[wire.source].append(wire)
                self.entering[wire.target] += 1
            for end, above in ((wire.source, True), (wire.target, False)):
                if isinstance(end, StepBox):
                    self.at[end, above].append(wire)
            self.choose_track(wire)

    def is_level(self, wire: Wire) -> bool:
        """Does it run on the lane of a state?"""
        if isinstance(wire.target, StepBox):
            return bool(wire.state)
        last = isinstance(wire.source, StepBox) and wire.source.vertex is _last(wire.source.row).vertex
        return isinstance(wire.target, str) and last and bool(wire.state)

    def choose_track(self, wire: Wire) -> None:
        """Give a wire a track of its own where a unit stands in its way, or where it leads downward."""
        if isinstance(wire.source, str) or isinstance(wire.target, str):
            return
        low, high = unit_of(wire.source).level, unit_of(wire.target).level
        between = [unit for unit in self.levels.all if low < unit.level < high]
        column = self.column(wire)
        blocked = any(covers(unit, column, column) for unit in between)
        if blocked and isinstance(wire.source, Bar) and isinstance(wire.target, Bar):
            column = self.free_column(wire, between)
        if blocked or wire in self.levels.back or high <= low:
            self.tracks[wire] = column, self.passing[column]
            self.passing[column] += 1

    def column(self, wire: Wire) -> int:
        """The column in which a wire rises."""
        if isinstance(wire.target, StepBox) and (wire in self.levels.back or not isinstance(wire.source, StepBox)):
            return wire.target.column
        if isinstance(wire.source, StepBox):
            return wire.source.column
        if not isinstance(wire.source, Bar) or not isinstance(wire.target, Bar):
            end = wire.source if isinstance(wire.source, Bar) else wire.target
            return (unit_of(end).low + unit_of(end).high) // 2
        low, high = max(wire.source.low, wire.target.low), min(wire.source.high, wire.target.high)
        return (low + high) // 2 if low <= high else min(max(wire.target.low, wire.source.low), wire.source.high)

    def free_column(self, wire: Wire, between: Sequence[Unit]) -> int:
        """The nearest column for a wire from a bar to a bar that no unit between them covers."""
        near = self.column(wire)
        columns = sorted(range(max(unit.high for unit in self.levels.all) + 2), key=lambda column: abs(column - near))
        return next(column for column in columns if not any(covers(unit, column, column) for unit in between))

    def spread(self, wire: Wire) -> float:
        """How far the next wire stands from a wire."""
        return max(wide(self.texts.gradient(wire)), 10.0) + 26.0

    def bar_width(self, bar: Bar) -> float:
        """The width of a bar that covers one column: of its text, and of the wires above it."""
        above = sum(self.spread(wire) for wire in self.leaving[bar][:-1])
        return max(wide(self.texts.bar(bar), SIZES["name"]) + 28, above + 40, 40.0 * self.entering[bar])

    # -- ends

    def extent(self, end: StepBox | Bar) -> tuple[float, float]:
        """The left and the right edge of a step or a bar."""
        if isinstance(end, StepBox):
            half = self.half[end.column]
            return self.x[end.column] - half, self.x[end.column] + half
        if end.low == end.high:
            half = self.bar_width(end) / 2
            return self.x[end.low] - half, self.x[end.low] + half
        left = self.x[end.low] - self.half[end.low] - TRACK * self.passing[end.low]
        return left, self.x[end.high] + self.half[end.high]

    def top_of(self, end: StepBox | Bar) -> float:
        """The upper edge of a step or a bar."""
        return self.top[end.row.level] if isinstance(end, StepBox) else self.bottom[end.level] - BAR

    def end_x(self, wire: Wire, end: StepBox | Bar | str, above: bool) -> float:
        """The x at which a wire that rises meets its end."""
        if not isinstance(end, StepBox):
            other = wire.target if above else wire.source
            x = self.end_x(wire, other, not above) if isinstance(other, StepBox) else self.x[self.column(wire)]
            x = self.track_x(wire) if wire in self.tracks else x
            if isinstance(end, Bar):
                left, right = self.extent(end)
                x += self.aside(wire) if above else 0.0
                return x if left <= x <= right else min(max(x, left + 14), right - 14)
            return x
        wires = self.at[end, above]
        place, widths = wires.index(wire), [self.spread(other) for other in wires[:-1]]
        return self.x[end.column] - sum(widths) / 2 + sum(widths[:place])

    def aside(self, wire: Wire) -> float:
        """How far to the right a wire leaves a bar from which other wires rise in the same column."""
        wires = self.leaving[wire.source] if isinstance(wire.source, Bar) else []
        beside = [other for other in wires if other not in self.tracks and self.column(other) == self.column(wire)]
        if wire not in beside:
            return 0.0
        widths = [self.spread(other) for other in beside[:-1]]
        centred = unit_of(wire.source).low == unit_of(wire.source).high
        return sum(widths[: beside.index(wire)]) - centred * sum(widths) / 2

    def track_x(self, wire: Wire) -> float:
        """The x of the track of a wire, to the left of the boxes of its column."""
        column, place = self.tracks[wire]
        return self.x[column] - self.half[column] - TRACK * (place + 0.6)

    def far(self, wire: Wire) -> float:
        """How far from its ends a wire turns aside to its track."""
        return 10.0 + 9.0 * self.tracks[wire][1]

    def path(self, wire: Wire) -> list[Point]:
        """The way of a wire that rises."""
        assert isinstance(wire.source, (StepBox, Bar)) and isinstance(wire.target, (StepBox, Bar))
        start, end = self.end_x(wire, wire.source, True), self.end_x(wire, wire.target, False)
        below, above = self.top_of(wire.source), self.bottom[unit_of(wire.target).level]
        if wire not in self.tracks:
            return [(start, below), (start, above + 12.0), (end, above + 12.0), (end, above)]
        x, far = self.track_x(wire), self.far(wire)
        if isinstance(wire.source, Bar) and wire in self.levels.back:
            start = self.extent(wire.source)[1] - 12.0
        return [(start, below), (start, below - far), (x, below - far), (x, above + far), (end, above + far),
                (end, above)]  # fmt: skip


def _last(row: Row) -> StepBox:
    """The step of a row that ran last."""
    return row.boxes[0 if row.reverse else -1]
