"""Run a cell on random input, for users who have no model yet."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.probe import choose
from ..engine.higher_order import recording_on
from ..engine.tensor import Tensor, value
from ..errors import InvalidValue
from ..tracing.sample import sample

LOSSES = ("last", "all")


def run(cell: Cell, steps: int, dy: str, seed: int, params: Mapping[str, Any] | None, sizes: dict[str, Any]) -> Tensor:
    """The sum of the last output, or of all, after ``steps`` of the cell on normal input, from a state of zeros."""
    config = {name: sizes.pop(name) for name in list(sizes) if name in cell.config}
    for name, size in {"steps": steps, **sizes}.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise InvalidValue(f"gradient_flow: {name} is {size!r}, should be a whole number from 1")
    if dy not in LOSSES:
        raise InvalidValue(f"gradient_flow: dy is {dy!r}, should be one of {', '.join(LOSSES)}")
    rng = np.random.default_rng(seed)
    arguments, state = _arguments(cell, rng, params, sizes)
    N, D = arguments.pop(cell.input)
    arguments |= copy.deepcopy(config)
    total: Any = 0
    with recording_on(0):
        for _ in range(steps):
            state = cell(rng.standard_normal((N, D)).astype(state[0].dtype), *state, **arguments)
            state = state if isinstance(state, tuple) else (state,)
            total = state[0] if dy == "last" else total + state[0]
        return total.sum()


def _arguments(cell: Cell, rng: np.random.Generator, params: Any, sizes: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The parameters as new leaves, with the shape of the input among them, and the state to start from."""
    known = {} if params is None else cell.sizes(params)
    for letter, size in sizes.items():
        if known.get(letter, size) != size:
            raise InvalidValue(f"gradient_flow: {letter} is {known[letter]} in params but {size} was asked for")
    drawn = sample(cell, rng, {**known, **sizes})
    if params is None:
        full: dict[str, Any] = choose(cell, sizes)
        del full["N"]
        arguments: dict[str, Any] = {**cell.init(rng, dtype=np.float64, **full)}
    else:
        arguments = {name: copy.deepcopy(x) for name, x in params.items() if name not in cell.params}
        for name in cell.params:
            arguments[name] = Tensor(np.array(value(params[name])), requires_grad=True, name=name)
    dtype = np.result_type(*(arguments[name].dtype for name in cell.params))
    state = [Tensor(np.zeros(drawn[name].shape, dtype), requires_grad=True, name=name) for name in cell.states]
    return {**arguments, cell.input: drawn[cell.input].shape}, tuple(state)
