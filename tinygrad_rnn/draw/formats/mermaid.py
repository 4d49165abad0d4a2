"""A graph as the text of a Mermaid flowchart, which GitHub, GitLab and many editors draw where they find it.

Operations are circles, parameters boxes, states and inputs rounded; a thick arrow is a value, a dotted one what comes
back. Mermaid itself draws no more than 500 arrows unless it is told to (``maxEdges``), so fold what is long.
"""

from __future__ import annotations

import json

from ..model import Edge, Graph, Vertex
from ..scene.labels import cut, plain, size_text, subscript, tame

HARMFUL = '"#;<>&`%:\\|[]{}$*~'  # what means something to Mermaid, or to HTML, in some place
CLASSES = {
    "operation": "fill:#fff4d6,stroke:#6b7785,color:#1f2933",
    "parameter": "fill:#dcebfb,stroke:#6b7785,color:#1f2933",
    "unit": "fill:#eef1f4,stroke:#6b7785,color:#1f2933",
    "value": "fill:#ffffff,stroke:#97a3b0,color:#1f2933",
}
BACK = "stroke:#c2410c,color:#c2410c"
UNITS = ("cell", "fold", "module", "affine")


def escaped(text: object) -> str:
    """Text of a user as a part of a quoted text of Mermaid, which shows it literally: 40 characters, no controls."""
    return "".join(f"#{ord(c)};" if c in HARMFUL else c for c in cut(plain(text)))


def mermaid(graph: Graph, title: str, backward: bool = True) -> str:
    """The flowchart; the same graph gives the same text."""
    made = _Chart(tame(graph), backward)
    head = ["---", f"title: {json.dumps(cut(plain(title), 100), ensure_ascii=False)}", "---"] if title.strip() else []
    styles = [f"  classDef {name} {style}" for name, style in CLASSES.items()]
    note = [f"  %% {escaped(graph.note)}"] if graph.note else []
    return "\n".join([*head, "flowchart LR", *note, *made.vertices(), *made.arrows(), *styles, *made.colours()]) + "\n"


class _Chart:
    """The lines of a flowchart, and the numbers of its dotted arrows."""

    def __init__(self, graph: Graph, backward: bool):
        self.graph, self.backward = graph, backward
        self.known = {one.id: one for one in graph.nodes}
        self.folds = {fold.id: fold for fold in graph.folds}
        self.count = 0
        self.dotted: list[int] = []

    # -- what stands there

    def vertices(self) -> list[str]:
        """Every vertex, in the subgraph of its step or scope."""
        groups: dict[str, list[str]] = {}
        for one in self.graph.nodes:
            groups.setdefault(self.group(one), []).append(self.vertex(one))
        lines = [f"  {line}" for line in groups.pop("", [])]
        for number, (name, inside) in enumerate(groups.items()):
            lines += [f'  subgraph s{number}["{escaped(name)}"]', *(f"    {line}" for line in inside), "  end"]
        for number, (name, id) in enumerate(self.graph.outputs.items()):
            lines.append(f'  o{number}(["{self.lines(name, self.known[id].shape)}"]):::value')
        return lines

    def group(self, one: Vertex) -> str:
        """The title of the subgraph that a vertex is in; none for all that stands alone."""
        row = self.graph.rows[one.row] if one.row is not None else None
        if row is not None and one.step is not None and row.steps > 1 and self.graph.level == "op":
            number = f" {(one.row or 0) + 1}" if len(self.graph.rows) > 1 else ""
            return f"{row.cell}{number}, step {one.step}"
        return one.scope if one.kind == "operation" else ""

    def vertex(self, one: Vertex) -> str:
        if one.kind == "operation":
            text = one.detail if one.op == "getitem" else one.symbol.replace("\n", " ") or one.op or "·"
            return f'{one.id}(("{escaped(text)}")):::operation'
        if one.kind in UNITS:
            return f'{one.id}["{self.unit(one)}"]:::unit'
        if one.kind in ("parameter", "block"):
            return f'{one.id}["{self.lines(one.name or one.detail or one.kind, one.shape)}"]:::parameter'
        name = one.name or one.kind
        return f'{one.id}(["{self.lines(self.called(one) or name, one.shape)}"]):::value'

    def unit(self, one: Vertex) -> str:
        """A step, a fold or a module: what it is, and when."""
        fold = self.folds.get(one.id)
        when = f"steps {fold.first} to {fold.last}" if fold else f"step {one.step}" if one.step is not None else ""
        return "<br/>".join(escaped(text) for text in (one.op or one.name, when) if text)

    @staticmethod
    def lines(name: str, shape: tuple[int, ...] | None) -> str:
        """A name, and its shape below."""
        return escaped(name) + (f"<br/>{shape}" if shape else "")

    def called(self, one: Vertex) -> str:
        """The name of a value, with the step where there are several."""
        row = self.graph.rows[one.row] if one.row is not None else None
        many = row is not None and row.steps > 1 and one.step is not None and one.kind == "value"
        return cut(plain(one.name)) + (subscript(one.step or 0) if many and one.name else "")

    # -- what goes forth and back

    def arrows(self) -> list[str]:
        lines = [line for edge in self.graph.edges for line in self.both_ways(edge)]
        for number, (name, id) in enumerate(self.graph.outputs.items()):
            source = self.known[id]
            lines.append(self.arrow(id, "==>", self.label(source), f"o{number}"))
            if self.backward and name in self.graph.cotangents:
                called = self.called(source) or name
                lines.append(self.back(f"o{number}", id, called, self.graph.cotangents[name]))
        return lines

    def both_ways(self, edge: Edge) -> list[str]:
        source = self.known[edge.source]
        if edge.cut:
            self.count += 1
            return [f'  {edge.source} -. "✂" .- {edge.target}']
        lines = [self.arrow(edge.source, "==>", self.label(source), edge.target)]
        if self.backward and edge.gradient is not None:
            target = self.known[edge.target]
            called = self.called(target if target.kind == "value" else source)
            lines.append(self.back(edge.target, edge.source, called, edge.gradient))
        return lines

    def label(self, source: Vertex) -> str:
        """The name of what an operation has made."""
        return self.called(source) if source.kind == "operation" else ""

    def back(self, source: str, target: str, called: str, norm: float) -> str:
        """A dotted arrow, with the gradient that comes back along it."""
        self.dotted.append(self.count)
        return self.arrow(source, "-.->", f"d{called} {size_text(norm)}" if called else size_text(norm), target)

    def arrow(self, source: str, line: str, text: str, target: str) -> str:
        self.count += 1
        return f"  {source} {line}" + (f'|"{escaped(text)}"|' if text else "") + f" {target}"

    def colours(self) -> list[str]:
        """The colour of what comes back."""
        return [f"  linkStyle {','.join(map(str, self.dotted))} {BACK}"] if self.dotted else []
