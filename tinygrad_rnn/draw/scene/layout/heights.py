"""How high each item stands: as straight as the order in its column allows, and no two on top of each other.

In sweeps, every column in turn goes where its lines lead, at the least sum of squares; then what is nearly in line is
put in line. A column of three items, which have to be 10 apart::

    wanted      a at 0       b at 1      c at 19
    placed      a at -4.5    b at 5.5    c at 19
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from .columns import Item, Join, every

WORK = 200_000  # items looked at; a large graph is swept less often
MOST = 16
NEAR = 1e-6


def settle(columns: list[list[Item]], gap: float) -> None:
    """Give every item its y, its centre; the highest item begins at 0."""
    heights = Heights(columns, gap)
    items = every(columns)
    rounds = min(MOST, max(4, WORK // len(items)))
    for k in range(rounds):
        side = 0 if k >= rounds // 2 else (-1 if k % 2 == 0 else 1)
        for column in columns if k % 2 == 0 else reversed(columns):
            heights.relax(column, side)
    for k in range(rounds):
        for run in runs(columns, long=k % 4 < 3):  # now and then one by one, so that a run can part again
            heights.straighten(run)
    top = min(item.y - item.height / 2 for item in items)
    for item in items:
        item.y -= top


class Heights:
    """Rails lie fixed; what is free lies between ``top`` and ``bottom``, if there are rails there."""

    def __init__(self, columns: list[list[Item]], gap: float):
        self.columns, self.gap = columns, gap
        lanes = {item.lane: 0.0 for item in every(columns) if item.lane is not None}
        self.top = 0.0 if any(lane < 0.5 for lane in lanes) else -inf
        self.bottom = inf
        for item in every(columns):
            if item.lane is not None:
                lanes[item.lane] = max(lanes[item.lane], item.height)
        upper = self._rails({lane: lanes[lane] for lane in sorted(lanes) if lane < 0.5})
        lower = self._rails({lane: lanes[lane] for lane in sorted(lanes, reverse=True) if lane >= 0.5})
        height = max(self._needed(column, upper, lower) for column in columns)
        if lower:
            self.bottom = height
        for column in columns:
            self._stack(column, upper | {lane: height - y for lane, y in lower.items()})

    def _rails(self, lanes: dict[float, float]) -> dict[float, float]:
        """How far from the edge each rail lies, by what stands on it at most."""
        found, edge = {}, 0.0
        for lane, height in lanes.items():
            found[lane] = edge + height / 2
            edge += height + self.gap
        return found

    def _needed(self, column: Sequence[Item], upper: dict[float, float], lower: dict[float, float]) -> float:
        """The height that a column takes at least."""
        above = [upper[item.lane] + item.height / 2 + self.gap for item in column if item.lane in upper]
        below = [lower[item.lane] + item.height / 2 + self.gap for item in column if item.lane in lower]
        free = sum(item.height + self.gap for item in column if item.lane is None)
        return max(above, default=0.0) + max(below, default=0.0) + free - self.gap

    def _stack(self, column: Sequence[Item], rails: dict[float, float]) -> None:
        """The first heights: rails where they stay, the others from the top down."""
        edge = 0.0
        for item in column:
            item.y = edge + item.height / 2 if item.lane is None else rails[item.lane]
            edge = item.y + item.height / 2 + self.gap

    def relax(self, column: Sequence[Item], side: int) -> None:
        """Move the free items of a column to the heights that their lines lead to: left (-1), right (1) or both (0).

        The least sum of squares that keeps the order and the gaps: with the gaps taken off, heights that may not
        fall. Whoever would is pooled with the one before, at their common mean; bounds then cut all alike.
        """
        free = [item for item in column if item.lane is None]
        if not free:
            return
        offset, offsets, pools = 0.0, [], list[list[float]]()  # a pool: sum of weight * height, weight, how many
        for k, item in enumerate(free):
            offset += self._apart(free[k - 1], item) if k else 0.0
            offsets.append(offset)
            wanted, weight = _wanted(item, side)
            pools.append([weight * (wanted - offset), weight, 1])
            while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
                pools[-2:] = [[a + b for a, b in zip(pools[-2], pools[-1])]]
        low = self._above(column, free[0].place)
        high = self._below(column, free[-1].place) - offset
        levels = [total / weight for total, weight, count in pools for _ in range(int(count))]
        for item, offset, level in zip(free, offsets, levels):
            item.y = max(low, min(high, level)) + offset

    def straighten(self, run: list[Item]) -> None:
        """Move items that lie in line, as one, until as many of the lines that leave them rise as fall."""
        if any(item.lane is not None for item in run):
            return
        up, down = -inf, inf
        pulls = []
        for k, item in enumerate(run):
            column = self.columns[item.column]
            up = max(up, self._above(column, item.place) - item.y)
            down = min(down, self._below(column, item.place) - item.y)
            pulls += [pull(item, join) for join in item.left if not k or join.item is not run[k - 1]]
            pulls += [pull(item, join) for join in item.right if k + 1 == len(run) or join.item is not run[k + 1]]
        shift = max(up, min(down, _median(pulls)))
        for item in run:
            item.y += shift

    def _apart(self, above: Item, below: Item) -> float:
        return (above.height + below.height) / 2 + self.gap

    def _above(self, column: Sequence[Item], place: int) -> float:
        """The highest that the item at this place can stand, by what is above it."""
        item = column[place]
        if place == 0:
            return self.top + item.height / 2
        return column[place - 1].y + self._apart(column[place - 1], item)

    def _below(self, column: Sequence[Item], place: int) -> float:
        item = column[place]
        if place + 1 == len(column):
            return self.bottom - item.height / 2
        return column[place + 1].y - self._apart(item, column[place + 1])


def pull(item: Item, join: Join) -> tuple[float, float]:
    """How far a line would have the item move, and how much it matters."""
    return join.item.y + join.there - join.here - item.y, join.weight


def _wanted(item: Item, side: int) -> tuple[float, float]:
    """The mean height that the lines of an item would have it at, and how much it matters."""
    total, weight = 0.0, 0.0
    for joins in (item.left if side <= 0 else (), item.right if side >= 0 else ()):
        for join in joins:
            total += join.weight * (join.item.y + join.there - join.here)
            weight += join.weight
    return (total / weight, weight) if weight else (item.y, 0.01)


def _median(pulls: list[tuple[float, float]]) -> float:
    """The weighted median; where two would do, the one nearer to 0."""
    pulls = sorted(pulls)
    half, seen = sum(weight for _, weight in pulls) / 2, 0.0
    for k, (pull, weight) in enumerate(pulls):
        seen += weight
        if seen > half:
            return pull
        if seen == half:
            return min(pull, pulls[k + 1][0], key=abs)
    return 0.0


def runs(columns: Sequence[Sequence[Item]], long: bool) -> list[list[Item]]:
    """Items that lie in line, each with one to its left and one to its right at most; or every item for itself."""
    found: dict[Item, list[Item]] = {}
    for item in every(columns):
        run = next((found[join.item] for join in item.left if long and _follows(item, join, found)), [])
        run.append(item)
        found[item] = run
    return [run for item, run in found.items() if run[0] is item]


def _follows(item: Item, join: Join, found: dict[Item, list[Item]]) -> bool:
    return abs(pull(item, join)[0]) < NEAR and found[join.item][-1] is join.item
