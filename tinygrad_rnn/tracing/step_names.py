"""The user's names for the values of time steps in a graph, which nobody watched when they ran.

A graph has operations but no local variables. So one step of the cell is recorded on random input (`record_sample`),
and its operations are matched in order with those of a step in the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..engine.graph import Node
from .recurrences import Recurrence, TimeStep
from .sample import record_sample
from .slices import is_time_slice
from .trace import Trace


def match_steps(recurrence: Recurrence, steps: Sequence[TimeStep]) -> tuple[Trace, dict[Node, int]]:
    """A recorded step of the cell, and the number of its value for each node of ``steps`` that it matches.

    A step that ran other operations than the recorded one matches nothing.
    """
    sizes = {letter: size for letter, size in recurrence.sizes().items() if letter != "N"}
    trace = record_sample(recurrence.cell, sizes)
    numbers: dict[Node, int] = {}
    if trace is None:
        return Trace(), numbers
    matches: dict[Any, tuple[int, list[int]]] = {}  # steps that ran the same operations share a match
    for step in steps:
        ops = tuple(node.op.name if node.op else "" for node in step.nodes)
        tracked = (*recurrence.params, *(name for name, node in step.before.items() if node is not None))
        used = tuple(k for k, node in enumerate(step.after.values()) if node is not None)
        key = ops, tracked, used
        if key not in matches:
            with_input = _match(trace, ops, (*tracked, recurrence.cell.input), used)
            matches[key] = with_input or _match(trace, ops, tracked, used) or (0, [])
        start, matched = matches[key]
        numbers.update(zip(step.nodes[start:], matched))
        if start and is_time_slice(step.nodes[0]):
            numbers[step.nodes[0]] = trace.named()[recurrence.cell.input]
    return trace, numbers


def _match(
    trace: Trace, ops: Sequence[str], tracked: Sequence[str], used: Sequence[int]
) -> tuple[int, list[int]] | None:
    """Where the recorded operations begin in a step that ran ``ops``, and their numbers; None without a match.

    A graph has only what is computed from the ``tracked`` arguments, those that need a gradient, and is on the path to
    the new states ``used``, by number.
    """
    computed = {value.number: None for value in trace.values if value.kind not in ("operation", "block")
                and value.name in tracked}  # fmt: skip
    for number, equation in trace.equations.items():
        if any(source in computed for source in equation.args):
            computed[number] = None
    outputs = list(trace.outputs.values())
    on_path = dict.fromkeys(outputs[k] for k in used if k < len(outputs))
    for number, equation in reversed(trace.equations.items()):
        if number in on_path:
            on_path.update(dict.fromkeys(equation.args))
    values = [value for value in trace.values
              if value.kind == "operation" and value.number in computed and value.number in on_path]  # fmt: skip
    recorded, starts = [value.op for value in values], range(len(ops) - len(values) + 1)
    start = next((k for k in starts if list(ops[k : k + len(recorded)]) == recorded), None)
    return None if start is None or not values else (start, [value.number for value in values])
