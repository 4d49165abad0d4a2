"""`scan` runs a cell over time: the loop that it equals, with checks in front and masks for short rows."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.step_run import Run, places
from ..engine.context import context as running
from ..engine.graph import clock
from ..engine.tensor import Tensor, make, value
from ..errors import InvalidType, InvalidValue, ShapeError
from ..ops import stack, where

MODES = ("auto", "eager")
MANY = 64  # windows in one graph: from here on a warning


def scan(
    cell: Cell,
    xs: Any,
    state: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    mode: str = "auto",
) -> tuple[Any, tuple[Any, ...]]:
    """Run ``cell`` over time: xs (N, T, D) -> hs (N, T, H), last state.

    Equal to (a cell of one state gives it bare; here it is a tuple of one)::

        hs = []
        for t in range(T):
            state = cell(xs[:, t], *state, **params)
            hs.append(state[0])
        return stack(hs, axis=1), state

    ``state`` is a tuple of arrays or Tensors (N, H), in the cell's order; None is zeros. Gradients flow to xs, state
    and params. ``lengths`` (N,) from 0 to T: from step lengths[n] on, row n keeps its state, its outputs are zero and
    the gradient of its inputs is exactly zero. ``reverse`` starts at the last step, for short rows at *their* last one;
    hs stays in the order of xs. Padded steps read zeros, whatever stands there: a cell must be finite at x = 0.
    ``params`` may hold configuration of the cell as well, ``{**params, "rng": rng}``. Truncated BPTT is
    ``state = detach(state)`` between two calls.
    """
    if mode not in MODES:
        raise InvalidValue(f"scan: mode is {mode!r}, should be one of {', '.join(MODES)}")
    params = {} if params is None else params
    if not isinstance(cell, Cell) or not isinstance(params, Mapping) or isinstance(xs, Mapping | str):
        raise InvalidType(_misused(cell, xs, params))
    if isinstance(state, Mapping | str):
        raise InvalidType(_no_state(cell, state))
    if np.ndim(value(xs)) != 3:
        raise ShapeError(f"scan: xs is {np.shape(value(xs))}, should be (N, T, D)")
    N, T, _ = np.shape(value(xs))
    if T == 0:
        raise ShapeError("scan: xs has T = 0 steps, should have at least one")
    arrays = not any(isinstance(one, Tensor) for one in [xs, *_tuple(state), *params.values()])
    xs = xs if isinstance(xs, Tensor) else make(np.asarray(xs) if arrays else np.array(xs), None)
    state = _initial(cell, state, params, N, xs.dtype)
    cell.check(xs._array[:, 0], state, params)
    mask = None if lengths is None else _mask(lengths, N, T)
    windows = 1 + max((one.node.run.windows for one in state if hasattr(one.node, "run")), default=0)
    bound = cell.bind(params)
    run = Run(cell, range(T)[:: -1 if reverse else 1], state, bound, windows)
    hs, state = _loop(run, xs, state, bound, mask)
    _carry(run, hs, state)
    return (hs._array, tuple(one._array for one in state)) if arrays else (hs, state)


def _carry(run: Run, hs: Tensor, state: Sequence[Tensor]) -> None:
    """Name the last state, for messages about it, and warn if it drags the graphs of many windows behind it."""
    for name, one in zip(run.cell.states[::-1], state[::-1], strict=True):  # the first name stays on a value of two
        if run.made(one):
            one.node.name = name  # type: ignore[union-attr]
    run.mark(*state, hs)
    if run.windows == MANY and any(one.node is not None for one in state):
        warnings.warn(
            f"scan: the state {', '.join(run.cell.states)} of {run.cell.name} has been carried through {MANY} calls "
            "without detach, and the graph grows with each. Cut it: state = detach(state); to evaluate, use no_grad()",
            stacklevel=3,
        )


def _no_state(cell: Cell, state: Any) -> str:
    """What to say of parameters, or of a dict of states, in the place of the state."""
    states = ", ".join(cell.states) + "," * (len(cell.states) == 1)
    wanted = f"should be a tuple ({states}), or None for zeros; params come after it"
    return f"scan: state is a {type(state).__name__}, {wanted}: scan({cell.name}, xs, None, params)"


def _misused(cell: Any, xs: Any, params: Any) -> str:
    """What to say of a function that is no cell yet, of named inputs, or of parameters without names."""
    if not isinstance(cell, Cell):
        return f"scan: cell is a {type(cell).__name__}, should be a cell: equations under @cell"
    if isinstance(xs, Mapping | str):
        return f"scan: xs is a {type(xs).__name__}, should be an array (N, T, D): scan({cell.name}, xs, None, params)"
    return f"scan: params is a {type(params).__name__}, should be a dict such as {cell.name}.init(...) gives"


def _tuple(state: Any) -> Sequence[Any]:
    return state if isinstance(state, (tuple, list)) else () if state is None else (state,)


def _initial(cell: Cell, state: Any, params: Mapping[str, Any], N: int, dtype: Any) -> tuple[Tensor, ...]:
    """The state to start from, as Tensors; zeros have the dtype that the cell's arithmetic has."""
    if state is None:
        dtypes = [np.asarray(value(one)).dtype for name, one in params.items() if name in cell.params]
        return cell.zero_state(N, params, np.result_type(dtype, *dtypes))
    return tuple(one if isinstance(one, Tensor) else make(np.array(one), None) for one in _tuple(state))


def _mask(lengths: Any, N: int, T: int) -> np.ndarray | None:
    """Which steps of which rows count, (N, T, 1); None if all do."""
    lengths = np.asarray(value(lengths))
    if lengths.shape != (N,) or lengths.dtype.kind not in "iu":
        raise ShapeError(f"scan: lengths is {lengths.dtype} {lengths.shape}, should be integers ({N},), one a row")
    wrong = lengths[(lengths < 0) | (lengths > T)]
    if wrong.size:
        raise InvalidValue(f"scan: lengths holds {operator.index(wrong[0])}, should be from 0 to T = {T}")
    return None if (lengths == T).all() else (np.arange(T) < lengths[:, None])[:, :, None]


def _loop(run: Run, xs: Tensor, state: Any, bound: Any, mask: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The loop of the docstring. Masked steps read zeros, so that nothing in the padding reaches a gradient."""
    cell, times, starts = run.cell, run.times, run.starts
    hs: list[Any] = [None] * len(times)
    if mask is not None:
        xs = where(mask, xs, 0)
    before, state = running.step, _twins(state)
    try:
        for t in times:
            running.step = t
            starts.append(clock())
            given = state if mask is None else _twins(state)
            new = cell.step(xs[:, t], given, bound, check=t == times[0])
            if mask is not None:
                here = mask[:, t]
                new = tuple(where(_fit(here, one), one, old) for one, old in zip(new, state, strict=True))
            first = new[0]  # the next step may change this Tensor in place: what is collected is another one
            hs[t] = make(first._array, first.node) if mask is None else where(_fit(here, first), first, 0)
            state = new
            run.states.append(places(new))
    finally:
        running.step, run.end = before, clock()
    return stack(hs, axis=1), tuple(state)


def _twins(state: Sequence[Tensor]) -> list[Tensor]:
    """The same states, for the cell to change in place: neither the caller's change, nor those of the step before."""
    return [make(one._array, one.node if running.recording else None) for one in state]


def _fit(here: np.ndarray, one: Any) -> np.ndarray:
    """A mask (N, 1) with as many axes as what it is for."""
    return here.reshape(-1, *(1,) * (one.ndim - 1))
