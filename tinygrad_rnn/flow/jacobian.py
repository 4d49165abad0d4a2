"""The Jacobian of a step: how the new states change with the old ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node, fitted, leading_to
from ..tracing.recurrences import Step
from .state_history import Steps


def size(steps: Steps) -> int:
    """How many numbers the states of a batch row are in all."""
    nodes = [next((node for node in found if node is not None), None) for found in steps.states.values()]
    return sum(math.prod(_row_shape(steps, name, node)) for name, node in zip(steps.states, nodes) if node is not None)


def radii(steps: Steps) -> list[float]:
    """The spectral radius of each step's Jacobian, for batch row 0; NaN where a state before it is not in the graph."""
    found = []
    for t in range(len(steps.nodes)):
        J = jacobian(steps, t)
        if J is None or not np.isfinite(J).all():
            found.append(math.nan)
        else:
            found.append(float(np.max(np.abs(np.linalg.eigvals(J.astype(np.float64))), initial=0.0)))
    return found


def jacobian(steps: Steps, t: int) -> np.ndarray | None:
    """∂(states after step t)/∂(states before it) of batch row 0, all states side by side: (S, S).

    A state that is not read needs no place; None where a state is not in the graph, or two are one value before it.
    Row j is what comes back of the j-th basis vector, through the nodes of this step alone.
    """
    step = steps.row.steps[t]
    names = [name for name in steps.states if name in steps.carried or step.after[name] is not None]
    names = _told_apart(names, step)
    new = [node for name in names if (node := step.after[name]) is not None]
    old = [step.before[name] for name in names]
    unknown = [name for name, node in zip(names, old) if node is None and name in steps.carried]
    if len(new) < max(len(names), 1) or unknown or not steps.carried:
        return None
    tape = _tape(steps.nodes[t], [node for node in old if node is not None])
    rows = []
    with np.errstate(all="ignore"):
        for name, node in zip(names, new):
            for index in np.ndindex(*_row_shape(steps, name, node)):
                dy = np.zeros(node.shape, node.dtype)
                _of_row(steps, name, dy)[index] = 1
                rows.append(_pull(steps, tape, {node: dy}, names, old, new))
    return np.array(rows)


def _told_apart(names: list[str], step: Step) -> list[str]:
    """One name for states that are one value before and after the step; none if they are so before it only."""
    found: dict[Node | str, str] = {}
    for name in names:
        first = found.setdefault(step.before[name] or name, name)
        if step.after[first] is not step.after[name]:
            return []
    return list(found.values())


Tape = list[tuple[Node, list[tuple[Node, Any, Any]]]]


def _tape(nodes: Sequence[Node], old: Sequence[Node]) -> Tape:
    """The edges of a step that lead back to the old states, newest first."""
    inside = dict.fromkeys([*old, *nodes])
    along = leading_to([*reversed(nodes), *old], old)
    edges = ((node, [edge for edge in node.edges if edge and edge[0] in along and edge[0] in inside])
             for node in reversed(nodes) if node in along)  # fmt: skip
    return [(node, own) for node, own in edges if own]


def _pull(
    steps: Steps, tape: Tape, total: dict[Node, Any], names: Sequence[str], old: Sequence[Any], new: Sequence[Any]
) -> np.ndarray:
    """Back through a step: the gradient by the old states of batch row 0, in one vector; zeros where none arrives."""
    for node, edges in tape:
        dy = total.pop(node, None)
        if dy is None:
            continue
        for parent, rule, kept in edges:
            g = fitted(rule.fn(dy, *kept), parent)
            total[parent] = total[parent] + g if parent in total else g
    parts = []
    for name, node, like in zip(names, old, new):
        g = total.get(node)
        parts.append(np.ravel(_of_row(steps, name, np.zeros(like.shape, like.dtype) if g is None else g)))
    return np.concatenate(parts)


def _of_row(steps: Steps, name: str, array: Any) -> Any:
    """Batch row 0 of a state, or all of a state that has no batch."""
    return array[0] if steps.cell.words[name][0] == "N" else array


def _row_shape(steps: Steps, name: str, node: Node) -> tuple[int, ...]:
    return node.shape[1:] if steps.cell.words[name][0] == "N" else node.shape
