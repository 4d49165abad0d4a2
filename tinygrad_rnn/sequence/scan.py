"""`scan` runs a cell over time: a plain loop, with checks in front and masks for short rows."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.step_run import StepRun
from ..engine.context import context
from ..engine.tensor import Tensor, make, value
from ..errors import InvalidType, InvalidValue, PlanError, ShapeError
from .checkpointed import run_in_segments
from .loop import run_loop
from .plan.run import planned

MODES = ("auto", "eager", "plan", "jit")
MANY = 64  #: windows in one graph at which scan warns


def scan(
    cell: Cell,
    xs: Any,
    state: Any = None,
    params: Mapping[str, Any] | None = None,
    *,
    lengths: Any = None,
    reverse: bool = False,
    mode: str = "auto",
    checkpoint: int | None = None,
) -> tuple[Any, tuple[Any, ...]]:
    """Run ``cell`` over time: xs (N, T, D) -> hs (N, T, H), last state.

    Equal to (a cell with a single state returns it bare; read it as a tuple here)::

        hs = []
        for t in range(T):
            state = cell(xs[:, t], *state, **params)
            hs.append(state[0])
        return stack(hs, axis=1), state

    ``state`` is a tuple of arrays or Tensors (N, H), in the order of the cell; None is zeros. Gradients flow to xs,
    state and params. ``params`` may hold configuration of the cell too: ``{**params, "rng": rng}``. Truncated BPTT is
    ``state = detach(state)`` between two calls.

    ``lengths`` (N,) are integers from 0 to T. From step lengths[n] on, row n keeps its state, its outputs are zero, and
    the gradient by its inputs is exactly zero. Padded steps read zeros, whatever xs holds there, so the cell must be
    finite at x = 0. ``reverse`` starts at the last step, in a short row at the last step of the row; hs stays in the
    order of xs.

    ``mode="auto"`` runs a planned loop where there is one, which equals this one but for rounding: products and
    elementwise operations that need not be in the loop are computed for all steps at once (see `plan`). "plan" raises
    PlanError for a cell that decides by values or does more than compute. "eager" runs this loop. "jit" compiles the
    planned loop by LLVM (the extra ``jit``), which takes a second at the first use ever; compiled loops are kept on
    disk. It raises MissingDependency without llvmlite, and PlanError for operations that are not compiled. Inside
    `trace_nans`, `trace_mutations` and recorders every mode is this loop. Pictures and `gradient_flow` show the steps
    in every mode.

    ``checkpoint=k`` saves the state after every k steps alone, and runs k steps forward again before it runs them
    backward (Chen et al. 2016). With k near √T the saved memory grows with √T, beside xs and hs, for at most one more
    forward pass. Pictures do not show the steps of a loop that is run eagerly with ``checkpoint``.

    Arrays give arrays; any Tensor gives Tensors. Raises InvalidType, InvalidValue and ShapeError, in the names of the
    cell, for arguments that do not fit.
    """
    if mode not in MODES:
        raise InvalidValue(f"scan: mode is {mode!r}, should be one of {', '.join(MODES)}")
    if checkpoint is not None and (not isinstance(checkpoint, (int, np.integer)) or checkpoint < 1):
        raise InvalidValue(f"scan: checkpoint is {checkpoint!r}, should be a number of steps from 1")
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
    arrays = not any(isinstance(argument, Tensor) for argument in [xs, *_tuple(state), *params.values()])
    xs = xs if isinstance(xs, Tensor) else make(np.asarray(xs) if arrays else np.array(xs), None)
    state = _initial(cell, state, params, N, xs.dtype)
    cell.check(xs._array[:, 0], state, params)
    mask = None if lengths is None else length_mask(lengths, N, T)
    windows = 1 + max((tensor.node.run.windows for tensor in state if hasattr(tensor.node, "run")), default=0)
    hs, state = _run(cell, xs, state, params, mask, reverse, mode, windows, checkpoint)
    _warn_if_long(cell, state, windows)
    return (hs._array, tuple(tensor._array for tensor in state)) if arrays else (hs, state)


def _run(
    cell: Cell,
    xs: Tensor,
    state: Any,
    params: Mapping[str, Any],
    mask: Any,
    reverse: bool,
    mode: str,
    windows: int,
    checkpoint: int | None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run by the plan where there is one, else by the loop; an observer sees the loop."""
    if mode != "eager" and context.observer is None:
        try:
            return planned(cell, xs, state, params, mask, reverse, windows, checkpoint, mode == "jit")
        except PlanError as error:
            if mode in ("plan", "jit"):
                raise PlanError(f"scan: {cell.name} cannot be planned: {error}") from None
    if checkpoint is not None:
        return run_in_segments(cell, xs, state, params, mask, reverse, checkpoint)
    bound = cell.bind(params)
    run = StepRun(cell, range(xs.shape[1])[:: -1 if reverse else 1], state, bound, windows)
    return run_loop(run, xs, state, bound, mask)


def _warn_if_long(cell: Cell, state: Sequence[Tensor], windows: int) -> None:
    """Warn if the graphs of many windows hang on the last state."""
    if windows == MANY and any(tensor.node is not None for tensor in state):
        warnings.warn(
            f"scan: the state {', '.join(cell.states)} of {cell.name} has been carried through {MANY} calls "
            "without detach, and the graph grows with each. Cut it: state = detach(state); to evaluate, use no_grad()",
            stacklevel=3,
        )


def _no_state(cell: Cell, state: Any) -> str:
    """The error text for parameters, or a dict of states, in the place of the state."""
    states = ", ".join(cell.states) + "," * (len(cell.states) == 1)
    wanted = f"should be a tuple ({states}), or None for zeros; params come after it"
    return f"scan: state is a {type(state).__name__}, {wanted}: scan({cell.name}, xs, None, params)"


def _misused(cell: Any, xs: Any, params: Any) -> str:
    """The error text for a function that is no cell, for named inputs, or for parameters without names."""
    if not isinstance(cell, Cell):
        return f"scan: cell is a {type(cell).__name__}, should be a cell: equations under @cell"
    if isinstance(xs, Mapping | str):
        return f"scan: xs is a {type(xs).__name__}, should be an array (N, T, D): scan({cell.name}, xs, None, params)"
    return f"scan: params is a {type(params).__name__}, should be a dict such as {cell.name}.init(...) gives"


def _tuple(state: Any) -> Sequence[Any]:
    return state if isinstance(state, (tuple, list)) else () if state is None else (state,)


def _initial(cell: Cell, state: Any, params: Mapping[str, Any], N: int, dtype: Any) -> tuple[Tensor, ...]:
    """The initial state as Tensors; zeros have the dtype that xs and the parameters promote to."""
    if state is None:
        dtypes = [np.asarray(value(array)).dtype for name, array in params.items() if name in cell.params]
        return cell.zero_state(N, params, np.result_type(dtype, *dtypes))
    return tuple(array if isinstance(array, Tensor) else make(np.array(array), None) for array in _tuple(state))


def length_mask(lengths: Any, N: int, T: int, where: str = "scan") -> np.ndarray | None:
    """The mask of the steps within ``lengths``, (N, T, 1); None if all steps are. ``where`` is the caller, for errors.

    Raises ShapeError for other than N integers, InvalidValue for a length below 0 or above T.
    """
    lengths = np.asarray(value(lengths))
    if lengths.shape != (N,) or lengths.dtype.kind not in "iu":
        raise ShapeError(f"{where}: lengths is {lengths.dtype} {lengths.shape}, should be integers ({N},), one a row")
    wrong = lengths[(lengths < 0) | (lengths > T)]
    if wrong.size:
        raise InvalidValue(f"{where}: lengths holds {operator.index(wrong[0])}, should be from 0 to T = {T}")
    return None if (lengths == T).all() else (np.arange(T) < lengths[:, None])[:, :, None]
