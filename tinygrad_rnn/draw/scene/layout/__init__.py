"""The layout of a small directed graph, in columns, time from left to right: pure geometry, no text and no colours.

Every link has a slot of its own for its label, so that no two labels overlap::

    c ----(label)---> ⊙ ----(label)---> + ----(label)---> c'     a rail: lane 0.0
                      |                 |
    x ----(label)---> σ ----(label)---> ⊙                        free
                      |
    h ----(label)---> @ ----(label)---> + ----(label)---> h'     a rail: lane 1.0

The steps: `ranks` says in which column a box stands, `columns` cuts links at the columns, `order` says what is above
what, `heights` how high it stands; here, columns get their widths and links their ways. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Sequence

from .columns import Box, Columns, Item, Link
from .heights import pull, settle
from .order import arrange
from .ranks import check, ranks

__all__ = ["Box", "Link", "place"]

Point = tuple[float, float]
STEEP = 3.0  # how often the gap a gap may be, where a line is steep


def place(boxes: Sequence[Box], links: Sequence[Link], *, gap: Point = (14.0, 10.0)) -> Point:
    """Place boxes and links, and return (width, height) of it all; ``gap`` is between columns and within them.

    y grows downward. No two boxes or labels overlap, links lead strictly to the right, and within a column a line is
    level and keeps clear of all else; only links from one port share a line, until they part. A lane has one box in a
    column: a second one is placed as if it were free.
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
        item = parts.items[box.key]
        box.column, box.y = item.column // 2, item.y
        box.x = (lefts[item.column] + rights[item.column]) / 2
    for link, way in zip(links, parts.ways):
        slot = way[-1]
        link.at = (lefts[slot.column] + rights[slot.column]) / 2, slot.y
        link.points = _route(link, parts, way, lefts, rights)
    return rights[-1], max(item.y + item.height / 2 for column in parts.columns for item in column)


def _sides(columns: Sequence[Sequence[Item]], gap: float) -> tuple[list[float], list[float]]:
    """Where each column begins and ends: as wide as its widest item, and more room after it where a line is steep."""
    lefts, rights, edge = [], [], 0.0
    for column in columns:
        lefts.append(edge)
        rights.append(edge + max((item.width for item in column), default=0.0))
        steepest = max((abs(pull(item, join)[0]) for item in column for join in item.right), default=0.0)
        edge = rights[-1] + max(gap, min(STEEP * gap, steepest / 4))
    return lefts, rights


def _route(
    link: Link, parts: Columns, way: Sequence[Item], lefts: Sequence[float], rights: Sequence[float]
) -> list[Point]:
    """From the right side of the source to the left side of the target, level within each column."""
    source, target = parts.boxes[link.source], parts.boxes[link.target]
    start, end = source.y + parts.leave(link), target.y + way[-1].right[0].there
    right, left = rights[2 * source.column], lefts[2 * target.column]
    points = [(min(source.x + source.width / 2, right), start), (right, start)]
    for item in way:
        points += [(lefts[item.column], item.y), (rights[item.column], item.y)]
    points += [(left, end), (max(target.x - target.width / 2, left), end)]
    return [point for k, point in enumerate(points) if k == 0 or point != points[k - 1]]
