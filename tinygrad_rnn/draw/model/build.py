"""From a captured graph to the vertices and edges of a `Graph`, with the sizes of their gradients.

What is shown as one is a unit (`units`). A value that a unit of several operations gives away has a vertex of its own,
behind the unit's.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ...cells.step_run import is_block
from ...engine.graph import Node
from ...engine.tensor import value
from ...formula import along, local_derivative, text
from ...tracing.slices import is_time_slice, slice_text
from .capture import Captured
from .graph import Edge, Fold, Graph, Vertex
from .groups import Unit
from .measure import Measured, Size, size
from .values import argument_of, kept_of, name_steps, operand_of, summary

INFIX = {"+": "+", "-": "−", "⊙": "⊙", "/": "/", "@": "@"}
FEW = 16  # operands of which a formula is told


class Builder:
    """Vertices and edges are made when they are first needed, oldest first.

    ``drawn`` gives the unit of a node in the picture, ``fine`` the one that gradients were measured by: the steps that
    a fold is of.
    """

    def __init__(self, made: Captured, drawn: dict[Node, Unit], fine: dict[Node, Unit], measured: Measured):
        self.made, self.drawn, self.fine, self.measured = made, drawn, fine, measured
        self.vertices: dict[Any, Vertex] = {}  # by node, unit, or (unit, what it gives)
        self.edges: dict[Any, tuple[Edge, Vertex, Vertex]] = {}
        self.passed: dict[Any, dict[Any, Size]] = {}  # what comes back along an edge, by where from
        self.counts = Counter(drawn.values())
        self.states = _states(made)
        self.results = {node: name for name, node in made.outputs.items()}
        self.times: dict[Node, tuple[int, int]] = {}
        for r, row in enumerate(made.rows):
            shown = [step for step in row.steps if any(node not in drawn for node in step.nodes)]
            name_steps(made, row, shown)
            self.times.update((node, (r, step.time)) for step in shown for node in step.nodes)
        self.arrays = {**kept_of(made, drawn), **made.arrays}
        for node in measured.entering:
            if node.parents and not is_block(node):
                self.add(node)
        self.outputs = {name: self.source(node) for name, node in made.outputs.items()}
        for number, one in enumerate(self.vertices.values()):
            one.id = f"n{number}"
        for key, (edge, source, target) in self.edges.items():
            edge.source, edge.target = source.id, target.id
            edge.gradient, edge.gradient_sum = _all(self.passed.get(key, {}))

    def graph(self, level: str) -> Graph:
        """What has been made, as plain data."""
        made = Graph(self.made.title, level, list(self.vertices.values()), [edge for edge, *_ in self.edges.values()])
        for name, node in self.made.outputs.items():
            made.outputs[name] = self.outputs[name].id
            made.cotangents[name] = size(self.made.cotangents[node]).norm
        for unit, one in self.vertices.items():
            if isinstance(unit, Unit) and unit.kind == "fold" and unit.row is not None:
                times = [step.time for step in unit.steps]
                made.folds.append(Fold(one.id, unit.row, min(times), max(times), len(times)))
                one.detail = f"steps {min(times)} to {max(times)}"
        return made

    # -- vertices

    def vertex(self, node: Node) -> Vertex:
        """What makes the value: its unit, or itself."""
        unit = self.drawn.get(node)
        key = unit or node
        if key not in self.vertices:
            self.vertices[key] = self.of_unit(unit) if unit else self.of_node(node)
        return self.vertices[key]

    def of_unit(self, unit: Unit) -> Vertex:
        step = unit.steps[0].time if unit.kind == "cell" else None
        count = self.counts[unit]
        return Vertex("", unit.kind, "", unit.op, unit.op, "", unit.scope, unit.row, step, operations=count)

    def of_node(self, node: Node) -> Vertex:
        row, step = self.times.get(node, (None, None))
        block = bool(node.parents) and is_block(node)
        own = "block" if block and self.made.kinds.get(node.parents[0]) == "parameter" else "operation"
        kind = "input" if step is not None and is_time_slice(node) and not block else self.made.kinds.get(node, own)
        op, symbol = (node.op.name, node.op.symbol) if node.op else ("checkpoint" * (node.shape is None), "")
        detail = slice_text(node)
        one = Vertex("", kind, self.made.names.get(node) or "", op, symbol, detail, _scope(node), row, step)
        one.operations = int(bool(node.parents))
        if block:
            self.join(node.parents[0], node, 0, one)
        return self.described(one, node)

    def described(self, one: Vertex, node: Node) -> Vertex:
        one.shape, one.dtype, one.summary = node.shape, str(node.dtype), summary(self.arrays.get(node))
        one.state = self.states.get(node, "")
        one.gradient, one.gradient_sum = self.measured.totals.get(node, (None, None))
        return one

    def source(self, node: Node) -> Vertex:
        """The value itself: behind a unit of several operations, a vertex of its own."""
        unit = self.drawn.get(node)
        if unit is None:
            return self.vertex(node)
        state = self.states.get(node, "")
        key = (unit, state) if unit.kind == "fold" and state else (unit, node)
        if key not in self.vertices:
            name = self.made.names.get(node) or state or self.results.get(node, "")
            time = unit.steps[-1].time if unit.steps and unit.kind != "module" else None
            self.vertices[key] = Vertex("", "value", name, "", "", "", _scope(node), unit.row, time)
            edge = Edge("", "", 0, name, node.shape)
            self.edges[key] = edge, self.vertex(node), self.vertices[key]
        self.described(self.vertices[key], node)  # in a fold, the last value is the one that goes on
        if node in self.measured.totals:  # and what it is used for inside is not seen
            self.passed[key] = {None: self.measured.outside.get(node, self.measured.totals[node])}
            self.vertices[key].gradient, self.vertices[key].gradient_sum = self.passed[key][None]
        return self.vertices[key]

    # -- edges

    def add(self, node: Node) -> None:
        """The operation and everything that it is made from."""
        unit, target = self.drawn.get(node), self.vertex(node)
        seen, detached = self.made.args.get(node), self.made.detached.get(node, {})
        for k, parent in enumerate(node.parents):
            if parent is not None:
                self.join(parent, node, k, target)
            elif k in detached:
                self.cut(detached[k], node, k, target)
            elif unit is None:
                self.constant(seen[k] if seen else operand_of(node, k), node, k, target)

    def join(self, parent: Node, node: Node, k: int, target: Vertex) -> None:
        """An edge from a value to where it is used; all uses in one unit are one edge."""
        unit, fine = self.drawn.get(node), self.fine.get(node)
        if unit is not None and self.drawn.get(parent) is unit:
            return
        blocks = unit is None or unit.kind == "affine" or (unit.kind == "fold" and self.times)  # are they shown?
        origin = parent if blocks or not is_block(parent) else parent.parents[0]
        behind = self.drawn.get(origin)
        if behind is not None and behind.kind == "fold":  # all that it gives to a unit, or a stack, is one edge
            several = unit is not None or getattr(node.op, "variadic", True)
            key: Any = behind, self.states.get(origin), unit or node, 0 if several else k
        else:
            key = (origin, unit) if unit else (origin, node, k)
        if key not in self.edges:
            edge = Edge("", "", k, self.argument(origin, node, k), origin.shape)
            if unit is None and len(node.parents) <= FEW:
                edge.formula, edge.short = self.formula(node, k)
            self.edges[key] = edge, self.source(origin), target
        else:
            self.source(origin)
        use = (origin, fine, 0) if fine else (parent, node, k)
        if use in self.measured.parts:
            self.passed.setdefault(key, {})[use] = self.measured.parts[use]

    def argument(self, origin: Node, node: Node, k: int) -> str:
        """What the value is called where it is used."""
        if node not in self.drawn:
            return argument_of(node, k)
        steps = self.drawn[node].steps
        state = next((name for name, one in steps[0].before.items() if one is origin), "") if steps else ""
        return state or self.states.get(origin) or getattr(origin, "name", None) or self.made.names.get(origin) or ""

    def cut(self, parent: Node, node: Node, k: int, target: Vertex) -> None:
        """A value that was detached on its way: nothing comes back."""
        unit = self.drawn.get(node)
        if unit is None or self.drawn.get(parent) is not unit:
            edge = Edge("", "", k, self.states.get(parent, ""), parent.shape, cut=True)
            self.edges[parent, unit or node, "cut"] = edge, self.source(parent), target

    def constant(self, x: Any, node: Node, k: int, target: Vertex) -> None:
        """An operand that needs no gradient; one that is used twice is one vertex."""
        array = value(x)
        key = ("constant", id(x)) if np.ndim(array) and array is not None else ("constant", node, k)
        if key not in self.vertices:
            name = getattr(x, "name", None) or (f"{array}" if array is not None and np.ndim(array) == 0 else "")
            one = Vertex("", "constant", name, summary=summary(array))
            if array is not None:
                one.shape, one.dtype = np.shape(array), str(np.asarray(array).dtype)
            self.vertices[key] = one
        edge = Edge("", "", k, argument_of(node, k), self.vertices[key].shape)
        self.edges["constant", node, k] = edge, self.vertices[key], target

    def formula(self, node: Node, k: int) -> tuple[str, str]:
        """What the rule of operand k does with the gradient of the node, in the picture's names; long and short."""
        if node.op is None:
            return "", ""
        args = self.made.args.get(node) or [one or operand_of(node, j) for j, one in enumerate(node.parents)]
        if any(one is None for one in args):
            return "", ""
        names, cut = {}, self.made.detached.get(node, {})
        for j, argument in enumerate(node.op.arguments):
            origin = node.parents[j] or cut.get(j)
            if origin is not None and not node.op.variadic:
                names[argument] = self.called(origin) or argument
        names["y"], names["dy"] = self.made.names.get(node) or "y", f"d{self.made.names.get(node) or 'y'}"
        expression = local_derivative(node.op, k, [value(one) for one in args], node.attrs)
        return text(expression, names), along(expression, {**names, "y": self.made.names.get(node) or node.op.symbol})

    def called(self, node: Node) -> str:
        """The name of a value, or how it is made from one that has a name: ``tanh(c')``."""
        name = self.made.names.get(node)
        sliced = slice_text(node)
        if name or node.op is None or is_block(node) or sliced or not 1 <= len(node.parents) <= 2:
            return name or ""
        inner = [self.made.names.get(one) if one is not None else self.number(node, k)
                 for k, one in enumerate(node.parents)]  # fmt: skip
        if not all(inner):
            return ""
        symbol = INFIX.get(node.op.symbol)
        return (
            f"({inner[0]} {symbol} {inner[1]})"
            if symbol and inner[1:]
            else f"{node.op.symbol}({', '.join(map(str, inner))})"
        )

    def number(self, node: Node, k: int) -> str:
        """An operand that is a number, as text."""
        seen = self.made.args.get(node)
        x = value(seen[k] if seen else operand_of(node, k))
        return f"{x:g}" if isinstance(x, (int, float, np.generic)) and np.ndim(x) == 0 else ""


def _states(made: Captured) -> dict[Node, str]:
    """Which states the values are, by the first step that made them; one that is passed on keeps its name."""
    found: dict[Node, str] = {}
    for step in (step for row in made.rows for step in row.steps):
        for name, node in step.after.items():
            if node is not None and node.seq >= step.start:
                found.setdefault(node, name)
    return found


def _all(passed: dict[Any, Size]) -> tuple[float | None, float | None]:
    """The size of what came back along an edge: known where it was one use, not of several steps behind a fold."""
    return next(iter(passed.values())) if len(passed) == 1 else (None, None)


def _scope(node: Node) -> str:
    return "/".join(getattr(node, "scope", ()))
