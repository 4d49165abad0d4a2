"""The gates of a recurrence: their names, how far they are saturated, and their slopes.

A gate is an operation with limits. Close to a limit its slope is close to 0, and passes no gradient.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine.graph import Node
from ..tracing.step_names import match_steps
from .step_table import StepTable


def gate_names(table: StepTable) -> list[str]:
    """The names of the gates of a step, in order: a gate's variable, or its operation and operand, ``tanh(c')``.

    They are those of a recorded step of the cell (`match_steps`). Where the two steps differ, gates have plain names,
    "sigmoid 1".
    """
    trace, numbers = match_steps(table.recurrence, [table.recurrence.steps[table.model]])
    names: list[str] = []
    counts = Counter[str]()
    for node in table.nodes[table.model]:
        op = node.op.name
        if node.op.saturates:
            counts[op] += 1
            gate = trace.values[numbers[node]] if node in numbers else None
            operand = trace.values[gate.equation.args[0]].name if gate and gate.equation else ""
            name = gate.name if gate and gate.name else f"{op}({operand})" if operand else ""
            names.append(name if name and name not in names else f"{op} {counts[op]}")
    return names


def gate_nodes(table: StepTable) -> dict[str, list[Node | None]]:
    """The node of every gate at every step, by name; None where a step does not have the gate."""
    places = [after for after, node in table.at[table.model].items() if node.op.saturates]
    return {name: [table.same(t, after) for t in range(len(table.nodes))]
            for name, after in zip(gate_names(table), places, strict=True)}  # fmt: skip


def saturation(gates: Mapping[str, Sequence[Node | None]], threshold: float) -> dict[str, list[float]]:
    """The share of saturated elements of every gate at every step; NaN where a step does not have the gate."""
    return {name: [math.nan if node is None else _share(node, threshold) for node in nodes]
            for name, nodes in gates.items()}  # fmt: skip


def slopes(gates: Mapping[str, Sequence[Node | None]]) -> dict[str, list[float]]:
    """The mean slope dy/dx of the elements of every gate at every step; NaN where a step does not have the gate.

    It is the factor by which the gate shrinks a gradient on average: 1 - y² of tanh, y (1 - y) of σ, at most 1 and 1/4.
    """
    return {name: [math.nan if node is None else _slope(node) for node in nodes] for name, nodes in gates.items()}


def _slope(node: Node) -> float:
    _, rule, saved = next(edge for edge in node.edges if edge is not None)
    slope = rule.fn(np.ones(node.shape, node.dtype), *saved)
    return float(np.mean(slope)) if np.size(slope) else math.nan


def _share(node: Node, threshold: float) -> float:
    """The share near a limit: of σ above ``threshold`` or below 1 - threshold; of tanh beyond ±threshold.

    ``threshold`` is for limits 0 or ±1; for others it scales with the larger of them.
    """
    low, high = node.op.traits.limits
    size = max(abs(low), abs(high))
    _, rule, saved = next(edge for edge in node.edges if edge is not None and "y" in edge[1].sources)
    y: Any = saved[rule.sources.index("y")]
    if np.isnan(y).any() or not np.size(y):
        return math.nan
    above = y > (threshold * size if high == size else high - (1 - threshold) * size)
    below = y < (-threshold * size if low == -size else low + (1 - threshold) * size)
    return float(np.mean(above | below))
