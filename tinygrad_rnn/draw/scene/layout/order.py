"""The order of the items in each column, chosen so that few lines cross.

Sweeps from left to right and back: each item moves to the mean place of the items that it is joined to::

    a ---. .--- c        a ------- d
          X         ->
    b ---' '--- d        b ------- c
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from .columns import Item, Join, all_items

WORK = 120_000  # limit of visited items: a large graph is swept less often
MOST = 24  # sweeps
STARTS = 6  # orders to start from
AGAIN = 8  # sweeps of each but the first


def arrange(columns: list[list[Item]]) -> None:
    """Reorder the items of every column, except those on lanes; the best order found is kept.

    Sweeps stop at an order that no move of one item improves, so that they start from several orders: that of creation,
    then shuffled ones, as long as lines cross.
    """
    items = all_items(columns)
    rounds = min(MOST, max(2, WORK // len(items)))
    fewest, best = crossings(columns), [item.place for item in items]
    for start in range(max(1, min(STARTS, WORK // (MOST * len(items))))):
        if start:
            _shuffle(columns, random.Random(start))
        for k in range(min(rounds, AGAIN) if start else rounds):
            if not fewest:
                break
            for column in columns if k % 2 == 0 else reversed(columns):
                _sort(column, left=k % 2 == 0)
            for _ in range(2 * (rounds == MOST)):
                for column in columns:
                    _swap(column)
            count = crossings(columns)
            if count < fewest:
                fewest, best = count, [item.place for item in items]
    for item, place in zip(items, best):
        item.place = place
    for column in columns:
        column.sort(key=lambda item: item.place)


def _shuffle(columns: Sequence[list[Item]], rng: random.Random) -> None:
    """Put the items of every column that are on no lane in another order."""
    for column in columns:
        free = [place for place, item in enumerate(column) if item.lane is None]
        moved = [column[place] for place in free]
        rng.shuffle(moved)
        for place, item in zip(free, moved):
            column[place], item.place = item, place


def _sort(column: list[Item], left: bool) -> None:
    """Sort by the mean place of the items joined on one side; an item without joins keeps its place."""
    means = {}
    for item in column:
        joins = item.left if left else item.right
        if joins and item.lane is None:
            means[item.place] = math.fsum(map(_there, joins)) / len(joins)
    moved = [column[place] for place in sorted(means, key=means.__getitem__)]
    for place, item in zip(list(means), moved):
        column[place], item.place = item, place


def _swap(column: list[Item]) -> None:
    """Swap neighbours where that removes crossings."""
    for k in range(len(column) - 1):
        above, below = column[k], column[k + 1]
        if above.lane is None and below.lane is None and _gain(above, below) > 0:
            column[k], column[k + 1] = below, above
            above.place, below.place = k + 1, k


def _gain(above: Item, below: Item) -> int:
    """The number of crossings that a swap of the two removes."""
    gain = 0
    for ours, theirs in ((above.left, below.left), (above.right, below.right)):
        if ours and theirs:
            height = sorted(map(_there, ours))
            for there in map(_there, theirs):
                gain += len(height) - bisect_right(height, there) - bisect_left(height, there)
    return gain


def _there(join: Join) -> float:
    """The position of the far end of a line: the place of its item, and the offset within it."""
    return join.item.place + join.there / (join.item.height or 1.0)


def _here(item: Item, join: Join) -> float:
    """The position of the near end of a line."""
    return item.place + join.here / (item.height or 1.0)


def crossings(columns: Sequence[Sequence[Item]]) -> int:
    """The number of pairs of lines that cross."""
    return sum(map(_crossings, columns))


def _crossings(column: Sequence[Item]) -> int:
    """Crossings between a column and the next: lines sorted by start; inversions of their ends (Fenwick tree)."""
    lines = sorted((_here(item, join), _there(join)) for item in column for join in item.right)
    ends = sorted(end for _, end in lines)
    tree, count = [0] * (len(ends) + 1), 0
    for drawn, (_, end) in enumerate(lines):
        end_place = k = bisect_right(ends, end)
        count += drawn
        while k > 0:  # subtract the lines that end at this place or above
            count -= tree[k]
            k &= k - 1
        k = end_place
        while k < len(tree):
            tree[k] += 1
            k += k & -k
    return count
