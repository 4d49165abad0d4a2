"""`check_layer`: a layer with its own forward and backward, against numbers, against autograd if its forward runs on
Tensors or equals a cell, and against the contract of a layer.

Every call is made on a fresh copy of the layer with its parameters in float64, so that the states, accumulated
gradients and caches of earlier calls have no influence.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..errors import Uncheckable
from .contract.layers import KEEPS, layer_contract
from .contract.protocol import broken
from .debugger.debug import diagnoses
from .diagnose.explain import explain
from .diagnose.layer_target import NoReference, OfLayer
from .diagnose.tensor_edits import MATCH, WHOLE
from .layers.adapter import Adapter, Reset, Run
from .layers.arguments import as_cell
from .layers.forward_match import compared_forward
from .layers.gradient_attributes import AttributeLayer, needs_names
from .layers.problem import NONE, LayerProblem
from .numeric.compare import CLOSE, EMPTY, compared
from .numeric.derivatives import Slopes
from .report import Diagnosis, Report, Row, distance


def check_layer(
    layer: Any, *inputs: Any, cell: Cell | None = None, seed: int | None = None, reset: Reset | None = None,
    accumulates: bool | None = None, dtype: Any = None,
) -> Report:  # fmt: skip
    """Compare the gradients of a layer by every floating input and parameter with numbers, and check its contract.

    A layer has ``params`` and ``grads`` (lists or dicts of arrays), ``forward(*inputs)``, and ``backward(*cotangents)``
    with a cotangent for each output. ``backward`` returns the gradients by the inputs: an array or a tuple, with None
    for an input without a gradient, or for a gradient that nobody needs: it is not compared and does not count. Inputs
    and outputs are arrays, or tuples, lists and dicts of arrays. Gradients are named after the attribute that holds
    the parameter, else ``params[0]``. The layer itself is not changed.

    To find mistakes, the check needs a graph. It runs forward on Tensors if that works. Otherwise, ``cell`` names the
    cell that forward should equal, for example ``tg.lstm``: a step of the cell, or the cell over time, from zero states
    if forward takes none. All outputs are compared with the cell's, in any order of axes and gates. A difference makes
    the verdict "wrong"; if no comparison is possible, the verdict is "unchecked".

    The contract: forward and backward repeat, also on later calls and on other data; neither modifies its arguments;
    gradients own their memory; backward is linear in the cotangents. A violation is a diagnosis of kind
    "protocol: ...", and the verdict is "wrong". ``accumulates`` says whether backward should add to ``grads`` (True) or
    overwrite them (False); by default both are right. A layer that uses NumPy's or Python's global random generator
    needs ``seed``, which seeds both before each forward, or ``reset``, which is called with the layer before each
    forward. A layer that always computes in float32 gets at best the verdict "precision"; ``notes`` say so.

    Returns a `Report`. Raises `Uncheckable` if ``layer`` is no layer, or the inputs do not fit.
    """
    return checked(layer, inputs, as_cell("check_layer", cell), seed, reset, accumulates, dtype)


def checked(
    layer: Any, inputs: Sequence[Any], cell: Cell | None, seed: int | None = None, reset: Reset | None = None,
    accumulates: bool | None = None, dtype: Any = None, guess: bool = False,
) -> Report:  # fmt: skip
    """`check_layer`; if the cell is only a ``guess``, a forward that differs from the cell is a note."""
    roots = getattr(layer, "user_functions", [layer])
    adapter = Adapter(AttributeLayer(layer) if needs_names(layer) else layer, inputs, reset, seed, dtype)
    if cell is not None:
        adapter.name_parameters(cell)
    report = Report(f"{type(layer).__name__}: hand-derived gradients against numbers")
    first, again = _first_run(adapter), adapter.run()
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first.outputs, again.outputs)):
        return _unchecked(adapter, report)
    if first.outputs and not any(y.size for y in first.outputs):
        report.tensors = {f"d{name}": Row(f"d{name}", "unchecked", note=EMPTY) for name in adapter.names}
        return report
    problem = LayerProblem(adapter, first.outputs, np.random.default_rng(seed or 0))
    report.diagnoses, report.notes = layer_contract(adapter, problem.dys, accumulates)
    if not problem.names or not problem.dys:
        return report
    rows, gradients, numbers = compared(problem)
    for row in rows:
        report.tensors[row.name] = problem.with_note(row)
    report.diagnoses += _second_call(adapter, problem) if KEEPS in report.notes else []
    if cell is not None and all(np.isfinite(y).all() for y in first.outputs):
        cell = _same_cell(adapter, cell, first.result, report, guess)
    _explain(adapter, roots, cell, report, (problem, gradients, numbers))
    if problem.coarse:
        report.notes.append("it computes in float32, whatever the dtype of its inputs")
    return report


def _explain(
    adapter: Adapter, roots: Sequence[Any], cell: Cell | None, report: Report, compared_with: Any
) -> None:  # fmt: skip
    """Add the mistakes to the report: as lines with a patch, else in words."""
    wrong = any(row.verdict == "wrong" for row in report.tensors.values())
    in_source = wrong and (roots != [adapter.layer])  # functions, and layers with gradients as attributes
    if not (in_source and _lines(adapter, roots, report)) and (wrong or cell is not None):
        before = len(report.diagnoses)
        _reference(adapter, cell, report, compared_with)
        if wrong and not in_source and not report.diagnoses and not before and cell is None:
            _lines(adapter, roots, report)


def _lines(adapter: Adapter, roots: Sequence[Any], report: Report) -> bool:
    """Add the mistakes as lines of the user's source with a patch; False if none was found."""
    try:
        lines = diagnoses(adapter, roots)
    except Exception as error:  # the verdict stands even if the search fails
        report.notes.append(f"no line was looked for: {type(error).__name__}: {error}")
        return False
    report.diagnoses, report.searched = lines + report.diagnoses, report.searched or bool(lines)
    return bool(lines)


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


def _same_cell(adapter: Adapter, cell: Cell, result: Any, report: Report, guess: bool) -> Cell | None:
    """The cell, if forward equals it with axes and gates in the cell's order; else None, and the report says why."""
    forward = compared_forward(adapter, cell, result)
    if forward.kind == "same":
        report.notes += [f"forward is that of {cell.name}, read as {forward.text}"] if forward.text else []
        return None if forward.text else cell
    if guess:
        report.notes.append(forward.text)
    else:
        report.diagnoses.append(broken("forward" if forward.kind == "other" else "compared", "", forward.text))
    return None


def _second_call(adapter: Adapter, problem: LayerProblem) -> list[Diagnosis]:
    """Compare the gradients of a stateful layer with numbers again, after a forward and backward on other inputs."""
    used = adapter.run(adapter.floats, problem.dys).layer
    rng = np.random.default_rng(7)
    inputs = [x * rng.uniform(0.8, 1.2, x.shape) if np.asarray(x).dtype.kind == "f" else x for x in adapter.inputs]
    try:
        second = adapter.with_inputs(inputs, used)
        rows = compared(LayerProblem(second, second.run().outputs, rng))[0]
    except Exception:  # of the user's code, which may not run on other inputs
        return []
    text = "is wrong from the second call on: it depends on what the first forward and backward left behind"
    return [broken("again", row.name, text, row.rel_error or 0.0) for row in rows
            if row.verdict == "wrong" and problem.misfits.get(row.name) != NONE]  # fmt: skip


def _reference(adapter: Adapter, cell: Cell | None, report: Report, compared_with: Any) -> None:
    """Add the diagnoses to the report: from a graph, or if there is none, from the numbers alone."""
    problem, gradients, numbers = compared_with
    violations, report.diagnoses = report.diagnoses, []
    try:
        subject = OfLayer(adapter, cell, 0)
        case = subject.case(0)
        case.take(subject.ask(case))
        explain(subject, case, report, 0)
        reference = cell.name if cell else "its own forward"
        report.title += f", and autograd of {reference}"
    except NoReference as reason:
        offered = "" if cell else "; cell= names a cell that it should be equal to"
        report.notes.append(f"compared with numbers only: {reason}{offered}")
    except Exception as error:  # the gradient is wrong even if the search for the mistake fails
        report.notes.append(f"no mistake was looked for: {type(error).__name__}: {error}")
    if not report.diagnoses:
        for k, row in enumerate(report.tensors.values()):
            if row.verdict == "wrong" and not row.note and not row.consequence:
                report.diagnoses += _mistakes(adapter, problem, k, gradients, numbers)
    report.diagnoses += violations


def _unchecked(adapter: Adapter, report: Report) -> Report:
    """The report of a layer whose forward does not repeat, with the random generator that it uses."""
    before, plain = np.random.get_state()[2], random.getstate()  # type: ignore[index]
    adapter.run()
    source = "a generator outside of it or made anew at each call, or from the time"
    source = "Python's generator, random" if random.getstate() != plain else source
    source = "NumPy's global generator, np.random" if np.random.get_state()[2] != before else source  # type: ignore[index]
    text = (
        f"forward gives another result when it is called again on an equal copy of the layer: it draws from {source}; "
        "give seed=0, which sets the global ones before every forward, or reset=, which is called with the layer then"
    )
    report.diagnoses = [Diagnosis("protocol: repeats", "", text, 0.0)]
    names = [f"d{name}" for name in adapter.names]
    report.tensors = {name: Row(name, "unchecked", note="forward does not repeat") for name in names}
    return report


def _mistakes(
    adapter: Adapter, problem: LayerProblem, k: int, gradients: Sequence[np.ndarray], numbers: Sequence[Slopes]
) -> list[Diagnosis]:
    """The mistakes in gradient ``k`` as a whole that give its numbers, or for a large gradient, its directions."""
    shapes = [np.shape(x) for x in adapter.inputs]
    N = shapes[0][0] if shapes and shapes[0] else 1
    counts = {"N": N, "T": next((shape[1] for shape in shapes if len(shape) == 3), 1)}
    slope, g, name = numbers[k], gradients[k], f"d{problem.names[k]}"
    shape = g.shape if len(slope.values) == g.size else slope.values.shape
    got, right = slope.of(g).reshape(shape), slope.values.reshape(shape)
    diagnoses = []
    for text, (kind, change) in WHOLE.items():
        candidate = change(right, counts) if counts["N" if "N" in kind else "T"] > 2 or kind[-1] not in "NT" else right
        if np.shape(candidate) == shape and distance(candidate, right) > CLOSE and distance(got, candidate) <= MATCH:
            diagnoses.append(Diagnosis(kind, name, f"{name}: {text.format(**counts)}", distance(got, candidate)))
    return diagnoses
