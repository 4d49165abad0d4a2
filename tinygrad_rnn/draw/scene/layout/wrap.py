"""The columns of a wide layout in several rows, as lines of text are wrapped.

Where it is cut, a line goes on around the end of its row, and comes in again at the left of the next. The lines keep
their order, so that a cut adds no crossing::

    a ---> b ---> c --.            cut: the columns of each row
    .-----------------'            are chosen so that the rows
    '----> d ---> e ---> f         are about equally wide

After Rüegg and von Hanxleden, "Wrapping layered graphs" (Diagrams 2018).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import inf

from .columns import Columns, Item
from .heights import settle

Point = tuple[float, float]
MOST = 6  # rows
MANY = 800  # items; of more than that, the heights of the rows are estimated to choose their number
AROUND = 3.0  # how many times the room of a line around the end of a row counts
COST = 0.04  # the part by which another row has to make the layout smaller, and each line around its end
Gaps = tuple[float, float]  # within a column, and between the lines around the end of a row
Start = tuple[Item, float]  # where lines leave a row together: an item, and how far from its middle


@dataclass
class Row:
    """The columns from ``first`` up to ``end``; the lines that leave it at the right, from top to bottom."""

    first: int
    end: int
    leaving: dict[Start, None] = field(default_factory=dict)
    dx: float = 0.0
    dy: float = 0.0
    right: float = 0.0
    bottom: float = 0.0


class Wrapped:
    """The rows of a layout: where their columns are, and the way of a line from one to the next."""

    def __init__(
        self, parts: Columns, lefts: Sequence[float], rights: Sequence[float], rows: list[Row], gaps: Gaps,
        settled: bool = False,
    ):  # fmt: skip
        self.parts, self.lefts, self.rights, self.rows, top = parts, lefts, rights, rows, 0.0
        gap, self.track = gaps
        if len(rows) > 1 and not settled:
            _settle(parts, rows, gap)
        for before, row in itertools.pairwise([Row(0, 0), *rows]):
            row.dx = self.track * (len(before.leaving) + 1) * bool(before.leaving) - lefts[row.first]
            items = [item for column in parts.columns[row.first : row.end] for item in column]
            row.dy = top
            row.bottom = row.dy + max(item.y + item.height / 2 for item in items)
            row.right = row.dx + rights[row.end - 1]
            top = row.bottom + self.track * (len(row.leaving) + 1) + gap
        self.row_of = [row for row in rows for _ in range(row.first, row.end)]

    @property
    def width(self) -> float:
        """The width of the widest row, with the lines around its end."""
        return max(row.right + self.track * (len(row.leaving) + 1) * bool(row.leaving) for row in self.rows)

    @property
    def height(self) -> float:
        """The height of all rows."""
        return self.rows[-1].bottom

    def at(self, column: int, x: float, y: float) -> Point:
        """Where a point of a column is."""
        row = self.row_of[column]
        return x + row.dx, y + row.dy

    def around(self, start: Start, column: int, y: float, into: float) -> Iterator[Point]:
        """The corners of a line from the last column of a row to the item at ``into`` in the next."""
        before, after = self.row_of[column], self.row_of[column + 1]
        place = list(before.leaving).index(start)  # 0 is the topmost: outermost at the right, innermost at the left
        out, back = before.right + self.track * (len(before.leaving) - place), self.lefts[column + 1] + after.dx
        track, back = before.bottom + self.track * (len(before.leaving) - place), back - self.track * (place + 1)
        yield from ((out, y + before.dy), (out, track), (back, track), (back, into + after.dy))


def wrapped(
    parts: Columns, lefts: Sequence[float], rights: Sequence[float], gaps: Gaps, size: Callable[[float, float], float]
) -> Wrapped:  # fmt: skip
    """The layout in as few rows as possible with a ``size`` of at most 1, else as long as another row is worth it."""
    cuts = [_leaving(parts, column) for column in range(0, len(lefts) - 1, 2)]  # behind each column of boxes
    rows, least = [Row(0, len(lefts))], inf
    many = sum(map(len, parts.columns)) > MANY
    for count in range(1, min(MOST, len(cuts)) + 1):
        layout = Wrapped(parts, lefts, rights, _rows(cuts, lefts, rights, count, gaps[1]), gaps, settled=many)
        large = size(layout.width, layout.height)
        cost = large * (1 + COST * sum(1 + len(row.leaving) for row in layout.rows[:-1]))
        if cost < least:
            rows, least = layout.rows, cost
        if large <= 1:
            break
    if len(rows) == 1:
        settle(parts.columns, gaps[0])
    return Wrapped(parts, lefts, rights, rows, gaps)


def _settle(parts: Columns, rows: Sequence[Row], gap: float) -> None:
    """Set the y of the items of each row by itself, as if no line led from one row to another."""
    ends = [item for row in rows[:-1] for item in parts.columns[row.end - 1]]
    starts = [item for row in rows[1:] for item in parts.columns[row.first]]
    right, left = [item.right for item in ends], [item.left for item in starts]
    for item in ends:
        item.right = []
    for item in starts:
        item.left = []
    for row in rows:
        settle([column if row.first <= k < row.end else [] for k, column in enumerate(parts.columns)], gap)
    for item, joins in zip(ends, right):
        item.right = joins
    for item, joins in zip(starts, left):
        item.left = joins


def _leaving(parts: Columns, column: int) -> dict[Start, None]:
    """The starts of the lines between a column of boxes and the next one, from top to bottom."""
    starts = {(item, join.here): None for item in parts.columns[column] for join in item.right}
    return dict.fromkeys(sorted(starts, key=lambda start: start[0].y + start[1]))


def _rows(
    cuts: Sequence[dict[Start, None]], lefts: Sequence[float], rights: Sequence[float], count: int, track: float
) -> list[Row]:  # fmt: skip
    """So many rows: the widest is as narrow as possible, and few lines go around the ends."""
    ends = [2 * k + 1 for k in range(len(cuts))] + [len(lefts)]  # where a row may end

    around = [AROUND * track * (len(cut) + 1) for cut in [*cuts, {}]]
    best = [(rights[end - 1] - lefts[0] + around[j], -1) for j, end in enumerate(ends)]  # the width, the cut before
    before: list[list[int]] = []
    for _ in range(count - 1):
        widest, best = best, [(inf, -1)] * len(ends)
        for j in range(1, len(ends)):
            for k in range(j - 1, -1, -1):
                plain = rights[ends[j] - 1] - lefts[ends[k]]
                if plain >= best[j][0]:
                    break  # earlier cuts make the row wider still
                best[j] = min(best[j], (max(widest[k][0], plain + around[k] + around[j]), k))
        before.append([k for _, k in best])
    places = [len(ends) - 1]
    for cut_before in before[::-1]:
        places.append(cut_before[places[-1]])
    places = places[::-1]
    firsts = [0, *(ends[k] for k in places[:-1])]
    return [Row(first, ends[k], cuts[k] if k < len(cuts) else {}) for first, k in zip(firsts, places)]
