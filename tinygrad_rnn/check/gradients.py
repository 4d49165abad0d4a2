"""`check_gradients`: are autograd's gradients the derivatives of the function? `numeric.compare` has the method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.pytree import flatten
from ..engine.tensor import make, value
from ..errors import InvalidType, InvalidValue
from ..tracing.sample import sample
from .numeric.compare import compared, gap
from .numeric.derivatives import outputs
from .numeric.inputs import SIZES, NamedInputs
from .numeric.problem import Problem
from .numeric.richardson import remainder_order, second_opinion
from .report import Report, Row


def check_gradients(
    f: Callable[..., Any], *inputs: Any, seed: int = 0, order: int = 1, sizes: Mapping[str, int] | None = None,
    **named: Any,
) -> Report:  # fmt: skip
    """Compare the gradients of ``f(*inputs, **named)`` by every floating input with numbers.

    ``f`` takes Tensors and returns a Tensor or several; every output gets a random cotangent. Inputs are arrays,
    Tensors, or trees of them; ``params["Wx"]`` is called ``params.Wx``. The parameters that f closes over, or that
    belong to a layer, are checked too. A cell without inputs gets random ones, of ``sizes`` by letter.

    Numbers come from the complex step, or from extrapolated differences, always in float64: for every element, or for
    a large tensor along random directions; then the worst element is searched for. All errors are relative to the norm
    of the gradient, so a wrong sign at 1e-12 is wrong. Rounding is measured, by moving the inputs by their last bit: a
    gradient that is off by no more than rounding is "precision". Elements at a kink (relu at 0) are left out and
    counted. A Taylor test runs beside this, and a note says whether it agrees.

    ``order=2`` also checks the gradients of the gradients, ``ddx``: those of <v, (dx, dw, ...)> with random v, against
    differences of gradients; higher orders likewise.

    Returns a `Report`. Raises InvalidValue if f raises or does not repeat, InvalidType if f returns nothing floating.
    """
    if not isinstance(order, int) or order < 1:
        raise InvalidValue(f"check_gradients: order is {order!r}, should be 1, 2 (gradients of gradients), ...")
    rng = np.random.default_rng(seed)
    title = f.name if isinstance(f, Cell) else getattr(f, "__name__", type(f).__name__)
    report = Report(f"{title}: autograd against numbers")
    if isinstance(f, Cell) and not inputs:
        named = {**sample(f, rng, sizes or {}, SIZES), **named}
        inputs = tuple(named.pop(name) for name in (f.input, *f.states))
    function = NamedInputs(f, inputs, named)
    unseen = function.find_parameters(_first_call(f"check_gradients: {title}", function, function.flat))
    problem = Problem(function, function.flat, rng)
    problem.title = f"check_gradients: {title}"
    if not problem.names:
        report.notes.append("none of the inputs is floating: there is nothing to differentiate by")
        return report
    for n in range(order):
        problem = Problem(_gradients(problem), problem.arrays, rng) if n else problem
        for row in _checked(problem, "d" * n, report):
            report.tensors[row.name] = row
    text = "not checked: the result depends on a parameter that is not among its inputs, {}; hand it in"
    report.notes += [text.format(parameter) for parameter in unseen]
    return report


def _gradients(problem: Problem) -> Callable[..., list[Any]]:
    """The gradients of a function as a function of the same inputs."""
    return lambda **xs: problem.gradient(*xs.values())


def _checked(problem: Problem, prefix: str, report: Report) -> Iterator[Row]:
    """The rows of an order; adds the note of the Taylor test to the report."""
    rows, orders = compared(problem)[0], []
    with np.errstate(all="ignore"):
        gradients, rng = problem.autograd(problem.exact), np.random.default_rng(5)
        for k, (row, x, g) in enumerate(zip(rows, problem.exact, gradients)):
            v, row.name = rng.standard_normal(x.shape), prefix + row.name
            finite = x.size and np.isfinite(g).all() and np.isfinite(problem.noise)
            slope = float(np.sum(g * v))
            orders.append(remainder_order(problem.L, problem.exact, k, v, slope, problem.noise) if finite else None)
            if row.verdict == "right" and not row.note and (orders[-1] or 2) < 1.5 and gap(problem, k, v) > 0:
                row.note = "at a kink, where a gradient is one of several"
    report.notes += second_opinion(rows, orders)
    yield from rows


def _first_call(title: str, f: Callable[..., Any], flat: Mapping[str, Any]) -> Any:
    """The result of a function; a clear error if it raises, or returns nothing that has a gradient."""
    try:
        result = f(**{name: make(x, None) if np.asarray(x).dtype.kind == "f" else x for name, x in flat.items()})
    except Exception as error:
        shapes = ", ".join(f"{name} {np.shape(x)}" for name, x in flat.items())
        raise InvalidValue(f"{title} raised {type(error).__name__} on {shapes}: {error}") from error
    if not outputs(result):
        kinds = ", ".join(_kind(leaf) for leaf in flatten(result)[0]) or "nothing"
        raise InvalidType(f"{title} returned {kinds}, should be floating to have a gradient")
    return result


def _kind(leaf: Any) -> str:
    array = np.asarray(value(leaf))
    return type(leaf).__name__ if array.dtype.kind not in "biufc" else f"{array.dtype} {array.shape}"
