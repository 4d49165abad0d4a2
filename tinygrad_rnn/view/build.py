"""From a captured graph to the vertices and edges of a `Graph`, with the sizes of their gradients.

What is shown as one is a unit (`units`). A value that a unit of several operations gives away has a vertex of its own,
behind the unit's.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ..formula import along, local_derivative, text
from ..graph import Node
from ..rows import is_block
from ..tensor import value
from ..watch import slices
from .capture import Captured, is_input, name_steps
from .graph import Edge, Vertex
from .measure import Measured, Size, size
from .units import Unit

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
        self.states: dict[Node, str] = {}
        self.times: dict[Node, tuple[int, int]] = {}
        for r, row in enumerate(made.rows):
            for name in row.cell.states:
                self.states.update((node, name) for node in row.state(name) if node is not None)
            shown = [step for step in row.steps if any(node not in drawn for node in step.nodes)]
            name_steps(made, row, shown)
            self.times.update((node, (r, step.time)) for step in shown for node in step.nodes)
        self.arrays = {**_kept(made, drawn), **made.arrays}
        for node in made.order:
            if node.parents and not is_block(node):
                self.add(node)
        self.outputs = {name: self.source(node) for name, node in made.outputs.items()}
        for number, one in enumerate(self.vertices.values()):
            one.id = f"n{number}"
        for key, (edge, source, target) in self.edges.items():
            edge.source, edge.target = source.id, target.id
            edge.gradient, edge.gradient_sum = _all(self.passed.get(key, {}))

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
        return Vertex("", unit.kind, "", unit.op, unit.op, "", unit.scope, unit.row, step,
                      operations=self.counts[unit])  # fmt: skip

    def of_node(self, node: Node) -> Vertex:
        row, step = self.times.get(node, (None, None))
        kind = self.made.kinds.get(node, "operation")
        kind = "block" if node.parents and is_block(node) else "input" if step is not None and is_input(node) else kind
        op, symbol = (node.op.name, node.op.symbol) if node.op else ("", "")
        one = Vertex("", kind, self.made.names.get(node) or "", op, symbol, slices(node), _scope(node), row, step)
        one.operations = int(bool(node.parents))
        if kind == "block":
            self.join(node.parents[0], node, 0, one)
        return self.described(one, node)

    def described(self, one: Vertex, node: Node) -> Vertex:
        one.shape, one.dtype, one.summary = node.shape, str(node.dtype), summary(self.arrays.get(node))
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
            name = self.made.names.get(node) or state
            time = unit.steps[-1].time if unit.steps and unit.kind != "module" else None
            self.vertices[key] = Vertex("", "value", name, "", "", "", _scope(node), unit.row, time)
            edge = Edge("", "", 0, name, node.shape)
            self.edges[key] = edge, self.vertex(node), self.vertices[key]
        self.described(self.vertices[key], node)  # in a fold, the last value is the one that goes on
        if node in self.measured.totals:
            self.passed[key] = {None: self.measured.totals[node]}
        return self.vertices[key]

    # -- edges

    def add(self, node: Node) -> None:
        """The operation and everything that it is made from."""
        target, unit = self.vertex(node), self.drawn.get(node)
        seen, detached = self.made.args.get(node), self.made.detached.get(node, {})
        for k, parent in enumerate(node.parents):
            if parent is not None:
                self.join(parent, node, k, target)
            elif k in detached:
                self.cut(detached[k], node, k, target)
            elif unit is None:
                self.constant(seen[k] if seen else _operand(node, k), node, k, target)

    def join(self, parent: Node, node: Node, k: int, target: Vertex) -> None:
        """An edge from a value to where it is used; all uses in one unit are one edge."""
        unit, fine = self.drawn.get(node), self.fine.get(node)
        if unit is not None and self.drawn.get(parent) is unit:
            return
        origin = parent.parents[0] if unit is not None and unit.kind != "affine" and is_block(parent) else parent
        behind = self.drawn.get(origin)
        if behind is not None and behind.kind == "fold":  # all that it gives there is one edge
            key: Any = behind, self.states.get(origin), unit or node
        else:
            key = (origin, unit) if unit else (origin, node, k)
        if key not in self.edges:
            edge = Edge("", "", k, self.argument(origin, node, k), origin.shape)
            if unit is None and len(node.parents) <= FEW:
                edge.formula, edge.short = self.formula(node, k)
            self.edges[key] = edge, self.source(origin), target
        else:
            self.source(origin)
        part = self.measured.parts.get((parent, fine or node, 0 if fine else k))
        if part is not None:
            self.passed.setdefault(key, {})[parent, fine] = part

    def argument(self, origin: Node, node: Node, k: int) -> str:
        """What the value is called where it is used."""
        if node not in self.drawn:
            return _argument(node, k)
        return self.states.get(origin) or getattr(origin, "name", None) or self.made.names.get(origin) or ""

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
        edge = Edge("", "", k, _argument(node, k), self.vertices[key].shape)
        self.edges["constant", node, k] = edge, self.vertices[key], target

    def formula(self, node: Node, k: int) -> tuple[str, str]:
        """What the rule of operand k does with the gradient of the node, in the picture's names; long and short."""
        if node.op is None:
            return "", ""
        seen = self.made.args.get(node)
        args = seen or [one if one is not None else _operand(node, j) for j, one in enumerate(node.parents)]
        if any(one is None for one in args):
            return "", ""
        names = {}
        for argument, one in zip(node.op.arguments, node.parents):
            if one is not None and not node.op.variadic:
                names[argument] = self.called(one) or argument
        names["y"], names["dy"] = self.made.names.get(node) or "y", f"d{self.made.names.get(node) or 'y'}"
        expression = local_derivative(node.op, k, [value(one) for one in args], node.attrs)
        return text(expression, names), along(expression, {**names, "y": self.made.names.get(node) or node.op.symbol})

    def called(self, node: Node) -> str:
        """The name of a value, or how it is made from one that has a name: ``tanh(c')``."""
        name = self.made.names.get(node)
        if name or node.op is None or len(node.parents) != 1:
            return name or ""
        inner = self.made.names.get(node.parents[0])
        return f"{node.op.symbol}({inner})" if inner and not is_block(node) and not slices(node) else ""


def _all(passed: dict[Any, Size]) -> tuple[float | None, float | None]:
    """The size of what came back along an edge: known for one use, and for the blocks of a parameter in one unit."""
    sizes, keys = list(passed.values()), list(passed)
    blocks = len(keys) > 1 and all(is_block(parent) for parent, _ in keys)
    if not sizes or (len(sizes) > 1 and not (blocks and all(fine is keys[0][1] for _, fine in keys))):
        return None, None
    norm = sizes[0].norm if len(sizes) == 1 else float(np.sqrt(sum(one.norm**2 for one in sizes)))
    return norm, sum(one.sum for one in sizes)


def _scope(node: Node) -> str:
    return "/".join(getattr(node, "scope", ()))


def _argument(node: Node, k: int) -> str:
    """What the operation calls its operand k."""
    if node.op is None:
        return ""
    return f"{node.op.arguments[0]}[{k}]" if node.op.variadic else node.op.arguments[k]


def _operand(node: Node, k: int) -> Any:
    """Operand k that nobody saw, where a rule kept it."""
    for rule, kept in zip(node.rules, node.kept or ()):
        if rule is not None and kept is not None and k in rule.sources:
            return kept[list(rule.sources).index(k)]
    return None


def _kept(made: Captured, drawn: dict[Node, Unit]) -> dict[Node, Any]:
    """The values that gradient rules have kept, of what is shown."""
    found: dict[Node, Any] = {}
    for node in made.order:
        unit = drawn.get(node)
        if unit is not None and len(unit.steps) > 1:
            continue
        for rule, kept in zip(node.rules, node.kept or ()):
            for origin, one in zip(rule.sources, kept) if rule is not None and kept is not None else ():
                at = node if origin == "y" else node.parents[origin] if isinstance(origin, int) else None
                if at is not None and np.shape(one) == at.shape:
                    found[at] = one
    return found


def summary(x: Any) -> dict[str, float] | None:
    """What is told of an array: its norm, its range, its mean."""
    array = np.asarray(x) if x is not None else None
    if array is None or array.dtype.kind not in "fiub" or not array.size:
        return None
    with np.errstate(all="ignore"):
        exact = array.astype(np.float64)
        return {"norm": size(exact).norm, "min": float(exact.min()), "max": float(exact.max()),
                "mean": float(exact.mean())}  # fmt: skip
