"""All numbers of a flow, measured in one backward pass and a few truncated passes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..engine.graph import Node
from ..tracing.trace import norm
from .backward import Listener, listen
from .gate_names import gate_names
from .jacobian import radii, state_size
from .result import Flow, Layer
from .saturation import saturation
from .step_table import StepTable
from .truncation import truncations

LARGEST = 512  # numbers in the states, up to which a Jacobian is computed


def measure(title: str, order: Sequence[Node], tables: Sequence[StepTable], threshold: float, jacobian: bool) -> Flow:
    """The flow from the newest node of ``order`` back through the steps of ``tables``."""
    parts = {(table, root): [0.0] * len(table.nodes) for table in tables for root in table.weights}

    def note(table: StepTable, root: Node, t: int, dW: np.ndarray) -> None:
        if (table, root) in parts:
            parts[table, root][t] = norm(dW)

    states = [node for table in tables for nodes in [*table.states.values(), table.initial.values()] for node in nodes]
    listener = Listener(tables, states, [root for _, root in parts], note)
    listen(order[0], listener)
    flow = Flow(title, [], truncations(order, tables, listener.arrays))
    for name, table in zip(_titles(tables), tables):
        layer = _layer(name, table, listener, parts, threshold)
        flow.layers.append(layer)
        if jacobian and state_size(table) <= LARGEST:
            layer.jacobian = radii(table)
        elif jacobian:
            flow.notes.append(f"{name}: no Jacobian: a state has {state_size(table)} numbers, more than {LARGEST}")
    return flow


def _layer(title: str, table: StepTable, listener: Listener, parts: dict, threshold: float) -> Layer:
    """The numbers of one recurrence."""

    def norm_after(name: str, t: int, node: Node | None) -> float:
        step = table.recurrence.steps[t]
        if node is None:
            return math.nan if (name, t) in table.untracked else 0.0
        return listener.norms[node] if step.computed(node) else listener.passed[node, step.end]

    states = {name: [norm_after(name, t, node) for t, node in enumerate(nodes)] for name, nodes in table.states.items()}
    nan = {name: [t for t, dh in enumerate(norms) if math.isnan(dh) and (name, t) not in table.untracked]
           for name, norms in states.items()}  # fmt: skip
    arrays = {name: listener.arrays[root] for root, name in table.weights.items()}
    return Layer(
        title,
        times=[step.time for step in table.recurrence.steps],
        states=states,
        initial={name: listener.norms[node] for name, node in table.initial.items() if node is not None},
        gates=saturation(table, gate_names(table), threshold),
        weights={name: parts[table, root] for root, name in table.weights.items()},
        gradients={name: 0.0 if dW is None else norm(dW) for name, dW in arrays.items()},
        jacobian=None,
        carried=table.carried,
        nan={name: steps for name, steps in nan.items() if steps},
    )


def _titles(tables: Sequence[StepTable]) -> list[str]:
    """The name of each cell, with a number where there are several of a name."""
    plain = [table.cell.name + (", reversed" if table.recurrence.reverse else "") for table in tables]
    return [f"{name} {plain[: k + 1].count(name)}" if plain.count(name) > 1 else name for k, name in enumerate(plain)]
