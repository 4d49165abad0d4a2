"""The curve of a line as Bézier pieces, for all formats that draw."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ..scene.geometry import Point

HEAD = 6.0  # the length of an arrowhead


def number(x: float, digits: int = 2) -> str:
    """A number with at most so many digits; the same text on every machine."""
    return f"{round(x, digits) + 0.0:.{digits}f}".rstrip("0").rstrip(".")


def shortened(start: Point, hint: Point, end: Point) -> tuple[Point, Point]:
    """The last two points of a curve, moved back to make room for the arrowhead."""
    dx, dy = end[0] - hint[0], end[1] - hint[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-9)
    by = min(HEAD, 0.7 * ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5)
    tip = end[0] - dx / length * by, end[1] - dy / length * by
    return ((tip[0] + start[0]) / 2, tip[1]) if dy == 0 else hint, tip


def curve(points: Sequence[Point], straight: bool = False) -> list[Point]:
    """A curve through ``points`` as Bézier pieces that are level at every point."""
    apart = [
        pair[1]
        for pair in itertools.pairwise(points)
        if abs(pair[0][0] - pair[1][0]) + abs(pair[0][1] - pair[1][1]) > 1e-6
    ]
    points, curve_points = [points[0], *apart], [points[0]]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if straight:
            curve_points += [
                (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3),
                (x0 + (x1 - x0) * 2 / 3, y0 + (y1 - y0) * 2 / 3),
                (x1, y1),
            ]
        else:
            middle = (x0 + x1) / 2
            curve_points += [(middle, y0), (middle, y1), (x1, y1)]
    return curve_points
