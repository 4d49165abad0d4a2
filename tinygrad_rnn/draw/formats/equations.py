"""A graph as equations: what each value is called, and how it is made from those before it.

A value that has a name, that is used more than once, or that comes out has an equation of its own. Any other is written
where it is used, as in ``f = σ(A[:, 0:5])``. Where a cell takes several steps, names carry the step: ``h₃``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..model import Edge, Graph, Vertex
from ..scene.labels import cut, plain, subscript

LEAVES = ("input", "state", "parameter", "constant", "block")
UNITS = ("cell", "fold", "module", "affine")
LONG = 60  # characters of an expression that are written in another one
BINARY = {"+": 1, "-": 1, "⊙": 2, "/": 2, "%": 2, "@": 2, "^": 4}
ASSOCIATIVE = ("+", "⊙")
UNARY, ATOM = 3, 5


@dataclass
class Equation:
    """``values`` are what ``text`` makes; ``about`` is the vertex that makes them."""

    about: Vertex
    values: list[Vertex]
    text: str


@dataclass
class Term:
    """A part of a gradient: what it is called, by where it comes from, and its norm."""

    name: str
    norm: float | None


@dataclass
class Equations:
    """All equations in an order in which they can be computed, and the values that they start from."""

    graph: Graph
    leaves: list[Vertex] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = {one.id: one for one in self.graph.nodes}
        self.into: dict[str, list[Edge]] = {id: [] for id in self.known}
        self.uses: dict[str, list[Edge]] = {id: [] for id in self.known}
        for edge in sorted(self.graph.edges, key=lambda edge: edge.operand):
            self.into[edge.target].append(edge)
        for edge in self.graph.edges:
            self.uses[edge.source].append(edge)
        self.results = {id: name for name, id in reversed(self.graph.outputs.items())}
        self.folds = {fold.id: fold for fold in self.graph.folds}
        self.written: dict[str, tuple[str, str]] = {}  # how a value is written where it is used, and by what symbol
        self.count = 0
        self.name_all()
        for one in self.in_order():
            self.write(one)

    # -- names

    def name_all(self) -> None:
        """A name for every value, no two alike: with the step, and with the cell where two cells share a name."""
        owners = Counter(name for row in self.graph.rows for name in row.states)
        seen = Counter[str]()
        for one in self.graph.nodes:
            name = cut(plain(one.name or self.results.get(one.id, ""))).strip()
            if not name and one.kind == "operation":
                continue  # it may not need one
            name = name or (one.detail if one.kind == "block" else one.kind)
            row = self.graph.rows[one.row] if one.row is not None else None
            if row is not None and one.step is not None and row.steps > 1:
                name += subscript(one.step)
                name = f"{self.row_name(one.row)}.{name}" if owners[one.state] > 1 else name
            seen[name] += 1
            again = seen[name] > 1 and one.kind not in (*UNITS, "constant", "block")
            self.names[one.id] = f"{name}·{seen[name]}" if again else name

    def name(self, id: str) -> str:
        """The name of a value; one without gets a number."""
        if id not in self.names:
            self.count += 1
            self.names[id] = f"v{subscript(self.count)}"
        return self.names[id]

    def row_name(self, number: int | None) -> str:
        """The cell of a row, with a number where there are several of it."""
        return "" if number is None else self.graph.titles[number]

    # -- order

    def in_order(self) -> list[Vertex]:
        """Every vertex after what it is made from, else in the order of the graph."""
        found: list[Vertex] = []
        seen: dict[str, None] = {}
        for first in self.graph.nodes:
            stack = [(first, False)]
            while stack:
                one, done = stack.pop()
                if done:
                    found.append(one)
                elif one.id not in seen:
                    seen[one.id] = None
                    stack.append((one, True))
                    stack += [(self.known[edge.source], False) for edge in reversed(self.into[one.id])]
        return found

    # -- expressions

    def write(self, one: Vertex) -> None:
        """The equation of a vertex, or how it is written where it is used."""
        if one.kind in LEAVES and not self.into[one.id]:
            self.leaves += [one] if one.kind not in ("constant", "block") else []
        elif one.kind in UNITS:
            values = [self.known[edge.target] for edge in self.uses[one.id] if self.is_value(edge)]
            self.equations.append(Equation(one, values, self.call(one)))
        elif one.kind not in ("block", "value"):
            text, symbol = self.expression(one)
            uses = self.uses[one.id]
            alone = len(uses) == 1 and self.known[uses[0].target].step == one.step and not uses[0].cut
            if one.name or not alone or one.id in self.results or len(text) > LONG:
                self.name(one.id)
                self.equations.append(Equation(one, [one], text))
            else:
                self.written[one.id] = text, symbol

    def is_value(self, edge: Edge) -> bool:
        """Does it lead from a unit to what the unit gives?"""
        return self.known[edge.target].kind == "value"

    def operand(self, edge: Edge, outer: str = "", right: bool = False) -> str:
        """A value where it is used, in parentheses where they are needed inside of ``outer``."""
        text, symbol = self.written.get(edge.source) or (self.name(edge.source), "")
        own, holds = BINARY.get(symbol, UNARY if symbol else ATOM), BINARY.get(outer, ATOM if outer else 0)
        mixed = own == holds and ((own == 2 and symbol != outer) or (right and outer not in ASSOCIATIVE))
        text = f"({text})" if own < holds or mixed else text
        return f"✂{text}" if edge.cut else text

    def expression(self, one: Vertex) -> tuple[str, str]:
        """The operation on its operands, and the symbol that holds them together; none where nothing can tear them."""
        edges, symbol = self.into[one.id], one.symbol
        if one.op == "getitem" and len(edges) == 1:
            return self.operand(edges[0], "[]") + one.detail, ""
        if symbol in BINARY and len(edges) == 2:
            return f"{self.operand(edges[0], symbol)} {symbol} {self.operand(edges[1], symbol, right=True)}", symbol
        if symbol in ("-", "x²", "ᵀ") and len(edges) == 1:
            inner = self.operand(edges[0], "[]")
            return (f"-{inner}", "neg") if symbol == "-" else (f"{inner}{symbol[-1]}", "")
        if symbol == "|x|" and len(edges) == 1:
            return f"|{self.operand(edges[0])}|", ""
        what = plain(one.op if "\n" in symbol else symbol or one.op or "part")
        return f"{what}({self.listed([self.stacked(one, edge) for edge in edges])})", ""

    def stacked(self, one: Vertex, edge: Edge) -> str:
        """An operand in a list; where it is the state of all steps behind a fold, all of it."""
        source = self.known[edge.source]
        fold = next((self.folds[e.source] for e in self.into[source.id] if e.source in self.folds), None)
        if one.op != "stack" or fold is None or edge.gradient is not None:
            return self.operand(edge)
        first, last = subscript(fold.first), subscript(fold.last)
        return f"{self.name(source.id).removesuffix(last)}{first}…{last}"

    def call(self, one: Vertex) -> str:
        """A unit as a function of what comes into it; its parameters are not told."""
        edges = [edge for edge in self.into[one.id] if one.kind == "affine" or not self.is_parameter(edge.source)]
        given = list(dict.fromkeys(self.part(one, edge) for edge in edges))
        fold = self.folds.get(one.id)
        return f"{f'{fold.count} × ' if fold else ''}{cut(plain(one.op or one.name))}({self.listed(given)})"

    def is_parameter(self, id: str) -> bool:
        return self.known[id].kind in ("parameter", "block")

    def part(self, one: Vertex, edge: Edge) -> str:
        """What a step reads of a sequence: ``x[:, 3]``; other values as they are."""
        shape, row = edge.shape or (), self.graph.rows[one.row] if one.row is not None else None
        if row is None or one.kind == "module" or len(shape) != 3 or shape[1] != row.steps or row.steps < 2:
            return self.operand(edge)
        fold = self.folds.get(one.id)
        steps = f"{fold.first}:{fold.last + 1}" if fold else f"{one.step}"
        return self.operand(edge, "[]") + f"[:, {steps}]"

    @staticmethod
    def listed(texts: list[str], most: int = 6) -> str:
        """Texts with commas, and … in the middle of many."""
        return ", ".join(texts if len(texts) <= most else [*texts[: most - 3], "…", *texts[-2:]])

    # -- gradients

    def terms(self, one: Vertex) -> list[Term]:
        """The parts of a value's gradient, by where they come from."""
        back = [edge for edge in self.uses[one.id] if not edge.cut and not self.is_value(edge)]
        d = f"d{self.name(one.id)}"
        found = []
        for edge in back if one.kind not in UNITS else ():
            block = self.known[edge.target].kind == "block"
            found.append(Term(f"d{self.name(edge.target)}" if block else f"{d}_{self.tag(one, edge)}", edge.gradient))
        for name in self.graph.results.get(one.id, []):
            step = len(self.graph.rows) == 1 and self.graph.rows[0].steps == 1 and name.endswith("'")
            part = "next" if step else "T" if self.graph.rows else "output"
            found.append(Term(f"{d}_{part}", self.graph.cotangents.get(name)))
        seen = Counter[str]()
        for term in found:
            seen[term.name] += 1
            term.name += f"·{seen[term.name]}" if seen[term.name] > 1 else ""
        return found

    def tag(self, one: Vertex, edge: Edge) -> str:
        """What the part along an edge is called: by the value or the function that it comes from, or by the step."""
        target = self.known[edge.target]
        if one.state and one.row == target.row and target.kind in ("cell", "fold"):
            return "next"
        if target.kind in UNITS:
            fold, row = self.folds.get(target.id), self.row_name(target.row)
            what = f"{fold.first}…{fold.last}" if fold else f"{target.step}" if target.step is not None else target.op
            return f"{row}·{what}" if len(self.graph.rows) > 1 and target.row is not None else cut(plain(what))
        if one.state and target.row is None:
            return "output"
        while target.id in self.written:
            target = self.known[self.uses[target.id][0].target]
        return self.names.get(target.id) or plain(target.symbol or target.op)
