"""From a captured graph to the vertices and edges of a `Graph`, with the sizes of their gradients.

What is drawn as one box is a group (`groups`). A value that a group of several operations returns has a vertex of its
own, behind the group's.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import numpy as np

from ...cells.step_run import is_block
from ...engine.graph import Node
from ...tracing.magnitudes import Size, size
from ...tracing.measure import Measured
from ...tracing.slices import is_time_slice, slice_text
from . import values
from .capture import Captured
from .graph import Edge, Fold, Graph, Vertex, extremes
from .groups import Group
from .rule_texts import RuleTexts

FEW = 16  # operands up to which the formula of an edge is given


class Builder:
    """Makes vertices and edges when they are first needed, oldest first.

    ``drawn`` gives the group of a node in the picture, ``fine`` the group by which gradients were measured: a step,
    where the picture has a fold.
    """

    def __init__(self, captured: Captured, drawn: dict[Node, Group], fine: dict[Node, Group], measured: Measured):
        self.captured, self.drawn, self.fine, self.measured = captured, drawn, fine, measured
        self.vertices: dict[Any, Vertex] = {}  # by node, group, or (group, value that it returns)
        self.edges: dict[Any, tuple[Edge, Vertex, Vertex]] = {}
        self.passed: dict[Any, dict[Any, Size]] = {}  # the gradients along an edge, by use
        self.counts = Counter(drawn.values())
        self.states = values.state_names(captured)
        self.results = {node: name for name, node in captured.outputs.items()}
        self.times: dict[Node, tuple[int, int]] = {}
        self.rules = RuleTexts(captured, self.times)
        for r, recurrence in enumerate(captured.recurrences):
            shown = [step for step in recurrence.steps if any(node not in drawn for node in step.nodes)]
            values.name_steps(captured, recurrence, shown)
            self.times.update((node, (r, step.time)) for step in shown for node in step.nodes)
        self.arrays = {**values.saved_arrays(captured, drawn), **captured.arrays()}
        for node in measured.entering:
            if node.parents and not is_block(node):
                self.add(node)
        self.outputs = {name: self.source(node) for name, node in captured.outputs.items()}
        for number, vertex in enumerate(self.vertices.values()):
            vertex.id = f"n{number}"
        for key, (edge, source, target) in self.edges.items():
            edge.source, edge.target = source.id, target.id
            passed = list(self.passed.get(key, {}).values())
            edge.gradient, edge.gradient_sum = passed[0] if len(passed) == 1 else (None, None)  # else behind a fold
            edge.extremes = extremes(part.norm for part in passed) if len(passed) > 1 else None

    def graph(self, level: str) -> Graph:
        """The vertices and edges as plain data."""
        edges = [edge for edge, *_ in self.edges.values()]
        graph = Graph(self.captured.title, level, list(self.vertices.values()), edges)
        for name, node in self.captured.outputs.items():
            graph.outputs[name] = self.outputs[name].id
            graph.cotangents[name] = size(self.captured.cotangents[node]).norm
        for group, vertex in self.vertices.items():
            if isinstance(group, Group) and group.kind == "fold" and group.row is not None:
                times = [step.time for step in group.steps]
                graph.folds.append(Fold(vertex.id, group.row, min(times), max(times), len(times)))
                vertex.detail = f"steps {min(times)} to {max(times)}"
        return graph

    # -- vertices

    def vertex(self, node: Node) -> Vertex:
        """The vertex that computes the value: its group, or itself."""
        group = self.drawn.get(node)
        key = group or node
        if key not in self.vertices:
            self.vertices[key] = self.of_group(group) if group else self.of_node(node)
        return self.vertices[key]

    def of_group(self, group: Group) -> Vertex:
        """A new vertex for a group; an array that is filled by several assignments is a single operation."""
        if group.kind == "stack":
            return Vertex("", "operation", "", group.op, group.op, operations=1)
        step = group.steps[0].time if group.kind == "cell" else None
        count = self.counts[group]
        return Vertex("", group.kind, "", group.op, group.op, "", group.scope, group.row, step, operations=count)

    def of_node(self, node: Node) -> Vertex:
        """A new vertex for a node; a block of a parameter is joined to the parameter."""
        row, step = self.times.get(node, (None, None))
        op, symbol = (node.op.name, node.op.symbol) if node.op else ("checkpoint" * (node.shape is None), "")
        name = self.captured.names.get(node) or ""
        vertex = Vertex("", self.kind(node), name, op, symbol, slice_text(node), _scope(node), row, step)
        vertex.operations = int(bool(node.parents))
        if node.parents and is_block(node):
            self.join(node.parents[0], node, 0, vertex)
        return self.described(vertex, node)

    def kind(self, node: Node) -> str:
        """The kind of a vertex for a node."""
        if node.parents and is_block(node):
            is_parameter = self.captured.kinds.get(node.parents[0]) == "parameter"
            return self.captured.kinds.get(node, "block" if is_parameter else "operation")
        if node in self.times and is_time_slice(node):
            return "input"
        return self.captured.kinds.get(node, "operation")

    def described(self, vertex: Vertex, node: Node) -> Vertex:
        """The vertex, with the shape, the values and the gradient of the node."""
        vertex.shape, vertex.dtype, vertex.summary = node.shape, str(node.dtype), values.summary(self.arrays.get(node))
        vertex.state, vertex.values = self.states.get(node, ""), values.small(self.arrays.get(node))
        vertex.gradient, vertex.gradient_sum = self.measured.totals.get(node, (None, None))
        return vertex

    def source(self, node: Node) -> Vertex:
        """The vertex of the value: behind a group of several operations, a vertex of its own."""
        group = self.drawn.get(node)
        if group is None:
            return self.vertex(node)
        if group.kind == "stack":
            vertex = self.described(self.vertex(node), node)
            vertex.name = self.captured.names.get(node) or self.results.get(node, "")
            return vertex
        state = self.states.get(node, "")
        place: Any = state or self.places.get(node)
        key = group, node if place is None or group.kind != "fold" else place
        if key not in self.vertices:
            name = self.captured.names.get(node) or state or self.results.get(node, "")
            time = group.steps[-1].time if group.steps and group.kind != "module" else None
            self.vertices[key] = Vertex("", "value", name, "", "", "", _scope(node), group.row, time)
            edge = Edge("", "", 0, name, node.shape)
            self.edges[key] = edge, self.vertex(node), self.vertices[key]
        self.described(self.vertices[key], node)  # in a fold, the last value is the one that goes on
        if node in self.measured.totals:  # uses inside of the group are not drawn
            self.passed[key] = {None: self.measured.outside.get(node, self.measured.totals[node])}
            self.vertices[key].gradient, self.vertices[key].gradient_sum = self.passed[key][None]
        return self.vertices[key]

    @functools.cached_property
    def places(self) -> dict[Node, int]:
        """The places of values in the steps behind folds: equal values of all these steps are one."""
        return {node: place for group in self.counts if group.kind == "fold" for step in group.steps
                for place, node in enumerate(step.nodes)}  # fmt: skip

    # -- edges

    def add(self, node: Node) -> None:
        """Add the operation and edges from all its operands."""
        group, target = self.drawn.get(node), self.vertex(node)
        detached = self.captured.detached.get(node, {})
        for k, parent in enumerate(node.parents):
            if parent is not None:
                self.join(parent, node, k, target)
            elif k in detached:
                self.cut(detached[k], node, k, target)
            elif group is None:
                self.constant(node, k, target)

    def join(self, parent: Node, node: Node, k: int, target: Vertex) -> None:
        """Add an edge from a value to where it is used; all uses in one group are one edge."""
        group, fine = self.drawn.get(node), self.fine.get(node)
        if group is not None and self.drawn.get(parent) is group:
            return
        shows_blocks = group is None or group.kind == "affine" or (group.kind == "fold" and self.times)
        origin = parent if shows_blocks or not is_block(parent) else parent.parents[0]
        behind = self.drawn.get(origin)
        if behind is not None and behind.kind == "fold":  # all that a fold passes to a group, or a stack, is one edge
            several = group is not None or getattr(node.op, "variadic", True)
            key: Any = behind, self.states.get(origin), group or node, 0 if several else k
        else:
            key = (origin, group) if group else (origin, node, k)
        if key not in self.edges:
            state = group.state_of(origin) if group else ""
            edge = Edge("", "", k, self.argument(origin, node, k), origin.shape, state=state)
            if group is None and len(node.parents) <= FEW:
                edge.formula, edge.short = self.rules.formula(node, k)
            self.edges[key] = edge, self.source(origin), target
        else:
            self.source(origin)
        use = (origin, fine, 0) if fine else (parent, node, k)
        if use in self.measured.parts:
            self.passed.setdefault(key, {})[use] = self.measured.parts[use]

    def argument(self, origin: Node, node: Node, k: int) -> str:
        """What the value is called where it is used."""
        if node not in self.drawn:
            return values.argument_of(node, k)
        known = self.states.get(origin) or getattr(origin, "name", None) or self.captured.names.get(origin)
        return self.drawn[node].state_of(origin) or known or ""

    def cut(self, parent: Node, node: Node, k: int, target: Vertex) -> None:
        """Add an edge from a value that was detached on its way: no gradient comes back."""
        group = self.drawn.get(node)
        if group is None or self.drawn.get(parent) is not group:
            state = self.states.get(parent, "")
            edge = Edge("", "", k, state, parent.shape, cut=True, state=state)
            self.edges[parent, group or node, "cut"] = edge, self.source(parent), target

    def constant(self, node: Node, k: int, target: Vertex) -> None:
        """Add an operand that needs no gradient; an array that is used twice is one vertex."""
        array = values.operand_of(self.captured, node, k)
        is_array = array is not None and np.ndim(array) > 0
        key = ("constant", id(array)) if is_array else ("constant", node, k)
        if key not in self.vertices:
            number_text = "" if array is None or is_array else f"{array}"
            name = values.operand_name(self.captured, node, k) or number_text
            self.vertices[key] = Vertex("", "constant", name, summary=values.summary(array))
            if array is not None:
                self.vertices[key].shape, self.vertices[key].dtype = np.shape(array), str(np.asarray(array).dtype)
                self.vertices[key].values = values.small(array) if is_array else ()
        edge = Edge("", "", k, values.argument_of(node, k), self.vertices[key].shape)
        self.edges["constant", node, k] = edge, self.vertices[key], target


def _scope(node: Node) -> str:
    return "/".join(getattr(node, "scope", ()))
