"""How far gradients reach through time: which vanish, which explode, what truncation would discard."""

from __future__ import annotations

from ..errors import InvalidType, InvalidValue

from collections.abc import Mapping
from typing import Any

from ..cells.cell import Cell, advice
from ..errors import GraphError
from ..engine.expansion import expanded
from ..engine.graph import Node, newest_first
from ..tracing.recurrences import recurrences
from ..engine.tensor import Tensor
from .gate_values import GateValues, gate_values
from .norms import measure
from .result import Flow
from .sample_run import run
from .step_table import StepTable

__all__ = ["Flow", "GateValues", "gate_values", "gradient_flow"]

_LOSS = {"last": "the last output", "all": "all outputs"}


def gradient_flow(
    target: Any,
    *,
    steps: int = 20,
    dy: str = "last",
    seed: int = 0,
    params: Mapping[str, Any] | None = None,
    threshold: float = 0.95,
    jacobian: bool = True,
    **sizes: Any,
) -> Flow:
    """How the gradient flows back through the steps of every cell that computed ``target``::

        hs, state = scan(lstm, xs, None, params)
        print(gradient_flow(loss(hs)))                  # before backward(), which uses the graph up
        gradient_flow(lstm, steps=50, H=32).plot("flow.svg")

    ``target`` is a Tensor (the gradient that comes in is 1 for each of its elements), or a cell, which is run for
    ``steps`` on normal input (N, D) of ``sizes`` (by default N=1, D=3, H=5), from a state of zeros, with ``params`` or
    those of its `init`; then the loss is the sum of the last output, or with ``dy="all"`` of all outputs.

    The result is a `Flow`. For each step it has ‖dh_t‖ by every state, over all paths; the share of each gate's
    elements that are saturated (of σ above ``threshold`` or below 1 - threshold, of tanh beyond ±threshold); the norm
    of the step's part of each weight gradient; and the spectral radius of the step's Jacobian ∂h_t/∂h_{t-1}, of all
    states together, in batch row 0. ``jacobian=False`` leaves the Jacobian out; it is also left out for states of more
    than 512 numbers, because it takes a pass for each number. For k = 1, 2, 4, ... the result has the cosine between
    the full weight gradient and the weight gradient of truncation to k steps.

    dh_k = dh_T · Π ∂h_t/∂h_{t-1}: T - k Jacobians, so that norms change exponentially (Hochreiter 1991; Pascanu et al.
    2013, section 2.1, who show that ‖Wh‖ < 1 is enough for vanishing in a tanh RNN, and ‖Wh‖ > 1 needed for exploding).

    The numbers equal those of `backward`, to rounding. Neither the graph nor any ``.grad`` nor any random generator is
    changed, and the result keeps no graph. Steps inside a `checkpoint` are not recorded, so they are not in the result.
    InvalidType or InvalidValue for a wrong argument; GraphError where ``target`` has no graph, or no cell in it.
    """
    if not 0.5 < threshold < 1:
        raise InvalidValue(f"gradient_flow: threshold is {threshold}, should be more than 0.5 and less than 1")
    options = {"steps": (steps, 20), "dy": (dy, "last"), "seed": (seed, 0), "params": (params, None)}
    options |= {name: (size, None) for name, size in sizes.items()}
    if isinstance(target, Cell):
        title = f"{target.name}: {steps} steps on random input, gradient of the sum of {_LOSS.get(dy, '')}"
        target = run(target, steps, dy, seed, params, sizes)
    elif not isinstance(target, Tensor):
        more = advice(target, "gradient_flow")
        raise InvalidType(f"gradient_flow: target is a {type(target).__name__}, should be a Tensor or a cell{more}")
    elif asked := [name for name, (choice, default) in options.items() if choice != default]:
        raise InvalidType(f"gradient_flow: a Tensor has the steps and sizes it has; got {', '.join(asked)}")
    else:
        title = f"gradient of {target.name or 'the loss' if target.size == 1 else 'the sum of the elements'}"
    if target.node is None:
        raise GraphError("gradient_flow: this tensor depends on nothing that was made with requires_grad=True")
    with expanded([target.node]) as swaps:
        return _measured(title, swaps.get(target.node, target.node), threshold, jacobian)


def _measured(title: str, root: Node, threshold: float, jacobian: bool) -> Flow:
    """The flow from a node back through every recurrence behind it."""
    order = _order(root)
    tables = [StepTable(recurrence) for recurrence in recurrences(order[::-1])]
    if not tables:
        raise GraphError("gradient_flow: no cell ran on the way to this tensor; it should be made by a scan, or by a "
                         "loop of calls of a cell, outside of any checkpoint")  # fmt: skip
    return measure(title, order, tables, threshold, jacobian)


def _order(root: Node) -> list[Node]:
    """The graph, newest first."""
    try:
        return newest_first([root])
    except GraphError:
        raise GraphError("gradient_flow: a backward() has used this graph up; call gradient_flow before backward(), "
                         "or backward(retain_graph=True)") from None  # fmt: skip
