"""A graph as equations: the name of each value, and how it is computed from earlier values.

A value that has a name, is used more than once, or is a result has an equation. Any other value is written where it is
used, as in ``f = σ(A[:, 0:5])``. If a cell takes several steps, names carry the step: ``h₃``.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from ..model import Edge, Graph, Vertex
from ..scene.labels import UNITS, cut, plain, subscript

LEAVES = ("input", "state", "parameter", "constant", "block")
LONG = 60  # characters of an expression that may be written inside another
BINARY = {"+": 1, "-": 1, "⊙": 2, "/": 2, "%": 2, "@": 2, "^": 4}
ASSOCIATIVE = ("+", "⊙")
UNARY, ATOM = 3, 5


@dataclass
class Equation:
    """``text`` computes ``values``; ``about`` is the vertex of the operation."""

    about: Vertex
    values: list[Vertex]
    text: str


@dataclass
class Term:
    """A term of a gradient: its name, by where it comes from, and its norm."""

    name: str
    norm: float | None


@dataclass
class Equations:
    """All equations in an order in which they can be computed, and the values that they start from, ``leaves``."""

    graph: Graph
    leaves: list[Vertex] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = {vertex.id: vertex for vertex in self.graph.nodes}
        self.into: dict[str, list[Edge]] = {id: [] for id in self.known}
        self.uses: dict[str, list[Edge]] = {id: [] for id in self.known}
        for edge in sorted(self.graph.edges, key=lambda edge: edge.operand):
            self.into[edge.target].append(edge)
        for edge in self.graph.edges:
            self.uses[edge.source].append(edge)
        self.results = {id: name for name, id in reversed(self.graph.outputs.items())}
        self.folds = {fold.id: fold for fold in self.graph.folds}
        self.written: dict[str, tuple[str, str]] = {}  # the text of a value where it is used, and its symbol
        self.count = 0
        self.name_all()
        for vertex in self.in_order():
            self.write(vertex)

    # -- names

    def name_all(self) -> None:
        """Give every value a unique name: with the step, and with the cell where two cells share a name."""
        owners = Counter(name for row in self.graph.rows for name in row.states)
        seen = Counter[str]()
        for vertex in self.graph.nodes:
            name = cut(plain(vertex.name or self.results.get(vertex.id, ""))).strip()
            if not name and vertex.kind in ("operation", "value"):
                continue  # it may not need one
            name = name or (vertex.detail if vertex.kind == "block" else vertex.kind)
            row = self.graph.rows[vertex.row] if vertex.row is not None else None
            if row is not None and vertex.step is not None and row.steps > 1:
                name += subscript(vertex.step)
                name = f"{self.row_name(vertex.row)}.{name}" if owners[vertex.state] > 1 else name
            seen[name] += 1
            repeated = seen[name] > 1 and vertex.kind not in (*UNITS, "constant", "block")
            self.names[vertex.id] = f"{name}·{seen[name]}" if repeated else name

    def name(self, id: str) -> str:
        """The name of a value; a value without a name gets a number."""
        if id not in self.names:
            self.count += 1
            self.names[id] = f"v{subscript(self.count)}"
        return self.names[id]

    def row_name(self, number: int | None) -> str:
        """The cell of a row, with a number if the cell has several rows."""
        return "" if number is None else self.graph.titles[number]

    # -- order

    def in_order(self) -> list[Vertex]:
        """The vertices, each after its operands, else in the order of the graph."""
        order: list[Vertex] = []
        seen: dict[str, None] = {}
        for first in self.graph.nodes:
            stack = [(first, False)]
            while stack:
                vertex, done = stack.pop()
                if done:
                    order.append(vertex)
                elif vertex.id not in seen:
                    seen[vertex.id] = None
                    stack.append((vertex, True))
                    stack += [(self.known[edge.source], False) for edge in reversed(self.into[vertex.id])]
        return order

    # -- expressions

    def write(self, vertex: Vertex) -> None:
        """Write the equation of a vertex, or its text for where it is used."""
        if vertex.kind in LEAVES and not self.into[vertex.id]:
            self.leaves += [vertex] if vertex.kind not in ("constant", "block") else []
        elif vertex.kind in UNITS:
            values = [self.known[edge.target] for edge in self.uses[vertex.id] if self.is_value(edge)]
            text = self.call(vertex)
            if vertex.kind in ("module", "affine") and len(values) == 1 and self.is_inline(values[0], text):
                self.written[values[0].id] = text, ""
            else:
                self.equations.append(Equation(vertex, values, text))
        elif vertex.kind not in ("block", "value"):
            text, symbol = self.expression(vertex)
            if self.is_inline(vertex, text):
                self.written[vertex.id] = text, symbol
            else:
                self.name(vertex.id)
                self.equations.append(Equation(vertex, [vertex], text))

    def is_inline(self, vertex: Vertex, text: str) -> bool:
        """Is a value written where it is used? It has no name, a finite gradient, and a single use, in its own step."""
        uses = self.uses[vertex.id]
        single = len(uses) == 1 and self.known[uses[0].target].step == vertex.step and not uses[0].cut
        unnamed = not vertex.name and vertex.id not in self.results
        return single and unnamed and len(text) <= LONG and math.isfinite(vertex.gradient or 0.0)

    def is_value(self, edge: Edge) -> bool:
        """Does the edge lead from a unit to a value that the unit returns?"""
        return self.known[edge.target].kind == "value"

    def operand(self, edge: Edge, outer: str = "", right: bool = False) -> str:
        """The text of a value where it is used, in parentheses if ``outer`` needs them."""
        text, symbol = self.written.get(edge.source) or (self.name(edge.source), "")
        inner, around = BINARY.get(symbol, UNARY if symbol else ATOM), BINARY.get(outer, ATOM if outer else 0)
        mixed = inner == around and ((inner == 2 and symbol != outer) or (right and outer not in ASSOCIATIVE))
        text = f"({text})" if inner < around or mixed else text
        return f"✂{text}" if edge.cut else text

    def expression(self, vertex: Vertex) -> tuple[str, str]:
        """The text of an operation on its operands, and its symbol; "" if the text never needs parentheses."""
        edges, symbol = self.into[vertex.id], vertex.symbol
        if vertex.op == "getitem" and len(edges) == 1:
            return self.operand(edges[0], "[]") + vertex.detail, ""
        if symbol in BINARY and len(edges) == 2:
            return f"{self.operand(edges[0], symbol)} {symbol} {self.operand(edges[1], symbol, right=True)}", symbol
        if symbol in ("-", "x²", "ᵀ") and len(edges) == 1:
            inner = self.operand(edges[0], "[]")
            return (f"-{inner}", "neg") if symbol == "-" else (f"{inner}{symbol[-1]}", "")
        if symbol == "|x|" and len(edges) == 1:
            return f"|{self.operand(edges[0])}|", ""
        function = plain(vertex.op if "\n" in symbol else symbol or vertex.op or "part")
        return f"{function}({self.listed([self.stacked(vertex, edge) for edge in edges])})", ""

    def stacked(self, vertex: Vertex, edge: Edge) -> str:
        """An operand of a list; a state behind a fold stands for the state of all its steps."""
        source = self.known[edge.source]
        fold = next((self.folds[e.source] for e in self.into[source.id] if e.source in self.folds), None)
        if vertex.op != "stack" or fold is None or edge.gradient is not None:
            return self.operand(edge)
        first, last = subscript(fold.first), subscript(fold.last)
        return f"{self.name(source.id).removesuffix(last)}{first}…{last}"

    def call(self, vertex: Vertex) -> str:
        """A unit as a function of its inputs, without its parameters."""
        affine = vertex.kind == "affine"
        edges = [edge for edge in self.into[vertex.id] if affine or not self.is_parameter(edge.source)]
        arguments = list(dict.fromkeys(self.part(vertex, edge) for edge in edges))
        fold = self.folds.get(vertex.id)
        return f"{f'{fold.count} × ' if fold else ''}{cut(plain(vertex.op or vertex.name))}({self.listed(arguments)})"

    def is_parameter(self, id: str) -> bool:
        return self.known[id].kind in ("parameter", "block")

    def part(self, vertex: Vertex, edge: Edge) -> str:
        """The part of a sequence that a step reads, ``x[:, 3]``; any other value as it is."""
        shape, row = edge.shape or (), self.graph.rows[vertex.row] if vertex.row is not None else None
        if row is None or vertex.kind == "module" or len(shape) != 3 or shape[1] != row.steps or row.steps < 2:
            return self.operand(edge)
        fold = self.folds.get(vertex.id)
        steps = f"{fold.first}:{fold.last + 1}" if fold else f"{vertex.step}"
        return self.operand(edge, "[]") + f"[:, {steps}]"

    def inside(self, unit: Vertex) -> bool:
        """Is the only value of a unit written where it is used?"""
        return all(edge.target in self.written for edge in self.uses[unit.id])

    @staticmethod
    def listed(texts: list[str], most: int = 6) -> str:
        """Texts joined by commas, with … for the middle of many."""
        return ", ".join(texts if len(texts) <= most else [*texts[: most - 3], "…", *texts[-2:]])

    # -- gradients

    def terms(self, vertex: Vertex) -> list[Term]:
        """The terms of a value's gradient, by where they come from."""
        back = [edge for edge in self.uses[vertex.id] if not edge.cut and not self.is_value(edge)]
        terms = []
        for edge in back if vertex.kind not in UNITS else ():
            block = self.known[edge.target].kind == "block"
            terms.append(Term(self.name(edge.target) if block else self.tag(vertex, edge), edge.gradient))
        for name in self.graph.results.get(vertex.id, []):
            step = len(self.graph.rows) == 1 and self.graph.rows[0].steps == 1 and self.graph.state_of(name)
            part = "next" if step else "T" if self.graph.rows else "output"
            terms.append(Term(part, self.graph.cotangents.get(name)))
        seen = Counter[str]()
        for term in terms:
            seen[term.name] += 1
            term.name += f"·{seen[term.name]}" if seen[term.name] > 1 else ""
        return terms

    def tag(self, vertex: Vertex, edge: Edge) -> str:
        """The name of the term along an edge: the value or the function that it comes from, or the step."""
        target = self.known[edge.target]
        if vertex.state and vertex.row == target.row and target.kind in ("cell", "fold"):
            return "next"
        if vertex.state and target.row is None and target.kind not in UNITS:
            return "output"
        while target.id in self.written or (target.kind in UNITS and self.inside(target)):
            target = self.known[self.uses[target.id][0].target]
        values = [edge.target for edge in self.uses[target.id] if self.is_value(edge)]
        if target.kind in UNITS and target.row is None and len(values) == 1:
            return self.name(values[0])
        if target.kind in UNITS:
            fold, row = self.folds.get(target.id), self.row_name(target.row)
            step = f"step {target.step}" if target.step is not None else ""
            source = f"steps {fold.first}…{fold.last}" if fold else step or target.op
            return f"{row} {source}" if len(self.graph.rows) > 1 and target.row is not None else cut(plain(source))
        return self.names.get(target.id) or plain(target.symbol or target.op)
