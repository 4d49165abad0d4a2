"""Where units stand over time: the columns of the steps, and the levels, upward in the direction of the computation."""

from __future__ import annotations

from collections import defaultdict

from .elements import Bar, Row, StepBox, Unit, Wire
from .units import Units

BESIDE = 8  # steps up to which two rows stand side by side


class Levels:
    """Sets columns and levels of all units; ``back`` are the wires that lead to what came before."""

    def __init__(self, units: Units):
        self.units, self.back = units, dict[Wire, None]()
        self.all: list[Unit] = [*units.rows, *units.bars]
        self.before: dict[str, dict[str, int]] = {unit.key: {} for unit in self.all}  # with the least distance
        self.by_key = {unit.key: unit for unit in self.all}
        for wire in units.wires:
            self.join(wire)
        self.set_columns()
        self.set_spans()
        self.set_levels()

    def join(self, wire: Wire) -> None:
        """Note that a unit comes after another, unless it comes before it already."""
        if isinstance(wire.source, str) or isinstance(wire.target, str):
            return
        source, target = unit_of(wire.source), unit_of(wire.target)
        if source is target:
            return
        if self.comes_after(source.key, target.key):
            self.back[wire] = None
            return
        beside = bool(wire.state) and isinstance(source, Row)
        before = self.before[target.key]
        before[source.key] = max(before.get(source.key, 0), 0 if beside else 1)

    def comes_after(self, key: str, other: str) -> bool:
        """Does a unit come after another?"""
        reached = dict.fromkeys([key])
        todo = [key]
        for unit in todo:  # which grows
            for before in self.before[unit]:
                if before == other:
                    return True
                if before not in reached:
                    reached[before] = None
                    todo.append(before)
        return False

    def set_columns(self) -> None:
        """Set the columns of rows: a row whose first states come from another row stands to the right of it."""
        sources: dict[str, list[StepBox | Bar]] = defaultdict(list)
        for wire in self.units.wires:
            if not wire.state or not isinstance(wire.target, StepBox) or isinstance(wire.source, str):
                continue
            if unit_of(wire.source) is not wire.target.row:
                sources[wire.target.row.key].append(wire.source)
        for row in self.units.rows:
            firsts = [self.row_behind(source) for source in sources[row.key]]
            row.low = max((first.high for first in firsts if first is not None and first is not row), default=0)
            if (other := self.other_way(row)) is not None:
                row.low = max(row.low, other.high - 1)
            for k, box in enumerate(row.boxes):
                box.column = row.low + 1 + k
            row.high = row.low + len(row.boxes) + 1

    def other_way(self, row: Row) -> Row | None:
        """The row before it that reads the same values in the other direction, if both have few steps."""
        rows = [other for other in self.units.rows[: row.number] if other.reverse != row.reverse]
        fed = {other: [wire.source for wire in self.units.wires
                       if wire.target in other.boxes and not wire.state and not isinstance(wire.source, str)]
               for other in [row, *rows]}  # fmt: skip
        return next((other for other in rows if len(other.boxes) + len(row.boxes) <= BESIDE and fed[row]
                     and dict.fromkeys(fed[other]) == dict.fromkeys(fed[row])), None)  # fmt: skip

    def row_behind(self, source: StepBox | Bar) -> Row | None:
        """The row from which a state comes, also through bars."""
        if isinstance(source, StepBox):
            return source.row
        todo = [source.key]
        for key in todo:  # which grows
            unit = self.by_key[key]
            if isinstance(unit, Row):
                return unit
            todo += [before for before in self.before[key] if before not in todo]
        return None

    def set_spans(self) -> None:
        """Set the columns of bars: those of the steps to which they are joined, else those of their neighbours."""
        touched: dict[str, list[int]] = defaultdict(list)
        for wire in self.units.wires:
            for end, other in ((wire.source, wire.target), (wire.target, wire.source)):
                if isinstance(end, Bar) and isinstance(other, StepBox) and wire not in self.back:
                    row = other.row
                    entry = row.high if row.reverse else row.low
                    touched[end.key].append(entry if wire.state and other is wire.target else other.column)
        joined = [wire for wire in self.units.wires if isinstance(wire.source, Bar) and isinstance(wire.target, Bar)]
        neighbours: dict[str, list[int]] = defaultdict(list)
        for wire in joined:
            source, target = unit_of(wire.source).key, unit_of(wire.target).key
            neighbours[target] += middle(touched[source] or neighbours[source])
        for wire in joined[::-1]:
            source, target = unit_of(wire.source).key, unit_of(wire.target).key
            neighbours[source] += middle(touched[target] or neighbours[target]) * (not neighbours[source])
        for bar in self.units.bars:
            columns = touched[bar.key] or middle(neighbours[bar.key]) or [1]
            bar.low, bar.high = min(columns), max(columns)

    def set_levels(self) -> None:
        """Set the levels: above all units that come before, and where no other unit covers the same columns."""
        after: dict[str, list[str]] = defaultdict(list)
        missing = {key: len(before) for key, before in self.before.items()}
        for key, before in self.before.items():
            for other in before:
                after[other].append(key)
        taken: dict[int, list[Unit]] = defaultdict(list)
        todo = [unit.key for unit in sorted(self.all, key=lambda unit: isinstance(unit, Bar)) if not missing[unit.key]]
        for key in todo:  # which grows
            unit = self.by_key[key]
            unit.level = max((self.by_key[other].level + far for other, far in self.before[key].items()), default=0)
            while any(covers(unit, *span(other)) for other in taken[unit.level]):
                unit.level += 1
            taken[unit.level].append(unit)
            for other in after[key]:
                missing[other] -= 1
                if not missing[other]:
                    todo.append(other)


def middle(columns: list[int]) -> list[int]:
    """The column in the middle; none of none."""
    return [(min(columns) + max(columns)) // 2] if columns else []


def span(unit: Unit) -> tuple[int, int]:
    """The columns of a unit; the column behind the last step is free for another row."""
    if not isinstance(unit, Row):
        return unit.low, unit.high
    return (unit.low + 1, unit.high) if unit.reverse else (unit.low, unit.high - 1)


def covers(unit: Unit, low: int, high: int) -> bool:
    """Does a unit cover one of these columns?"""
    start, end = span(unit)
    return start <= high and low <= end


def unit_of(end: StepBox | Bar | str) -> Unit:
    """The unit of an end of a wire."""
    assert not isinstance(end, str)
    return end.row if isinstance(end, StepBox) else end
