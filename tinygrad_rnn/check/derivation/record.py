"""The tape of a step, of all steps or of a function, with random cotangents: from which a `Case` is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.tensor import value
from ...tracing.sample import codes
from ..numeric.compare import Problem
from .case import Case
from .tape import taped


def case_of_cell(
    cell: Cell, function: Any, given: Mapping[str, Any], rng: np.random.Generator, timed: bool
) -> Case:  # fmt: skip
    """The tape of a step or of all steps, and random cotangents."""
    order = [cell.input, *cell.states]
    kinds = {order[0]: "input", "xs": "input", **dict.fromkeys(cell.states, "state")}
    kinds |= dict.fromkeys(cell.params, "parameter")

    def results(outputs: Any) -> dict[str, Any]:
        new = outputs[1:] if timed else outputs if isinstance(outputs, tuple) else (outputs,)
        return {f"{name}'": state for name, state in zip(cell.states, new)}

    tape, outputs = taped(lambda **now: function(**now), given, kinds, codes(cell), results, order)
    hs = function.hs if timed else []  # of this run
    problem = Problem(function, given, rng)
    new = list(results(outputs).values())
    N = len(given[cell.states[0]])
    if timed:
        T = len(hs)
        groups = {"dhs": {tape.number(h): problem.dys[0][:, t] for t, h in enumerate(hs)}}
        groups |= {f"d{name}": {tape.number(state): dy} for name, state, dy in zip(cell.states, new, problem.dys[1:])}
    else:
        T = 1
        groups = {f"d{name}": {tape.number(state): dy} for name, state, dy in zip(cell.states, new, problem.dys)}
    blocks: dict[int, tuple[str, ...]] = {}
    for name, param in cell.params.items():
        if param.blocks:
            blocks.setdefault(np.shape(given[name])[-1], param.blocks)
    counts = {"N": N, "T": T}
    return Case(problem, tape, groups, counts, timed, blocks)


def case_of_function(f: Callable[..., Any], given: Mapping[str, Any], rng: np.random.Generator) -> Case:
    """The tape of a function of arrays."""

    def results(outputs: Any) -> dict[str, Any]:
        every = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
        return dict(zip(["y"] if len(every) == 1 else [f"y{k}" for k in range(len(every))], every))

    tape, outputs = taped(lambda **now: f(*now.values()), given, {}, codes(f), results, list(given))
    problem = Problem(lambda **now: f(*now.values()), given, rng)
    names = ["dy"] if len(tape.outputs) == 1 else [f"dy{k}" for k in range(len(tape.outputs))]
    groups: dict[str, dict[int, Any]] = {}
    for name, number, dy in zip(names, map(tape.number, results(outputs).values()), problem.dys):
        groups[name] = {number: dy}
    first = next(iter(given.values()))
    return Case(problem, tape, groups, {"N": len(first) if np.ndim(first) else 1, "T": 1}, False, {})


def exact(x: Any, dtype: Any) -> Any:
    """An input as float64, of numbers that ``dtype`` has, so that rounding hides nothing; integers as they are."""
    array = np.asarray(value(x))
    return array.astype(dtype).astype(np.float64) if array.dtype.kind == "f" else array


def moved(x: Any, rng: np.random.Generator) -> Any:
    """Other numbers of about the same size and of the same signs."""
    return x * rng.uniform(0.8, 1.2, np.shape(x)) if np.asarray(x).dtype.kind == "f" else x
