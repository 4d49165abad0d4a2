"""`check_backward`: a hand-derived gradient against autograd and against numbers, line by line.

To tell a cause from its consequences, the backward pass runs again with the hand-derived gradients in the place of the
right ones (`Tape.back`). This gives, for each line, the gradient that is right for the inputs of that line. A wrong
gradient that equals it follows correctly from a mistake in an earlier line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from .contract.functions import function_contract
from .derivation.as_layer import DerivationAdapter
from .derivation.case import Case
from .derivation.kinks import right_at_kinks
from .derivation.subjects import OfCell, OfFunction, Subject
from .layer import checked
from .layers.arguments import with_signature
from .layers.cache_pair import pair_as_layer, right_way_round, takes_cache
from .mistakes import explain
from .numeric.compare import CLOSE, EMPTY, ROUNDED
from .report import Report, Row, distance, row
from .timeout import SECONDS, limited, with_limit
from .whole import whole_gradient


def check_backward(
    forward: Callable[..., Any], backward: Callable[..., Any], *inputs: Any, seed: int = 0,
    sizes: Mapping[str, int] | None = None, dtype: Any = None, timeout: float = SECONDS, **params: Any,
) -> Report:  # fmt: skip
    """Compare the gradients of a hand-derived ``backward`` with autograd's, and autograd's with numbers.

    There are four forms:

    - ``forward`` is a cell: ``backward(x, *states, **params, dh=, dc=)`` gets the arguments of the cell and the
      gradients by the *new* states.
    - ``forward`` is a cell and ``backward`` takes ``dhs``, which is backpropagation through time:
      ``backward(xs, *states, **params, dhs=, dh=, dc=)`` gets xs (N, T, D), the gradients dhs (N, T, H) by all
      outputs, and the gradients dh and dc by the last states (``backward`` may omit these).
    - ``forward`` is a function of arrays: ``backward(*inputs, dy)``, with one dy for each output.
    - ``forward`` returns a cache: ``out, cache = forward(*inputs)``, ``backward(dout, cache)``. Both are called on
      arrays only, and they are checked by numbers, as `check_layer` checks a layer.

    Missing inputs are random, of ``sizes`` by letter (default N=3, T=5, D=7, H=11). Arrays have ``dtype`` (default
    float64).

    ``backward`` returns a dict in the order of the derivation, or a tuple in the order of the inputs. A key is "d" and
    the name of a value: an argument (``"dx"``, ``"dWx"``; ``"dh"`` is by the old state) or a local variable (``"df"``,
    ``"dA"``; ``"dc'"`` is by the new ``c``). Over time the key of the input is ``"dxs"``, and gradients by local
    variables are stacked over the steps along axis 1. For a variable that is computed several times the gradient may
    be that of one computation, the sum over all, or all of them stacked. The gradients by all arguments are required;
    None for an argument that is no parameter of the cell means that nobody needs this gradient.

    Returns a `Report`: the first wrong gradient, those that are wrong only because of it, the smallest case that fails,
    and the wrong line of the source with a patch that was run, if there is one. It also checks the contract of
    a backward: that it repeats, modifies nothing, is linear in the cotangents, and keeps rows of the batch and steps
    apart. A violation is a diagnosis of kind "protocol: ...". Raises `Uncheckable` for arguments that do not fit, and
    if a call of forward or backward takes longer than ``timeout`` seconds.
    """
    subject: Subject
    forward, backward = with_signature(forward), with_signature(backward)
    right_way_round(forward, backward, inputs)
    if not isinstance(forward, Cell) and takes_cache(backward, forward):
        return checked(pair_as_layer(forward, backward), inputs, None, dtype=dtype, timeout=timeout)
    if isinstance(forward, Cell):
        subject = OfCell(forward, backward, inputs, params, sizes or {}, dtype, seed)
    else:
        subject = OfFunction(forward, backward, inputs, dtype, seed)
    subject.backward = with_limit(subject.name, backward, timeout)
    with limited(subject.name, timeout):
        case = subject.case(seed)
    case.compare()
    report = Report(f"{subject.name}: hand-derived gradients against autograd and numbers")
    case.take(subject.ask(case))
    report.tensors = {row.name: row for row in rows(case)}
    right_at_kinks(case, report)
    if report.first_wrong:
        _explain(subject, case, report)
    violations, notes = function_contract(subject, case)
    report.diagnoses, report.notes = report.diagnoses + violations, report.notes + notes
    return report


def _explain(subject: Subject, case: Case, report: Report) -> None:
    """Tell causes from consequences, and add the mistakes to the report."""
    wrong = [row for row in report.tensors.values() if row.verdict == "wrong" and row.name in case.lines]
    upstream = case.expected()
    for wrong_row in wrong:
        got = np.asarray(case.hand[wrong_row.name], np.float64)
        wrong_row.consequence = distance(got, upstream[wrong_row.name]) <= CLOSE
    if wrong and all(row.consequence for row in wrong):  # each follows from another: the first counts as the cause
        wrong[0].consequence = False
    if any(row.verdict == "wrong" for row in case.checked):
        return  # a gradient rule of an operation is wrong: nothing that is said of the user's would be sure
    explain(DerivationAdapter(subject, case), subject.sources, report, subject.batched)
    for line in report.lines:
        assigned = re.match(r"\s*(\w+)", line.old or line.new or "")
        line.way = case.way(assigned[1] if assigned else "") or case.way(report.first_wrong or "")
    causes = [row for row in wrong if row.verdict == "wrong" and not row.consequence]
    if not report.lines:
        report.diagnoses += [diagnosis for row in causes for diagnosis in whole_gradient(
            row.name, np.asarray(case.hand[row.name]), upstream[row.name], {"T": 1, **case.tape.counts})]  # fmt: skip


def rows(case: Case) -> list[Row]:
    """A row for each hand-derived gradient, in its order, then a row for each argument without a gradient."""
    table_rows = []
    for name, g in case.hand.items():
        if g is None and case.needless(name):
            table_rows.append(_none(case, name))
        elif g is None or np.asarray(g).dtype.kind not in "fiu":
            table_rows.append(Row(name, "wrong", np.inf, note=f"is {'None' if g is None else 'no array of numbers'}"))
        elif name in case.read:
            table_rows.append(_read(case, name, np.asarray(g)))
        elif name not in case.lines:
            known = f"no such value; there are {', '.join(case.known)}"
            table_rows.append(Row(name, "unchecked", shape=np.shape(g), counts=False, note=known))
        else:
            table_rows.append(_row(case, name, np.asarray(g)))
    absent = [f"d{name}" for name in case.problem.names if f"d{name}" not in case.hand]
    return table_rows + [Row(name, "unchecked", note="not returned") for name in absent]


def _row(case: Case, name: str, g: np.ndarray) -> Row:
    """The row of a gradient by an argument or by a local variable."""
    right = case.right(name)
    result = row(name, verdict(case.distance(name, g, right)), g, right)
    result.blocks = _blocks(case, name, g, right) if result.verdict == "wrong" else {}
    label = case.label(name)
    if not all(np.isfinite(y).all() for y in case.problem.ys):
        result.verdict, result.note = "unchecked", "forward gives NaN or inf here"
    elif not any(np.size(dy) for dy in case.problem.dys):
        result.verdict, result.note = "unchecked", EMPTY
    elif g.shape != right.shape:
        result.note = f"should be {right.shape}"
    elif label != name[1:]:
        result.note = f"taken for the gradient by {label}"
    k = case.index(name)
    if k is not None:
        result.autograd, result.numbers = distance(g, case.autograd[k]), case.from_numbers(k, g)
        if result.verdict == "unchecked":
            return result
        if case.checked[k].verdict == "unchecked":
            result.note = "compared with autograd only: the numbers are too rough"
        elif case.checked[k].verdict == "wrong":
            result.note = "compared with numbers: autograd differs from them, so a gradient rule is wrong"
    return result


def _none(case: Case, name: str) -> Row:
    """The row of a gradient that is None: right if the gradient is zero or does not exist, else taken as not needed."""
    k = case.index(name)
    if k is None or not np.any(case.autograd[k]):
        return Row(name, "right", note="is None", counts=k is not None)
    return Row(name, "unchecked", shape=case.autograd[k].shape, note="is None: taken as not needed", counts=False)


def _read(case: Case, name: str, g: np.ndarray) -> Row:
    """The row of a gradient by a variable that is computed several times."""
    text, right = case.read[name]
    if right is None:
        note = f"{name[1:]} is computed several times, and no array of its gradients has this shape"
        return Row(name, "unchecked", shape=g.shape, counts=False, note=note)
    result = row(name, "right", g, right)
    result.note = f"taken for {text}"
    return result


def verdict(error: float) -> str:
    """The verdict on a relative error in float64."""
    return "right" if error <= CLOSE else "precision" if error <= ROUNDED else "wrong"


def _blocks(case: Case, name: str, g: np.ndarray, right: np.ndarray) -> dict[str, Row]:
    """The rows of the gate blocks of a stacked gradient."""
    if g.shape != right.shape:
        return {}
    mine, theirs = case.atoms(name, g), case.atoms(name, right)
    blocks = {key: row(key, "right", mine[key], theirs[key]) for key in mine if len(mine) > 1}
    for block in blocks.values():
        block.verdict = verdict(block.rel_error or 0.0)
    return blocks
