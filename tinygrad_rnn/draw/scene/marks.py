"""Find the edges to highlight by the names of the values at their ends."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import InvalidType, InvalidValue
from ..model import Graph, Vertex


def marked(graph: Graph, marks: Iterable[tuple[str, str]]) -> list[int]:
    """The numbers of the edges from a value to its reader, for each (value, reader) of ``marks``.

    A reader is given by its name or its symbol; "" is any reader. ``A.f``, the block of a stacked sum that belongs to
    a gate, has no name in a picture: it is found by its reader alone.
    """
    known, numbers = {vertex.id: vertex for vertex in graph.nodes}, []
    names = [vertex.name for vertex in graph.nodes]
    for value, reader in marks:
        ends = [(k, known[edge.source], known[edge.target]) for k, edge in enumerate(graph.edges)]
        named = [k for k, source, target in ends if source.name == value and _reads(target, reader)]
        nameless = [k for k, source, target in ends if not source.name and reader and target.name == reader]
        numbers += named if named or value in names else nameless
    return numbers


def check_marks(graph: Graph, marks: Iterable[tuple[str, str]]) -> None:
    """Raise InvalidType or InvalidValue for a mark that is no edge of the graph."""
    for mark in marks:
        if isinstance(mark, str) or len(mark) != 2:
            raise InvalidType(f"draw: mark has {mark!r}, should be pairs of a value and what reads it: [('o', \"h'\")]")
        value, reader = mark
        if not marked(graph, [(value, reader)]):
            names = ", ".join(dict.fromkeys(vertex.name for vertex in graph.nodes if vertex.name))
            raise InvalidValue(
                f"draw: mark: no backward edge leads from {reader or 'anything'} to {value}; there are {names}"
            )


def _reads(target: Vertex, reader: str) -> bool:
    return reader in ("", target.name, target.symbol)
