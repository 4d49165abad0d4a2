"""The lanes of the states: horizontal lines along the top (the memory) and the bottom (the output) of a panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model import Edge, Vertex

LONG = 5  # at most so many operations stand on a lane


def state_lane(states: Sequence[str], name: str) -> float:
    """The lane of a state: 1.0, the bottom, for the output; below 0.5, the top, for the others, the last outermost."""
    return 1.0 if name == states[0] else 0.1 * (len(states) - 1 - states.index(name))


def state_lanes(
    vertices: Mapping[str, Vertex], edges: Sequence[Edge], paths: Mapping[float, tuple[str, str]]
) -> dict[str, float]:
    """The lane of every vertex on the shortest path of each state; ``paths`` maps a lane to (start, end).

    If the path is long, or leads through a slice, only its ends are on the lane.
    """
    lanes: dict[str, float] = {}
    for lane, (start, end) in paths.items():
        path = _path(edges, start, end)
        inner = [vertices[id] for id in path[1:]] if start in vertices else []
        short = 0 < len(inner) <= LONG and not any(vertex.op == "getitem" for vertex in inner)
        for id in [start, *(path[1:] if short else path[-1:])]:
            lanes.setdefault(id, lane)
    return lanes


def _path(edges: Sequence[Edge], start: str, end: str) -> list[str]:
    """The ids on the shortest path along edges from start to end; empty if there is none."""
    after: dict[str, list[str]] = {}
    for edge in edges:
        after.setdefault(edge.source, []).append(edge.target)
    before: dict[str, str | None] = {start: None}
    todo = [start]
    for id in todo:  # the list grows while it is read
        for next_ in after.get(id, []):
            if next_ not in before:
                before[next_] = id
                todo.append(next_)
    path: list[str] = []
    last: str | None = end if end in before else None
    while last is not None:
        path.append(last)
        last = before[last]
    return path[::-1]
