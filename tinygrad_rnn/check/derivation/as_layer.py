"""A forward and the user's backward as a layer without parameters, for the debugger: all arguments are inputs."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.tensor import make
from ..layers.adapter import Adapter, Run
from ..numeric.derivatives import Slopes, outputs
from .case import Case
from .subjects import Subject


class DerivationAdapter(Adapter):
    """A hand-derived backward for the debugger: its gradients by local variables are compared as well."""

    def __init__(self, subject: Subject, case: Case):
        super().__init__(as_layer(subject, case.given), list(case.given.values()))
        self.subject = subject
        right = {name: case.gradient(line, case.totals) for name, line in case.lines.items() if line[0] != "given"}
        fitting = [name for name, g in right.items() if np.shape(case.hand[name]) == np.shape(g)]
        self.lines = {name: case.lines[name] for name in fitting}  # by the keys that backward returns

    def gradients(self, run: Run) -> dict[str, Any]:
        inner = getattr(run.layer, "gradients", {})
        return {**super().gradients(run), **{name: inner.get(name) for name in self.lines}}

    def inner_slopes(self, dys: Sequence[Any], seed: int, elements: int) -> dict[str, Any]:
        if not self.lines:
            return {}
        rng, slopes = np.random.default_rng(seed + 6), {}
        case, totals = self._totals(dys)
        for name, line in self.lines.items():
            g = np.ravel(case.gradient(line, totals))
            some = rng.permutation(g.size)[:elements]
            along = np.concatenate([rng.standard_normal((2, g.size)), np.eye(g.size)[some]])
            slopes[name] = Slopes(along, along @ g, np.zeros(len(along)), True)
        return slopes

    def known_gradients(self, dys: Sequence[Any]) -> dict[str, list[np.ndarray]]:
        case, totals = self._totals(dys)
        runs = {case.labels.spelled(numbers[-1]): numbers for numbers in case.tape.lines.values()}
        return {name: [np.asarray(totals[n]) for n in numbers] for name, numbers in runs.items()
                if name and all(n in totals for n in numbers)}  # fmt: skip

    def _totals(self, dys: Sequence[Any]) -> tuple[Case, dict[int, Any]]:
        """The tape for cotangents, and the gradients by all values on it."""
        given = dict(zip(self.input_names, self.inputs))
        case = self.subject.case_of({name: self.floats.get(name, x) for name, x in given.items()},
                                    np.random.default_rng(0))  # fmt: skip
        reached = [dy for k, dy in enumerate(case.problem.dys) if k not in self.subject.unreached]
        for dy, new in zip(reached, dys):
            dy[...] = new
        return case, case.tape.back(case.groups)


def as_layer(subject: Subject, given: Mapping[str, Any]) -> Any:
    """The layer. It computes in float64. The outputs whose gradient the backward does not take are left out."""
    names, subject = list(given), copy.copy(subject)
    subject.dtype = np.dtype(np.float64)

    def forward(self: Any, *inputs: Any) -> Any:
        self.given = dict(zip(names, inputs))
        arrays = {name: make(x, None) if np.asarray(x).dtype.kind in "fc" else x for name, x in self.given.items()}
        self.ys = outputs(subject.function(**arrays))
        return tuple(y for k, y in enumerate(self.ys) if k not in subject.unreached)

    def backward(self: Any, *dys: Any) -> dict[str, Any]:
        reached = iter(dys)
        full = [np.zeros_like(y) if k in subject.unreached else next(reached) for k, y in enumerate(self.ys)]
        self.gradients = subject.call({name: np.array(x) for name, x in self.given.items()}, full)
        return {name: self.gradients.get(f"d{name}") for name in names}

    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in ("self", *names)])
    forward.__signature__ = signature  # type: ignore[attr-defined]
    layer = type(subject.name, (), {"forward": forward, "backward": backward})()
    layer.params, layer.grads = [], []
    return layer
