"""What the numbers of a view have to be, computed in other ways."""

import json

import numpy as np
import pytest

from tinygrad_rnn.cells.step_run import is_block
from tinygrad_rnn.draw import model as views
from tinygrad_rnn.draw.model import Edge, Fold, Graph, RowOfSteps, Vertex, view
from tinygrad_rnn.engine.graph import backpropagate, fitted

TOLERANCE = 1e-12


def looked_at(monkeypatch, recording, **look):
    """The graph, and the builder that made it: who is behind its vertices."""
    kept = []

    def builder(*args):
        kept.append(views.build.Builder(*args))
        return kept[0]

    monkeypatch.setattr(views, "Builder", builder)
    return view(recording, **look), kept[0]


def backward_densely(recording):
    """All gradients by node, and all parts by (node, operand), as arrays: no slice is left small, nothing in place."""
    totals, parts = dict(recording.cotangents), {}
    with np.errstate(all="ignore"):
        for node in reversed(recording.order):
            for k, (parent, rule, kept) in enumerate(edge or (None, None, None) for edge in node.edges):
                if parent is not None and node in totals:
                    part = fitted(rule.fn(totals[node], *kept), parent)
                    parts[node, k] = part if parent.shape is None else np.array(part)
                    totals[parent] = totals[parent] + part if parent in totals else part
    return totals, parts


def of_the_engine(recording, nodes):
    """The gradients by some nodes, by the engine's own backward pass."""
    return backpropagate(dict(recording.cotangents), wanted=nodes, retain=True)


def parts_of_edges(recording, builder, parts):
    """The part that each edge brings back, by what it joins; a fold has many values, and None where they differ."""
    edges, values = {}, {}
    for node in recording.order:
        unit = builder.drawn.get(node)
        if not node.parents or (is_block(node) and node not in builder.vertices):
            continue
        for k, parent in enumerate(node.parents):
            if parent is None or (unit is not None and builder.drawn.get(parent) is unit):
                continue
            whole, part = parent, parts.get((node, k))
            if is_block(parent) and parent not in builder.vertices and part is not None:
                whole, wide = parent.parents[0], np.zeros(parent.parents[0].shape)
                np.add.at(wide, parent.attrs["index"], part)
                part = wide
            behind = builder.drawn.get(whole)
            several = unit is not None or (behind is not None and behind.kind == "fold" and node.op.variadic)
            key = builder.source(whole).id, builder.vertex(node).id, None if several else k
            edges.setdefault(key, []).append((builder.fine.get(node), part))
            values.setdefault(key, {})[whole] = None
    return {key: _as_one(those, values[key]) for key, those in edges.items()}


def _as_one(those, values):
    if len(values) > 1 or len({id(fine): None for fine, _ in those if fine is not None}) > 1:
        return None
    known = [part for _, part in those if isinstance(part, np.ndarray)]
    return sum(known[1:], known[0]) if known else None


def from_outside(recording, builder, parts, node):
    """The gradient that comes to a value of a unit from outside of it."""
    total = np.zeros(node.shape) + recording.cotangents.get(node, 0.0)
    for (user, k), part in parts.items():
        if user.parents[k] is node and builder.fine.get(user) is not builder.fine[node]:
            total = total + part
    return total


def close(actual, expected, size=0.0):
    """Equal to 1e-12, relative to what was added up."""
    return actual == expected or abs(actual - expected) <= TOLERANCE * max(abs(expected), size, 1e-300)


def wrong_edges(graph, builder, recording):
    """Edges whose numbers are not those of the reference, a line each."""
    _, parts = backward_densely(recording)
    wanted = parts_of_edges(recording, builder, parts)
    kinds = {node.id: node.kind for node in graph}
    wrong = []
    for edge in graph.edges:
        key = edge.source, edge.target
        part = wanted.get((*key, edge.operand), wanted.get((*key, None)))
        if kinds[edge.source] == "constant" or edge.cut or kinds[edge.target] == "value":
            continue
        if part is None:
            wrong += [f"{edge}: should be unknown"] if edge.gradient is not None else []
        elif edge.gradient is None:
            wrong.append(f"{edge}: unknown, should be {np.linalg.norm(part)}")
        elif not (close(edge.gradient, np.linalg.norm(part)) and
                  close(edge.gradient_sum, part.sum(), np.abs(part).sum())):
            wrong.append(f"{edge}: should be {np.linalg.norm(part)} and {part.sum()}")
    return wrong


def wrong_sums(graph, recording):
    """Values whose gradient is not the sum of what comes back along their edges, and of what comes in, by elements."""
    inside = {edge.target: edge.source for edge in graph.edges}
    kinds = {vertex.id: vertex.kind for vertex in graph}
    wrong, seen = [], 0
    for vertex in graph:
        uses = [edge for edge in graph.uses(vertex.id) if not edge.cut]
        folded = vertex.kind == "value" and kinds[inside[vertex.id]] == "fold"
        if vertex.gradient_sum is None or folded or vertex.kind in ("cell", "fold", "module", "affine"):
            continue
        dys = [recording.cotangents[recording.outputs[name]] for name, id in graph.outputs.items() if id == vertex.id]
        if any(edge.gradient is None for edge in uses):
            continue
        total = sum(edge.gradient_sum for edge in uses) + sum(dy.sum() for dy in dys)
        size = sum(edge.gradient for edge in uses) + sum(np.linalg.norm(dy) for dy in dys)
        seen += 1
        if not close(vertex.gradient_sum, total, size * np.sqrt(np.prod(vertex.shape))):
            wrong.append(f"{vertex}: the parts add up to {total}")
    assert seen, "there is no value whose parts are all known"
    return wrong


def read_back(graph):
    """The graph that is left when only its JSON is."""
    plain = json.loads(graph.to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    made = Graph(**{key: one for key, one in plain.items() if key != "format"})
    made.nodes = [Vertex(**one) for one in plain["nodes"]]
    made.edges = [Edge(**one) for one in plain["edges"]]
    made.rows = [RowOfSteps(**one) for one in plain["rows"]]
    made.folds = [Fold(**one) for one in plain["folds"]]
    return made
