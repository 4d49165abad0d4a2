"""The layout of a small directed graph in columns, time from left to right: pure geometry, no text and no colours.

Every link has a slot for its label, so that no two labels overlap::

    c ----(label)---> ⊙ ----(label)---> + ----(label)---> c'     lane 0.0
                      |                 |
    x ----(label)---> σ ----(label)---> ⊙                        free
                      |
    h ----(label)---> @ ----(label)---> + ----(label)---> h'     lane 1.0

The steps: `ranks` chooses the column of each box, `columns` cuts links at the columns, `order` sorts each column,
`heights` sets the y of each item, `wrap` puts the columns in rows; this module sets the widths of columns and the
routes of links. Nothing is random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .columns import Box, Columns, Item, Link
from .heights import pull, settle
from .order import arrange
from .ranks import check, ranks
from .wrap import Wrapped, wrapped

__all__ = ["Box", "Link", "place"]

Point = tuple[float, float]
STEEP = 3.0  # a gap may grow to so many times its size, where a line is steep


def place(
    boxes: Sequence[Box], links: Sequence[Link], *, gap: tuple[float, float, float] = (14.0, 10.0, 14.0),
    size: Callable[[float, float], float] = lambda width, height: 0.0,
) -> Point:  # fmt: skip
    """Place boxes and links. Returns (width, height) of the layout; ``gap`` is (between columns, within a column,
    between the lines around the end of a row).

    Where the ``size`` of a width and a height is above 1, the columns are wrapped into several rows.

    y grows downward. No two boxes or labels overlap. Links lead strictly to the right, but at the end of a row; in a
    column a line is level and does not touch other items. Only links from the same port share a line, until they
    separate. A lane has at most one box in each column: a second box on it is placed as if it had no lane.
    """
    check(boxes, links)
    if not boxes:
        return 0.0, 0.0
    parts = Columns(boxes, links, ranks(boxes, links))
    arrange(parts.columns)
    parts.enter()
    settle(parts.columns, gap[1])
    lefts, rights = _sides(parts.columns, gap[0])
    rows = wrapped(parts, lefts, rights, gap[1:], size)
    for link, items in zip(links, parts.items_of_link):
        slot = items[-1]
        link.at = rows.at(slot.column, (lefts[slot.column] + rights[slot.column]) / 2, slot.y)
        link.points = _route(link, items, rows)
    for box in boxes:
        item = parts.item_of_box[box.key]
        box.column = item.column // 2
        box.x, box.y = rows.at(item.column, (lefts[item.column] + rights[item.column]) / 2, item.y)
    return rows.width, rows.height


def _sides(columns: Sequence[Sequence[Item]], gap: float) -> tuple[list[float], list[float]]:
    """The left and right edges of the columns: as wide as the widest item, with a larger gap where a line is steep."""
    lefts, rights, edge = [], [], 0.0
    for column in columns:
        lefts.append(edge)
        rights.append(edge + max((item.width for item in column), default=0.0))
        steepest = max((abs(pull(item, join)[0]) for item in column for join in item.right), default=0.0)
        edge = rights[-1] + max(gap, min(STEEP * gap, steepest / 4))
    return lefts, rights


def _route(link: Link, items: Sequence[Item], rows: Wrapped) -> list[Point]:
    """The points of a link, from the right side of its source to the left side of its target, level in each column."""
    parts, lefts, rights = rows.parts, rows.lefts, rows.rights
    source, target = parts.item_of_box[link.source], parts.item_of_box[link.target]
    leave, enter = parts.leave(link), items[-1].right[0].there
    right, left = rights[source.column], lefts[target.column]
    middles = [(lefts[item.column] + rights[item.column]) / 2 for item in (source, target)]
    start, end = source.y + leave, target.y + enter
    stretches = [(source, min(middles[0] + source.width / 2, right), right, start)]
    stretches += [(item, lefts[item.column], rights[item.column], item.y) for item in items]
    stretches.append((target, left, max(middles[1] - target.width / 2, left), end))
    points: list[Point] = []
    for before, (item, near, far, y) in zip([None, *stretches], stretches):
        if before is not None and rows.row_of[item.column] is not rows.row_of[before[0].column]:
            offset = leave if before[0] is source else 0.0
            points += rows.around((before[0], offset), before[0].column, before[3], y)
        points += [rows.at(item.column, near, y), rows.at(item.column, far, y)]
    return [point for k, point in enumerate(points) if k == 0 or point != points[k - 1]]
