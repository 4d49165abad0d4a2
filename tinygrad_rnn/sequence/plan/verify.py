"""The check of a new plan: on its first arguments it has to give what the loop gives, forward and backward."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...cells.step_run import StepRun
from ...engine.context import context
from ...engine.graph import Node, backpropagate
from ...engine.tensor import Tensor, make, value
from ...errors import PlanError
from ..loop import run_loop
from .compiled import Plan
from .directions import MASK

STEPS = 3
#: How far a plan may be from the loop, relative to the norm, by the size of a number in bytes.
APART = {4: 1e-4, 8: 1e-11}
BLOCK = 1 << 15  #: elements of two arrays that are compared together
SMALL = 1e-3  #: a norm, per root of an element, below which a value may be 0 but for rounding


def verify(plan: Plan, cell: Cell, arrays: Mapping[str, Any], config: Mapping[str, Any], outer: Mapping[str, Any],
           masked: bool) -> None:  # fmt: skip
    """Raise PlanError unless the plan equals the loop on the first steps of ``arrays``, run again if they are few."""
    xs = arrays[cell.input]
    xs = xs[:, np.arange(STEPS) % xs.shape[1]]
    N, T = xs.shape[:2]
    mask = (np.arange(T) < 1 + np.arange(N)[:, None] % T)[:, :, None] if masked else None
    given = {**arrays, cell.input: xs}
    with np.errstate(all="ignore"):
        expected = _eager(plan, cell, given, config, outer, mask)
        got = _planned(plan, cell, given, config, outer, mask, expected[1])
        got += _stepped(plan, cell, given, config, outer) if plan.built.single is not None else []
    for (name, theirs), ours in zip(expected[0] * (len(got) // len(expected[0])), got, strict=True):
        distance = _distance(ours, theirs)
        if not distance <= APART[xs.dtype.itemsize]:
            raise PlanError(f"the plan gives another {name} than the loop, {distance:.1e} apart")


def _eager(plan: Plan, cell: Cell, given: Mapping[str, np.ndarray], config: Mapping[str, Any], outer: Mapping[str, Any],
           mask: Any) -> tuple[list[tuple[str, Any]], list[np.ndarray]]:  # fmt: skip
    """The values and gradients of the loop by name, and the gradients of the outputs that they were computed for."""
    wanted = [*cell.states, *plan.returns] if plan.returns is not None and plan.built.backward else []
    leaves: dict[str, Any] = {name: leaf(array, name in wanted) for name, array in given.items()}
    bound = cell.bind({**{name: leaves[name] for name in cell.params}, **copied(config)})
    state = [leaves[name] for name in cell.states]
    before, context.recording = context.recording, bool(wanted)
    try:
        run = StepRun(cell, range(given[cell.input].shape[1]), state, bound)
        hs, last = run_loop(run, leaves[cell.input], state, bound, mask)
    finally:
        context.recording = before
    outputs, rng = [hs, *last], np.random.default_rng(1)
    dys = [rng.standard_normal(y.shape).astype(y.dtype) for y in outputs]
    named = [("output", hs._array), *((f"last {name}", y._array) for name, y in zip(cell.states, last))]
    roots: dict[Any, Any] = {}
    for y, dy in zip(outputs, dys) if wanted else ():
        if y.node is not None:
            roots[y.node] = roots[y.node] + dy if y.node in roots else dy
    nodes = {name: (outer[name] if name in outer else leaves[name]).node for name in wanted}
    gradients = backpropagate(roots, list(nodes.values()), retain=True)
    return named + [(f"gradient by {name}", gradients.get(node)) for name, node in nodes.items()], dys


def _planned(plan: Plan, cell: Cell, given: Mapping[str, Any], config: Mapping[str, Any], outer: Mapping[str, Any],
             mask: Any, dys: Sequence[np.ndarray]) -> list[Any]:  # fmt: skip
    """The same values and gradients by the plan."""
    config = copied(config)
    leaves = {**given, **{name: value(arg) for name, arg in {**config, **outer}.items()}}
    xs = given[cell.input] if mask is None else np.where(mask, given[cell.input], 0)
    leaves[cell.input] = leading(xs)
    leaves[MASK] = None if mask is None else leading(mask)
    state = [given[name] for name in cell.states]
    hs, last, saved = plan.forward(leaves[cell.input], state, leaves, config.get("rng"))
    result: list[Any] = [leading(hs), *last]
    if plan.built.backward is not None:
        gradients = dict(zip([*cell.states, *plan.returns], plan.backward(leading(dys[0]), dys[1:], saved, leaves)))
        if gradients.get(cell.input) is not None:
            dxs = leading(gradients[cell.input])
            gradients[cell.input] = dxs if mask is None else np.where(mask, dxs, 0)
        result += list(gradients.values())
    return result


def _stepped(plan: Plan, cell: Cell, given: Mapping[str, Any], config: Mapping[str, Any],
             outer: Mapping[str, Any]) -> list[Any]:  # fmt: skip
    """The same values by the source of a single step."""
    config = copied(config)
    leaves = {**given, **{name: value(arg) for name, arg in {**config, **outer}.items()}}
    state, outputs = [given[name] for name in cell.states], []
    for t in range(given[cell.input].shape[1]):
        output, *state = plan.step(given[cell.input][:, t], state, leaves, config.get("rng"))
        outputs.append(output)
    return [np.concatenate(outputs, axis=1), *state]


def leading(xs: np.ndarray) -> np.ndarray:
    """(N, T, ...) as (T, N, ...), or back."""
    return np.ascontiguousarray(np.swapaxes(xs, 0, 1))


def leaf(array: np.ndarray, tracked: bool = True) -> Tensor:
    """A new Tensor of an array. It counts as computed, so a cell may change it, which copies what others refer to."""
    return make(array, Node((None,), array.shape, array.dtype) if tracked else None)


def copied(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with a copy of its generator."""
    return {name: copy.deepcopy(arg) if isinstance(arg, np.random.Generator) else arg for name, arg in config.items()}


def _distance(ours: Any, theirs: Any) -> float:
    """The distance, relative to the norm; infinite if one has NaN or inf where the other has not."""
    ours, theirs = (np.zeros(()) if y is None else np.asarray(y) for y in (ours, theirs))
    if ours.shape != theirs.shape and ours.ndim and theirs.ndim:
        return np.inf
    scale = _norm(theirs)
    if ours.shape == theirs.shape and np.isfinite(distance := _norm_of_difference(ours, theirs)):
        return distance / max(scale, SMALL * np.sqrt(theirs.size))
    difference = ours - theirs
    if not (np.isfinite(scale) and np.isfinite(_norm(ours))):
        finite = np.isfinite(theirs)
        if not np.array_equal(np.isfinite(ours) & np.ones_like(finite), finite):
            return np.inf
        difference, scale = np.where(finite, difference, 0), _norm(np.where(finite, theirs, 0))
    return _norm(difference) / max(scale, SMALL * np.sqrt(difference.size))


def _norm_of_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The norm of ours - theirs, by blocks that stay in cache."""
    ours, theirs = np.ravel(ours), np.ravel(theirs)
    blocks = [slice(start, start + BLOCK) for start in range(0, ours.size, BLOCK)]
    return float(np.linalg.norm([_norm(ours[block] - theirs[block]) for block in blocks]))


def _norm(array: np.ndarray) -> float:
    flat = np.ravel(array)
    return float(np.sqrt(np.dot(flat, flat)))
