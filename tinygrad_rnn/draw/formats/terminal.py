"""A graph as text for a terminal: the equations, read downward, and beside them the gradients, read upward.

::

    c'  (1, 5)  = f ⊙ c + g ⊙ i          |dc'| 3.1 ▇
                                             = via h' 1 + via next 2.9
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..model import Graph, Vertex
from ..scene.labels import BARS, TERMS, cut, number_text, plain, size_text
from .equations import Equation, Equations

TIMES = ("cell", "fold")  # kinds of vertices that are steps
WIDEST = 0.62  # the part of the width that equations may take
READ = "Down: forward. Up: backward; |dx| is the norm of the gradient of the loss by x, a sum via its uses."
CUT = "✂ is detached: nothing comes back there."


def terminal(graph: Graph, title: str, backward: bool = True, width: int = 100) -> str:
    """The computation as lines of text, none longer than ``width``."""
    text = _Text(Equations(graph), backward)
    rows = list(text.lines())
    limit = max(int(width * WIDEST), 20) if backward else width
    left = max((len(left_text) for left_text, right in rows if right and len(left_text) <= limit), default=0) + 3
    lines = [plain(title), *([READ] if backward else []), *([CUT] if any(edge.cut for edge in graph.edges) else []), ""]
    for left_text, right in rows:
        if right.startswith("= "):  # a sum stands alone on its line
            start = max(min(left + 2, width - len(right)), 6)
            lines.append(" " * start + right)
        else:
            lines.append(f"{cut(left_text, limit):{left}}{right}" if right else left_text)
    lines += ["", plain(graph.note)] if graph.note else []
    return "\n".join(cut(line.rstrip(), width) for line in lines) + "\n"


class _Text:
    """Writes lines of two parts: the equation, and the gradient."""

    def __init__(self, equations: Equations, backward: bool):
        self.equations, self.graph, self.backward = equations, equations.graph, backward
        self.timed = any(row.steps > 1 for row in self.graph.rows)
        norms = [vertex.gradient for vertex in self.graph.nodes] + [edge.gradient for edge in self.graph.edges]
        known = [norm for norm in norms if norm is not None and math.isfinite(norm) and norm > 0]
        self.least, self.greatest = min(known, default=1.0), max(known, default=1.0)
        self.folds = {fold.id: fold for fold in self.graph.folds}
        self.step_width = self.widest_step()
        names = [equations.names[vertex.id] for vertex in equations.leaves]
        names += [equations.names[vertex.id] for equation in equations.equations if equation.about.kind not in TIMES
                  for vertex in equation.values]  # fmt: skip
        self.names = min(max(map(len, names), default=0), 16)
        shapes = [_shape(vertex) for vertex in equations.leaves]
        shapes += [_shape(vertex) for equation in equations.equations for vertex in equation.values]
        self.shapes = max(map(len, shapes), default=0)

    def lines(self) -> Iterator[tuple[str, str]]:
        kinds = ("input", "state", "parameter")
        for vertex in sorted(self.equations.leaves, key=lambda vertex: kinds.index(vertex.kind)):
            yield from self.beside(self.value(vertex, vertex.kind), [vertex])
        heading = ""
        yield "", ""
        for equation in self.equations.equations:
            latest, heading = heading, self.heading(equation.about)
            if heading and heading != latest:
                yield f"{heading}:", ""
            yield from self.equation(equation)
        yield "", ""
        for name, id in self.graph.outputs.items():
            cotangent = f"{size_text(self.equations.names[id], self.graph.cotangents.get(name))} comes in"
            called = "" if self.equations.names[id].startswith(cut(plain(name))) else f" {cut(plain(name))}"
            yield f"  result{called and f'{called} ='} {self.equations.names[id]}", cotangent if self.backward else ""

    def heading(self, vertex: Vertex) -> str:
        """The heading above a vertex: the step of a cell, or a scope."""
        rows, scope = self.graph.rows, plain(vertex.scope)
        if vertex.row is not None and vertex.step is not None and rows[vertex.row].steps > 1:
            return f"{self.equations.row_name(vertex.row)}, step {vertex.step}" if self.graph.level == "op" else scope
        return scope or "then" * (self.graph.level == "op" and self.timed)

    # -- forward

    def value(self, vertex: Vertex, text: str) -> str:
        return f"  {self.equations.names[vertex.id]:{self.names}}  {_shape(vertex):{self.shapes}}  {text}"

    def equation(self, equation: Equation) -> Iterator[tuple[str, str]]:
        vertex = equation.about
        if vertex.kind not in TIMES and len(equation.values) == 1:
            yield from self.beside(self.value(equation.values[0], f"= {equation.text}"), equation.values)
            return
        fold = self.folds.get(vertex.id)
        where = f"step {vertex.step}" if vertex.step is not None else ""
        where = f"steps {fold.first} to {fold.last}" if fold else where
        where = f"{self.equations.row_name(vertex.row)} {where}" if where and len(self.graph.rows) > 1 else where
        names = ", ".join(self.equations.names[value.id] for value in equation.values)
        yield from self.beside(f"  {f'{where}:' if where else '':{self.step_width}}"
                               f"{names}{' = ' if names else ''}{equation.text}", equation.values)  # fmt: skip
        if fold is not None:
            cuts = [time for time in self.graph.rows[fold.row].cuts if fold.first <= time <= fold.last]
            if cuts:
                yield f"    ✂ before step {self.equations.listed([str(time) for time in cuts])}", ""
            for name in fold.least if self.backward else ():
                yield "", f"|{name}| {self.sized(fold.least[name])} to {self.sized(fold.greatest[name])}"

    def widest_step(self) -> int:
        """The width of the step at the beginning of lines."""
        last = max((row.steps for row in self.graph.rows), default=1) - 1
        fold = len(f"steps {last} to {last}: ") if self.graph.folds else len(f"step {last}: ")
        rows = max((len(self.equations.row_name(r)) + 1 for r in range(len(self.graph.rows))), default=0)
        return 0 if self.graph.level == "module" or last < 1 else fold + (rows if len(self.graph.rows) > 1 else 0)

    # -- backward

    def beside(self, left: str, values: list[Vertex]) -> Iterator[tuple[str, str]]:
        """A line, with the gradients of its values beside and below."""
        if not self.backward:
            yield left, ""
            return
        rights = [line for vertex in values for line in self.gradient(vertex)]
        yield left, rights[0] if rights else ""
        for right in rights[1:]:
            yield "", right

    def gradient(self, vertex: Vertex) -> Iterator[str]:
        """The gradient of a value; for several uses, also its terms."""
        if vertex.gradient is None:
            return
        terms = self.equations.terms(vertex)
        yield f"|d{self.equations.names[vertex.id]}| {self.sized(vertex.gradient)}"
        if len(terms) > 1 and any(term.norm is not None for term in terms):
            shown = [f"via {term.name} {'?' if term.norm is None else number_text(term.norm)}" for term in terms]
            more = [f"{len(shown) - TERMS + 1} more"] if len(shown) > TERMS else []
            yield f"= {' + '.join([*shown[: TERMS - bool(more)], *more])}"

    def sized(self, norm: float) -> str:
        """A norm with a bar for its size, on a log scale from the least to the greatest norm."""
        least, greatest = self.least, self.greatest
        if norm <= 0 or not math.isfinite(norm):
            return number_text(norm)
        place = math.log(norm / least) / math.log(greatest / least) if greatest > least else 0.5
        return f"{number_text(norm)} {BARS[min(max(round(place * (len(BARS) - 1)), 0), len(BARS) - 1)]}"


def _shape(vertex: Vertex) -> str:
    return "" if vertex.shape is None else str(vertex.shape)
