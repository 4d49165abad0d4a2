"""A cell that runs on small random inputs, for one or several time steps, ready to be drawn."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.probe import choose
from ...cells.sizes import letters_in
from ...engine.higher_order import recording_on
from ...engine.tensor import Tensor, detach
from ...sequence.scan import scan
from ...tracing.record import watching
from ...tracing.sample import codes, sample
from .capture import Captured, complete, sums
from .helpers import CallRecorder


def of_cell(
    cell: Cell, steps: int = 1, *, seed: int = 0, truncate: int | None = None, last: bool = False,
    watch: bool = True, **sizes: Any
) -> Captured:  # fmt: skip
    """``steps`` steps of a cell on random inputs of ``sizes``, with random gradients at its outputs and last states.

    With ``last`` a gradient comes in at the last output only. With ``truncate`` the state is detached after every so
    many steps. Without ``watch`` the values are not kept, which is much faster.
    """
    rng = np.random.default_rng(seed)
    config = {name: copy.deepcopy(sizes.pop(name)) for name in list(sizes) if name in cell.config}  # a generator stays
    arguments = sample(cell, rng, sizes)
    N, D = arguments[cell.input].shape
    if steps > 1:
        arguments[cell.input] = rng.standard_normal((N, steps, D))
    leaves = {name: Tensor(array, requires_grad=True, name=name) for name, array in arguments.items()}
    recorder = CallRecorder(codes(cell))
    with watching(recorder) if watch or truncate else recording_on(0):
        results = _run(cell, {**leaves, **config}, steps, truncate)
        dys = sums([(y.node, rng.standard_normal(y.shape)) for y in results.values()])
    if last:
        output = list(results.values())[-len(cell.states) - 1 if steps > 1 else 0].node
        dys = {node: dy * 0 if node is not output else _only_last(dy) if steps > 1 else dy for node, dy in dys.items()}
    full, shown_letters = choose(cell, sizes), letters_in(["N", "D", *cell.words[cell.states[0]], *sizes])
    shown = " ".join(f"{letter}={full[letter]}" for letter in shown_letters)
    title = f"{cell.name}: {'one step' if steps == 1 else f'{steps} steps'}, {shown}"
    captured = Captured(title, dys, {name: y.node for name, y in results.items()}, trace=recorder)
    captured.calls = recorder.by_node()
    kinds = {cell.input: "input", **dict.fromkeys(cell.states, "state")}
    captured.kinds = {x.node: kinds.get(name, "parameter") for name, x in leaves.items() if x.node is not None}
    return complete(captured)


def _run(cell: Cell, arguments: Mapping[str, Any], steps: int, truncate: int | None) -> dict[str, Any]:
    """The results by name: the new states of one step, or all outputs and the last states."""
    x, state = arguments[cell.input], tuple(arguments[name] for name in cell.states)
    params = {name: x for name, x in arguments.items() if name not in (cell.input, *cell.states)}
    if steps == 1:
        new = cell(x, *state, **params)
        return dict(zip([f"{name}'" for name in cell.states], new if isinstance(new, tuple) else (new,)))
    windows: list[tuple[str, Any]] = []
    length = truncate or steps
    for start in range(0, steps, length):
        part = x if length >= steps else x[:, start : start + length]
        hs, state = scan(cell, part, detach(state) if windows else state, params, mode="eager")
        windows.append((f"{cell.states[0]}s" + f"[:, {start}:{start + length}]" * (length < steps), hs))
    return {**dict(windows), **dict(zip([f"{name}_T" for name in cell.states], state))}


def _only_last(dy: np.ndarray) -> np.ndarray:
    """The gradient with zeros at all time steps but the last."""
    only = np.zeros_like(dy)
    only[:, -1] = dy[:, -1]
    return only
