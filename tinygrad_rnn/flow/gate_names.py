"""What the user calls the gates of a recurrence.

A gate of a step is named as that gate of a recorded step of the cell (`match_steps`). Where the two steps differ, gates
have plain names, "sigmoid 1".
"""

from __future__ import annotations

from collections import Counter

from ..tracing.step_names import match_steps
from .step_table import StepTable


def gate_names(table: StepTable) -> list[str]:
    """The names of the gates of a step, in order: a gate's variable, or its operation and operand, ``tanh(c')``."""
    trace, numbers = match_steps(table.recurrence, [table.recurrence.steps[table.model]])
    names: list[str] = []
    counts = Counter[str]()
    for node in table.nodes[table.model]:
        op = node.op.name
        if node.op.traits.limits:
            counts[op] += 1
            gate = trace.values[numbers[node]] if node in numbers else None
            operand = trace.values[gate.equation.args[0]].name if gate and gate.equation else ""
            name = gate.name if gate and gate.name else f"{op}({operand})" if operand else ""
            names.append(name if name and name not in names else f"{op} {counts[op]}")
    return names
