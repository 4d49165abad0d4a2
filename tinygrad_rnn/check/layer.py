"""`check_layer` and `check_loss`: a layer, or a function that returns its loss and gradients, against numbers.

Every call is made on a fresh copy of the layer with its parameters in float64, so that the states, accumulated
gradients and caches of earlier calls have no influence. A layer is also held to its contract.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..errors import Uncheckable
from .contract.layers import KEEPS, layer_contract
from .contract.protocol import broken
from .layers.adapter import Adapter, Reset, Run
from .layers.arguments import as_cell, parameters, refuse_deferred, refuse_inputs, with_signature
from .layers.cache_pair import usual_layer
from .layers.forward_match import compared_forward
from .layers.functions import is_operation, loss_as_layer, operation_as_layer
from .layers.problem import LayerProblem
from .mistakes import explain, other_forward
from .numeric.compare import ROUNDED
from .report import Diagnosis, Report, Row
from .timeout import SECONDS

OTHER = 1009  # the seed of the second case
LATER = {
    True: "is wrong from the second call on: it depends on what the first forward and backward left behind",
    False: "is right on the first inputs and wrong on other inputs in a later call: it keeps a state between calls",
}


def check_layer(
    layer: Any, *inputs: Any, cell: Cell | None = None, seed: int | None = None, reset: Reset | None = None,
    accumulates: bool | None = None, dtype: Any = None, timeout: float = SECONDS,
) -> Report:  # fmt: skip
    """Compare the gradients of a layer by every floating input and parameter with numbers, and check its contract.

    A layer has ``forward(*inputs)``, and ``backward(*cotangents)`` with a cotangent for each output. Its parameters and
    gradients are ``params`` and ``grads`` (lists or dicts of arrays), or are found: ``self.dW`` beside ``self.W``,
    ``self.g["W"]`` beside ``self.p["W"]``, or ``dW`` among what ``backward`` returns. ``backward`` returns the
    gradients by the inputs: an array or a tuple, with None for an input without a gradient, or for a gradient that
    nobody needs: it is not compared and does not count. Inputs and outputs are arrays, or tuples, lists and dicts of
    arrays. Gradients are named after the attribute that holds the parameter, else ``params[0]``. The layer itself is
    not changed.

    A class with static ``forward(ctx, x)`` and ``backward(ctx, dy)`` is taken as a custom operation, as PyTorch has it.

    A mistake is named by its line in the source of the layer, with a patch that was run (see `Diagnosis`).

    ``cell`` names the cell that forward should equal, for example ``tg.lstm``: a step of the cell, or the cell over
    time, from zero states if forward takes none. All outputs are compared with the cell's, in any order of axes and
    gates. A difference makes the verdict "wrong"; if no comparison is possible, the verdict is "unchecked".

    The contract: forward and backward repeat, also on later calls and on other data; neither modifies its arguments;
    gradients own their memory; backward is linear in the cotangents. A violation is a diagnosis of kind
    "protocol: ...", and the verdict is "wrong". ``accumulates`` says whether backward should add to ``grads`` (True) or
    overwrite them (False); by default both are right. A layer that uses NumPy's or Python's global random generator
    needs ``seed``, which seeds both before each forward, or ``reset``, which is called with the layer before each
    forward. A layer that always computes in float32 gets at best the verdict "precision"; ``notes`` say so.

    Returns a `Report`. Raises `Uncheckable` if ``layer`` is no layer, if the inputs do not fit, or if a call of forward
    or backward takes longer than ``timeout`` seconds.
    """
    layer = operation_as_layer(layer) if is_operation(layer) else layer
    return checked(layer, inputs, as_cell("check_layer", cell), seed, reset, accumulates, dtype, timeout=timeout)


def checked(
    layer: Any, inputs: Sequence[Any], cell: Cell | None, seed: int | None = None, reset: Reset | None = None,
    accumulates: bool | None = None, dtype: Any = None, guess: str = "", timeout: float = SECONDS,
) -> Report:  # fmt: skip
    """`check_layer`; ``guess`` is why the cell was guessed: then a forward that differs from it is a note."""
    layer = usual_layer(layer)
    adapter = Adapter(layer, inputs, reset, seed, dtype, timeout)
    if cell is not None:
        adapter.name_parameters(cell)
    report = Report(f"{type(layer).__name__}: hand-derived gradients against numbers")
    first, again = _first_run(adapter), adapter.run()
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first.outputs, again.outputs)):
        return _unchecked(adapter, report)
    problem = judged(LayerProblem(adapter, first.outputs, np.random.default_rng(seed or 0)), report, accumulates)
    if report.tensors and cell is not None and all(np.isfinite(y).all() for y in first.outputs):
        _compare_cell(adapter, cell, first.result, report, guess)
    if report.tensors and problem.coarse:
        report.notes.append("it computes in float32, whatever the dtype of its inputs")
    return report


def judged(problem: LayerProblem, report: Report, accumulates: bool | None = None) -> LayerProblem:
    """Add to the report the table, the contract, later calls, and the mistakes. Returns the problem."""
    adapter, rows = problem.adapter, problem.table() if problem.names and problem.dys else []
    report.tensors = {row.name: row for row in rows}
    report.diagnoses, report.notes = layer_contract(adapter, problem.dys, accumulates)
    again = any(violation.kind == "protocol: again" for violation in report.diagnoses)
    if rows and (KEEPS in report.notes if adapter.saves else not again):
        report.diagnoses += _later(problem, report)
    explain(problem, report)
    return problem


def _later(problem: LayerProblem, report: Report) -> list[Diagnosis]:
    """Diagnoses of gradients that are right in a first call, and wrong on other inputs after it."""
    adapter, rng = problem.adapter, np.random.default_rng(OTHER)
    used = adapter.run(adapter.floats, problem.dys).layer
    try:
        errors = problem.errors_on(adapter.on_others(rng, used), rng)
    except Exception:  # of the user's code, which may not run on other inputs
        return []
    rows = [report.tensors[name] for name in errors]
    right = [row.name for row in rows if row.verdict != "wrong" and (row.autograd or 0) <= ROUNDED]
    return [broken("again", name, LATER[adapter.saves], errors[name]) for name in right]


def _first_run(adapter: Adapter) -> Run:
    """Run forward once. If it raises on a dict, the dict was meant as inputs by name: raise Uncheckable."""
    try:
        return adapter.run()
    except Exception as error:
        keys = next((list(tree) for tree in adapter.trees if isinstance(tree, dict)), None)
        if keys is None:
            raise
        call = ", ".join(f"inputs[{key!r}]" for key in keys)
        signature = f"{type(adapter.layer).__name__}.forward({', '.join(adapter.arguments)})"
        raise Uncheckable(f"check_layer: {signature} is handed a dict and raises {type(error).__name__}: {error}; "
                          f"inputs are handed over one by one: check_layer(layer, {call})") from error  # fmt: skip


def _compare_cell(adapter: Adapter, cell: Cell, result: Any, report: Report, guess: str) -> None:
    """Say how forward is that of the cell, with axes and gates in another order; or by which line it differs."""
    forward = compared_forward(adapter, cell, result)
    if forward.kind == "same":
        text = f"forward is that of {cell.name}, read as {forward.text}" if forward.text else ""
        report.notes += filter(None, [text, guess])
    elif guess:  # it is another cell, unless there is a mistake somewhere
        report.notes += [forward.text, guess] if forward.kind == "other" and not report.ok else []
    elif forward.kind == "unknown":
        report.diagnoses.append(broken("compared", "", forward.text))
    else:
        report.diagnoses.append(other_forward(adapter, cell, forward.text))


def _unchecked(adapter: Adapter, report: Report) -> Report:
    """The report of a layer whose forward does not repeat, with the random generator that it uses."""
    before, plain = np.random.get_state()[2], random.getstate()  # type: ignore[index]
    adapter.run()
    source = "a generator outside of it or made anew at each call, or from the time"
    source = "Python's generator, random" if random.getstate() != plain else source
    source = "NumPy's global generator, np.random" if np.random.get_state()[2] != before else source  # type: ignore[index]
    text = (
        f"forward gives another result when it is called again on an equal copy of the layer: it draws from {source}; "
        "give seed=0, or --seed 0 on the command line, which sets the global ones before every forward, or reset=, "
        "which is called with the layer then"
    )
    report.diagnoses = [Diagnosis("protocol: repeats", "", text, 0.0)]
    names = [f"d{name}" for name in adapter.names]
    report.tensors = {name: Row(name, "unchecked", note="forward does not repeat") for name in names}
    return report


def check_loss(function: Callable[..., Any], *inputs: Any, seed: int | None = None, timeout: float = SECONDS) -> Report:
    """Compare the gradients that a function returns after its loss with the numerical derivatives of the loss.

    loss, dWxh, dWhh, dWhy, dbh, dby, hprev = lossFun(inputs, targets, hprev, Wxh, Whh, Why, bh, by)

    Gradients are matched to inputs by name (``dWxh``, ``grad_Wxh``, a dict with the keys of an input), then by order
    and shape; what fits no input is left alone. Weights may be global variables of the function's module, or attributes
    of the object whose method it is (``model.loss``); another method without arguments, ``backward()`` or ``bptt()``,
    may compute the gradients afterwards. An input without a gradient does not count. Inputs are arrays, or lists,
    tuples and dicts of arrays; integers are never differentiated. ``seed`` seeds NumPy's and Python's global generators
    before each call.

    Returns a `Report`. Raises `Uncheckable` if the function does not take the inputs, returns no loss, or if a call
    takes longer than ``timeout`` seconds.
    """
    name = getattr(function, "__name__", type(function).__name__)
    name = f"{type(function.__self__).__name__}.{name}" if inspect.ismethod(function) else name
    if isinstance(function, type) or not callable(function):
        raise Uncheckable(f"check_loss: it is handed a {type(function).__name__}, should be a function that returns "
                          "the loss, then gradients, or a method that does, model.loss")  # fmt: skip
    refuse_deferred("check_loss", function)
    function = with_signature(function)
    wanted = ", ".join(parameters(function))
    call = f"check_loss({name}, {wanted})" if not wanted.startswith("self, ") else (
        f"check_loss(model.{name}, {wanted[6:]}), of an object of the class")  # fmt: skip
    refuse_inputs("check_loss", name, function, inputs, call)
    report = checked(loss_as_layer(function), inputs, None, seed, timeout=timeout)
    if not report.tensors:
        report.notes.append("nothing was compared: no input has floats, and no weights were found. They should be "
                            f"arguments of {name}, global variables of its file, or attributes of the object whose "
                            "method is checked, check_loss(model.loss, ...)")  # fmt: skip
    report.title = f"{name}: the gradients that it returns against numbers of its loss"
    return report
