"""`check_layer`: an object with a forward and a backward of its own, against numbers and against what callers rely on.

Every call is made on a fresh copy of the layer with its parameters in float64, so that a state that it keeps, gradients
that it adds up and caches that it uses up are as they were before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .copies import copy_with, like
from .diagnose import diagnose
from .gradients import CLOSE, Problem, argument_names, compared
from .manners import manners
from .numbers import Slopes, roundoff
from .report import Diagnosis, Report, Row

Reset = Callable[[Any], Any]
SINGLE = float(np.finfo(np.float32).eps)


def check_layer(layer: Any, *inputs: Any, seed: int = 0, reset: Reset | None = None) -> Report:
    """Compare the gradients of a layer with numbers, by every floating input and every parameter, and its manners.

    A layer has ``params`` and ``grads`` (lists of arrays), ``forward(*inputs)``, which returns an array or a tuple, and
    ``backward(*cotangents)``, one for each output, which returns the gradients by the inputs: an array or a tuple, with
    None for an input that has none. A backward may write to ``grads`` or add to them. Parameters are called as the
    attributes that they are bound to, else ``params[0]``. The layer itself is not touched.

    Manners: forward and backward repeat, neither modifies what it is handed, gradients own their memory, and backward
    is linear in the cotangents. What is amiss is a diagnosis of kind "protocol: ...", and the verdict "wrong". A layer
    that draws random numbers needs ``reset``, which is called with the layer before each forward. A layer that computes
    in float32 whatever it is handed is "precision" at best; what it does otherwise is told in ``notes``.
    """
    hand = Hand(layer, inputs, reset)
    report = Report(f"{type(layer).__name__}: by hand against numbers")
    first, again = hand.run(), hand.run()
    if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(first.outputs, again.outputs)):
        return _unchecked(hand, report)
    problem = LayerProblem(hand, first.outputs, np.random.default_rng(seed))
    report.diagnoses, report.notes = manners(hand, problem.dys)
    if not problem.names or not problem.dys:
        return report
    rows, found, numbers = compared(problem)
    for one in rows:
        report.tensors[one.name] = problem.told(one)
    for k, one in enumerate(rows):
        if one.verdict == "wrong" and not one.note:
            report.diagnoses += _mistakes(hand, problem, k, found, numbers)
    if problem.coarse:
        report.notes.append("it computes in float32 whatever it is handed")
    return report


def _unchecked(hand: Hand, report: Report) -> Report:
    """What can be said of a layer whose forward does not repeat."""
    text = (
        "forward gives another result when it is called again on an equal copy of the layer: dropout or another "
        "global random generator is likely; give reset=lambda layer: np.random.seed(0), called before every forward"
    )
    report.diagnoses = [Diagnosis("protocol: repeats", "", text, 0.0)]
    report.tensors = {f"d{name}": Row(f"d{name}", "unchecked", note="forward does not repeat") for name in hand.names}
    return report


@dataclass
class Run:
    """One forward and, if there were cotangents, one backward: all that went in and came out."""

    layer: Any
    inputs: list[Any]
    params: list[np.ndarray]
    outputs: list[np.ndarray]
    dys: list[Any]
    returned: list[Any]
    grads: list[Any]


class Hand:
    """The user's layer and its inputs; its floats by name."""

    def __init__(self, layer: Any, inputs: Sequence[Any], reset: Reset | None):
        missing = [name for name in ("params", "grads", "forward", "backward") if not hasattr(layer, name)]
        kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
        if isinstance(layer, type):
            raise TypeError(f"check_layer: {kind} is a class, should be a layer: {kind}(...)")
        if missing:
            raise TypeError(f"check_layer: {kind} has no {', '.join(missing)}; "
                            "a layer has params, grads, forward and backward")  # fmt: skip
        self.layer, self.reset = layer, reset or (lambda layer: None)
        self.inputs = [x if np.asarray(x).dtype.kind != "f" else np.array(x, np.float64) for x in inputs]
        self.params = list({id(p): p for p in map(np.asarray, layer.params)}.values())
        self.input_names = argument_names(layer.forward, len(inputs))
        self.param_names = _names(layer, self.params, self.input_names)
        every = dict(zip([*self.input_names, *self.param_names], [*self.inputs, *self.params]))
        self.floats = {name: np.array(x, np.float64) for name, x in every.items() if np.asarray(x).dtype.kind == "f"}
        self.names = list(self.floats)

    def run(self, floats: Mapping[str, Any] | None = None, dys: Sequence[Any] = ()) -> Run:
        """Forward and backward on a fresh copy, with ``floats`` in the place of the inputs and parameters."""
        with np.errstate(all="ignore"):
            now = floats or self.floats
            inputs = [_own(now.get(name, x)) for name, x in zip(self.input_names, self.inputs)]
            new = [like(p, now[name]) if name in now else p.copy() for name, p in zip(self.param_names, self.params)]
            grads = [g for g in self.layer.grads if isinstance(g, np.ndarray) and g.dtype.kind == "f"]
            pairs = [*zip(self.params, new), *((g, like(g, np.zeros(g.shape))) for g in grads)]
            layer = copy_with(self.layer, pairs)
            self.reset(layer)
            result = layer.forward(*inputs)
            made = Run(layer, inputs, new, _arrays(result), [], [], [])
            return self.back(made, dys) if len(dys) else made

    def back(self, run: Run, dys: Sequence[Any]) -> Run:
        """Go back through a run, once more perhaps."""
        run.dys = [_own(dy)[()] for dy in dys]
        returned = run.layer.backward(*run.dys)
        run.returned = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        run.grads = list(run.layer.grads)
        return run

    def gradients(self, run: Run) -> dict[str, Any]:
        """The gradient by each float, None where there is none; of a parameter that stands twice, the sum."""
        short = [n for n, x in zip(self.input_names, self.inputs) if np.asarray(x).dtype.kind == "f"]
        names = self.input_names if len(run.returned) == len(self.inputs) else short
        found = {name: g for name, g in zip(names, run.returned) if name in self.floats}
        for name, param in zip(self.param_names, self.params):
            mine = [g for p, g in zip(self.layer.params, run.grads) if p is param and g is not None]
            own = list({id(g): g for g in mine}.values())
            found[name] = None if not own else own[0] if len(own) == 1 else sum(own)
        return {name: found.get(name) for name in self.names}


def _own(x: Any) -> Any:
    return np.array(x) if isinstance(x, (np.ndarray, np.generic)) else x


def _arrays(result: Any) -> list[np.ndarray]:
    """The outputs that have a cotangent."""
    every = [np.asarray(one) for one in (result if isinstance(result, (tuple, list)) else [result])]
    return [one for one in every if one.dtype.kind in "fc"]


def _names(layer: Any, params: Sequence[np.ndarray], taken: Sequence[str]) -> list[str]:
    """What the layer calls each parameter: an attribute bound to it, else its place in the list."""
    bound = {id(one): name for name, one in reversed(getattr(layer, "__dict__", {}).items()) if name not in taken}
    return [bound.get(id(p), f"params[{k}]") for k, p in enumerate(params)]


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
    """The mistakes that give the gradient ``k``; along random directions where it is large."""

    def seen(n: int) -> tuple[np.ndarray, np.ndarray]:
        whole = len(numbers[n].found) == found[n].size
        shape = found[n].shape if whole else numbers[n].found.shape
        return numbers[n].of(found[n]).reshape(shape), numbers[n].found.reshape(shape)

    got, right = seen(k)
    others = {f"d{name}": seen(n)[1] for n, name in enumerate(problem.names) if found[n].shape == found[k].shape}
    shapes = [np.shape(x) for x in hand.inputs]
    N = shapes[0][0] if shapes and shapes[0] else 1
    T = next((shape[1] for shape in shapes if len(shape) == 3), 1)
    return diagnose(f"d{problem.names[k]}", got, right, {}, others, {"N": N, "T": T, "N T": N * T})
