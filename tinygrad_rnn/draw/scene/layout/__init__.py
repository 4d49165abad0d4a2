"""The layout of a small directed graph in columns, time from left to right: pure geometry, no text and no colours.

Every link has a slot for its label, so that no two labels overlap::

    c ----(label)---> ⊙ ----(label)---> + ----(label)---> c'     lane 0.0
                      |                 |
    x ----(label)---> σ ----(label)---> ⊙                        free
                      |
    h ----(label)---> @ ----(label)---> + ----(label)---> h'     lane 1.0

The steps: `ranks` chooses the column of each box, `columns` cuts links at the columns, `order` sorts each column,
`heights` sets the y of each item; this module sets the widths of columns and the routes of links. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Sequence

from .columns import Box, Columns, Item, Link
from .heights import pull, settle
from .order import arrange
from .ranks import check, ranks

__all__ = ["Box", "Link", "place"]

Point = tuple[float, float]
STEEP = 3.0  # a gap may grow to so many times its size, where a line is steep


def place(boxes: Sequence[Box], links: Sequence[Link], *, gap: Point = (14.0, 10.0)) -> Point:
    """Place boxes and links. Returns (width, height) of the layout; ``gap`` is (between columns, within a column).

    y grows downward. No two boxes or labels overlap. Links lead strictly to the right; within a column a line is level
    and does not touch other items. Only links from the same port share a line, until they separate. A lane has at most
    one box in each column: a second box on it is placed as if it had no lane.
    """
    check(boxes, links)
    if not boxes:
        return 0.0, 0.0
    parts = Columns(boxes, links, ranks(boxes, links))
    arrange(parts.columns)
    parts.enter()
    settle(parts.columns, gap[1])
    lefts, rights = _sides(parts.columns, gap[0])
    for box in boxes:
        item = parts.item_of_box[box.key]
        box.column, box.y = item.column // 2, item.y
        box.x = (lefts[item.column] + rights[item.column]) / 2
    for link, items in zip(links, parts.items_of_link):
        slot = items[-1]
        link.at = (lefts[slot.column] + rights[slot.column]) / 2, slot.y
        link.points = _route(link, parts, items, lefts, rights)
    return rights[-1], max(item.y + item.height / 2 for column in parts.columns for item in column)


def _sides(columns: Sequence[Sequence[Item]], gap: float) -> tuple[list[float], list[float]]:
    """The left and right edges of the columns: as wide as the widest item, with a larger gap where a line is steep."""
    lefts, rights, edge = [], [], 0.0
    for column in columns:
        lefts.append(edge)
        rights.append(edge + max((item.width for item in column), default=0.0))
        steepest = max((abs(pull(item, join)[0]) for item in column for join in item.right), default=0.0)
        edge = rights[-1] + max(gap, min(STEEP * gap, steepest / 4))
    return lefts, rights


def _route(
    link: Link, parts: Columns, items: Sequence[Item], lefts: Sequence[float], rights: Sequence[float]
) -> list[Point]:
    """The points of a link, from the right side of its source to the left side of its target, level in each column."""
    source, target = parts.boxes[link.source], parts.boxes[link.target]
    start, end = source.y + parts.leave(link), target.y + items[-1].right[0].there
    right, left = rights[2 * source.column], lefts[2 * target.column]
    points = [(min(source.x + source.width / 2, right), start), (right, start)]
    for item in items:
        points += [(lefts[item.column], item.y), (rights[item.column], item.y)]
    points += [(left, end), (max(target.x - target.width / 2, left), end)]
    return [point for k, point in enumerate(points) if k == 0 or point != points[k - 1]]
