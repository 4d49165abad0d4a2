"""The y of each item: lines as straight as the order in the column allows, and no items that overlap.

Sweeps over the columns move the items of a column toward the ends of their lines, by least squares; then items that
are nearly in line are put in line. Example of a column with three items that must be 10 apart::

    wanted      a at 0       b at 1      c at 19
    placed      a at -4.5    b at 5.5    c at 19
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import inf

from .columns import Item, Join, all_items

WORK = 200_000  # limit of visited items: a large graph is swept less often
MOST = 16  # sweeps
NEAR = 1e-6  # ends of a line this close are level


def settle(columns: list[list[Item]], gap: float) -> None:
    """Set the y of the centre of every item; the top edge of the highest item is at 0."""
    heights = Heights(columns, gap)
    items = all_items(columns)
    rounds = min(MOST, max(4, WORK // len(items)))
    for k in range(rounds):
        side = 0 if k >= rounds // 2 else (-1 if k % 2 == 0 else 1)
        for column in columns if k % 2 == 0 else reversed(columns):
            heights.relax(column, side)
    for k in range(rounds):
        for run in runs(columns, long=k % 4 < 3):  # every fourth time item by item, so that a run can separate
            heights.straighten(run)
    top = min(item.y - item.height / 2 for item in items)
    for item in items:
        item.y -= top


class Heights:
    """The y of all items. Lanes are fixed; free items, without a lane, stay between ``top`` and ``bottom``."""

    def __init__(self, columns: list[list[Item]], gap: float):
        self.columns, self.gap = columns, gap
        lanes = {item.lane: 0.0 for item in all_items(columns) if item.lane is not None}
        self.top = 0.0 if any(lane < 0.5 for lane in lanes) else -inf
        self.bottom = inf
        for item in all_items(columns):
            if item.lane is not None:
                lanes[item.lane] = max(lanes[item.lane], item.height)
        upper = self._lane_offsets({lane: lanes[lane] for lane in sorted(lanes) if lane < 0.5})
        lower = self._lane_offsets({lane: lanes[lane] for lane in sorted(lanes, reverse=True) if lane >= 0.5})
        height = max(self._needed(column, upper, lower) for column in columns)
        if lower:
            self.bottom = height
        for column in columns:
            self._stack(column, upper | {lane: height - y for lane, y in lower.items()})

    def _lane_offsets(self, lanes: dict[float, float]) -> dict[float, float]:
        """The distance of each lane from the edge, by the largest height on each lane."""
        offsets, edge = {}, 0.0
        for lane, height in lanes.items():
            offsets[lane] = edge + height / 2
            edge += height + self.gap
        return offsets

    def _needed(self, column: Sequence[Item], upper: dict[float, float], lower: dict[float, float]) -> float:
        """The minimum height of a column."""
        above = [upper[item.lane] + item.height / 2 + self.gap for item in column if item.lane in upper]
        below = [lower[item.lane] + item.height / 2 + self.gap for item in column if item.lane in lower]
        free = math.fsum(item.height + self.gap for item in column if item.lane is None)
        return max(above, default=0.0) + max(below, default=0.0) + free - self.gap

    def _stack(self, column: Sequence[Item], lane_y: dict[float, float]) -> None:
        """Set the initial y: of items on lanes for good, of the others from the top down."""
        edge = 0.0
        for item in column:
            item.y = edge + item.height / 2 if item.lane is None else lane_y[item.lane]
            edge = item.y + item.height / 2 + self.gap

    def relax(self, column: Sequence[Item], side: int) -> None:
        """Move the free items of a column toward the ends of their lines: left (-1), right (1) or both (0).

        Least squares under the order and the gaps. With the gaps subtracted this is isotonic regression, solved by
        pooling adjacent violators: an item below its predecessor is pooled with it at their weighted mean. The bounds
        then clip all levels.
        """
        free = [item for item in column if item.lane is None]
        if not free:
            return
        offset, offsets, pools = 0.0, [], list[list[float]]()  # a pool: sum of weight * y, sum of weights, count
        for k, item in enumerate(free):
            offset += self._apart(free[k - 1], item) if k else 0.0
            offsets.append(offset)
            wanted, weight = _wanted(item, side)
            pools.append([weight * (wanted - offset), weight, 1])
            while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
                pools[-2:] = [[a + b for a, b in zip(pools[-2], pools[-1])]]
        low = self._above(column, free[0].place)
        height = self._below(column, free[-1].place) - offset
        levels = [total / weight for total, weight, count in pools for _ in range(int(count))]
        for item, offset, level in zip(free, offsets, levels):
            item.y = max(low, min(height, level)) + offset

    def straighten(self, run: list[Item]) -> None:
        """Move a run of items in line together, by the weighted median of the pulls of the lines that leave the run."""
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
        """The smallest y that the item at this place can have, below the item above it."""
        item = column[place]
        if place == 0:
            return self.top + item.height / 2
        return column[place - 1].y + self._apart(column[place - 1], item)

    def _below(self, column: Sequence[Item], place: int) -> float:
        """The largest y that the item at this place can have, above the item below it."""
        item = column[place]
        if place + 1 == len(column):
            return self.bottom - item.height / 2
        return column[place + 1].y - self._apart(item, column[place + 1])


def pull(item: Item, join: Join) -> tuple[float, float]:
    """How far the item must move to make a line level, and the weight of the line."""
    return join.item.y + join.there - join.here - item.y, join.weight


def _wanted(item: Item, side: int) -> tuple[float, float]:
    """The weighted mean of the y that makes each line of an item level, and the total weight."""
    total, weight = 0.0, 0.0
    for joins in (item.left if side <= 0 else (), item.right if side >= 0 else ()):
        for join in joins:
            total += join.weight * (join.item.y + join.there - join.here)
            weight += join.weight
    return (total / weight, weight) if weight else (item.y, 0.01)


def _median(pulls: list[tuple[float, float]]) -> float:
    """The weighted median; of two candidates, the one nearer to 0."""
    pulls = sorted(pulls)
    half, seen = math.fsum(weight for _, weight in pulls) / 2, 0.0
    for k, (pull, weight) in enumerate(pulls):
        seen += weight
        if seen > half:
            return pull
        if seen == half:
            return min(pull, pulls[k + 1][0], key=abs)
    return 0.0


def runs(columns: Sequence[Sequence[Item]], long: bool) -> list[list[Item]]:
    """Maximal runs of items in line from left to right; without ``long``, a run for every item."""
    run_of: dict[Item, list[Item]] = {}
    for item in all_items(columns):
        run = next((run_of[join.item] for join in item.left if long and _follows(item, join, run_of)), [])
        run.append(item)
        run_of[item] = run
    return [run for item, run in run_of.items() if run[0] is item]


def _follows(item: Item, join: Join, run_of: dict[Item, list[Item]]) -> bool:
    return abs(pull(item, join)[0]) < NEAR and run_of[join.item][-1] is join.item
