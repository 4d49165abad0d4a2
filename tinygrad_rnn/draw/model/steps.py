"""A cell that runs on small random inputs, for one or several time steps, ready to be drawn."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
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
from .graph import RowOfSteps
from .groups import choose_folds
from .helpers import CallRecorder
from .long_loop import Folds, of_long_loop

LONG = 400  # steps; of a longer loop only those are recorded that are shown


def of_cell(
    cell: Cell, steps: int = 1, *, seed: int = 0, truncate: int | None = None, last: bool = False,
    watch: bool = True, fold: str = "none", unfold: tuple[int, int] | None = None, **sizes: Any
) -> Captured:  # fmt: skip
    """``steps`` steps of a cell on random inputs of ``sizes``, with random gradients at its outputs and last states.

    With ``last`` a gradient comes in at the last output only. With ``truncate`` the state is detached after every so
    many steps. Without ``watch`` the values are not kept, which is much faster. For a picture that has a ``fold``, many
    steps are recorded only as far as it shows them, if the cell has a plan.
    """
    rng = np.random.default_rng(seed)
    config = {name: copy.deepcopy(sizes.pop(name)) for name in list(sizes) if name in cell.config}  # a generator stays
    arguments = sample(cell, rng, sizes)
    N, D = arguments[cell.input].shape
    if steps > 1:
        arguments[cell.input] = rng.standard_normal((N, steps, D))
    title = _title(cell, steps, sizes)
    if steps > LONG and truncate is None and fold != "none":
        copies = copy.deepcopy(config), copy.deepcopy(rng)
        if long := _long(title, cell, arguments, *copies, last, lambda row: _chosen(row, fold, unfold)):
            return long
    leaves = {name: Tensor(array, requires_grad=True, name=name) for name, array in arguments.items()}
    recorder = CallRecorder(codes(cell))
    with watching(recorder) if watch or truncate else recording_on(0):
        results = _run(cell, {**leaves, **config}, steps, truncate)
        dys = sums([(y.node, rng.standard_normal(y.shape)) for y in results.values()])
    if last:
        output = list(results.values())[-len(cell.states) - 1 if steps > 1 else 0].node
        dys = {node: dy * 0 if node is not output else _only_last(dy) if steps > 1 else dy for node, dy in dys.items()}
    captured = Captured(title, dys, {name: y.node for name, y in results.items()}, trace=recorder)
    captured.calls = recorder.by_node()
    kinds = {cell.input: "input", **dict.fromkeys(cell.states, "state")}
    captured.kinds = {x.node: kinds.get(name, "parameter") for name, x in leaves.items() if x.node is not None}
    return complete(captured)


def _title(cell: Cell, steps: int, sizes: Mapping[str, int]) -> str:
    """The cell, the number of steps, and the sizes that count."""
    full, shown_letters = choose(cell, sizes), letters_in(["N", "D", *cell.words[cell.states[0]], *sizes])
    shown = " ".join(f"{letter}={full[letter]}" for letter in shown_letters)
    return f"{cell.name}: {'one step' if steps == 1 else f'{steps} steps'}, {shown}"


def _long(
    title: str, cell: Cell, arguments: Mapping[str, np.ndarray], config: Mapping[str, Any], rng: np.random.Generator,
    last: bool, choose_folds: Callable[[RowOfSteps], Folds],
) -> Captured | None:  # fmt: skip
    """A long loop of which the shown steps are recorded, with the gradients that `of_cell` draws; None without plan."""
    N, T, _ = arguments[cell.input].shape
    first = arguments[cell.states[0]]
    dys = [rng.standard_normal(shape) for shape in [(N, T, *first.shape[1:]),
                                                    *(arguments[name].shape for name in cell.states)]]  # fmt: skip
    if last:
        dys = [_only_last(dys[0]), *(dy * 0 for dy in dys[1:])]
    return of_long_loop(title, cell, arguments, config, dys, choose_folds)


def _chosen(row: RowOfSteps, fold: str, unfold: tuple[int, int] | None) -> Folds:
    """The folds of the picture, or all steps as one."""
    return [(0, row.steps - 1)] if fold == "full" else choose_folds([row], unfold)[0]


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
