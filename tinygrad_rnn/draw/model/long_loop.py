"""A long loop for a folded picture: only the steps that are shown are recorded, and the ends of each fold.

The gradients of all steps are known as arrays (`loop_gradients`), so nothing is lost: the curves and the range behind a
fold are those of every step. The two recorded ends of a fold stand for its steps, with the least and the greatest norm
of what these give back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.step_run import StepRun, positions
from ...engine.graph import Node, clock
from ...engine.higher_order import recording_on
from ...engine.tensor import Tensor, make
from ...tracing.magnitudes import Size, size, sizes
from ...tracing.measure import Measured, find_edges_between
from .capture import Captured, complete
from .graph import Graph, RowOfSteps, extremes
from .loop_gradients import LoopGradients, loop_gradients

Sizes = Mapping[str, Sequence[Size]]  # by name and time
Folds = list[tuple[int, int]]  # the first and the last step of each


@dataclass
class LongLoop:
    """What is known of all steps of a loop; ``times`` are those that are recorded, ``folds`` the ends of the folds."""

    row: RowOfSteps
    times: list[int]
    folds: Folds
    given: Sizes  # what each step gives back to its input, its states and its parameters
    outside: Sizes
    totals: Sizes
    outputs: list[Size]  # the gradients that come in at the outputs
    whole: dict[str, Size]  # the gradients by the input, the first states and the parameters

    def places(self) -> dict[int, Folds]:
        """The folds of the only row, by the places of their ends among the recorded steps."""
        return {0: [(self.times.index(first), self.times.index(last)) for first, last in self.folds]}

    def measured(self, captured: Captured, group_of: Mapping[Node, Any]) -> Measured:
        """The gradients that pass between the recorded steps, each of which is a group."""
        measured = Measured(entering=find_edges_between(captured.order, group_of)[0])
        leaves = {node.name: node for node in captured.order if not node.parents}
        outputs = next(iter(captured.outputs.values()))
        measured.totals = {leaves[name]: total for name, total in self.whole.items()}
        measured.totals[outputs] = size(captured.cotangents[outputs])
        for k, (step, t) in enumerate(zip(captured.recurrences[0].steps, self.times)):
            after: dict[str, Any] = step.after
            for name, node in after.items():
                measured.totals[node], measured.outside[node] = self.totals[name][t], self.outside[name][t]
            for name, parts in self.given.items():
                is_state = name in step.before
                value: Any = step.before[name] if is_state else leaves[name]
                measured.parts[value, group_of[step.nodes[0]], 0] = parts[t] if is_state else self.part(parts, t)
            measured.parts[next(iter(after.values())), outputs, k] = self.part(self.outputs, t)
        return measured

    def part(self, given: Sequence[Size], t: int) -> Size:
        """What step t gives back; the first step of a fold has the least norm of the fold, the last the greatest."""
        for first, last in self.folds:
            if t in (first, last):
                norms = extremes(part.norm for part in given[first : last + 1])
                return Size(norms[t == last], 0.0)
        return given[t]

    def number(self, graph: Graph) -> None:
        """Count and number in the graph what stands for all steps, as if all of them were recorded."""
        for fold in graph.folds:
            vertex, count = graph[fold.id], fold.last - fold.first + 1
            vertex.operations, fold.count = vertex.operations // fold.count * count, count
        outputs = next(iter(graph.outputs.values()))
        for edge in graph.edges:
            if edge.target == outputs:  # an operand of the stack
                edge.operand, edge.formula, edge.short = self.times[edge.operand], "", ""
                edge.argument = edge.argument.partition("[")[0] + f"[{edge.operand}]"


def of_long_loop(
    title: str, cell: Cell, arguments: Mapping[str, np.ndarray], config: Mapping[str, Any],
    dys: Sequence[np.ndarray], choose_folds: Callable[[RowOfSteps], Folds],
) -> Captured | None:  # fmt: skip
    """A loop of which the steps in the folds are left out; None if it has to run step by step.

    ``dys`` are the gradients by the outputs (N, T, H) and by each last state.
    """
    loop = loop_gradients(cell, arguments, config, dys)
    if loop is None:
        return None
    given, totals, outside = ({name: sizes(array) for name, array in arrays.items()}
                              for arrays in (loop.given, loop.totals, loop.outside))  # fmt: skip
    whole = {name: size(array[0] if name in cell.states else array if name == cell.input else array.sum(axis=0))
             for name, array in loop.given.items()}  # fmt: skip
    row = _row(cell, given, totals, whole)
    folds = choose_folds(row)
    left_out = dict.fromkeys(t for first, last in folds for t in range(first + 1, last))
    times = [t for t in range(row.steps) if t not in left_out]
    captured = _recorded(title, cell, arguments, config, dys, loop, times)
    captured.loop = LongLoop(row, times, folds, given, outside, totals, sizes(dys[0].swapaxes(0, 1)), whole)
    return captured


def _row(cell: Cell, given: Sizes, totals: Sizes, whole: Mapping[str, Size]) -> RowOfSteps:
    """The gradients of the loop, by time."""
    T = len(totals[cell.states[0]])
    row = RowOfSteps(cell.name, False, T, list(cell.states), input=cell.input)
    for name in cell.states:
        row.gradients[f"d{name}"] = [total.norm for total in totals[name]]
        row.carried[f"d{name}"] = [part.norm for part in given[name]] if name in given else [None] * T
    for name in cell.params:
        if name in given:
            row.weights[f"d{name}"], row.totals[f"d{name}"] = [part.norm for part in given[name]], whole[name].norm
    return row


def _recorded(
    title: str, cell: Cell, arguments: Mapping[str, np.ndarray], config: Mapping[str, Any],
    dys: Sequence[np.ndarray], loop: LoopGradients, times: Sequence[int],
) -> Captured:  # fmt: skip
    """The steps at ``times``: each is recorded on the values that the states have then."""
    leaves: dict[str, Any] = {name: Tensor(array, requires_grad=True, name=name) for name, array in arguments.items()}
    bound = cell.bind({**{name: leaves[name] for name in cell.params}, **config})
    state, xs, hs = [leaves[name] for name in cell.states], leaves[cell.input], []
    run = StepRun(cell, range(len(times)), state, bound)
    with recording_on(0):
        for t in times:
            run.starts.append(clock())
            state = [make(loop.states[name][t], tensor.node) for name, tensor in zip(cell.states, state)]
            state = list(cell.step(xs[:, t], state, bound, check=False))
            hs.append(make(state[0]._array, state[0].node))
            run.states.append(positions(state))
        run.end = clock()
        outputs: Any = np.stack(hs, axis=1)
    run.mark(*state, outputs)
    outputs.node.shape = dys[0].shape  # that of all steps
    names = [f"{cell.states[0]}s", *(f"{name}_T" for name in cell.states)]
    results = {name: tensor.node for name, tensor in zip(names, [outputs, *state])}
    captured = Captured(title, dict(zip(results.values(), dys)), results)
    kinds = {cell.input: "input", **dict.fromkeys(cell.states, "state")}
    captured.kinds = {leaf.node: kinds.get(name, "parameter") for name, leaf in leaves.items()}
    complete(captured)
    for step, t in zip(captured.recurrences[0].steps, times):
        step.time = t
    return captured
