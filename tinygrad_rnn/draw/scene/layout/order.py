"""Which item is above which: an order of every column, in which few lines cross.

Sweeps from left to right and back: each item moves to the mean place of what it is joined to::

    a ---. .--- c        a ------- d
          X         ->
    b ---' '--- d        b ------- c
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from .columns import Item, Join, every

WORK = 120_000  # items looked at; a large graph is swept less often
MOST = 24


def arrange(columns: list[list[Item]]) -> None:
    """Reorder the items of every column, rails excepted; the best order seen is kept."""
    items = every(columns)
    rounds = min(MOST, max(2, WORK // len(items)))
    fewest, best = crossings(columns), [item.place for item in items]
    for k in range(rounds):
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


def _sort(column: list[Item], left: bool) -> None:
    """By the mean place of what each item is joined to on one side; what is joined to nothing stays where it is."""
    means = {}
    for item in column:
        joins = item.left if left else item.right
        if joins and item.lane is None:
            means[item.place] = sum(map(_there, joins)) / len(joins)
    moved = [column[place] for place in sorted(means, key=means.__getitem__)]
    for place, item in zip(list(means), moved):
        column[place], item.place = item, place


def _swap(column: list[Item]) -> None:
    """Swap neighbours wherever that takes crossings away."""
    for k in range(len(column) - 1):
        above, below = column[k], column[k + 1]
        if above.lane is None and below.lane is None and _gain(above, below) > 0:
            column[k], column[k + 1] = below, above
            above.place, below.place = k + 1, k


def _gain(above: Item, below: Item) -> int:
    """How many crossings go if the two change places."""
    gain = 0
    for ours, theirs in ((above.left, below.left), (above.right, below.right)):
        if ours and theirs:
            high = sorted(map(_there, ours))
            for there in map(_there, theirs):
                gain += len(high) - bisect_right(high, there) - bisect_left(high, there)
    return gain


def _there(join: Join) -> float:
    """Where the other end of a line is: the place of the item, and its port within it."""
    return join.item.place + join.there / (join.item.height or 1.0)


def _here(item: Item, join: Join) -> float:
    return item.place + join.here / (item.height or 1.0)


def crossings(columns: Sequence[Sequence[Item]]) -> int:
    """How many pairs of lines cross."""
    return sum(map(_crossings, columns))


def _crossings(column: Sequence[Item]) -> int:
    """Between a column and the next: lines sorted by where they begin; inversions of where they end (Fenwick tree)."""
    lines = sorted((_here(item, join), _there(join)) for item in column for join in item.right)
    ends = sorted(end for _, end in lines)
    tree, count = [0] * (len(ends) + 1), 0
    for drawn, (_, end) in enumerate(lines):
        end_place = k = bisect_right(ends, end)
        count += drawn
        while k > 0:  # less those that end at this height or above
            count -= tree[k]
            k &= k - 1
        k = end_place
        while k < len(tree):
            tree[k] += 1
            k += k & -k
    return count
