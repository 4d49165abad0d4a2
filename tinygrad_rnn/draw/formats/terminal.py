"""A graph as text for a terminal: the equations downward, and beside them what comes back, to be read upward.

::

    c'  (1, 5)  = f ⊙ c + g ⊙ i          dc' ‖3.1‖ ▇
                                             = dc'_tanh ‖1‖ + dc'_next ‖2.9‖
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ..model import Graph, Vertex
from ..scene.labels import cut, plain, size_text
from .equations import UNITS, Equation, Equations, Term

BARS = "▁▂▃▄▅▆▇█"
FEW = 6  # terms of a sum that are spelled out
WIDEST = 0.62  # how much of the width equations may take
READ = "Down: forward. Up: backward; d… is the gradient of the loss by the value on its line, ‖…‖ its norm."
CUT = "✂ is detached: nothing comes back there."


def terminal(graph: Graph, title: str, backward: bool = True, width: int = 100) -> str:
    """The computation as lines of text, none longer than ``width``."""
    text = _Text(Equations(graph), backward)
    rows = list(text.lines())
    limit = max(int(width * WIDEST), 20) if backward else width
    left = max((len(one) for one, right in rows if right and len(one) <= limit), default=0) + 3
    lines = [plain(title), *([READ] if backward else []), *([CUT] if any(edge.cut for edge in graph.edges) else []), ""]
    for one, right in rows:
        if right.startswith("= "):  # a sum has a line of its own
            start = max(min(left + 2, width - len(right)), 6)
            lines.append(" " * start + right)
        else:
            lines.append(f"{cut(one, limit):{left}}{right}" if right else one)
    lines += ["", plain(graph.note)] if graph.note else []
    return "\n".join(cut(line.rstrip(), width) for line in lines) + "\n"


class _Text:
    """Lines in two parts: the equation, and the gradient."""

    def __init__(self, made: Equations, backward: bool):
        self.made, self.graph, self.backward = made, made.graph, backward
        self.timed = any(row.steps > 1 for row in self.graph.rows)
        norms = [one.gradient for one in self.graph.nodes] + [edge.gradient for edge in self.graph.edges]
        known = [norm for norm in norms if norm is not None and math.isfinite(norm) and norm > 0]
        self.least, self.greatest = min(known, default=1.0), max(known, default=1.0)
        self.folds = {fold.id: fold for fold in self.graph.folds}
        self.step_width = self.widest_step()
        own = [made.names[one.id] for one in made.leaves]
        own += [made.names[one.id] for each in made.equations for one in each.values if each.about.kind not in UNITS]
        self.names = min(max(map(len, own), default=0), 16)
        shapes = [_shape(one) for one in [*made.leaves, *(v for each in made.equations for v in each.values)]]
        self.shapes = max(map(len, shapes), default=0)

    def lines(self) -> Iterator[tuple[str, str]]:
        for one in sorted(self.made.leaves, key=lambda one: ("input", "state", "parameter").index(one.kind)):
            yield from self.beside(self.value(one, one.kind), [one])
        heading = ""
        yield "", ""
        for each in self.made.equations:
            latest, heading = heading, self.heading(each.about)
            if heading and heading != latest:
                yield f"{heading}:", ""
            yield from self.equation(each)
        yield "", ""
        for name, id in self.graph.outputs.items():
            came = f"d{self.made.names[id]} {size_text(self.graph.cotangents.get(name))} comes in"
            called = "" if self.made.names[id].startswith(cut(plain(name))) else f" {cut(plain(name))}"
            yield f"  result{called and f'{called} ='} {self.made.names[id]}", came if self.backward else ""

    def heading(self, one: Vertex) -> str:
        """What is made where: a step of a cell, a scope."""
        rows, scope = self.graph.rows, plain(one.scope)
        if one.row is not None and one.step is not None and rows[one.row].steps > 1:
            return f"{self.made.row_name(one.row)}, step {one.step}" if self.graph.level == "op" else scope
        return scope or "then" * (self.graph.level == "op" and self.timed)

    # -- forward

    def value(self, one: Vertex, text: str) -> str:
        return f"  {self.made.names[one.id]:{self.names}}  {_shape(one):{self.shapes}}  {text}"

    def equation(self, each: Equation) -> Iterator[tuple[str, str]]:
        one = each.about
        if one.kind not in UNITS:
            yield from self.beside(self.value(one, f"= {each.text}"), each.values)
            return
        fold = self.folds.get(one.id)
        where = f"steps {fold.first} to {fold.last}" if fold else f"step {one.step}" if one.step is not None else ""
        where = f"{self.made.row_name(one.row)} {where}" if where and len(self.graph.rows) > 1 else where
        names = ", ".join(self.made.names[value.id] for value in each.values)
        yield from self.beside(f"  {f'{where}:' if where else '':{self.step_width}}"
                               f"{names}{' = ' if names else ''}{each.text}", each.values)  # fmt: skip
        if fold is not None:
            cuts = [time for time in self.graph.rows[fold.row].cuts if fold.first <= time <= fold.last]
            if cuts:
                yield f"    ✂ before step {self.made.listed([str(time) for time in cuts])}", ""
            for name in fold.least if self.backward else ():
                yield "", f"{name} from {self.sized(fold.least[name])} to {self.sized(fold.greatest[name])}"

    def widest_step(self) -> int:
        """How much room the steps take that lines begin with."""
        last = max((row.steps for row in self.graph.rows), default=1) - 1
        fold = len(f"steps {last} to {last}: ") if self.graph.folds else len(f"step {last}: ")
        rows = max((len(self.made.row_name(r)) + 1 for r in range(len(self.graph.rows))), default=0)
        return 0 if self.graph.level == "module" or last < 1 else fold + (rows if len(self.graph.rows) > 1 else 0)

    # -- backward

    def beside(self, left: str, values: list[Vertex]) -> Iterator[tuple[str, str]]:
        """The line, with the gradients of its values beside it and below."""
        if not self.backward:
            yield left, ""
            return
        rights = [line for one in values for line in self.gradient(one)]
        yield left, rights[0] if rights else ""
        for right in rights[1:]:
            yield "", right

    def gradient(self, one: Vertex) -> Iterator[str]:
        """The gradient, and at a branch the sum that it is."""
        if one.gradient is None:
            return
        name, terms = f"d{self.made.names[one.id]}", self.made.terms(one)
        yield f"{name} {self.sized(one.gradient)}"
        if len(terms) > 1 and any(term.norm is not None for term in terms):
            shown = [f"{term.name} {_norm(term)}" for term in terms]
            more = [f"{len(shown) - FEW + 1} more"] if len(shown) > FEW else []
            yield f"= {' + '.join([*shown[: FEW - bool(more)], *more])}"

    def sized(self, norm: float) -> str:
        """A norm with a bar for its size, on a log scale from the least to the greatest of all."""
        least, greatest = self.least, self.greatest
        if norm <= 0 or not math.isfinite(norm):
            return size_text(norm)
        place = math.log(norm / least) / math.log(greatest / least) if greatest > least else 0.5
        return f"{size_text(norm)} {BARS[min(max(round(place * (len(BARS) - 1)), 0), len(BARS) - 1)]}"


def _norm(term: Term) -> str:
    return size_text(term.norm) or "‖?‖"


def _shape(one: Vertex) -> str:
    return "" if one.shape is None else str(one.shape)
