"""The class of every computed value of a gated cell, from the classes of its operands.

- constant: of parameters and numbers only (W, W.T);
- joint: values joined side by side, ``[x, h]``, that only products with parameters read;
- affine: a product with a parameter, ``x @ W``, and sums, slices, normalisations and products of such products;
- scaled: a value times or plus a parameter (``p ⊙ c``), or a normalisation of a value with its parameters;
- gate: an activation of an affine value, or of a slice of one;
- slice: one of several slices of an affine value;
- joined: everything else, such as ``f ⊙ c``.
"""

from __future__ import annotations

from ....formula.numpy_functions import traits
from ...model import Graph, Vertex
from ..labels import UNITS

ARGUMENTS = ("input", "state")
FIXED = ("parameter", "block", "constant")
LINEAR = ("matmul", "einsum")  # in a value, with a parameter
SUMS, PRODUCTS = ("add", "subtract"), ("multiply", "divide", "hadamard")


def original(id: str) -> str:
    """The id of the vertex of which a vertex is a copy, or its own."""
    return id.partition("/")[0]


class Classes:
    """The classes by vertex, ``kinds``; ``order`` are the ids of the vertices, each after its operands."""

    def __init__(self, graph: Graph):
        self.graph, self.known = graph, graph.known
        self.order = _in_order(graph)
        self.kinds: dict[str, str] = {}
        for id in self.order:
            self.kinds[id] = self._class(self.known[id])

    def _class(self, vertex: Vertex) -> str:
        """The class of a vertex, from those of its operands."""
        if vertex.kind in ARGUMENTS:
            return "argument"
        into = [self.kinds[edge.source] for _, edge in self.graph.into[vertex.id]]
        if vertex.kind in FIXED or all(kind == "constant" for kind in into):
            return "constant"
        if vertex.kind == "value":
            return into[0]
        if traits(vertex.op).form == "join" and self._feeds_products(vertex):
            return "joint"
        if vertex.op == "getitem" and into[0] in ("affine", "slice"):
            return "slice" if self._siblings(vertex) > 1 else "affine"
        if traits(vertex.op).activation or self._is_elementwise(vertex, into):
            return "gate" if into[0] in ("affine", "slice") else "joined"
        return self._class_of_sum(vertex, into)

    def _is_elementwise(self, vertex: Vertex, into: list[str]) -> bool:
        """Is it a function of the user's of a single affine value, without parameters, such as a gate's?"""
        return vertex.kind in UNITS and len(into) == 1 and into[0] in ("affine", "slice")

    def _class_of_sum(self, vertex: Vertex, into: list[str]) -> str:
        fixed, helper = "constant" in into and self._has_parameter(vertex), vertex.kind in UNITS
        direct = all(kind in ("argument", "joint", "constant") for kind in into)
        if fixed and (vertex.op in LINEAR or (helper and direct)):
            return "affine"
        if "affine" in into and all(kind in ("affine", "constant") for kind in into):
            return "affine" if vertex.op in SUMS + PRODUCTS or helper else "joined"
        if "affine" in into and vertex.op in SUMS and "scaled" in into:
            return "affine" if all(kind in ("affine", "constant", "scaled") for kind in into) else "joined"
        open_operands = [kind for kind in into if kind != "constant"]
        scaled = vertex.op in SUMS + PRODUCTS or helper
        return "scaled" if fixed and scaled and len(open_operands) == 1 else "joined"

    def _feeds_products(self, vertex: Vertex) -> bool:
        """Do only products with parameters read it?"""
        readers = [self.known[edge.target] for edge in self.graph.uses(vertex.id)]
        others = [edge.source for reader in readers for _, edge in self.graph.into[reader.id]
                  if edge.source != vertex.id]  # fmt: skip
        fixed = all(self.known[id].kind in FIXED or self._from_fixed(id) for id in others)
        return bool(others) and fixed and all(reader.op in LINEAR for reader in readers)

    def _from_fixed(self, id: str) -> bool:
        """Is it computed from parameters, as W.T is?"""
        into = self.graph.into[id]
        return bool(into) and all(self.known[edge.source].kind in FIXED for _, edge in into)

    def blends_of(self) -> dict[str, str]:
        """The ⊙ and the − of each ``n + z ⊙ (h − n)``: the id of the sum by theirs."""
        blends: dict[str, str] = {}
        for id in (id for id in self.order if self.known[id].op == "add"):
            operands = [edge.source for _, edge in self.graph.into[id]]
            for product in (other for other in operands if self._is_inside(other, PRODUCTS)):
                for _, edge in self.graph.into[product]:
                    ends = [edge.source for _, edge in self.graph.into[edge.source]]
                    if self._is_inside(edge.source, ("subtract",)) and sorted([ends[1], product]) == sorted(operands):
                        blends |= {product: id, edge.source: id}
        return blends

    def _is_inside(self, id: str, ops: tuple[str, ...]) -> bool:
        """Is it one of these operations, read once and no result?"""
        return self.known[id].op in ops and len(self.graph.uses(id)) == 1 and id not in self.graph.results

    def _siblings(self, vertex: Vertex) -> int:
        """How many slices of the same value there are."""
        source = self.graph.into[vertex.id][0][1].source
        return sum(self.known[edge.target].op == "getitem" for edge in self.graph.uses(source))

    def _has_parameter(self, vertex: Vertex) -> bool:
        fixed = [self.known[edge.source] for _, edge in self.graph.into[vertex.id]
                 if self.kinds[edge.source] == "constant"]  # fmt: skip
        return any(source.kind != "constant" or source.shape for source in fixed)  # an array is a parameter


def _in_order(graph: Graph) -> list[str]:
    """The ids of the vertices, each after its operands."""
    waiting = {vertex.id: len(graph.into[vertex.id]) for vertex in graph.nodes}
    order: list[str] = []
    ready = [vertex.id for vertex in graph.nodes if not waiting[vertex.id]]
    place = {vertex.id: k for k, vertex in enumerate(graph.nodes)}
    while ready:
        ready.sort(key=place.__getitem__, reverse=True)
        id = ready.pop()
        order.append(id)
        for edge in graph.uses(id):
            waiting[edge.target] -= 1
            if not waiting[edge.target]:
                ready.append(edge.target)
    return order
