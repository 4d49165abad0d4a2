"""What is inside of a box: the graph of a time step, or of a call of a function, that a page opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...engine.graph import Node
from .build import Builder
from .capture import Captured
from .graph import Edge, Graph, RowOfSteps, Vertex
from .groups import Group

MOST = 12  # boxes of a picture that can be opened
OPENS = ("cell", "module", "affine")  # their kinds


def insides(captured: Captured, boxes: Builder, operations: Builder) -> dict[str, Graph]:
    """The graphs inside of the first boxes of a picture, by the id of the box.

    ``boxes`` has made the vertices of the picture, ``operations`` those of a picture of all operations.
    """
    members: dict[Group, list[Node]] = {}
    for node in captured.order:
        group = boxes.drawn.get(node)
        if group is not None and group.kind in OPENS and group in boxes.vertices:
            members.setdefault(group, []).append(node)
    chosen = [group for group in members if len(members[group]) > 1][:MOST]
    return {boxes.vertices[group].id: _Inside(captured, boxes, operations, group, members[group]).graph()
            for group in chosen}  # fmt: skip


class _Inside:
    """Takes the vertices of a group, and those of the values that it reads, out of the graph of all operations."""

    def __init__(self, captured: Captured, boxes: Builder, operations: Builder, group: Group, nodes: Sequence[Node]):
        self.captured, self.boxes, self.operations, self.group = captured, boxes, operations, group
        self.step = group.steps[0] if group.kind == "cell" else None
        self.nodes: dict[Any, Vertex] = {node: self.copy(node) for node in nodes if node in operations.vertices}
        self.edges: list[Edge] = []
        self.read()

    def copy(self, node: Node) -> Vertex:
        """The vertex of a node, as that of a single step."""
        vertex = self.operations.vertices[node]
        timed = self.step is not None and bool(node.parents)
        vertex = replace(vertex, row=0 if timed else None, step=0 if timed else None)
        return replace(vertex, op="", symbol="", detail="", operations=0) if vertex.kind == "input" else vertex

    def read(self) -> None:
        """Add the edges into the vertices, and the vertices of values from outside."""
        ids = {id(vertex): key for key, vertex in self.operations.vertices.items()}
        inside = {self.operations.vertices[node].id for node in self.nodes}
        edges = list(self.operations.edges.values())
        blocks = {edge.source for edge, source, _ in edges if edge.target in inside and source.kind == "block"}
        for edge, source, target in edges:
            if edge.target in inside | blocks and target.kind != "input":
                key = ids[id(source)]
                if key not in self.nodes:
                    self.nodes[key] = self.outside(key, source)
                self.edges.append(replace(edge))

    def outside(self, key: Any, source: Vertex) -> Vertex:
        """The vertex of a value from outside; its gradient is what comes back from this box."""
        back = self.boxes.edges.get((key, self.group))
        vertex = replace(source, row=None, step=None)
        if back:
            vertex.gradient, vertex.gradient_sum = back[0].gradient, back[0].gradient_sum
        state = self.group.state_of(key) if isinstance(key, Node) else ""
        if state and self.step is not None:
            return replace(vertex, kind="state", name=state, op="", symbol="", detail="", state=state)
        if source.kind in ("operation", "value"):
            return replace(vertex, kind="input", name=source.name or "x", op="", symbol="", detail="")
        return vertex

    def graph(self) -> Graph:
        """The graph of the inside, with its results."""
        step = self.step
        title = f"{self.group.op}: step {step.time}" if step else self.group.op
        graph = Graph(title, "op", list(self.nodes.values()), self.edges)
        states = {node: name for name, node in step.after.items()} if step else {}
        for node, value in self.leaving():
            state = states.get(node, "")
            name = self.nodes[node].name or (f"{state}'" if state else value.name or self.group.op)
            graph.outputs[name], graph.cotangents[name] = self.nodes[node].id, value.gradient or 0.0
        if step is not None:
            known = {name: result for node, name in states.items() for result, id in graph.outputs.items()
                     if node in self.nodes and self.nodes[node].id == id}  # fmt: skip
            graph.rows = [RowOfSteps(self.group.op, False, 1, list(known), results=list(known.values()))]
        return graph

    def leaving(self) -> list[tuple[Node, Vertex]]:
        """The values that leave the box, with their vertices in the picture of the boxes."""
        keys = [key for key in self.boxes.vertices if isinstance(key, tuple) and key[0] is self.group]
        return [(key[1], self.boxes.vertices[key]) for key in keys if key[1] in self.nodes]
