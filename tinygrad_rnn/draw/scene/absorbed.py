"""Values that the box of their only reader shows, so that they need no box of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..model import Edge, Vertex
from ..model.rule_texts import INFIX

SHORT = 6  # characters of a number in the circle of an operation


def absorbed(
    vertices: Sequence[Vertex], edges: Mapping[int, Edge]
) -> tuple[list[Vertex], dict[int, Edge], dict[str, Edge]]:  # fmt: skip
    """The vertices and edges without what the box of its only reader shows; the edges of that by their sources.

    These are the parameters of an affine map, and the number in ``1 - z``.
    """
    known = {vertex.id: vertex for vertex in vertices}
    uses = Counter(edge.source for edge in edges.values())
    inside: dict[str, Edge] = {}
    for edge in edges.values():
        source, target = known[edge.source], known[edge.target]
        parameter = source.kind in ("parameter", "block") and target.kind == "affine"
        number = source.kind == "constant" and source.shape == () and target.symbol in INFIX
        if uses[source.id] == 1 and source.name and (parameter or (number and len(source.name) <= SHORT)):
            inside[source.id] = replace(edge, argument=source.name)
    rest = {number: edge for number, edge in edges.items() if edge.source not in inside}
    return [vertex for vertex in vertices if vertex.id not in inside], rest, inside
