"""Words of every picture and text: how the size of a gradient is written, and how text of a user is made harmless."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..model import Graph

LONGEST = 40  # characters of a name that are shown
SUBSCRIPTS = str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")
HARMFUL = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, marks of direction, surrogates, breaks of lines


def size_text(x: float | None) -> str:
    """A norm: ``‖0.23‖``, in two digits; ``NaN`` and ``inf`` as they are, nothing where it is not known."""
    if x is None:
        return ""
    if math.isnan(x):
        return "NaN"
    return f"‖{x:.2g}‖" if math.isfinite(x) else "inf"


def number_text(x: float) -> str:
    """A number in two digits; ``NaN`` and ``inf`` as they are."""
    return "NaN" if math.isnan(x) else f"{x:.2g}"


def plain(text: object) -> str:
    """The text with a space for every character that does not print: it stays on its line, and can be encoded."""
    return "".join(" " if unicodedata.category(c) in HARMFUL or c in "\ufffe\uffff" else c for c in str(text))


def cut(text: str, longest: int = LONGEST) -> str:
    """The text, with … for what is past ``longest`` characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


class Short:
    """Names that are short enough to be drawn, without controls; two that differ stay two: ``name…``, ``name…·2``."""

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
        """The prime of what is made from a long name stays."""
        text = plain(name)
        return f"{cut(text[:-1], LONGEST - 1)}'" if len(text) > LONGEST and text.endswith("'") else cut(text)

    def keys(self, norms: Mapping[str, Any]) -> dict[str, Any]:
        """Gradients by the short names of what they are by: ``dh`` by h."""
        return {f"d{self(name[1:])}": norm for name, norm in norms.items()}


def tame(graph: Graph) -> Graph:
    """With names that are no longer than can be drawn, and without controls; two that differ stay two."""
    short = Short()
    nodes = [replace(one, name=short(one.name), op=short(one.op), scope=short(one.scope), state=short(one.state))
             for one in graph.nodes]  # fmt: skip
    outputs = {short(name): id for name, id in graph.outputs.items()}
    cotangents = {short(name): norm for name, norm in graph.cotangents.items()}
    edges = [replace(edge, argument=short(edge.argument), short=cut(plain(edge.short))) for edge in graph.edges]
    rows = [replace(row, cell=short(row.cell), states=list(map(short, row.states)), gradients=short.keys(row.gradients),
                    carried=short.keys(row.carried), weights=short.keys(row.weights), totals=short.keys(row.totals))
            for row in graph.rows]  # fmt: skip
    folds = [replace(fold, least=short.keys(fold.least), greatest=short.keys(fold.greatest)) for fold in graph.folds]
    return replace(graph, nodes=nodes, edges=edges, outputs=outputs, cotangents=cotangents, rows=rows, folds=folds)


def subscript(n: int) -> str:
    """A number as an index: ``₁₂``."""
    return str(n).translate(SUBSCRIPTS)
