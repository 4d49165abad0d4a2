"""Text of all formats: how the norm of a gradient is written, and how the user's names are shortened and cleaned."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..model import Graph, Vertex

BARS = "▁▂▃▄▅▆▇█"  # sizes, from small to large
UNITS = ("cell", "fold", "module", "affine")  # kinds of vertices that stand for several operations
TERMS = 6  # terms of a sum that are written out
LONGEST = 40  # characters of a name that are shown
SUBSCRIPTS = str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")
HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, direction marks, surrogates, line separators


def size_text(name: str, x: float | None) -> str:
    """The norm of the gradient by a value, ``|dx| 0.23``; a value without a name has the number alone."""
    number = "" if x is None else number_text(x)
    return f"|d{name}| {number}".rstrip() if name else number


def gradient_text(name: str, vertex: Vertex, part: Any = None) -> str:
    """The gradient by a value, or the ``part`` of it along an edge: ``|dx| 0.23``, of a scalar with its sign."""
    part = part or vertex
    if part.gradient is None:
        return ""
    if vertex.shape == () and part.gradient_sum is not None:
        return f"grad {'NaN' if math.isnan(part.gradient_sum) else f'{part.gradient_sum:.3g}'}"
    return size_text(name, part.gradient)


def value_text(vertex: Vertex, all_values: bool = False) -> str:
    """The value of a scalar; with ``all_values`` also those of a small array, row by row: ``1 2; 3 4``."""
    if not vertex.values or (vertex.shape != () and not all_values):
        return ""
    wide = vertex.shape[-1] if vertex.shape else 1
    texts = ["NaN" if math.isnan(x) else f"{x:.3g}" for x in vertex.values]
    return "; ".join(" ".join(texts[k : k + wide]) for k in range(0, len(texts), wide))


def number_text(x: float) -> str:
    """A number in two digits, or ``NaN`` or ``inf``."""
    return "NaN" if math.isnan(x) else f"{x:.2g}"


def plain(text: object) -> str:
    """The text with a space for every character that does not print: one line that can be encoded."""
    return "".join(" " if unicodedata.category(c) in HARMFUL or c in "\ufffe\uffff" else c for c in str(text))


def cut(text: str, longest: int = LONGEST) -> str:
    """The text, at most ``longest`` characters long; the rest becomes …."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


class Short:
    """Shortens names for drawing. Different names stay different: ``name…``, ``name…·2``."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.owners: dict[str, str] = {}
        self.counts: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        if name not in self.known:
            short = base = self._cut(name)
            while self.owners.setdefault(short, name) != name:
                self.counts[base] = self.counts.get(base, 1) + 1
                end = f"·{self.counts[base]}"
                short = cut(base, LONGEST - len(end)) + end
            self.known[name] = short
        return self.known[name]

    def _cut(self, name: str) -> str:
        """Cut a long name, but keep the prime at its end."""
        text = plain(name)
        return f"{cut(text[:-1], LONGEST - 1)}'" if len(text) > LONGEST and text.endswith("'") else cut(text)

    def keys(self, norms: Mapping[str, Any]) -> dict[str, Any]:
        """Norms by gradient name (``dh``), with the names shortened."""
        return {f"d{self(name[1:])}": norm for name, norm in norms.items()}


def tame(graph: Graph) -> Graph:
    """The graph with names that are short enough to draw and free of control characters."""
    short = Short()
    nodes = [replace(vertex, name=short(vertex.name), op=short(vertex.op), scope=short(vertex.scope),
                     state=short(vertex.state)) for vertex in graph.nodes]  # fmt: skip
    outputs = {short(name): id for name, id in graph.outputs.items()}
    cotangents = {short(name): norm for name, norm in graph.cotangents.items()}
    edges = [replace(edge, argument=short(edge.argument), state=short(edge.state), short=cut(plain(edge.short)))
             for edge in graph.edges]  # fmt: skip
    rows = [replace(row, cell=short(row.cell), states=list(map(short, row.states)),
                    results=list(map(short, row.results)), gradients=short.keys(row.gradients),
                    carried=short.keys(row.carried), weights=short.keys(row.weights), totals=short.keys(row.totals))
            for row in graph.rows]  # fmt: skip
    folds = [replace(fold, least=short.keys(fold.least), greatest=short.keys(fold.greatest)) for fold in graph.folds]
    return replace(graph, nodes=nodes, edges=edges, outputs=outputs, cotangents=cotangents, rows=rows, folds=folds)


def subscript(n: int) -> str:
    """A number as a subscript: ``₁₂``."""
    return str(n).translate(SUBSCRIPTS)
