"""All steps of a long loop at once: the gradients that every step gives back, as arrays over time.

The cell runs by its plan, on an input that holds a *probe* for everything that a step reads: a zero that is added to
each state and each parameter. The gradient by the probe is what the step gives back. Then all steps are rows of a
single recorded step, which gives the gradients by the new states, with what the step itself reads of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.tensor import Tensor
from ...errors import Error, PlanError
from ...sequence.scan import scan
from ...tracing.sample import record_step
from ...tracing.trace import Trace, pull

MOST = 5_000_000  # numbers in the input with its probes


@dataclass
class LoopGradients:
    """The values and gradients of a loop of T steps, by name; the first axis is time.

    ``states`` (T + 1, N, H) are those before every step, and the last. ``given`` (T, ...) is what each step gives back
    to its input, its states and its parameters; an argument that the cell does not read is left out. By the new states
    (T, N, H), ``outside`` comes from everything later, and ``totals`` also from the step itself.
    """

    states: dict[str, np.ndarray]
    given: dict[str, np.ndarray]
    outside: dict[str, np.ndarray]
    totals: dict[str, np.ndarray]


def loop_gradients(
    cell: Cell, arguments: Mapping[str, np.ndarray], config: Mapping[str, Any], dys: Sequence[np.ndarray]
) -> LoopGradients | None:
    """The gradients of all steps; ``dys`` are those by the outputs (N, T, H) and by each last state.

    None for a cell that has no plan, whose rows depend on each other, or whose numbers are not finite: it has to run
    step by step.
    """
    N, T, _ = arguments[cell.input].shape
    shapes = {name: array.shape[2 if name == cell.input else 1 if name in cell.states else 0 :]
              for name, array in arguments.items()}  # fmt: skip
    ends = [0, *accumulate(map(prod, shapes.values()))]
    if any(arguments[name].ndim != 2 for name in cell.states) or N * T * ends[-1] > MOST:
        return None
    places = dict(zip(shapes, pairwise(ends)))
    try:
        joined, given = _run(cell, arguments, config, dys, places)
        states = dict(zip(cell.states, np.split(joined, _ends(cell, shapes), axis=2)))
        back = {name: given[:, :, slice(*places[name])] for name in (cell.input, *cell.states)}
        back |= {name: given[:, 0, slice(*places[name])].reshape(T, *shapes[name]) for name in cell.params}
        loop = LoopGradients(states, back, _outside(cell, back, dys), {})
        finite = np.isfinite(joined).all() and np.isfinite(given).all()
        return loop if finite and _steps_as_rows(cell, arguments, config, loop) else None
    except PlanError:
        return None


def _run(
    cell: Cell, arguments: Mapping[str, np.ndarray], config: Mapping[str, Any], dys: Sequence[np.ndarray],
    places: Mapping[str, tuple[int, int]],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """All states, joined (T + 1, N, S), and the gradients by all probes (T, N, P)."""
    xs = arguments[cell.input]
    N, T, D = xs.shape
    probes = Tensor(np.concatenate([xs, np.zeros((N, T, max(place[1] for place in places.values()) - D))], axis=2),
                    requires_grad=True)  # fmt: skip
    first = np.concatenate([arguments[name] for name in cell.states], axis=1)
    joined, _ = scan(_probed(cell, arguments, config, places), probes, (first,), {}, mode="plan")
    by_outputs = np.zeros(joined.shape)
    by_outputs[:, :, : dys[0].shape[2]] = dys[0]
    by_outputs[:, -1] += np.concatenate(dys[1:], axis=1)
    joined.backward(by_outputs)
    given: Any = probes.grad
    return np.concatenate([first[None], joined.numpy().swapaxes(0, 1)]), given.swapaxes(0, 1)


def _probed(cell: Cell, arguments: Mapping[str, np.ndarray], config: Mapping[str, Any],
            places: Mapping[str, tuple[int, int]]) -> Cell:  # fmt: skip
    """The cell with a probe at everything that it reads, and all of its states as one."""
    params = {name: arguments[name] for name in cell.params}
    rows = dict(zip(cell.states, pairwise([0, *_ends(cell, {name: arguments[name].shape[1:] for name in cell.states}),
                                           None])))  # fmt: skip
    bound = dict(config)

    def probed(x: Any, state: Any) -> Any:
        old = [state[:, a:b] + x[:, places[name][0] : places[name][1]] for name, (a, b) in rows.items()]
        given = {name: array + x[0, places[name][0] : places[name][1]].reshape(array.shape)
                 for name, array in params.items()}  # fmt: skip
        new = cell.step(x[:, : places[cell.input][1]], old, cell.bind({**given, **bound}), check=False)
        return np.concatenate(new, axis=1)

    return Cell(probed, {"state": "N S"})


def _ends(cell: Cell, shapes: Mapping[str, tuple[int, ...]]) -> list[int]:
    """Where the states end in the joined state, all but the last."""
    return list(accumulate(shapes[name][0] for name in cell.states))[:-1]


def _outside(cell: Cell, back: Mapping[str, np.ndarray], dys: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The gradients by the new states from outside of their step: from the next step and from the outputs."""
    outside: dict[str, np.ndarray] = {}
    for k, name in enumerate(cell.states):
        outside[name] = np.concatenate([back[name][1:], dys[k + 1][None]])
    outside[cell.states[0]] = outside[cell.states[0]] + dys[0].swapaxes(0, 1)
    return outside


def _steps_as_rows(cell: Cell, arguments: Mapping[str, np.ndarray], config: Mapping[str, Any],
                   loop: LoopGradients) -> bool:  # fmt: skip
    """Fill in ``totals`` from one step on the rows of all steps; whether this step agrees with the loop."""
    rows = {name: array[:-1].reshape(-1, array.shape[-1]) for name, array in loop.states.items()}
    xs = arguments[cell.input].swapaxes(0, 1)
    try:
        trace: Trace = record_step(cell, {**arguments, **rows, cell.input: xs.reshape(-1, xs.shape[2]), **config})
    except (Error, ValueError):  # its shapes do not allow more rows
        return False
    new = dict(zip(cell.states, trace.outputs.values()))
    if len(dict.fromkeys(new.values())) < len(new) or any(trace.values[number].equation is None or
                                                          number not in trace.nodes for number in new.values()):
        return False  # a state is returned twice, as it was, or without a gradient
    totals, _ = pull(trace, trace.cotangents([loop.outside[name].reshape(-1, loop.outside[name].shape[-1])
                                              for name in new]))  # fmt: skip
    loop.totals = {name: totals[number].reshape(loop.outside[name].shape) for name, number in new.items()}
    agree = [_close(trace.arrays[number], loop.states[name][1:]) for name, number in new.items()]
    for name, number in trace.inputs.items():
        if number in totals:
            part = loop.given[name]
            agree.append(_close(totals[number], part.sum(axis=0) if name in cell.params else part))
        elif name in cell.states[1:]:
            return False  # the graph has no such state
        else:
            loop.given.pop(name, None)
    return all(agree)


def _close(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether two arrays have the same numbers but for rounding."""
    return np.allclose(x.ravel(), y.ravel(), rtol=1e-6, atol=1e-9 * float(np.abs(y).max(initial=0.0)))
