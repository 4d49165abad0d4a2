"""A graph as the text of a Mermaid flowchart, which GitHub, GitLab and many editors draw.

Operations are circles, parameters boxes, states and inputs rounded; a thick arrow is a value, a dotted arrow is a
gradient. Mermaid draws at most 500 arrows by default (``maxEdges``), so fold long sequences.
"""

from __future__ import annotations

import json

from ..model import Edge, Graph, Vertex
from ..scene.labels import UNITS, cut, plain, size_text, subscript, tame

HARMFUL = '"#;<>&`%:\\|[]{}$*~'  # characters with a meaning in Mermaid or HTML
CLASSES = {
    "operation": "fill:#fff4d6,stroke:#6b7785,color:#1f2933",
    "parameter": "fill:#dcebfb,stroke:#6b7785,color:#1f2933",
    "unit": "fill:#eef1f4,stroke:#6b7785,color:#1f2933",
    "value": "fill:#ffffff,stroke:#97a3b0,color:#1f2933",
}
BACK = "stroke:#c2410c,color:#c2410c"


def escaped(text: object) -> str:
    """The user's text for a quoted text of Mermaid, shown literally: at most 40 characters, no control characters."""
    return "".join(f"#{ord(c)};" if c in HARMFUL else c for c in cut(plain(text)))


def mermaid(graph: Graph, title: str, backward: bool = True) -> str:
    """The flowchart as text; the same graph gives the same text."""
    chart = _Chart(tame(graph), backward)
    head = ["---", f"title: {json.dumps(cut(plain(title), 100), ensure_ascii=False)}", "---"] if title.strip() else []
    styles = [f"  classDef {name} {style}" for name, style in CLASSES.items()]
    note = [f"  %% {escaped(graph.note)}"] if graph.note else []
    body = [*chart.vertices(), *chart.arrows(), *styles, *chart.colours()]
    return "\n".join([*head, "flowchart LR", *note, *body]) + "\n"


class _Chart:
    """The lines of a flowchart, and the numbers of its dotted arrows."""

    def __init__(self, graph: Graph, backward: bool):
        self.graph, self.backward = graph, backward
        self.known = {vertex.id: vertex for vertex in graph.nodes}
        self.folds = {fold.id: fold for fold in graph.folds}
        self.count = 0
        self.dotted: list[int] = []

    # -- vertices

    def vertices(self) -> list[str]:
        """Every vertex, in the subgraph of its step or scope."""
        groups: dict[str, list[str]] = {}
        for vertex in self.graph.nodes:
            groups.setdefault(self.group(vertex), []).append(self.vertex(vertex))
        lines = [f"  {line}" for line in groups.pop("", [])]
        for number, (name, inside) in enumerate(groups.items()):
            lines += [f'  subgraph s{number}["{escaped(name)}"]', *(f"    {line}" for line in inside), "  end"]
        for number, (name, id) in enumerate(self.graph.outputs.items()):
            lines.append(f'  o{number}(["{self.lines(name, self.known[id].shape)}"]):::value')
        return lines

    def group(self, vertex: Vertex) -> str:
        """The title of the subgraph of a vertex; "" for a vertex outside of all subgraphs."""
        row = self.graph.rows[vertex.row] if vertex.row is not None else None
        if row is not None and vertex.step is not None and row.steps > 1 and self.graph.level == "op":
            number = f" {(vertex.row or 0) + 1}" if len(self.graph.rows) > 1 else ""
            return f"{row.cell}{number}, step {vertex.step}"
        return vertex.scope if vertex.kind == "operation" else ""

    def vertex(self, vertex: Vertex) -> str:
        if vertex.kind == "operation":
            text = vertex.detail if vertex.op == "getitem" else vertex.symbol.replace("\n", " ") or vertex.op or "·"
            return f'{vertex.id}(("{escaped(text)}")):::operation'
        if vertex.kind in UNITS:
            return f'{vertex.id}["{self.unit(vertex)}"]:::unit'
        if vertex.kind in ("parameter", "block"):
            return f'{vertex.id}["{self.lines(vertex.name or vertex.detail or vertex.kind, vertex.shape)}"]:::parameter'
        name = vertex.name or vertex.kind
        return f'{vertex.id}(["{self.lines(self.called(vertex) or name, vertex.shape)}"]):::value'

    def unit(self, vertex: Vertex) -> str:
        """The text of a step, a fold or a module: its name, and its steps."""
        fold = self.folds.get(vertex.id)
        step = f"step {vertex.step}" if vertex.step is not None else ""
        steps = f"steps {fold.first} to {fold.last}" if fold else step
        return "<br/>".join(escaped(text) for text in (vertex.op or vertex.name, steps) if text)

    @staticmethod
    def lines(name: str, shape: tuple[int, ...] | None) -> str:
        """A name, with its shape below."""
        return escaped(name) + (f"<br/>{shape}" if shape else "")

    def called(self, vertex: Vertex) -> str:
        """The name of a value, with its step if there are several."""
        row = self.graph.rows[vertex.row] if vertex.row is not None else None
        many = row is not None and row.steps > 1 and vertex.step is not None and vertex.kind == "value"
        return cut(plain(vertex.name)) + (subscript(vertex.step or 0) if many and vertex.name else "")

    # -- arrows

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
        """The name of the value of an operation; "" for other vertices."""
        return self.called(source) if source.kind == "operation" else ""

    def back(self, source: str, target: str, called: str, norm: float) -> str:
        """A dotted arrow with its gradient."""
        self.dotted.append(self.count)
        return self.arrow(source, "-.->", size_text(called, norm), target)

    def arrow(self, source: str, line: str, text: str, target: str) -> str:
        self.count += 1
        return f"  {source} {line}" + (f'|"{escaped(text)}"|' if text else "") + f" {target}"

    def colours(self) -> list[str]:
        """The colour of the dotted arrows."""
        return [f"  linkStyle {','.join(map(str, self.dotted))} {BACK}"] if self.dotted else []
