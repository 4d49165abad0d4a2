"""A computation as plain data: what ran, from what, what it is called, and how large its gradients are.

`capture` runs it or takes it as it is, `measure` goes back through it, `units` says what is shown as one thing, `build`
makes the vertices and edges of the `Graph` that pictures, texts and pages are made from.
"""

from __future__ import annotations

from ...errors import InvalidValue

from ...engine.graph import USED, Node
from ...tracing.recurrences import Row, Step
from .build import Builder
from .capture import Captured, of_cell, of_function, of_tensor, resting
from .graph import Edge, Fold, Graph, RowOfSteps, Vertex, extremes
from .measure import Measured, measure
from .groups import LEVELS, MANY, Unit, after, choose, units

__all__ = ["Captured", "Edge", "FOLDS", "Fold", "Graph", "LEVELS", "RowOfSteps", "Vertex", "extremes", "of_cell",
           "of_function", "of_tensor", "resting", "view"]  # fmt: skip

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
    many = any(len(row.steps) > 1 for row in made.rows)
    level = level or ("cell" if many else "op")
    for name, one, known in (("level", level, LEVELS), ("fold", fold, FOLDS)):
        if one not in known:
            raise InvalidValue(f"draw: {name} is {one!r}, should be one of {', '.join(known)}")
    steps = units(made, "module" if level == "module" else "cell", {}, False)
    by_step = measure(made, steps) if many else None
    folds = _folded(made, by_step, fold, unfold, level) if by_step is not None else {}
    drawn, fine, measured = units(made, level, folds, affine), steps, by_step
    if level == "op" or measured is None:
        fine = {node: steps[node] if one.kind == "fold" else one for node, one in drawn.items()}
        measured = measure(made, fine)
    graph = Builder(made, drawn, fine, measured).graph(level)
    graph.rows = [_row(row, by_step or measured, steps) for row in made.rows]
    for folded in graph.folds:
        _tell(folded, graph.rows[folded.row])
    graph.full = fold == "full" and bool(graph.folds)
    graph.note = USED_UP if any(node.edges is USED for node in made.order) else ""
    return graph


def _folded(
    made: Captured, by_step: Measured, fold: str, unfold: tuple[int, int] | None, level: str
) -> dict[int, list[tuple[int, int]]]:
    """The steps to fold, by row; all of them fold into one body, of which operations are shown for the first step."""
    if fold == "none" or level == "module":
        return {}
    if fold == "full":
        first = 1 if level == "op" else 0
        return {r: [(first, len(row.steps) - 1)] for r, row in enumerate(made.rows) if len(row.steps) > 1}
    return choose(made, by_step, unfold)


def _row(row: Row, by_step: Measured, steps: dict[Node, Unit]) -> RowOfSteps:
    """The gradients of a row, by time."""
    order = sorted(range(len(row.steps)), key=lambda k: row.steps[k].time)
    found = RowOfSteps(row.cell.name, row.reverse, len(row.steps), list(row.cell.states))
    for name in row.cell.states:
        norms = [after(by_step, step, name) for step in row.steps]
        found.gradients[f"d{name}"] = [norms[k] for k in order]
        found.carried[f"d{name}"] = [_part(by_step, row.steps[k].before[name], row.steps[k], steps) for k in order]
    found.cuts = [step.time for step in row.steps if step.cut]
    names: dict[Node, str] = {}
    for name, node in row.params.items():
        names[node] = f"{names[node]}, {name}" if node in names else name  # one Tensor may be several parameters
    for node, name in names.items():
        parts = [_part(by_step, node, row.steps[k], steps) for k in order]
        if any(part is not None for part in parts) or by_step.used_up:
            found.weights[f"d{name}"] = parts
            found.totals[f"d{name}"] = by_step.totals[node].norm if node in by_step.totals else None
    return found


def _part(by_step: Measured, node: Node | None, step: Step, steps: dict[Node, Unit]) -> float | None:
    """The norm of the gradient that a step gives back to a value."""
    unit = steps.get(step.nodes[0]) if step.nodes else None
    part = by_step.parts.get((node, unit, 0)) if node is not None else None
    return part.norm if part else None


def _tell(fold: Fold, row: RowOfSteps) -> None:
    """Between what norms the gradients behind a fold are."""
    for name, norms in row.gradients.items():
        known = [norm for norm in norms[fold.first : fold.last + 1] if norm is not None]
        if known:
            fold.least[name], fold.greatest[name] = extremes(known)
