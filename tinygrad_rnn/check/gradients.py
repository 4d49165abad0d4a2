"""`check_gradients`: is what autograd gives the derivative of what the function computes? (`compare` says how.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..engine.pytree import flatten
from ..engine.tensor import value
from ..engine.transforms import vjp
from ..errors import InvalidType, InvalidValue
from ..tracing.sample import sample
from .numeric.compare import CLOSE as CLOSE
from .numeric.compare import ROUNDED as ROUNDED
from .numeric.compare import Problem, compared, gap
from .numeric.derivatives import outputs
from .numeric.inputs import SIZES, Given, by_name
from .numeric.inputs import argument_names as argument_names
from .numeric.taylor import remainder_order, second_opinion
from .report import Report, Row


def check_gradients(
    f: Callable[..., Any], *inputs: Any, seed: int = 0, order: int = 1, sizes: Mapping[str, int] | None = None,
    **named: Any,
) -> Report:  # fmt: skip
    """Compare the gradients of ``f(*inputs, **named)`` by every floating input with numbers.

    ``f`` takes Tensors and gives a Tensor, or several; every output gets a random cotangent. Inputs are arrays, Tensors
    or trees of them, and so is every parameter that f closes over or that is a layer's own; ``params["Wx"]`` is called
    ``params.Wx``. A cell without inputs gets random ones, of ``sizes`` by letter.

    Numbers come from the complex step, or from extrapolated differences, in float64 whatever the inputs are: of every
    element, or along random directions of a large tensor, and then the worst element is searched for. Errors are
    relative to the norm of each gradient and nothing is absolute: a wrong sign at 1e-12 is wrong. Rounding is measured,
    by moving the inputs by it: a gradient that is off by no more than that is "precision". Elements at a kink (relu at
    0) are left out and counted. A Taylor test looks on, and a note tells whether it agrees.

    ``order=2`` checks also the gradients of the gradients, ``ddx``: those of <v, (dx, dw, ...)>, v random, against
    differences of gradients; and so on. ValueError where f raises or does not repeat; TypeError where nothing that it
    returns is floating.
    """
    if not isinstance(order, int) or order < 1:
        raise InvalidValue(f"check_gradients: order is {order!r}, should be 1, 2 (gradients of gradients), ...")
    rng = np.random.default_rng(seed)
    title = f.name if isinstance(f, Cell) else getattr(f, "__name__", type(f).__name__)
    report = Report(f"{title}: autograd against numbers")
    if isinstance(f, Cell) and not inputs:
        flat, unseen = {**sample(f, rng, {**SIZES, **(sizes or {})}), **named}, []
        call = _told(title, by_name(f), flat)
    else:
        given = Given(f, inputs, named)
        flat, call = given.flat, _told(title, given, given.flat)
        unseen = given.look(call)
    if not any(np.asarray(x).dtype.kind == "f" for x in flat.values()):
        report.notes.append("none of the inputs is floating: there is nothing to differentiate by")
        return report
    problem = Problem(call, flat, rng)
    _repeats(title, problem)
    for n in range(order):
        problem = Problem(_gradients(problem), problem.arrays, rng) if n else problem
        for one in _checked(problem, "d" * n, report):
            report.tensors[one.name] = one
    text = "not checked: the result depends on a parameter that is not among its inputs, {}; hand it in"
    report.notes += [text.format(one) for one in unseen]
    return report


def _gradients(problem: Problem) -> Callable[..., list[Any]]:
    """The gradients of a function as a function of the same inputs."""
    return lambda **xs: problem.gradient(*xs.values())


def _checked(problem: Problem, prefix: str, report: Report) -> Iterator[Row]:
    """The rows of one order, and a note of what the Taylor test says of them."""
    rows, orders = compared(problem)[0], []
    with np.errstate(all="ignore"):
        gradients, rng = problem.autograd(problem.exact), np.random.default_rng(5)
        for k, (one, x, g) in enumerate(zip(rows, problem.exact, gradients)):
            v, one.name = rng.standard_normal(x.shape), prefix + one.name
            finite = x.size and np.isfinite(g).all() and np.isfinite(problem.noise)
            slope = float(np.sum(g * v))
            orders.append(remainder_order(problem.L, problem.exact, k, v, slope, problem.noise) if finite else None)
            if one.verdict == "right" and not one.note and (orders[-1] or 2) < 1.5 and gap(problem, k, v) > 0:
                one.note = "at a kink, where a gradient is one of several"
    report.notes += second_opinion(rows, orders)
    yield from rows


def _told(title: str, call: Callable[..., Any], flat: Mapping[str, Any]) -> Callable[..., Any]:
    """The function, which on its first run tells what it raised on what; and that it gave nothing to differentiate."""
    names = ", ".join(f"{name} {np.shape(x)}" for name, x in flat.items())
    first = [True]

    def told(**now: Any) -> Any:
        if not first[0]:
            return call(**now)
        try:
            result = call(**now)
        except Exception as error:
            raise InvalidValue(f"check_gradients: {title} raised {type(error).__name__} on {names}: {error}") from error
        if not outputs(result):
            kinds = ", ".join(_kind(one) for one in flatten(result)[0]) or "nothing"
            raise InvalidType(f"check_gradients: {title} returned {kinds}, should be floating to have a gradient")
        first[0] = False
        return result

    return told


def _kind(one: Any) -> str:
    array = np.asarray(value(one))
    return type(one).__name__ if array.dtype.kind not in "biufc" else f"{array.dtype} {array.shape}"


def _repeats(title: str, problem: Problem) -> None:
    again = outputs(vjp(problem.f, *problem.arrays.values())[0])
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(problem.ys, again)):
        raise InvalidValue(
            f"check_gradients: {title} gives another result when it is called again, should be a function of its "
            "inputs; make its random generator inside, with a seed, and start from the same state"
        )
