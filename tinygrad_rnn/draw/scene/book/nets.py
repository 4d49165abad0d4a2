"""From wires to lines: wires from the same source share a line until they separate, at a dot."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..geometry import Point
from .placement import NoBook
from .routes import Wire

AWAY = 6.0  # the distance of a backward line from its forward line, always to the right of the way forward
NEAR = 1e-6


@dataclass
class Stretch:
    """A piece of the wires of a source: between two shapes, the ids of which are ``start`` and ``end``."""

    start: str
    end: str
    points: list[Point]
    wires: list[Wire]


def stretches(source: str, wires: Sequence[Wire]) -> tuple[list[Stretch], dict[str, Point]]:
    """The pieces of the wires of a source, and the dots by id."""
    dots: dict[str, Point] = {}
    return list(_split(source, source, [(wire, corners(wire.points)) for wire in wires], dots)), dots


def _split(source: str, start: str, paths: list[tuple[Wire, list[Point]]], dots: dict[str, Point]) -> Iterator[Stretch]:
    """Follow the wires from a point: the common piece, then the branches."""
    wires = [wire for wire, _ in paths]
    if len(paths) == 1:
        ((wire, points),) = paths
        yield Stretch(start, wire.target, points, [wire])
        return
    trunk = [paths[0][1][0]]
    while len({_direction(points[0], points[1]): None for _, points in paths}) == 1:
        point = min((points[1] for _, points in paths), key=lambda point: _far(trunk[-1], point))
        trunk.append(point)
        paths = [(wire, _after(points, point)) for wire, points in paths]
        if any(len(points) == 1 for _, points in paths):
            raise NoBook  # the way to a part passes another part
    if len(trunk) > 1:
        dot = f"{source}d{len(dots)}"
        dots[dot] = trunk[-1]
        yield Stretch(start, dot, corners(trunk), wires)
        start = dot
    groups: dict[Point, list[tuple[Wire, list[Point]]]] = {}
    for wire, points in paths:
        groups.setdefault(_direction(points[0], points[1]), []).append((wire, points))
    for group in groups.values():
        yield from _split(source, start, group, dots)


def _after(points: list[Point], point: Point) -> list[Point]:
    """The rest of a path behind a point of its first piece."""
    return points[1:] if _far(points[1], point) < NEAR else [point, *points[1:]]


def _far(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _direction(a: Point, b: Point) -> Point:
    """The direction of a piece of an orthogonal path."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    return (0.0 if abs(dx) < NEAR else dx / abs(dx), 0.0 if abs(dy) < NEAR else dy / abs(dy))


def corners(points: Sequence[Point]) -> list[Point]:
    """The path without points that it passes straight on."""
    path: list[Point] = []
    for point in points:
        if path and _far(path[-1], point) < NEAR:
            continue
        if len(path) > 1 and _direction(path[-2], path[-1]) == _direction(path[-1], point):
            path[-1] = point
        else:
            path.append(point)
    return path


def beside(points: Sequence[Point], away: float = AWAY) -> list[Point]:
    """The parallel of an orthogonal path, to the right of its direction; y points upward."""
    sides = [_direction(a, b) for a, b in itertools.pairwise(points)]
    path = []
    for k, (x, y) in enumerate(points):
        around = {(dy, -dx): None for dx, dy in sides[max(k - 1, 0) : k + 1]}
        path.append((x + away * sum(dx for dx, _ in around), y + away * sum(dy for _, dy in around)))
    return path


def crossings(stretches: Sequence[Stretch]) -> int:
    """How many pairs of pieces of lines cross or lie on each other; pieces that meet at their ends do not count."""
    pieces = [(a, b) for stretch in stretches for a, b in itertools.pairwise(stretch.points)]
    return sum(_cross(*first, *second) for first, second in itertools.combinations(pieces, 2))


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Do two level or upright pieces share more than an end?"""
    left, right = max(min(a[0], b[0]), min(c[0], d[0])), min(max(a[0], b[0]), max(c[0], d[0]))
    low, high = max(min(a[1], b[1]), min(c[1], d[1])), min(max(a[1], b[1]), max(c[1], d[1]))
    if left > right + NEAR or low > high + NEAR:
        return False
    if right - left > NEAR or high - low > NEAR:
        return True  # they lie on each other
    return not any(_far((left, low), end) < NEAR for end in (a, b)) or not any(
        _far((left, low), end) < NEAR for end in (c, d)
    )
