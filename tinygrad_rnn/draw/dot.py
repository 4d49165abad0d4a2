"""From a `Trace` to DOT: what is drawn as what, and where.

One step of ``h = tanh(x @ Wx + h @ Wh)`` reads, without its dashed arrows back::

    x ──► (@) ──► (+) ──► (tanh) ──► h'
    [Wx] ──┘       ▲
    h ──► (@) ─────┘
    [Wh] ──┘

Operations are circles, parameters boxes, inputs and states plain text. A value that is used more than once runs into a
filled dot, and from there to its uses: backwards, that is where gradients add. Dashed arrows are the backward pass.
Time runs from left to right.
"""

from __future__ import annotations

import itertools
import unicodedata

import graphviz

from ..trace import Trace
from ..watch import Edge, Value

LONGEST = 40
BACK = "#c2410c"  # dark orange: apart from black for every kind of colour vision

GRAPH = {"rankdir": "LR", "labelloc": "t", "fontname": "Helvetica", "fontsize": "20", "nodesep": "0.2",
         "ranksep": "0.3"}  # fmt: skip
NODE = {"fontname": "Helvetica", "fontsize": "15", "margin": "0.06,0.04", "height": "0.4"}
EDGE = {"fontname": "Helvetica", "fontsize": "13", "arrowsize": "0.7"}
HIDDEN = {"style": "invis"}
DASHED = {"dir": "back", "style": "dashed", "color": BACK, "fontcolor": BACK}
BOX = {"shape": "box", "style": "filled", "fillcolor": "#dbeafe"}
LOOKS = {
    "input": {"shape": "plaintext", "fontsize": "18"},
    "state": {"shape": "plaintext", "fontsize": "18"},
    "constant": {"shape": "plaintext"},
    "parameter": BOX,
    "block": BOX,
    "operation": {"shape": "circle", "style": "filled", "fillcolor": "#fef3c7", "margin": "0.02", "width": "0.45"},
}
DOT = {"shape": "point", "width": "0.11", "label": ""}


def text(user: object) -> str:
    """Text of the user's as a DOT label that shows it literally: no escapes, entities or controls, 40 characters."""
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in str(user))
    shown = shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
    return str(graphviz.escape(shown.replace("&", "&amp;")))


def lines(*parts: object) -> str:
    """Several texts under each other."""
    return str(graphviz.nohtml("\\n".join(text(part) for part in parts if str(part))))


def size(x: float | None) -> str:
    """The norm of a gradient as it is printed."""
    return "" if x is None else f"‖{x:.2g}‖"


def digraph(trace: Trace, title: str, backward: bool = True) -> graphviz.Digraph:
    """The whole picture. Without ``backward`` the dashed arrows are there but not seen: no node moves."""
    made = graphviz.Digraph("tinygrad_rnn", format="svg", graph_attr=GRAPH, node_attr=NODE, edge_attr=EDGE)
    made.attr(label=str(graphviz.nohtml("\\n".join([text(title), _legend(backward), " "]))))
    uses = _uses(trace)
    for number, edges in uses.items():
        one = trace.values[number]
        _node(made, one)
        outputs = [name for name, number in trace.outputs.items() if number == one.number]
        _arrows(made, trace, one, edges, outputs, DASHED if backward else HIDDEN)
    _columns(made, trace, uses)
    return made


def _legend(backward: bool) -> str:
    """What the reader has to know, under the title."""
    if not backward:
        return "● a value that is used more than once"
    return "dashed: backward, with the norm of the gradient    ● used more than once: gradients add"


def _uses(trace: Trace) -> dict[int, list[Edge]]:
    """Each value that is drawn, and where it goes. A parameter that is only read in blocks is drawn as its blocks."""
    uses: dict[int, list[Edge]] = {one.number: [] for one in trace.values}
    for edge in trace.edges:
        if trace.values[edge.target].kind != "block":
            uses[edge.source].append(edge)
    split = [edge.source for edge in trace.edges if trace.values[edge.target].kind == "block"]
    return {number: edges for number, edges in uses.items() if edges or number not in split}


def _node(made: graphviz.Digraph, one: Value) -> None:
    """The value itself: where it was given, or the operation that made it."""
    looks = dict(LOOKS[one.kind])
    shape = "" if one.shape is None else str(one.shape)
    if one.kind == "constant":
        label = lines(one.name or "constant", "" if one.name and shape == "()" else shape)
    elif one.kind == "operation":
        label = lines(one.detail or one.symbol)
        if len(one.detail or one.symbol) > 5:
            looks.update(shape="box", style="rounded,filled", margin="0.08,0.04")
    else:
        label = lines(one.name, shape)
    made.node(f"v{one.number}", label=label, **looks)


def _arrows(
    made: graphviz.Digraph, trace: Trace, one: Value, edges: list[Edge], outputs: list[str], back: dict[str, str]
) -> None:
    """From a value to its uses and out of the picture, through a dot if there are several."""
    ends = [(f"v{edge.target}", edge.gradient) for edge in edges]
    for name in outputs:
        made.node(f"o{one.number}", label=lines(name, one.shape), **LOOKS["state"])
        ends.append((f"o{one.number}", trace.cotangents.get(name)))
    start, name, long = f"v{one.number}", one.name if one.kind == "operation" else "", {}
    if len(ends) > 1:
        made.node(f"b{one.number}", **DOT)
        made.edge(start, f"b{one.number}", label=lines(name) if name else None, arrowhead="none")
        _back(made, start, f"b{one.number}", one.name, one.gradient, back)
        start, name = f"b{one.number}", ""
        long = {"minlen": "2"} if one.kind in ("input", "state") else {}  # room to fan out, past the weights
    for end, gradient in ends:
        made.edge(start, end, label=lines(name) if name else None, **long)
        _back(made, start, end, one.name, gradient, {**back, **long})


def _back(
    made: graphviz.Digraph, start: str, end: str, name: str, gradient: float | None, looks: dict[str, str]
) -> None:
    """The gradient that comes back from ``end``, beside the arrow that goes there."""
    if gradient is not None:
        made.edge(start, end, label=lines(f"d{name} {size(gradient)}" if name else size(gradient)), **looks)


def _columns(made: graphviz.Digraph, trace: Trace, uses: dict[int, list[Edge]]) -> None:
    """States from the last to the first, the input above the first, at the left; the new states so at the right."""
    kinds = {kind: [f"v{n}" for n in uses if trace.values[n].kind == kind] for kind in ("input", "state")}
    left = kinds["state"][:0:-1] + kinds["input"] + kinds["state"][:1]
    right = [f"o{n}" for n in dict.fromkeys(trace.outputs.values())][::-1]
    for column in (left, right):
        with made.subgraph() as same:
            same.attr(rank="same")
            for node in column:
                same.node(node)
            for above, below in itertools.pairwise(column):
                same.edge(above, below, style="invis")
