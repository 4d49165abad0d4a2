"""`Graph`: a computation and its backward pass as plain data, folded over time. Pictures and texts are made from it.

It holds names, shapes and sizes, no array and no node of the graph that it was taken from, and keeps nothing alive.
Everything in it is in the order in which it ran; the backward pass runs through ``edges`` from the last to the first.
"""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field

from ...errors import UnknownName

FORMAT = "tinygrad_rnn.engine.graph/1"


@dataclass
class Vertex:
    """One thing in the picture.

    ``kind``: "operation", "input", "state", "parameter", "block" (of a parameter), "constant"; "cell" (all operations
    of a step), "fold" (several steps), "module" (a scope, or all steps), "affine"; "value" (what one of these gives).
    ``summary`` is of its values (norm, min, max, mean), if they are known; ``gradient`` is the norm of the gradient of
    the loss by it, over all paths, and ``gradient_sum`` the sum of its elements; None where there is none.
    """

    id: str
    kind: str
    name: str = ""
    op: str = ""
    symbol: str = ""
    detail: str = ""  # which part a slice takes
    scope: str = ""  # the scopes that were open, "encoder/attention"
    row: int | None = None
    step: int | None = None
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    summary: dict[str, float] | None = None
    gradient: float | None = None
    gradient_sum: float | None = None
    operations: int = 0  # that it stands for
    state: str = ""  # the state that it is of its cell


@dataclass
class Edge:
    """``source`` is operand ``operand`` of ``target``, called ``argument`` there; ``gradient`` is what comes back."""

    source: str
    target: str
    operand: int = 0
    argument: str = ""
    shape: tuple[int, ...] | None = None
    gradient: float | None = None
    gradient_sum: float | None = None
    formula: str = ""  # what the gradient rule does: "dx = df ⊙ (1 − f²)"
    short: str = ""  # the same for an arrow: "⊙ (1 − f²)"
    cut: bool = False  # detached: no gradient comes back


@dataclass
class Fold:
    """Steps ``first`` to ``last`` of a row, drawn as one; ``least`` and ``greatest`` norms of each state's gradient."""

    id: str
    row: int
    first: int
    last: int
    count: int
    least: dict[str, float] = field(default_factory=dict)
    greatest: dict[str, float] = field(default_factory=dict)


@dataclass
class RowOfSteps:
    """The steps of one cell: the gradients by its states, and the parts of its parameters' gradients, by step."""

    cell: str
    reverse: bool
    steps: int
    states: list[str] = field(default_factory=list)
    gradients: dict[str, list[float | None]] = field(default_factory=dict)
    carried: dict[str, list[float | None]] = field(default_factory=dict)  # given back to the state before a step
    weights: dict[str, list[float | None]] = field(default_factory=dict)
    totals: dict[str, float | None] = field(default_factory=dict)  # the gradients by the parameters
    cuts: list[int] = field(default_factory=list)  # steps that start from a detached state


@dataclass
class Graph:
    """Everything that a picture shows; ``outputs`` are the results by name, ``cotangents`` what came in there."""

    title: str
    level: str = "op"
    nodes: list[Vertex] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    cotangents: dict[str, float] = field(default_factory=dict)
    rows: list[RowOfSteps] = field(default_factory=list)
    folds: list[Fold] = field(default_factory=list)
    full: bool = False  # all steps are drawn as one body, and the states go back to it
    note: str = ""  # what the reader has to know: a gradient that is not there, a part that is folded

    def __iter__(self) -> Iterator[Vertex]:
        return iter(self.nodes)

    def __getitem__(self, name: str) -> Vertex:
        """The first value of that name, or id."""
        for one in self.nodes:
            if name in (one.name, one.id):
                return one
        known = dict.fromkeys(one.name for one in self if one.name)
        raise UnknownName(f"graph: there is no {name!r}, only {', '.join(known)}")

    @functools.cached_property
    def known(self) -> dict[str, Vertex]:
        """The vertices by id; as the next ones, of a graph that is done."""
        return {one.id: one for one in self.nodes}

    @functools.cached_property
    def into(self) -> dict[str, list[tuple[int, Edge]]]:
        """The edges, with their numbers, by where they lead to."""
        found: dict[str, list[tuple[int, Edge]]] = {one.id: [] for one in self.nodes}
        for number, edge in enumerate(self.edges):
            found[edge.target].append((number, edge))
        return found

    @functools.cached_property
    def out(self) -> dict[str, list[tuple[int, Edge]]]:
        """The same by where they come from."""
        found: dict[str, list[tuple[int, Edge]]] = {one.id: [] for one in self.nodes}
        for number, edge in enumerate(self.edges):
            found[edge.source].append((number, edge))
        return found

    @functools.cached_property
    def results(self) -> dict[str, list[str]]:
        """The names of the results by the vertex that they are."""
        found: dict[str, list[str]] = {}
        for name, id in self.outputs.items():
            found.setdefault(id, []).append(name)
        return found

    @functools.cached_property
    def members(self) -> dict[int, list[Vertex]]:
        """The vertices of each row."""
        found: dict[int, list[Vertex]] = {}
        for one in self.nodes:
            if one.row is not None:
                found.setdefault(one.row, []).append(one)
        return found

    @functools.cached_property
    def titles(self) -> list[str]:
        """The cell of each row, with a number where there are several rows of it."""
        counts, seen = Counter(row.cell for row in self.rows), Counter[str]()
        seen.update(dict.fromkeys(counts, 0))
        found = []
        for row in self.rows:
            seen[row.cell] += 1
            found.append(f"{row.cell}{seen[row.cell]}" if counts[row.cell] > 1 else row.cell)
        return found

    def uses(self, id: str) -> list[Edge]:
        """The edges out of a vertex."""
        return [edge for _, edge in self.out[id]]

    def to_json(self, digits: int = 17) -> str:
        """All of it as JSON. Numbers that JSON cannot write are the texts "NaN", "inf" and "-inf".

        With fewer ``digits`` than 17 the text is the same wherever it is made; products of matrices differ in the last.
        """
        plain = _plain({"format": FORMAT, **asdict(self)}, digits)
        text = json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False)
        return text.encode("utf-8", "backslashreplace").decode()  # half of a surrogate pair is written as JSON has it

    def diff(self, other: Graph) -> list[str]:
        """What one graph has and the other has not, a line each: ``- `` only here, ``+ `` only there."""
        mine, theirs = Counter(_described(self)), Counter(_described(other))
        return [
            f"{sign} {text}" + (f" ×{count}" if count > 1 else "")
            for sign, more, less in (("-", mine, theirs), ("+", theirs, mine))
            for text, count in (more - less).items()
        ]


def _plain(x: object, digits: int) -> object:
    """The same with rounded numbers, and texts for those that JSON lacks."""
    if isinstance(x, dict):
        return {key: _plain(one, digits) for key, one in x.items()}
    if isinstance(x, (list, tuple)):
        return [_plain(one, digits) for one in x]
    if not isinstance(x, float):
        return x
    return float(f"{x:.{digits}g}") if math.isfinite(x) else str(x).replace("nan", "NaN")


def extremes(norms: Iterable[float]) -> tuple[float, float]:
    """The least and the greatest of some norms; NaN is more than any number, so that it is not passed over."""
    order = sorted(norms, key=lambda norm: (math.isnan(norm), norm))
    return order[0], order[-1]


def _described(graph: Graph) -> Iterator[str]:
    """A line for each vertex and edge that says what it is, and not where."""
    called = {one.id: _called(one) for one in graph.nodes}
    for one in graph.nodes:
        yield called[one.id] + (f" {one.shape}" if one.kind in ("parameter", "state", "input") else "")
    for edge in graph.edges:
        yield f"{called[edge.source]} -> {called[edge.target]}"


def _called(one: Vertex) -> str:
    what = one.symbol or one.op if one.kind in ("operation", "cell") else one.kind
    return f"{what} {one.name}".strip()
