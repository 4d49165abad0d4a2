"""Everything that is to be known of a graph, measured in one backward pass and a few that are cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..engine.graph import Node
from ..tracing.trace import norm
from .backward import Listener, listen
from .gate_names import Names
from .jacobian import radii, size
from .result import Flow, Layer
from .saturation import saturation
from .state_history import Steps
from .truncation import truncations

LARGEST = 512  # numbers in a state, for its Jacobian


def measure(title: str, order: Sequence[Node], rows: Sequence[Steps], threshold: float, jacobian: bool) -> Flow:
    """The flow from the newest node of ``order`` back through the ``rows``."""
    names = [Names(row) for row in rows]
    parts = {(row, root): [0.0] * len(row.nodes) for row, own in zip(rows, names) for root in own.weights}

    def told(row: Steps, root: Node, t: int, dW: np.ndarray) -> None:
        if (row, root) in parts:
            parts[row, root][t] = norm(dW)

    states = [node for row in rows for found in [*row.states.values(), row.initial.values()] for node in found]
    listener = Listener(rows, states, [root for _, root in parts], told)
    listen(order[0], listener)
    flow = Flow(title, [], truncations(order, rows, listener.arrays))
    for name, row, own in zip(_titles(rows), rows, names):
        layer = _layer(name, row, own, listener, parts, threshold)
        flow.layers.append(layer)
        if jacobian and size(row) <= LARGEST:
            layer.jacobian = radii(row)
        elif jacobian:
            flow.notes.append(f"{name}: no Jacobian: a state has {size(row)} numbers, more than {LARGEST}")
    return flow


def _layer(title: str, row: Steps, names: Names, listener: Listener, parts: dict, threshold: float) -> Layer:
    """The numbers of one row."""

    def by(name: str, t: int, node: Node | None) -> float:
        step = row.row.steps[t]
        if node is None:
            return math.nan if (name, t) in row.loose else 0.0
        return listener.norms[node] if node.seq >= step.start else listener.passed[node, step.end]

    states = {name: [by(name, t, node) for t, node in enumerate(found)] for name, found in row.states.items()}
    nan = {name: [t for t, one in enumerate(norms) if math.isnan(one) and (name, t) not in row.loose]
           for name, norms in states.items()}  # fmt: skip
    arrays = {name: listener.arrays[root] for root, name in names.weights.items()}
    return Layer(
        title,
        times=[step.time for step in row.row.steps],
        states=states,
        initial={name: listener.norms[node] for name, node in row.initial.items() if node is not None},
        gates=saturation(row, names.gates, threshold),
        weights={name: parts[row, root] for root, name in names.weights.items()},
        gradients={name: 0.0 if dW is None else norm(dW) for name, dW in arrays.items()},
        jacobian=None,
        carried=row.carried,
        nan={name: steps for name, steps in nan.items() if steps},
    )


def _titles(rows: Sequence[Steps]) -> list[str]:
    """The cell's name, told apart by numbers where there are several."""
    plain = [row.cell.name + (", reversed" if row.row.reverse else "") for row in rows]
    return [f"{name} {plain[: k + 1].count(name)}" if plain.count(name) > 1 else name for k, name in enumerate(plain)]
