"""What a layout places: boxes and links, cut into the items of columns.

Boxes stand in the even columns, the labels of links in the odd columns. A link has the slot of its label just before
its target; in every other column that it passes it keeps a small gap open::

    column    0       1       2       3       4

             [a]---(label)---[b]---(label)---[c]
                \\____________________(label)___/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

THIN = 4.0  # the height of a line that passes a column
STRAIGHT = (1.0, 2.0, 8.0)  # the weight of a piece of line: at a box, at a label, in the middle of a long line


@dataclass
class Box:
    """A box to place. ``ports`` name the exits on its right side, from top to bottom; "" is the middle.

    ``rank`` 0 is the first column, -1 the last. ``lane`` is the horizontal line that the box stays on: below 0.5 at
    the top, 0.0 topmost; from 0.5 at the bottom, 1.0 lowest. `place` sets its centre (x, y) and its ``column``.
    """

    key: str
    width: float
    height: float
    ports: tuple[str, ...] = ()
    rank: int | None = None
    lane: float | None = None
    x: float = 0.0
    y: float = 0.0
    column: int = 0


@dataclass
class Link:
    """A link between two boxes, with the size of its label.

    At the target, links of lower ``order`` enter higher, links of equal order in any order, and a link on a lane in
    the middle. `place` sets ``points``, from the source to the target, and ``at``, the centre of the label.
    """

    source: str
    target: str
    port: str = ""
    width: float = 0.0
    height: float = 0.0
    order: int = 0
    points: list[tuple[float, float]] = field(default_factory=list)
    at: tuple[float, float] = (0.0, 0.0)


class Join(NamedTuple):
    """A piece of line to an ``item`` of the next column; ``here`` and ``there``: offsets from the two centres."""

    item: Item
    here: float
    there: float
    weight: float


class Item:
    """A part of a column: a box, the slot of a label, or a line that passes."""

    __slots__ = ("column", "height", "kind", "lane", "left", "place", "right", "width", "y")

    def __init__(self, column: int, width: float, height: float, kind: int, lane: float | None, place: int):
        self.column, self.width, self.height, self.kind, self.lane = column, width, height, kind, lane
        self.place, self.y = place, 0.0
        self.left: list[Join] = []
        self.right: list[Join] = []


BOX, SLOT, LINE = 0, 1, 2  # kinds of items


class Columns:
    """Boxes and links, cut into items: all by column, the item of each box, and the items along each link."""

    def __init__(self, boxes: Sequence[Box], links: Sequence[Link], ranks: dict[str, int]):
        self.boxes = {box.key: box for box in boxes}
        self.columns: list[list[Item]] = [[] for _ in range(2 * max(ranks.values()) + 1)]
        self.taken: dict[tuple[float, int], str] = {}  # which box or link has a lane in a column: the first
        self.item_of_box = {box.key: self._box(box, 2 * ranks[box.key], k) for k, box in enumerate(boxes)}
        self.items_of_link: list[list[Item]] = [[] for _ in links]
        self._shared: dict[tuple[str, str], list[Item]] = {}
        self._links = links
        self._on_lane = self._find_on_lane()
        for k, link in enumerate(links):
            self.items_of_link[k] = self._items_along(link, self.boxes[link.source].lane if self._on_lane[k] else None)
        self.enter(settled=False)
        for column in self.columns:
            column.sort(key=_creation_order)
            for place, item in enumerate(column):
                item.place = place

    def _box(self, box: Box, column: int, place: int) -> Item:
        lane = None if box.lane is None or (box.lane, column) in self.taken else box.lane
        if lane is not None:
            self.taken[lane, column] = box.key
        return self._add(Item(column, box.width, box.height, BOX, lane, place))

    def _add(self, item: Item) -> Item:
        self.columns[item.column].append(item)
        return item

    def _find_on_lane(self) -> list[bool]:
        """For each link: does it run along a lane? Both its boxes must be on the lane, and nothing between them."""
        on_lane = []
        for link in self._links:
            source, target = self.item_of_box[link.source], self.item_of_box[link.target]
            lane, between = source.lane, range(source.column + 1, target.column)
            on = lane is not None and lane == target.lane and not any((lane, k) in self.taken for k in between)
            if lane is not None and on:
                self.taken.update(((lane, k), link.source) for k in between)
            on_lane.append(on)
        return on_lane

    def enter(self, settled: bool = True) -> None:
        """Join links to their targets: a link on a lane in the middle, the others by their order.

        Until the order of the labels is ``settled``, links of equal order enter at the same point.
        """
        into: dict[str, list[int]] = {key: [] for key in self.boxes}
        for k, link in enumerate(self._links):
            into[link.target].append(k)
        for key, entering in into.items():
            self.item_of_box[key].left.clear()
            points = self._points(key, entering, settled)
            for k in entering:
                self.items_of_link[k][-1].right.clear()
                _join(self.items_of_link[k][-1], self.item_of_box[key], 0.0, points.get(k, 0.0))

    def _points(self, key: str, entering: Sequence[int], settled: bool) -> dict[int, float]:
        """The offsets from the middle of a box at which the links without a lane enter it."""
        free = [k for k in entering if not self._on_lane[k]]
        free.sort(key=lambda k: (self._links[k].order, self.items_of_link[k][-1].place if settled else 0))
        points = dict(zip(free, self._spread(self.boxes[key], len(free), len(entering))))
        if settled:
            return points
        by_order: dict[int, list[float]] = {}
        for k, point in points.items():
            by_order.setdefault(self._links[k].order, []).append(point)
        means = {order: math.fsum(group) / len(group) for order, group in by_order.items()}
        return {k: means[self._links[k].order] for k in free}

    def _spread(self, box: Box, count: int, total: int) -> Iterator[float]:
        """Offsets on the left side of a box: around the middle, or beside it if a link on a lane enters there."""
        low, high = -0.3 * box.height, 0.3 * box.height
        if box.lane is not None and count < total:
            low, high = (high / max(count, 1), high) if box.lane < 0.5 else (low, low / max(count, 1))
        step = (high - low) / max(count - 1, 1)
        return (low + step * k if count > 1 else (low + high) / 2 for k in range(count))

    def leave(self, link: Link) -> float:
        """The offset from the middle of its source at which a link leaves: that of its port, or 0."""
        ports, height = self.boxes[link.source].ports, self.boxes[link.source].height
        return ((ports.index(link.port) + 0.5) / len(ports) - 0.5) * height if link.port else 0.0

    def _items_along(self, link: Link, lane: float | None) -> list[Item]:
        """The items between source and target. Links without a lane share a line from a port until they separate."""
        source, target, leaves = self.item_of_box[link.source], self.item_of_box[link.target], self.leave(link)
        line = self._shared.setdefault((link.source, link.port), []) if lane is None else []
        length = target.column - source.column - 2
        for column in range(source.column + 1 + len(line), target.column - 1):
            item = self._add(Item(column, 0.0, THIN, LINE, lane, source.place))
            _join(line[-1] if line else source, item, 0.0 if line else leaves, 0.0)
            line.append(item)
        slot = self._add(Item(target.column - 1, link.width, link.height, SLOT, lane, source.place))
        _join(line[length - 1] if length else source, slot, 0.0 if length else leaves, 0.0)
        return [*line[:length], slot]


def _join(tail: Item, head: Item, here: float, there: float) -> None:
    weight = STRAIGHT[min(tail.kind, head.kind)]
    tail.right.append(Join(head, here, there, weight))
    head.left.append(Join(tail, there, here, weight))


def _creation_order(item: Item) -> tuple[int, float, int]:
    """Sort key: lanes at the top, then items without a lane in the order of creation, then lanes at the bottom."""
    if item.lane is None:
        return 1, 0.0, item.place
    return (0 if item.lane < 0.5 else 2), item.lane, item.place


def all_items(columns: Iterable[Iterable[Item]]) -> list[Item]:
    """The items of all columns, from left to right, from top to bottom."""
    return [item for column in columns for item in column]
