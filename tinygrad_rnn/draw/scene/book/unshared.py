"""A map that gates share by its slices, as a map for each slice: ``gi = x @ W + b``, ``gi[:, :H]``, ``gi[:, H:]``.

Two such maps whose slices are added, as in PyTorch's GRU, have no common bar of slices. Each slice is an affine map of
its own then. The copies of an operation have its id with a number, ``n4/1``; its edges keep their numbers.
"""

from __future__ import annotations

from dataclasses import replace

from ...model import Edge, Graph, Vertex
from .classes import Classes

Pairs = dict[str, list[tuple[int, Edge]]]  # edges with their numbers, by the id of a vertex


def unshared(graph: Graph) -> Graph | None:
    """The graph with a copy of each sliced affine map for each of its slices; None if there is no such map."""
    classes = Classes(graph)
    cones = [cone for vertex in graph.nodes if len(cone := _cone(classes, vertex)) > 0]
    if not cones:
        return None
    copies: dict[str, list[str]] = {}  # the ids of all copies
    slice_of: dict[str, int] = {}  # which slice of its map a slice is
    for cone in cones:
        slices = [edge.target for edge in graph.uses(cone[0])]
        slice_of |= {id: k for k, id in enumerate(slices)}
        copies |= {id: [f"{id}/{k}" for k in range(len(slices))] for id in cone}
    nodes = [copy for vertex in graph.nodes for copy in _copies(vertex, copies)]
    result = replace(graph, nodes=nodes)
    into: Pairs = {vertex.id: [] for vertex in nodes}
    out: Pairs = {vertex.id: [] for vertex in nodes}
    for number, edge in enumerate(graph.edges):
        for source, target in _ends(edge, copies, slice_of):
            copied = replace(edge, source=source, target=target)
            into[target].append((number, copied))
            out[source].append((number, copied))
    result.__dict__ |= {"into": into, "out": out}
    return result


def _cone(classes: Classes, vertex: Vertex) -> list[str]:
    """The operations of an affine map that is read by slices alone, its value first; empty for anything else."""
    graph, kinds = classes.graph, classes.kinds
    readers = [edge.target for edge in graph.uses(vertex.id)]
    if kinds[vertex.id] != "affine" or len(readers) < 2 or any(kinds[id] != "slice" for id in readers):
        return []
    cone = [vertex.id]
    for id in cone:  # which grows
        cone += [edge.source for _, edge in graph.into[id] if kinds[edge.source] in ("affine", "joint")
                 and all(use.target in cone for use in graph.uses(edge.source))]  # fmt: skip
    return cone


def _copies(vertex: Vertex, copies: dict[str, list[str]]) -> list[Vertex]:
    """The copies of a vertex, or itself."""
    return [replace(vertex, id=id) for id in copies[vertex.id]] if vertex.id in copies else [vertex]


def _ends(edge: Edge, copies: dict[str, list[str]], slice_of: dict[str, int]) -> list[tuple[str, str]]:
    """The sources and targets of the copies of an edge."""
    if edge.target in copies:
        sources = copies.get(edge.source, [edge.source] * len(copies[edge.target]))
        return list(zip(sources, copies[edge.target]))
    if edge.source in copies:
        return [(copies[edge.source][slice_of[edge.target]], edge.target)]
    return [(edge.source, edge.target)]
