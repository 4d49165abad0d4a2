"""`Graph`: a computation and its backward pass as plain data, folded over time. Pictures and texts are made from it.

It holds names, shapes and sizes, but no array and no node of the recorded graph, so it keeps nothing alive. Vertices
and edges are in the order in which they ran; the backward pass runs through ``edges`` from the last to the first.
"""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

from ...errors import UnknownName

FORMAT = "tinygrad_rnn.graph/1"
SMALL = 12  # numbers of an array that is shown with its values


@dataclass
class Vertex:
    """A box of the picture.

    ``kind``: "operation", "input", "state", "parameter", "block" (of a parameter), "constant"; "cell" (all operations
    of a step), "fold" (several steps), "module" (a scope, or all steps), "affine"; "value" (a result of such a group).
    ``summary`` has norm, min, max and mean of its values, if they are known; ``gradient`` is the norm of the gradient
    of the loss by it, over all paths, and ``gradient_sum`` the sum of its elements; None where there is no gradient.
    """

    id: str
    kind: str
    name: str = ""
    op: str = ""
    symbol: str = ""
    detail: str = ""  # the index of a slice, the steps of a fold
    scope: str = ""  # the scopes that were open, "encoder/attention"
    row: int | None = None
    step: int | None = None
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    summary: dict[str, float] | None = None
    gradient: float | None = None
    gradient_sum: float | None = None
    operations: int = 0  # how many it stands for
    state: str = ""  # the name of the cell's state that it is
    values: tuple[float, ...] = ()  # of an array of at most `SMALL` numbers, if they are known


@dataclass
class Edge:
    """``source`` is operand ``operand`` of ``target``, named ``argument`` there; ``gradient`` is what comes back.

    A step reads it as its state ``state``. Where several steps behind a fold read it, ``extremes`` are the least and
    the greatest norm that comes back from them.
    """

    source: str
    target: str
    operand: int = 0
    argument: str = ""
    shape: tuple[int, ...] | None = None
    gradient: float | None = None
    gradient_sum: float | None = None
    formula: str = ""  # of the gradient rule: "dx = df ⊙ (1 − f²)"
    short: str = ""  # the same for an arrow: "⊙ (1 − f²)"
    cut: bool = False  # detached: no gradient comes back
    state: str = ""
    extremes: tuple[float, float] | None = None


@dataclass
class Fold:
    """Steps ``first`` to ``last`` of a row, drawn as one box, with the range of the norms of each state's gradient."""

    id: str
    row: int
    first: int
    last: int
    count: int
    least: dict[str, float] = field(default_factory=dict)
    greatest: dict[str, float] = field(default_factory=dict)


@dataclass
class RowOfSteps:
    """A recurrence: the norms of the gradients by its states, and of each step's part of its parameters' gradients."""

    cell: str
    reverse: bool
    steps: int
    states: list[str] = field(default_factory=list)
    gradients: dict[str, list[float | None]] = field(default_factory=dict)
    carried: dict[str, list[float | None]] = field(default_factory=dict)  # by the state before a step, through it
    weights: dict[str, list[float | None]] = field(default_factory=dict)
    totals: dict[str, float | None] = field(default_factory=dict)  # the gradients by the parameters
    cuts: list[int] = field(default_factory=list)  # steps that start from a detached state
    input: str = "x"  # what the cell calls its input
    results: list[str] = field(default_factory=list)  # the new states, if the code does not call them h', c'


@dataclass
class Graph:
    """Everything that a picture shows; ``outputs`` are the ids of the results by name, ``cotangents`` their norms."""

    title: str
    level: str = "op"
    nodes: list[Vertex] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    cotangents: dict[str, float] = field(default_factory=dict)
    rows: list[RowOfSteps] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    full: bool = False  # all steps are drawn as one body, and its states return to it
    note: str = ""  # for the reader, about gradients that are missing

    def __iter__(self) -> Iterator[Vertex]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Vertex:
        """The first vertex of that name, or id. Raises UnknownName."""
        for vertex in self.nodes:
            if name in (vertex.name, vertex.id):
                return vertex
        known = dict.fromkeys(vertex.name for vertex in self if vertex.name)
        raise UnknownName(f"graph: there is no {name!r}, only {', '.join(known)}")

    @functools.cached_property
    def known(self) -> dict[str, Vertex]:
        """The vertices by id. It is cached, as the next properties are: the graph has to be complete."""
        return {vertex.id: vertex for vertex in self.nodes}

    @functools.cached_property
    def into(self) -> dict[str, list[tuple[int, Edge]]]:
        """The edges, with their numbers, by target."""
        return self._edges_by("target")

    @functools.cached_property
    def out(self) -> dict[str, list[tuple[int, Edge]]]:
        """The edges, with their numbers, by source."""
        return self._edges_by("source")

    def _edges_by(self, end: str) -> dict[str, list[tuple[int, Edge]]]:
        edges: dict[str, list[tuple[int, Edge]]] = {vertex.id: [] for vertex in self.nodes}
        for number, edge in enumerate(self.edges):
            edges[getattr(edge, end)].append((number, edge))
        return edges

    @functools.cached_property
    def results(self) -> dict[str, list[str]]:
        """The names of the results by the id of their vertex."""
        names: dict[str, list[str]] = {}
        for name, id in self.outputs.items():
            names.setdefault(id, []).append(name)
        return names

    @functools.cached_property
    def members(self) -> dict[int, list[Vertex]]:
        """The vertices of each row."""
        members: dict[int, list[Vertex]] = {}
        for vertex in self.nodes:
            if vertex.row is not None:
                members.setdefault(vertex.row, []).append(vertex)
        return members

    def state_of(self, result: str) -> str:
        """The state of the only row whose new value a result is."""
        row = self.rows[0] if len(self.rows) == 1 else RowOfSteps("", False, 0)
        states = dict(zip(row.results or [f"{name}'" for name in row.states], row.states))
        return states.get(result, "")

    @functools.cached_property
    def titles(self) -> list[str]:
        """The cell of each row, with a number where there are several rows of it."""
        cells = [row.cell for row in self.rows]
        numbers = [cells[: k + 1].count(cell) for k, cell in enumerate(cells)]
        return [f"{cell}{n}" if cells.count(cell) > 1 else cell for cell, n in zip(cells, numbers)]

    def uses(self, id: str) -> list[Edge]:
        """The edges out of a vertex."""
        return [edge for _, edge in self.out[id]]

    def to_json(self, digits: int = 17) -> str:
        """The whole graph as JSON. Numbers that JSON cannot write are the texts "NaN", "inf" and "-inf".

        With fewer ``digits`` than 17 the text is equal on all machines, whose matrix products differ in the last digit.
        """
        plain = _plain({"format": FORMAT, **asdict(self)}, digits)
        text = json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False)
        return text.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair is written as JSON has it

    def diff(self, other: Graph) -> list[str]:
        """The vertices and edges that only one of two graphs has: ``- ...`` for this one, ``+ ...`` for the other."""
        mine, theirs = Counter(_described(self)), Counter(_described(other))
        return [
            f"{sign} {text}" + (f" ×{count}" if count > 1 else "")
            for sign, more, less in (("-", mine, theirs), ("+", theirs, mine))
            for text, count in (more - less).items()
        ]


def _plain(x: object, digits: int) -> object:
    """``x`` with rounded numbers, and texts for the numbers that JSON lacks."""
    if isinstance(x, dict):
        return {key: _plain(entry, digits) for key, entry in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(entry, digits) for entry in x]
    if not isinstance(x, float):
        return x
    return float(f"{x:.{digits}g}") if math.isfinite(x) else str(x).replace("nan", "NaN")


def extremes(norms: Iterable[float]) -> tuple[float, float]:
    """The least and the greatest of some norms. NaN counts as more than any number, so that it is not missed."""
    order = sorted(norms, key=lambda norm: (math.isnan(norm), norm))
    return order[0], order[-1]


def _described(graph: Graph) -> Iterator[str]:
    """A line for each vertex and edge, without its place in the graph."""
    labels = {vertex.id: _label(vertex) for vertex in graph.nodes}
    for vertex in graph.nodes:
        yield labels[vertex.id] + (f" {vertex.shape}" if vertex.kind in ("parameter", "state", "input") else "")
    for edge in graph.edges:
        yield f"{labels[edge.source]} -> {labels[edge.target]}"


def _label(vertex: Vertex) -> str:
    what = vertex.symbol or vertex.op if vertex.kind in ("operation", "cell") else vertex.kind
    return f"{what} {vertex.name}".strip()
