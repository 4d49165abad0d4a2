"""A computation as plain data: which operations ran, on which values, their names, and the norms of their gradients.

`capture` takes a graph, `functions` and `steps` run what is drawn, `measure` runs a backward pass, `groups` says what
is drawn as one box, and `build` makes the vertices and edges of the `Graph`, from which pictures and texts are made.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InvalidValue

from ...engine.graph import USED, Node
from ...tracing.measure import Measured, measure
from ...tracing.recurrences import Recurrence, TimeStep
from .build import Builder
from .capture import Captured, of_tensor, resting, variables_of
from .functions import of_function, of_layer
from .graph import Edge, Fold, Graph, RowOfSteps, Vertex, extremes
from .groups import LEVELS, Group, choose_folds, groups, norm_after, two_ways
from .inside import OPENS, insides
from .instance import is_layer
from .planned import of_plan
from .steps import of_cell

__all__ = ["Captured", "Edge", "FOLDS", "Fold", "Graph", "LEVELS", "RowOfSteps", "Vertex", "extremes", "is_layer",
           "of_cell", "of_function", "of_layer", "of_plan", "of_tensor", "opened", "resting", "variables_of",
           "view"]  # fmt: skip

MANY = 1500  # operations of a graph whose boxes can be opened
FOLDS = ("auto", "none", "full")
USED_UP = "backward() has let go of the arrays, so only leaves have gradients: draw before it, or use retain_graph=True"


def view(
    captured: Captured, level: str | None = None, *, fold: str = "auto", unfold: tuple[int, int] | None = None,
    affine: bool = False,
) -> Graph:  # fmt: skip
    """The plain data of a picture (`Graph`).

    ``level``: "op", "cell" (a step is one box) or "module" (all steps, or a scope, are one box); by default "cell" if
    there is more than one step, else "op". ``fold``: "auto" folds the middle where there are more than 8 steps, "none"
    nothing, "full" all but one; ``unfold=(a, b)`` keeps the steps from a up to b. ``affine=True`` draws
    x @ Wx + h @ Wh + b as one box. Without a ``level``, each call of a function of the user's is one box too.
    """
    return _built(captured, level, fold, unfold, affine)[0]


def opened(
    captured: Captured, level: str | None = None, *, fold: str = "auto", unfold: tuple[int, int] | None = None,
    affine: bool = False,
) -> tuple[Graph, dict[str, Graph]]:  # fmt: skip
    """The graph of `view`, and the graphs inside of its boxes of steps and of functions, by the id of the box."""
    graph, boxes = _built(captured, level, fold, unfold, affine)
    opens = any(vertex.kind in OPENS for vertex in graph)
    if graph.note == USED_UP or captured.loop or not opens or len(captured.order) > MANY:
        return graph, {}
    return graph, insides(captured, boxes, Builder(captured, {}, {}, _measured(captured, {})))


def _built(
    captured: Captured, level: str | None, fold: str, unfold: tuple[int, int] | None, affine: bool
) -> tuple[Graph, Builder]:
    """The graph of `view`, and what has made its vertices."""
    many = any(len(recurrence.steps) > 1 for recurrence in captured.recurrences)
    helpers = level is None and not affine
    level = level or ("cell" if many else "op")
    _check(level, fold)
    steps = groups(captured, "module" if level == "module" else "cell", {}, False)
    by_step = _measured(captured, steps) if many else None
    rows = _rows(captured, by_step, steps) if by_step else []
    folds = captured.loop.places() if captured.loop else _folds(captured.recurrences, rows, fold, unfold, level)
    drawn, fine, measured = groups(captured, level, folds, affine, helpers), steps, by_step
    if level == "op" or measured is None:
        fine = {node: steps[node] if group.kind == "fold" else group for node, group in drawn.items()}
        measured = _measured(captured, fine)
    builder = Builder(captured, drawn, fine, measured)
    graph = builder.graph(level)
    graph.rows = rows or _rows(captured, measured, steps)
    if captured.states and not graph.rows:
        graph.rows = [RowOfSteps(captured.title, False, 1, list(captured.states),
                                 results=list(captured.states.values()))]  # fmt: skip
    if captured.loop:
        captured.loop.number(graph)
    for folded in graph.folds:
        _set_range(folded, graph.rows[folded.row])
    graph.full = fold == "full" and bool(graph.folds)
    graph.note = USED_UP if any(node.edges is USED for node in captured.order) else captured.note
    return graph, builder


def _check(level: str, fold: str) -> None:
    """Raise InvalidValue for an unknown level or fold."""
    for name, choice, known in (("level", level, LEVELS), ("fold", fold, FOLDS)):
        if choice not in known:
            raise InvalidValue(f"draw: {name} is {choice!r}, should be one of {', '.join(known)}")


def _measured(captured: Captured, group_of: dict[Node, Group]) -> Measured:
    """The gradients that pass between groups."""
    if captured.loop:
        return captured.loop.measured(captured, group_of)
    return measure(captured.order, captured.cotangents, group_of, captured.recurrences, captured.detached)


def _folds(
    recurrences: Sequence[Recurrence], rows: Sequence[RowOfSteps], fold: str, unfold: tuple[int, int] | None, level: str
) -> dict[int, list[tuple[int, int]]]:
    """The steps to fold, by row; "full" folds all steps into one body, and shows the operations of the first."""
    if fold == "none" or level == "module":
        return {}
    if fold == "full":
        first = 1 if level == "op" else 0
        return {r: [(first, row.steps - 1)] for r, row in enumerate(rows) if row.steps > 1}
    return choose_folds(rows, unfold, two_ways(recurrences))


def _rows(captured: Captured, by_step: Measured, steps: dict[Node, Group]) -> list[RowOfSteps]:
    """The gradients of all recurrences, by time."""
    if captured.loop:
        return [captured.loop.row]
    return [_row(recurrence, by_step, steps) for recurrence in captured.recurrences]


def _row(recurrence: Recurrence, by_step: Measured, steps: dict[Node, Group]) -> RowOfSteps:
    """The gradients of a recurrence, by time."""
    cell = recurrence.cell
    in_time = sorted(recurrence.steps, key=lambda step: step.time)
    row = RowOfSteps(cell.name, recurrence.reverse, len(in_time), list(cell.states), input=cell.input)
    for name in cell.states:
        row.gradients[f"d{name}"] = [norm_after(by_step, step, name) for step in in_time]
        row.carried[f"d{name}"] = [_part(by_step, step.before[name], step, steps) for step in in_time]
    row.cuts = [step.time for step in recurrence.steps if step.cut]
    for node, name in recurrence.param_names().items():
        parts = [_part(by_step, node, step, steps) for step in in_time]
        if any(part is not None for part in parts) or by_step.used_up:
            row.weights[f"d{name}"] = parts
            row.totals[f"d{name}"] = by_step.totals[node].norm if node in by_step.totals else None
    return row


def _part(by_step: Measured, node: Node | None, step: TimeStep, steps: dict[Node, Group]) -> float | None:
    """The norm of the gradient that a step gives back to a value."""
    group = steps.get(step.nodes[0]) if step.nodes else None
    part = by_step.parts.get((node, group, 0)) if node is not None else None
    return part.norm if part else None


def _set_range(fold: Fold, row: RowOfSteps) -> None:
    """Set the least and the greatest norm of the gradients behind a fold."""
    for name, norms in row.gradients.items():
        known = [norm for norm in norms[fold.first : fold.last + 1] if norm is not None]
        if known:
            fold.least[name], fold.greatest[name] = extremes(known)
