"""The Jacobian of a step: how the new states change with the old states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node, fitted, on_path_to
from ..tracing.recurrences import TimeStep
from .step_table import StepTable


def state_size(table: StepTable) -> int:
    """How many numbers all states of a batch row have together."""
    nodes = [next((node for node in states if node is not None), None) for states in table.states.values()]
    return sum(math.prod(_row_shape(table, name, node)) for name, node in zip(table.states, nodes) if node is not None)


def jacobians(table: StepTable) -> list[np.ndarray | None]:
    """Each step's Jacobian in float64; None where a state is not in the graph, or a number is not finite."""
    every = [jacobian(table, t) for t in range(len(table.nodes))]
    return [None if J is None or not np.isfinite(J).all() else J.astype(np.float64) for J in every]


def radii(matrices: Sequence[np.ndarray | None]) -> list[float]:
    """The spectral radius of each matrix, its largest absolute eigenvalue; NaN for None."""
    return [math.nan if J is None else float(np.max(np.abs(np.linalg.eigvals(J)), initial=0.0)) for J in matrices]


def singular_values(matrices: Sequence[np.ndarray | None]) -> list[list[float]]:
    """The singular values of each matrix, the largest first; empty for None."""
    return [[] if J is None else np.linalg.svd(J, compute_uv=False).tolist() for J in matrices]


def jacobian(table: StepTable, t: int) -> np.ndarray | None:
    """∂(states after step t)/∂(states before it) of batch row 0, all states side by side: (S, S).

    A state that is not read is left out; None where a state is not in the graph, or two are one value before the step.
    Row j is the gradient of element j of the new states, through the nodes of this step alone.
    """
    step = table.recurrence.steps[t]
    names = [name for name in table.states if name in table.carried or step.after[name] is not None]
    names = _distinct(names, step)
    new = [node for name in names if (node := step.after[name]) is not None]
    old = [step.before[name] for name in names]
    unknown = [name for name, node in zip(names, old) if node is None and name in table.carried]
    if len(new) < max(len(names), 1) or unknown or not table.carried:
        return None
    edges = _edges_to(table.nodes[t], [node for node in old if node is not None])
    rows = []
    with np.errstate(all="ignore"):
        for name, node in zip(names, new):
            for index in np.ndindex(*_row_shape(table, name, node)):
                dy = np.zeros(node.shape, node.dtype)
                _first_row(table, name, dy)[index] = 1
                rows.append(_row(table, _pull(edges, {node: dy}), names, old, new))
    return np.array(rows)


def _distinct(names: list[str], step: TimeStep) -> list[str]:
    """One name for states that are one value before and after the step; none if they are so before it only."""
    distinct: dict[Node | str, str] = {}
    for name in names:
        first = distinct.setdefault(step.before[name] or name, name)
        if step.after[first] is not step.after[name]:
            return []
    return list(distinct.values())


Edges = list[tuple[Node, list[tuple[Node, Any, Any]]]]


def _edges_to(nodes: Sequence[Node], old: Sequence[Node]) -> Edges:
    """The edges of a step that lead back to the old states, newest first."""
    inside = dict.fromkeys([*old, *nodes])
    on_path = on_path_to([*reversed(nodes), *old], old)
    edges = ((node, [edge for edge in node.edges if edge and edge[0] in on_path and edge[0] in inside])
             for node in reversed(nodes) if node in on_path)  # fmt: skip
    return [(node, inner) for node, inner in edges if inner]


def _pull(edges: Edges, totals: dict[Node, Any]) -> dict[Node, Any]:
    """The gradients by the old states, back through a step."""
    for node, inner in edges:
        dy = totals.pop(node, None)
        if dy is None:
            continue
        for parent, rule, saved in inner:
            g = fitted(rule.fn(dy, *saved), parent)
            totals[parent] = totals[parent] + g if parent in totals else g
    return totals


def _row(
    table: StepTable, totals: dict[Node, Any], names: Sequence[str], old: Sequence[Any], new: Sequence[Any]
) -> np.ndarray:
    """A row of the Jacobian: the gradients of batch row 0 in one vector; zeros where no gradient arrives."""
    parts = []
    for name, node, state in zip(names, old, new):
        g = totals.get(node)
        parts.append(np.ravel(_first_row(table, name, np.zeros(state.shape, state.dtype) if g is None else g)))
    return np.concatenate(parts)


def _first_row(table: StepTable, name: str, array: Any) -> Any:
    """Batch row 0 of a state, or all of a state that has no batch."""
    return array[0] if table.cell.words[name][0] == "N" else array


def _row_shape(table: StepTable, name: str, node: Node) -> tuple[int, ...]:
    return node.shape[1:] if table.cell.words[name][0] == "N" else node.shape
