"""What is known of values in a graph: names by a recorded step, and arrays as far as gradient rules saved them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...cells.cell import Cell
from ...engine.graph import Node
from ...tracing.recurrences import Recurrence, TimeStep
from ...tracing.step_names import match_steps
from ...tracing.trace import norm
from .capture import Captured
from .graph import SMALL

if TYPE_CHECKING:
    from .groups import Group


def argument_of(node: Node, k: int) -> str:
    """What the operation calls its operand k."""
    if node.op is None:
        return ""
    return f"{node.op.arguments[0]}[{k}]" if node.op.variadic else node.op.arguments[k]


def operand_of(captured: Captured, node: Node, k: int) -> Any:
    """The value of operand k: as it was recorded, or as a gradient rule saved it, or None."""
    equation = captured.trace.equations.get(captured.numbers.get(node, -1))
    if equation is not None:
        return captured.trace.operand(equation.args[k])
    for _, rule, saved in filter(None, node.edges):
        if k in rule.sources:
            return saved[list(rule.sources).index(k)]
    return None


def operands_of(captured: Captured, node: Node) -> list[Any]:
    """The operands of a node: their values where they were recorded, else nodes, or what a rule saved."""
    watched = node in captured.numbers
    return [parent if parent is not None and not watched else operand_of(captured, node, k)
            for k, parent in enumerate(node.parents)]  # fmt: skip


def operand_name(captured: Captured, node: Node, k: int) -> str:
    """The name of operand k in the recorded computation; empty if nobody watched."""
    equation = captured.trace.equations.get(captured.numbers.get(node, -1))
    return captured.trace.values[equation.args[k]].name if equation is not None else ""


def saved_arrays(captured: Captured, drawn: dict[Node, Group]) -> dict[Node, Any]:
    """The arrays that gradient rules have saved, of the values that are drawn."""
    arrays: dict[Node, Any] = {}
    for node in captured.order:
        group = drawn.get(node)
        if group is not None and len(group.steps) > 1:
            continue
        for _, rule, saved in filter(None, node.edges):
            for source, array in zip(rule.sources, saved):
                value = node if source == "y" else node.parents[source] if isinstance(source, int) else None
                if value is not None and np.shape(array) == value.shape:
                    arrays[value] = array
    return arrays


def summary(x: Any) -> dict[str, float] | None:
    """The norm, the range and the mean of an array; None if it is unknown, empty, or not of numbers."""
    array = np.asarray(x) if x is not None else None
    if array is None or array.dtype.kind not in "fiub" or not array.size:
        return None
    with np.errstate(all="ignore"):
        exact = array.astype(np.float64)
        return {"norm": norm(exact), "min": float(exact.min()), "max": float(exact.max()),
                "mean": float(exact.mean())}  # fmt: skip


def small(x: Any) -> tuple[float, ...]:
    """The numbers of a small array of at most two axes; () if it is unknown or larger."""
    array = np.asarray(x) if x is not None else np.zeros(0)
    shown = array.dtype.kind in "fiub" and array.size <= SMALL and array.ndim <= 2
    return tuple(map(float, array.ravel())) if shown else ()


def name_steps(captured: Captured, recurrence: Recurrence, steps: Sequence[TimeStep]) -> None:
    """Give the values of steps the names that they have in a recorded step of the cell; a loop has them already."""
    if not isinstance(recurrence.cell, Cell):
        return
    trace, numbers = match_steps(recurrence, steps)
    for node, number in numbers.items():
        if trace.values[number].name:
            captured.names.setdefault(node, trace.values[number].name)


def state_names(captured: Captured) -> dict[Node, str]:
    """Which states the values are, by the first step that computed them; a state that is passed on keeps its name."""
    states: dict[Node, str] = {}
    for step in (step for recurrence in captured.recurrences for step in recurrence.steps):
        for name, node in step.after.items():
            if node is not None and step.computed(node):
                states.setdefault(node, name)
    return states
