"""`check_backward`: a gradient derived by hand, against autograd and against numbers, line by line.

Which wrong line is the cause? The backward pass is run again with the gradients by hand in the place of the right ones
(`Tape.back`): what then comes out for a gradient is what it should be *if those before it were right*. A wrong
gradient that equals it follows rightly from a mistake elsewhere; one that does not has a mistake of its own, and it is
looked for (`mistakes`) with just that, so that two mistakes do not hide each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from .contract.functions import promises
from .diagnose.case import Case
from .diagnose.explain import explain
from .diagnose.targets import OfCell, OfFunction, Subject
from .layer import checked
from .layers.cache_pair import pair, right_way_round, takes_cache
from .numeric.compare import CLOSE, EMPTY, ROUNDED
from .report import Report, Row, distance, row


def check_backward(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, seed: int = 0,
    sizes: Mapping[str, int] | None = None, dtype: Any = None, **params: Any,
) -> Report:  # fmt: skip
    """Compare the gradients that ``backward`` computes with autograd's, and those with numbers.

    ``forward`` is a cell: then ``backward(x, *states, **params, dh=, dc=)`` is called with its arguments and the
    gradients by the *new* states. If it takes ``dhs``, it is backpropagation through time:
    ``backward(xs, *states, **params, dhs=, dh=, dc=)``, xs (N, T, D), dhs (N, T, H) the gradient by every output, dh
    and dc those by the last states (which it may leave out). Inputs not given are random, of ``sizes`` by letter (by
    default N=3, T=5, D=7, H=11). Or ``forward`` is a function of arrays: ``backward(*inputs, dy)``, one dy for each
    output.

    ``backward`` computes on arrays, of ``dtype`` (float64 by default), and returns a dict in the order of the
    derivation, or a tuple in the order of the inputs. A key is "d" and the name of a value: of an argument (``"dx"``,
    ``"dWx"``; ``"dh"`` is by the state that came in) or of a local variable (``"df"``, ``"dA"``; ``"dc'"`` is by the
    new ``c``); over time ``"dxs"``, and those of local variables are of all steps, stacked along axis 1. Of a variable
    that is computed several times it may be that of one run, the sum of all or all of them, stacked. The gradients by
    all arguments must be there; None for one that is no parameter of the cell says that nobody needs it.

    Or ``forward`` returns what its backward needs as well, and the latter takes it: ``out, cache = forward(*inputs)``,
    ``backward(dout, cache)``. These are called on arrays only and checked as a layer is, by numbers (`check_layer`).

    The report tells the first wrong line, which others merely follow from it, the smallest case that fails, and the
    mistake, as a line to change, where a known one gives exactly these numbers. And what callers rely on beside them:
    that ``backward`` repeats, modifies nothing, is linear in the cotangents, and keeps rows and steps apart; what is
    amiss is a diagnosis of kind "protocol: ...".
    """
    subject: Subject
    right_way_round(forward, backward, inputs)
    if takes_cache(backward) and not isinstance(forward, Cell):
        return checked(pair(forward, backward), inputs, None, dtype=dtype)
    if isinstance(forward, Cell):
        subject = OfCell(forward, backward, inputs, params, sizes or {}, dtype, seed)
    else:
        subject = OfFunction(forward, backward, inputs, dtype, seed)
    case = subject.case(seed)
    case.compare()
    report = Report(f"{subject.name}: by hand against autograd and numbers")
    case.take(subject.ask(case))
    for one in rows(case):
        report.tensors[one.name] = one
    explain(subject, case, report, seed)
    broken, report.notes = promises(subject, case)
    report.diagnoses += broken
    return report


def rows(case: Case) -> list[Row]:
    """One row for each gradient by hand, in its order, then one for each argument that has none."""
    found = []
    for name, g in case.hand.items():
        if g is None and case.needless(name):
            found.append(_none(case, name))
        elif g is None or np.asarray(g).dtype.kind not in "fiu":
            found.append(Row(name, "wrong", np.inf, note=f"is {'None' if g is None else 'no array of numbers'}"))
        elif name in case.read:
            found.append(_read(case, name, np.asarray(g)))
        elif name not in case.lines:
            known = f"no such value; there are {', '.join(case.known)}"
            found.append(Row(name, "unchecked", shape=np.shape(g), counts=False, note=known))
        else:
            found.append(_row(case, name, np.asarray(g)))
    absent = [f"d{name}" for name in case.problem.names if f"d{name}" not in case.hand]
    return found + [Row(name, "unchecked", note="not returned") for name in absent]


def _row(case: Case, name: str, g: np.ndarray) -> Row:
    right = case.right(name)
    one = row(name, verdict(case.distance(name, g, right)), g, right)
    one.blocks = _blocks(case, name, g, right) if one.verdict == "wrong" else {}
    called = case.label(name)
    if not all(np.isfinite(y).all() for y in case.problem.ys):
        one.verdict, one.note = "unchecked", "forward gives NaN or inf here"
    elif not any(np.size(dy) for dy in case.problem.dys):
        one.verdict, one.note = "unchecked", EMPTY
    elif g.shape != right.shape:
        one.note = f"should be {right.shape}"
    elif called != name[1:]:
        one.note = f"taken for the gradient by {called}"
    k = case.index(name)
    if k is not None:
        one.autograd, one.numbers = distance(g, case.autograd[k]), case.from_numbers(k, g)
        if one.verdict == "unchecked":
            return one
        if case.checked[k].verdict == "unchecked":
            one.note = "compared with autograd only: the numbers are too rough"
        elif case.checked[k].verdict == "wrong":
            one.note = "compared with numbers: autograd differs from them, so a gradient rule is wrong"
    return one


def _none(case: Case, name: str) -> Row:
    """None for what is no parameter: right where the gradient is zero or there is none, else taken as not needed."""
    k = case.index(name)
    if k is None or not np.any(case.autograd[k]):
        return Row(name, "right", note="is None", counts=k is not None)
    return Row(name, "unchecked", shape=case.autograd[k].shape, note="is None: taken as not needed", counts=False)


def _read(case: Case, name: str, g: np.ndarray) -> Row:
    """A gradient by a name that is computed several times."""
    text, right = case.read[name]
    if right is None:
        note = f"{name[1:]} is computed several times, and no array of its gradients has this shape"
        return Row(name, "unchecked", shape=g.shape, counts=False, note=note)
    one = row(name, "right", g, right)
    one.note = f"taken for {text}"
    return one


def verdict(far: float) -> str:
    return "right" if far <= CLOSE else "precision" if far <= ROUNDED else "wrong"


def _blocks(case: Case, name: str, g: np.ndarray, right: np.ndarray) -> dict[str, Row]:
    """The same for each gate block of a stacked gradient."""
    if g.shape != right.shape:
        return {}
    mine, theirs = case.atoms(name, g), case.atoms(name, right)
    made = {key: row(key, "right", mine[key], theirs[key]) for key in mine if len(mine) > 1}
    for one in made.values():
        one.verdict = verdict(one.rel_error or 0.0)
    return made
