"""Which values stand on the rails: the memory along the top, the output along the bottom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model import Edge, Vertex

LONG = 5  # operations on a rail


def lane(states: Sequence[str], name: str) -> float:
    """The output's state is the rail at the bottom, 1.0; the others are at the top, the last one outermost."""
    return 1.0 if name == states[0] else 0.1 * (len(states) - 1 - states.index(name))


def rails(
    vertices: Mapping[str, Vertex], edges: Sequence[Edge], ways: Mapping[float, tuple[str, str]]
) -> dict[str, float]:
    """The lane of every vertex on the shortest way of each state, given as (where it starts, where it ends).

    A way through a slice, or a long one, is no rail: then only its ends are on the lane.
    """
    found: dict[str, float] = {}
    for height, (start, end) in ways.items():
        way = _way(edges, start, end)
        inner = [vertices[id] for id in way[1:]] if start in vertices else []
        short = 0 < len(inner) <= LONG and not any(one.op == "getitem" for one in inner)
        for id in [start, *(way[1:] if short else way[-1:])]:
            found.setdefault(id, height)
    return found


def _way(edges: Sequence[Edge], start: str, end: str) -> list[str]:
    """The shortest way along edges, as ids from start to end; nothing if there is none."""
    after: dict[str, list[str]] = {}
    for edge in edges:
        after.setdefault(edge.source, []).append(edge.target)
    before: dict[str, str | None] = {start: None}
    todo = [start]
    for one in todo:  # which grows
        for next_ in after.get(one, []):
            if next_ not in before:
                before[next_] = one
                todo.append(next_)
    way: list[str] = []
    at: str | None = end if end in before else None
    while at is not None:
        way.append(at)
        at = before[at]
    return way[::-1]
