"""A computation as plain data: what ran, from what, what it is called, and how large its gradients are.

`capture` runs it or takes it as it is, `measure` goes back through it, `units` says what is shown as one thing, `build`
makes the vertices and edges of the `Graph` that pictures, texts and pages are made from.
"""

from __future__ import annotations

import math

from ..graph import USED, Node
from ..rows import Row, is_block
from .build import Builder
from .capture import Captured, of_cell, of_function, of_tensor, resting
from .graph import Edge, Fold, Graph, RowOfSteps, Vertex
from .measure import Measured, measure, size
from .units import LEVELS, MANY, Unit, choose, units

__all__ = ["Captured", "Edge", "Fold", "Graph", "LEVELS", "RowOfSteps", "Vertex", "of_cell", "of_function",
           "of_tensor", "resting", "view"]  # fmt: skip

FOLDS = ("auto", "none", "full")
USED_UP = "backward() has let go of the arrays, so only leaves have gradients: draw before it, or use retain_graph=True"


def view(
    made: Captured, level: str | None = None, *, fold: str = "auto", unfold: tuple[int, int] | None = None,
    affine: bool = False,
) -> Graph:  # fmt: skip
    """The plain data of a picture.

    ``level``: "op", "cell" (a step is one box) or "module" (all steps, or a scope, are one box); by default "cell" if
    there is more than one step, else "op". ``fold``: "auto" folds the middle where there are more than 8 steps, "none"
    nothing, "full" all but one; ``unfold=(a, b)`` keeps the steps from a up to b. ``affine=True`` draws
    x @ Wx + h @ Wh + b as one box.
    """
    longest = max((len(row.steps) for row in made.rows), default=0)
    level = level or ("cell" if longest > 1 else "op")
    if level not in LEVELS:
        raise ValueError(f"draw: level is {level!r}, should be one of {', '.join(LEVELS)}")
    if fold not in FOLDS:
        raise ValueError(f"draw: fold is {fold!r}, should be one of {', '.join(FOLDS)}")
    steps = units(made, "module" if level == "module" else "cell", {}, False)
    by_step = measure(made, steps) if longest > 1 else None
    folds = {} if by_step is None or fold == "none" or level == "module" else _folded(made, by_step, fold, unfold)
    drawn, fine, measured = units(made, level, folds, affine), steps, by_step
    if level == "op" or measured is None:
        fine = {node: steps[node] if one.kind == "fold" else one for node, one in drawn.items()}
        measured = measure(made, fine)
    builder = Builder(made, drawn, fine, measured)
    graph = Graph(made.title, level, list(builder.vertices.values()), [edge for edge, *_ in builder.edges.values()])
    graph.outputs = {name: one.id for name, one in builder.outputs.items()}
    for name, node in made.outputs.items():
        graph.cotangents[name] = size(made.cotangents[node]).norm
    graph.rows = [_row(row, by_step or measured, steps) for row in made.rows]
    _tell_folds(graph, builder)
    graph.note = USED_UP if any(node.kept is USED for node in made.order) else ""
    return graph


def _folded(
    made: Captured, by_step: Measured, fold: str, unfold: tuple[int, int] | None
) -> dict[int, list[tuple[int, int]]]:
    if fold == "full":
        return {r: [(1, len(row.steps) - 1)] for r, row in enumerate(made.rows) if len(row.steps) > 1}
    return choose(made, by_step, unfold)


def _row(row: Row, by_step: Measured, steps: dict[Node, Unit]) -> RowOfSteps:
    """The gradients of a row, by time."""
    order = sorted(range(len(row.steps)), key=lambda k: row.steps[k].time)
    found = RowOfSteps(row.cell.name, row.reverse, len(row.steps), list(row.cell.states))
    for name in row.cell.states:
        norms = [by_step.totals[node].norm if node in by_step.totals else None for node in row.state(name)]
        found.gradients[f"d{name}"] = [norms[k] for k in order]
    found.cuts = [step.time for step in row.steps if step.cut]
    parts: dict[tuple[str, int], float] = {}
    index = {id(steps[step.nodes[0]]): step.time for step in row.steps if step.nodes and step.nodes[0] in steps}
    for (parent, unit, _), one in by_step.parts.items():
        leaf = parent.parents[0] if parent.parents and is_block(parent) else parent
        if leaf in row.leaves and id(unit) in index and len(index) == len(row.steps):
            key = getattr(leaf, "name", None) or "parameter", index[id(unit)]
            parts[key] = math.hypot(parts.get(key, 0.0), one.norm)
    for name in dict.fromkeys(name for name, _ in parts):
        found.weights[f"d{name}"] = [parts.get((name, k)) for k in range(len(row.steps))]
    return found


def _tell_folds(graph: Graph, builder: Builder) -> None:
    """What is behind each fold: its steps, and between what norms its gradients are."""
    for unit, one in builder.vertices.items():
        if isinstance(unit, Unit) and unit.kind == "fold" and unit.row is not None:
            times = sorted(step.time for step in unit.steps)
            fold = Fold(one.id, unit.row, times[0], times[-1], len(times))
            for name, norms in graph.rows[unit.row].gradients.items():
                known = [norm for norm in norms[times[0] : times[-1] + 1] if norm is not None]
                if known:
                    fold.least[name], fold.greatest[name] = min(known), max(known)
            graph.folds.append(fold)
            one.detail = f"steps {times[0]} to {times[-1]}"
