"""A graph of steps that show their operations, for one panel.

Every step that reads a parameter, or a constant, has a box of it, so that no line crosses the picture for it; and what
a step computes has the number of the step: f₀, f₁. The copies of a vertex have its id with a number, ``n4/1``. The
steps themselves show the slices of an input that only steps read, and a stack of their states that nothing reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..model import Graph, Vertex
from .labels import subscript
from .links import End

FIXED = ("parameter", "block", "constant")


def by_step(graph: Graph) -> Graph:
    """The graph with a copy of each parameter for each step, and with numbered names; edges keep their numbers."""
    steps = {vertex.id: (vertex.row, vertex.step) for vertex in graph.nodes}
    readers: dict[str, dict[tuple[int | None, int | None], str]] = {}
    for edge in graph.edges:
        copies = readers.setdefault(edge.source, {})
        copies.setdefault(steps[edge.target], f"{edge.source}/{len(copies)}")
    copied = {vertex.id: readers[vertex.id] for vertex in graph.nodes
              if vertex.kind in FIXED and len(readers.get(vertex.id, ())) > 1}  # fmt: skip
    nodes = [replace(vertex, id=id, name=_numbered(graph, vertex)) for vertex in graph.nodes
             for id in copied.get(vertex.id, {vertex.id: vertex.id}).values()]  # fmt: skip
    edges = [replace(edge, source=copied[edge.source][steps[edge.target]] if edge.source in copied else edge.source,
                     target=next(iter(copied[edge.target].values())) if edge.target in copied else edge.target)
             for edge in graph.edges]  # fmt: skip
    return replace(graph, nodes=nodes, edges=edges)


def inside_of_steps(graph: Graph) -> dict[str, None]:
    """The stacks and the sequences that the steps show themselves."""
    shown: dict[str, None] = {}
    for vertex in graph.nodes:
        sources = [graph.known[edge.source] for _, edge in graph.into[vertex.id]]
        readers = [graph.known[edge.target] for edge in graph.uses(vertex.id)]
        stack = vertex.op == "stack" and not readers and None not in [source.row for source in sources]
        leaf = vertex.kind in ("input", "state") and vertex.row is None
        sequence = leaf and readers and all(reader.kind == "input" for reader in readers)
        if stack or sequence:
            shown[vertex.id] = None
    return shown


def state_ends(graph: Graph, inside: Mapping[str, None]) -> list[End]:
    """The ends of the states in a stack that is ``inside`` of the steps: just behind the steps."""
    return [End(edge.source, "output", [graph.known[edge.source].name], edge.gradient, None, None, number, None)
            for number, edge in enumerate(graph.edges) if edge.target in inside and edge.source not in inside
            and graph.known[edge.target].op == "stack"]  # fmt: skip


def _numbered(graph: Graph, vertex: Vertex) -> str:
    """The name of a vertex, with the step that computes it or gets it as its input."""
    name = vertex.state or vertex.name.rstrip("'")
    if vertex.row is None or vertex.step is None or vertex.kind in FIXED:
        return vertex.name
    if vertex.kind == "input":
        name = graph.rows[vertex.row].input
    return f"{name}{subscript(vertex.step)}" if name else ""
