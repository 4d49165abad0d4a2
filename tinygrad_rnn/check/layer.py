"""`check_layer`: an object with a forward and a backward of its own, against numbers, against the gradients of a graph
where there is one, and against what callers rely on.

Every call is made on a fresh copy of the layer with its parameters in float64, so that a state that it keeps, gradients
that it adds up and caches that it uses up are as they were before.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..errors import Uncheckable
from .contract.layers import KEEPS, manners
from .contract.protocol import broken
from .diagnose.explain import explain
from .diagnose.layer_target import NoReference, OfLayer
from .diagnose.tensor_edits import MATCH, WHOLE
from .layers.adapter import Hand, Reset, Run
from .layers.forward_match import compared_forward
from .layers.guess_cell import a_cell
from .numeric.compare import CLOSE, EMPTY, Problem, compared
from .numeric.derivatives import Slopes, roundoff
from .report import Diagnosis, Report, Row, distance

SINGLE = float(np.finfo(np.float32).eps)
NONE = "is None"


def check_layer(
    layer: Any, *inputs: Any, cell: Cell | None = None, seed: int | None = None, reset: Reset | None = None,
    accumulates: bool | None = None, dtype: Any = None,
) -> Report:  # fmt: skip
    """Compare the gradients of a layer with numbers, by every floating input and every parameter, and its manners.

    A layer has ``params`` and ``grads`` (lists of arrays), ``forward(*inputs)``, which returns an array or a tuple, and
    ``backward(*cotangents)``, one for each output, which returns the gradients by the inputs: an array or a tuple, with
    None for an input that has none. A backward may write to ``grads`` or add to them; ``accumulates`` says which it
    should. Parameters are called as the attributes that they are bound to, else ``params[0]``. The layer itself is not
    touched.

    ``params`` and ``grads`` may be dicts as well, and inputs and outputs tuples, lists and dicts of arrays. None for an
    input says that nobody needs that gradient: it is not compared, and does not count.

    For what a mistake is, a graph is needed: forward is run on Tensors, where it runs; or ``cell`` names what it should
    be equal to, ``tg.lstm`` say, a step of it or the cell over time, from zero states where forward takes none. All
    outputs are compared with the cell's, in any order of axes and gates: others make the verdict "wrong", and what
    cannot be compared makes it "unchecked".

    Manners: forward and backward repeat, also when they are called again and on other data, neither modifies what it is
    handed, gradients own their memory, and backward is linear in the cotangents. What is amiss is a diagnosis of kind
    "protocol: ...", and the verdict "wrong". A layer that draws from NumPy's or Python's global generator needs a
    ``seed``, from which both are set before each forward, or ``reset``, which is called with the layer then. A layer
    that computes in float32 whatever it is handed is "precision" at best; what it does otherwise is told in ``notes``.
    """
    return checked(layer, inputs, a_cell("check_layer", cell), seed, reset, accumulates, dtype)


def checked(
    layer: Any, inputs: Sequence[Any], cell: Cell | None, seed: int | None = None, reset: Reset | None = None,
    accumulates: bool | None = None, dtype: Any = None, guess: bool = False,
) -> Report:  # fmt: skip
    """`check_layer`; where the cell is only a ``guess``, a forward that is not the cell's is a note."""
    hand = Hand(layer, inputs, reset, seed, dtype)
    if cell is not None:
        hand.call_as(cell)
    report = Report(f"{type(layer).__name__}: by hand against numbers")
    first, again = _first_run(hand), hand.run()
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first.outputs, again.outputs)):
        return _unchecked(hand, report)
    if first.outputs and not any(y.size for y in first.outputs):
        report.tensors = {f"d{name}": Row(f"d{name}", "unchecked", note=EMPTY) for name in hand.names}
        return report
    problem = LayerProblem(hand, first.outputs, np.random.default_rng(seed or 0))
    report.diagnoses, report.notes = manners(hand, problem.dys, accumulates)
    if not problem.names or not problem.dys:
        return report
    rows, found, numbers = compared(problem)
    for one in rows:
        report.tensors[one.name] = problem.told(one)
    report.diagnoses += _second_call(hand, problem) if KEEPS in report.notes else []
    if cell is not None and all(np.isfinite(y).all() for y in first.outputs):
        cell = _same_cell(hand, cell, first.result, report, guess)
    if any(one.verdict == "wrong" for one in rows) or cell is not None:
        _reference(hand, cell, report, (problem, found, numbers))
    if problem.coarse:
        report.notes.append("it computes in float32 whatever it is handed")
    return report


def _first_run(hand: Hand) -> Run:
    """Forward, once; a dict that it cannot use was meant for its inputs by name."""
    try:
        return hand.run()
    except Exception as error:
        keys = next((list(tree) for tree in hand.trees if isinstance(tree, dict)), None)
        if keys is None:
            raise
        call = ", ".join(f"inputs[{key!r}]" for key in keys)
        raise Uncheckable(f"check_layer: {type(hand.layer).__name__}.forward({', '.join(hand.arguments)}) is handed a "
                      f"dict and raises {type(error).__name__}: {error}; inputs are handed over one by one: "
                      f"check_layer(layer, {call})") from error  # fmt: skip


def _same_cell(hand: Hand, cell: Cell, result: Any, report: Report, guess: bool) -> Cell | None:
    """Is the forward the cell's? The cell, if it is, with all axes and gates in the cell's order."""
    forward = compared_forward(hand, cell, result)
    if forward.kind == "same":
        report.notes += [f"forward is that of {cell.name}, read as {forward.text}"] if forward.text else []
        return None if forward.text else cell
    if guess:
        report.notes.append(forward.text)
    else:
        report.diagnoses.append(broken("forward" if forward.kind == "other" else "compared", "", forward.text))
    return None


def _second_call(hand: Hand, problem: LayerProblem) -> list[Diagnosis]:
    """The numbers of a layer that keeps a state, once more, after a forward and a backward on other inputs."""
    used = hand.run(hand.floats, problem.dys).layer
    rng = np.random.default_rng(7)
    inputs = [x * rng.uniform(0.8, 1.2, x.shape) if np.asarray(x).dtype.kind == "f" else x for x in hand.inputs]
    try:
        second = hand.on(inputs, used)
        rows = compared(LayerProblem(second, second.run().outputs, rng))[0]
    except Exception:  # of the user's code, which need not run on other inputs than it was given
        return []
    text = "is wrong from the second call on: what the first call of forward and backward has left goes into it"
    return [broken("again", one.name, text, one.rel_error or 0.0) for one in rows
            if one.verdict == "wrong" and problem.misfits.get(one.name) != NONE]  # fmt: skip


def _reference(hand: Hand, cell: Cell | None, report: Report, seen: Any) -> None:
    """What is wrong, by a graph; by the numbers alone where there is none."""
    problem, found, numbers = seen
    broken, report.diagnoses = report.diagnoses, []
    try:
        subject = OfLayer(hand, cell, 0)
        case = subject.case(0)
        case.take(subject.ask(case))
        explain(subject, case, report, 0)
        what = cell.name if cell else "its own forward"
        report.title = f"{type(hand.layer).__name__}: by hand against numbers, and autograd of {what}"
    except NoReference as none:
        offered = "" if cell else "; cell= names a cell that it should be equal to"
        report.notes.append(f"compared with numbers only: {none}{offered}")
    except Exception as error:  # what cannot be explained is wrong all the same
        report.notes.append(f"no mistake was looked for: {type(error).__name__}: {error}")
    if not report.diagnoses:
        for k, one in enumerate(report.tensors.values()):
            if one.verdict == "wrong" and not one.note and not one.consequence:
                report.diagnoses += _mistakes(hand, problem, k, found, numbers)
    report.diagnoses += broken


def _unchecked(hand: Hand, report: Report) -> Report:
    """What can be said of a layer whose forward does not repeat, and which generator it draws from."""
    before, plain = np.random.get_state()[2], random.getstate()  # type: ignore[index]
    hand.run()
    which = "a generator outside of it or made anew at each call, or from the time"
    which = "Python's generator, random" if random.getstate() != plain else which
    which = "NumPy's global generator, np.random" if np.random.get_state()[2] != before else which  # type: ignore[index]
    text = (
        f"forward gives another result when it is called again on an equal copy of the layer: it draws from {which}; "
        "give seed=0, which sets the global ones before every forward, or reset=, which is called with the layer then"
    )
    report.diagnoses = [Diagnosis("protocol: repeats", "", text, 0.0)]
    report.tensors = {f"d{name}": Row(f"d{name}", "unchecked", note="forward does not repeat") for name in hand.names}
    return report


class LayerProblem(Problem):
    """A layer as `compared` takes it."""

    def __init__(self, hand: Hand, ys: Sequence[np.ndarray], rng: np.random.Generator):
        self.hand, self.rng, self.names, self.arrays = hand, rng, hand.names, hand.floats
        self.ys, self.dys = list(ys), [rng.standard_normal(y.shape) for y in ys]
        self.exact = list(hand.floats.values())
        self.L = self._value
        self.misfits: dict[str, str] = {}
        size = sum(float(np.sum(np.abs(dy * y))) for dy, y in zip(self.dys, ys))
        rough = any(y.dtype != np.float64 for y in ys) or roundoff(self.L, self.exact) > 1e-11 * size
        self.coarse = SINGLE if rough else 0.0

    def _value(self, xs: Sequence[np.ndarray]) -> Any:
        ys = self.hand.run(dict(zip(self.names, xs))).outputs
        return sum(np.sum(dy * y) for dy, y in zip(self.dys, ys, strict=True))

    def autograd(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        found = self.hand.gradients(self.hand.run(dict(zip(self.names, xs)), self.dys))
        return [self._fitting(name, g, x.shape) for (name, g), x in zip(found.items(), xs)]

    def _fitting(self, name: str, g: Any, shape: tuple[int, ...]) -> np.ndarray:
        """A gradient that can be compared: zeros for one that cannot, and the reason in ``misfits``."""
        if g is None or np.asarray(g).dtype.kind not in "fiu":
            self.misfits[f"d{name}"] = NONE if g is None else "is no array of numbers"
        elif np.shape(g) != shape:
            self.misfits[f"d{name}"] = f"is {np.shape(g)}, should be {shape}"
        else:
            return np.asarray(g)
        return np.zeros(shape)

    def moved(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        eps = max(self.coarse, float(np.finfo(np.float64).eps))
        return [x * (1 + eps * self.rng.choice([-1.0, 1.0], x.shape)) for x in xs]

    def told(self, one: Row) -> Row:
        """A row that says why there was nothing to compare; None is right where the numbers are zero.

        None for an input says that nobody needs its gradient; a parameter cannot do without.
        """
        one.note = self.misfits.get(one.name, one.note)
        if one.name in self.misfits and one.note != NONE:
            one.verdict = "wrong"
        elif one.note == NONE and one.verdict != "right" and one.name[1:] in self.hand.input_names:
            return Row(one.name, "unchecked", shape=one.shape, note=f"{NONE}: taken as not needed", counts=False)
        if self.coarse and one.verdict == "right" and (one.rel_error or 0) > CLOSE:
            one.verdict = "precision"
        return one


def _mistakes(
    hand: Hand, problem: LayerProblem, k: int, found: Sequence[np.ndarray], numbers: Sequence[Slopes]
) -> list[Diagnosis]:
    """The mistakes with the whole of gradient ``k`` that give it; along random directions where it is large."""
    shapes = [np.shape(x) for x in hand.inputs]
    N = shapes[0][0] if shapes and shapes[0] else 1
    counts = {"N": N, "T": next((shape[1] for shape in shapes if len(shape) == 3), 1)}
    whole = len(numbers[k].found) == found[k].size
    shape = found[k].shape if whole else numbers[k].found.shape
    got, right, name = numbers[k].of(found[k]).reshape(shape), numbers[k].found.reshape(shape), f"d{problem.names[k]}"
    made = []
    for text, (kind, change) in WHOLE.items():
        one = change(right, counts) if counts["N" if "N" in kind else "T"] > 2 or kind[-1] not in "NT" else right
        if np.shape(one) == shape and distance(one, right) > CLOSE and distance(got, one) <= MATCH:
            made.append(Diagnosis(kind, name, f"{name}: {text.format(**counts)}", distance(got, one)))
    return made
