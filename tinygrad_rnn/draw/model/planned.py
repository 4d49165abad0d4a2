"""The plan of a cell as plain data: what runs before the loop over time, in it and after it, forward and backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import PlanError
from ...sequence.plan.explain import Explained, product_text
from ...sequence.plan.schedule import computes
from .graph import Edge, Graph, Vertex

TITLES = {"once": "once", "before": "before the loop", "loop": "in the loop", "after": "after the loop",
          "end": "summed over the steps"}  # fmt: skip
KINDS = {"input": "input", "state": "state", "parameter": "parameter", "saved": "input", "saved once": "input",
         "incoming": "input", "carried": "state"}  # fmt: skip
FEW = 2  # names that are written out


def of_plan(explained: Explained) -> Graph:
    """A box for each part of a plan, with its products; raises PlanError for a cell without a plan."""
    if explained.plan is None:
        raise PlanError(f"draw: {explained.cell.name} cannot be planned: {explained.reason}")
    graph = Graph(f"plan of {explained.cell.name}", "module")
    built = explained.plan.built
    for scope, direction in (("forward", built.forward), ("backward", built.backward)):
        if direction is not None:
            _Direction(graph, scope, direction).add()
    return graph


class _Direction:
    """Adds the parts of one direction to a graph."""

    def __init__(self, graph: Graph, scope: str, direction: Any):
        self.graph, self.scope, self.direction, self.sections = graph, scope, direction, direction.plan.sections
        self.program, self.names = direction.plan.program, direction.writer.names.of
        self.boxes: dict[str, Vertex] = {}
        self.part_of = {out: name for name, statements in self.sections.items()
                        for statement in statements for out in statement.outs}  # fmt: skip

    def add(self) -> None:
        """Add the boxes, what passes between them, and what enters them."""
        for name, statements in self.sections.items():
            if any(map(computes, statements)):
                self.boxes[name] = self.box(name, statements)
        for name in self.boxes:
            read = dict.fromkeys(arg for statement in self.sections[name] for arg in statement.args)
            entering: dict[tuple[str, str], list[str]] = {}
            for number in self.origins(read):
                value, part = self.program.values[number], self.part_of.get(number, "")
                if part in self.boxes and part != name:
                    entering.setdefault((part, "value"), []).append(self.names.get(number, value.name))
                elif not part and value.kind in KINDS:
                    entering.setdefault(("", value.kind), []).append(value.name or self.names.get(number, ""))
            for (part, kind), names in entering.items():
                self.join(name, part, kind, names)

    def origins(self, numbers: dict[int, None]) -> list[int]:
        """The values, and in the place of views, and of parts that have no box, what these read."""
        statement_of = {statement.out: statement for part in self.sections.values() for statement in part}
        origins = list(numbers)
        for number in origins:  # which grows
            view = statement_of.get(number)
            if view is not None and self.part_of[number] not in self.boxes:
                origins += [arg for arg in view.args if arg not in origins]
        return origins

    def box(self, name: str, statements: Sequence[Any]) -> Vertex:
        """The box of a part, with its products."""
        products = [product_text(self.direction, statement) for statement in statements if statement.op == "matmul"]
        count = sum(map(computes, statements))
        text = ", ".join(products[:FEW]) + " …" * (len(products) > FEW)
        return self.vertex("module", f"{self.scope}: {TITLES[name]}", text, count)

    def vertex(self, kind: str, text: str, detail: str = "", count: int = 0) -> Vertex:
        """A new vertex of the graph."""
        names = ("", text) if kind == "module" else (text, "")
        vertex = Vertex(f"n{len(self.graph.nodes)}", kind, *names, detail=detail, operations=count)
        self.graph.nodes.append(vertex)
        return vertex

    def join(self, name: str, part: str, kind: str, names: list[str]) -> None:
        """Add what a box gets from another part, or from outside."""
        known = list(dict.fromkeys(filter(None, names)))
        text = ", ".join(known[:FEW]) + f" and {len(known) - FEW} more" * (len(known) > FEW)
        prefix = "saved: " if kind.startswith("saved") else ""
        value = self.vertex("value" if part else KINDS[kind], prefix + text)
        if part:
            self.graph.edges.append(Edge(self.boxes[part].id, value.id))
        self.graph.edges.append(Edge(value.id, self.boxes[name].id))
