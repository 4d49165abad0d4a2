"""`scan` runs a cell over time: a plain loop, with checks in front and masks for short rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.step_run import StepRun
from ..engine.context import context
from ..engine.tensor import Tensor
from ..errors import InvalidValue, PlanError
from .call import Call
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
    call = Call(cell, xs, state, params, lengths, reverse, checkpoint)
    hs, state = _run(call, mode)
    _warn_if_long(call, state)
    return (hs._array, tuple([tensor._array for tensor in state])) if call.form.arrays else (hs, state)


def _run(call: Call, mode: str) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run by the plan where there is one, else by the loop; an observer sees the loop."""
    cell = call.cell
    if mode != "eager" and context.observer is None:
        try:
            return planned(call, mode == "jit")
        except PlanError as error:
            if mode in ("plan", "jit"):
                raise PlanError(f"scan: {cell.name} cannot be planned: {error}") from None
    if call.checkpoint is not None:
        return run_in_segments(call)
    bound = cell.bind(call.params)
    run = StepRun(cell, range(call.xs.shape[1])[:: -1 if call.reverse else 1], call.state, bound, call.windows)
    return run_loop(run, call.xs, call.state, bound, call.mask)


def _warn_if_long(call: Call, state: Sequence[Tensor]) -> None:
    """Warn if the graphs of many windows hang on the last state."""
    if call.windows == MANY and any(tensor.node is not None for tensor in state):
        warnings.warn(
            f"scan: the state {', '.join(call.cell.states)} of {call.cell.name} has been carried through {MANY} calls "
            "without detach, and the graph grows with each. Cut it: state = detach(state); to evaluate, use no_grad()",
            stacklevel=3,
        )
