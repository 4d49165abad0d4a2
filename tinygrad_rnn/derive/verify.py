"""Run the printed module and compare it with autograd, at other sizes than those it was derived at."""

from __future__ import annotations

import itertools
import linecache
import weakref
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.probe import letters
from ..engine.codegen import run_source
from ..engine.tensor import Tensor
from ..errors import DeriveError
from ..tracing.sample import record_step, sample
from ..tracing.trace import pull
from .module import Module

TOLERANCE = 1e-12
#: Sizes in the order of `letters`: N, D, H, and others. Only N is less than 3: two numbers that are normalized to mean
#: 0 and variance 1 are ±1 whatever they were, and their gradient is only rounding.
AT = ((4, 3, 5, 6, 7, 8), (1, 6, 3, 5, 4, 7))
_numbers = itertools.count(1)  # of modules, so that their names differ in tracebacks


def executed(module: Module) -> dict[str, Any]:
    """Run a module in a new namespace: its functions by name.

    Tracebacks show the lines of the module for as long as its functions exist.
    """
    file = f"<derived {module.name} {next(_numbers)}>"
    space = run_source(module.text, file, {"__name__": module.name})
    functions = {name: function for name, function in space.items() if callable(function)}
    weakref.finalize(functions[f"{module.name}_forward"], linecache.cache.pop, file, None).atexit = False
    return functions


def verify(module: Module, functions: dict[str, Any]) -> None:
    """Compare every value and gradient with autograd, in float64 and float32; `DeriveError` if one differs."""
    try:
        _verify(module, functions)
    except DeriveError:
        raise
    except Exception as error:
        text = f"{module.program.step.cell.name}: what was derived does not run: {error}; it is not shown"
        raise DeriveError(text) from error


def _verify(module: Module, functions: dict[str, Any]) -> None:
    cell = module.program.step.cell
    for at in AT:
        rng = np.random.default_rng(sum(at))
        given = sample(cell, rng, {}, dict(zip(letters(cell), at)))
        cotangents = [rng.standard_normal(given[name].shape) for name in cell.states]
        for dtype, tolerance in ((np.float64, TOLERANCE), (np.float32, 1e-3)):
            typed = {name: array.astype(dtype) for name, array in given.items()}
            _compare(module, functions, typed, [array.astype(dtype) for array in cotangents], tolerance)
        if f"{module.name}_bptt" in functions:
            _compare_loop(module, functions[f"{module.name}_bptt"], given, cotangents, rng)


def _compare(module: Module, functions: dict[str, Any], given: Any, dys: list[Any], tolerance: float) -> None:
    cell = module.program.step.cell
    right, new = by_autograd(cell, given, dys)
    params = {module.arguments[name]: array for name, array in given.items()}
    order = [params.pop(module.arguments[name]) for name in [cell.input, *cell.states]]
    state, cache = functions[f"{module.name}_forward"](*order, **params)
    state = state if isinstance(state, tuple) else (state,)
    for name, array, want in zip(cell.states, state, new):
        _same(f"{cell.name}: the new {name}", array, want, tolerance)
    grads = functions[f"{module.name}_backward"](*dys, cache)
    for name, want in right.items():
        _same(f"{cell.name}: d{name}", grads[f"d{name}"], want, tolerance)


def _compare_loop(module: Module, bptt: Any, given: Any, dys: list[Any], rng: np.random.Generator) -> None:
    """Compare the loop over three steps, with gradients by every output and by the last states."""
    cell = module.program.step.cell
    out, x = given[cell.states[0]], given[cell.input]
    xs, dhs = rng.standard_normal((len(x), 3, x.shape[1])), rng.standard_normal((len(out), 3, out.shape[1]))
    states = [given[name] for name in cell.states]
    params = {name: given[name] for name in cell.params}
    grads = bptt(xs, *states, {module.arguments[name]: array for name, array in params.items()}, dhs, *dys)
    leaves = {name: Tensor(np.array(array), requires_grad=True) for name, array in {**given, cell.input: xs}.items()}
    new, total = tuple(leaves[name] for name in cell.states), 0
    for t in range(3):
        new = cell(leaves[cell.input][:, t], *new, **{name: leaves[name] for name in params})
        new = new if isinstance(new, tuple) else (new,)
        total = total + (new[0] * dhs[:, t]).sum()
    total = total + sum((state * dy).sum() for state, dy in zip(new, dys))
    total.backward()
    for name, leaf in leaves.items():
        want = np.zeros_like(leaf.numpy()) if leaf.grad is None else leaf.grad
        _same(f"{cell.name}: d{name} over time", grads["dxs" if name == cell.input else f"d{name}"], want, TOLERANCE)


def _same(what: str, derived: Any, want: Any, tolerance: float) -> None:
    if np.shape(derived) != want.shape or np.asarray(derived).dtype != want.dtype:
        got = f"{np.asarray(derived).dtype} {np.shape(derived)}, by autograd {want.dtype} {want.shape}"
        raise DeriveError(f"{what}, as derived, is {got}; it is not shown")
    error = np.abs(derived - want).max() / max(np.abs(want).max(), np.finfo(want.dtype).tiny) if want.size else 0.0
    if not error <= tolerance:
        raise DeriveError(f"{what}, as derived, differs from autograd by {error:.2g} of its size; it is not shown")


def by_autograd(cell: Cell, given: Any, dys: list[Any]) -> tuple[dict[str, Any], list[Any]]:
    """The gradients of Σ <dy, new state> by every argument, and the new state."""
    trace = record_step(cell, given)
    totals, _ = pull(trace, trace.cotangents(dys))
    grads = {name: totals.get(number, np.zeros_like(given[name])) for name, number in trace.inputs.items()}
    return grads, [trace.arrays[number] for number in trace.outputs.values()]
