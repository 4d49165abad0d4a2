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

from ..cell import Cell
from .blame.explain import explain
from .blame.of_layer import NoReference, OfLayer
from .blame.whole import MATCH, WHOLE
from .layers.hand import Hand, Reset
from .numeric.compare import CLOSE, Problem, compared
from .numeric.slopes import Slopes, roundoff
from .promises.layers import manners
from .report import Diagnosis, Report, Row, distance

SINGLE = float(np.finfo(np.float32).eps)


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

    For what a mistake is, a graph is needed: forward is run on Tensors, where it runs; or ``cell`` names what it should
    be equal to, ``lstm`` say, a step of it or, for an input (N, T, D), the cell over time, from zero states where
    forward takes none. The outputs are compared first.

    Manners: forward and backward repeat, neither modifies what it is handed, gradients own their memory, and backward
    is linear in the cotangents. What is amiss is a diagnosis of kind "protocol: ...", and the verdict "wrong". A layer
    that draws from NumPy's or Python's global generator needs a ``seed``, from which both are set before each forward,
    or ``reset``, which is called with the layer then. A layer that computes in float32 whatever it is handed is
    "precision" at best; what it does otherwise is told in ``notes``.
    """
    hand = Hand(layer, inputs, reset, seed, dtype)
    if cell is not None:
        hand.call_as(cell)
    report = Report(f"{type(layer).__name__}: by hand against numbers")
    first, again = hand.run(), hand.run()
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first.outputs, again.outputs)):
        return _unchecked(hand, report)
    problem = LayerProblem(hand, first.outputs, np.random.default_rng(seed or 0))
    report.diagnoses, report.notes = manners(hand, problem.dys, accumulates)
    if not problem.names or not problem.dys:
        return report
    rows, found, numbers = compared(problem)
    for one in rows:
        report.tensors[one.name] = problem.told(one)
    if any(one.verdict == "wrong" for one in rows) or cell is not None:
        _reference(hand, cell, report, (problem, found, numbers))
    if problem.coarse:
        report.notes.append("it computes in float32 whatever it is handed")
    return report


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
            self.misfits[f"d{name}"] = f"is {'None' if g is None else 'no array of numbers'}"
        elif np.shape(g) != shape:
            self.misfits[f"d{name}"] = f"is {np.shape(g)}, should be {shape}"
        else:
            return np.asarray(g)
        return np.zeros(shape)

    def moved(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        eps = max(self.coarse, float(np.finfo(np.float64).eps))
        return [x * (1 + eps * self.rng.choice([-1.0, 1.0], x.shape)) for x in xs]

    def told(self, one: Row) -> Row:
        """A row that says why there was nothing to compare; None is right where the numbers are zero."""
        one.note = self.misfits.get(one.name, one.note)
        if one.name in self.misfits and one.note != "is None":
            one.verdict = "wrong"
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
