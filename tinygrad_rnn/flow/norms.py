"""All numbers of a flow, measured in one backward pass and a few truncated passes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..engine import versions
from ..engine.graph import Node
from ..tracing.magnitudes import Size
from ..tracing.measure import Measured
from ..tracing.measure import measure as measure_gradients
from .gates import gate_nodes, saturation, slopes
from .jacobian import jacobians, radii, singular_values, state_size
from .result import Flow, Layer
from .step_table import StepTable
from .truncation import truncations

LARGEST = 512  # numbers in the states, up to which a Jacobian is computed


def measure(title: str, order: Sequence[Node], tables: Sequence[StepTable], threshold: float, jacobian: bool) -> Flow:
    """The flow from the newest node of ``order`` back through the steps of ``tables``."""
    versions.check(order, {}, None)
    root, recurrences = order[0], [table.recurrence for table in tables]
    step_of = {node: step for recurrence in recurrences for step in recurrence.steps for node in step.nodes}
    states = [node for table in tables for nodes in [*table.states.values(), table.initial.values()] for node in nodes]
    cotangents = {root: np.ones(root.shape, root.dtype)}
    wanted = [node for node in states if node is not None]
    measured = measure_gradients(order[::-1], cotangents, step_of, recurrences, wanted=wanted)
    flow = Flow(title, [], truncations(order, tables))
    for name, table in zip(_titles(tables), tables):
        layer = _layer(name, table, measured, threshold)
        flow.layers.append(layer)
        if jacobian and state_size(table) <= LARGEST:
            matrices = jacobians(table)
            layer.jacobian, layer.singular = radii(matrices), singular_values(matrices)
        elif jacobian:
            flow.notes.append(f"{name}: no Jacobian: a state has {state_size(table)} numbers, more than {LARGEST}")
    return flow


def _layer(title: str, table: StepTable, measured: Measured, threshold: float) -> Layer:
    """The numbers of one recurrence."""
    steps, totals, gates = table.recurrence.steps, measured.totals, gate_nodes(table)

    def norm_after(name: str, t: int, node: Node | None) -> float:
        if node is None:
            return math.nan if (name, t) in table.untracked else 0.0
        return _norm(totals.get(node) if steps[t].computed(node) else measured.passed.get((node, steps[t].end)))

    states = {name: [norm_after(name, t, node) for t, node in enumerate(nodes)] for name, nodes in table.states.items()}
    nan = {name: [t for t, dh in enumerate(norms) if math.isnan(dh) and (name, t) not in table.untracked]
           for name, norms in states.items()}  # fmt: skip
    return Layer(
        title,
        times=[step.time for step in steps],
        states=states,
        initial={name: _norm(totals.get(node)) for name, node in table.initial.items() if node is not None},
        gates=saturation(gates, threshold),
        weights={name: [_norm(measured.parts.get((root, step, 0))) for step in steps]
                 for root, name in table.weights.items()},
        gradients={name: _norm(totals.get(root)) for root, name in table.weights.items()},
        jacobian=None,
        carried=table.carried,
        nan={name: steps for name, steps in nan.items() if steps},
        slopes=slopes(gates),
    )


def _norm(size: Size | None) -> float:
    """A norm; 0 where no gradient arrives."""
    return size.norm if size else 0.0


def _titles(tables: Sequence[StepTable]) -> list[str]:
    """The name of each cell, with a number where there are several of a name."""
    plain = [table.cell.name + (", reversed" if table.recurrence.reverse else "") for table in tables]
    return [f"{name} {plain[: k + 1].count(name)}" if plain.count(name) > 1 else name for k, name in enumerate(plain)]
