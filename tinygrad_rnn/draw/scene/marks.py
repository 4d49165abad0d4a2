"""Ways back that are to stand out, found by the names of the values at their ends."""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import InvalidType, InvalidValue
from ..model import Graph, Vertex


def marked(graph: Graph, marks: Iterable[tuple[str, str]]) -> list[int]:
    """The numbers of the edges from a value to what reads it, each given by (value, reader).

    A reader is known by its name or its symbol; "" is any. ``A.f``, the part of a stacked sum that belongs to a gate,
    has no name in a picture, and is known by its reader.
    """
    known, found = {one.id: one for one in graph.nodes}, []
    names = [one.name for one in graph.nodes]
    for value, reader in marks:
        ends = [(k, known[edge.source], known[edge.target]) for k, edge in enumerate(graph.edges)]
        own = [k for k, source, target in ends if source.name == value and _reads(target, reader)]
        nameless = [k for k, source, target in ends if not source.name and reader and target.name == reader]
        found += own if own or value in names else nameless
    return found


def check_marks(graph: Graph, marks: Iterable[tuple[str, str]]) -> None:
    """Raise for a way back that is not there."""
    for one in marks:
        if isinstance(one, str) or len(one) != 2:
            raise InvalidType(f"draw: mark has {one!r}, should be pairs of a value and what reads it: [('o', \"h'\")]")
        value, reader = one
        if not marked(graph, [(value, reader)]):
            names = ", ".join(dict.fromkeys(one.name for one in graph.nodes if one.name))
            raise InvalidValue(
                f"draw: mark: no way back leads from {reader or 'anything'} to {value}; there are {names}"
            )


def _reads(target: Vertex, reader: str) -> bool:
    return reader in ("", target.name, target.symbol)
