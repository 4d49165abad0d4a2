"""A forward and the user's backward as a layer without parameters: all arguments are inputs."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.tensor import make
from ..layers.adapter import Adapter, Run
from ..layers.functions import functions_as_layer
from ..numeric.derivatives import Slopes, outputs
from ..timeout import SECONDS
from .case import Case
from .subjects import Subject
from .tape import Line


class Derivation(Adapter):
    """A hand-derived backward as a layer; ``lines`` are the local variables by which it returns gradients as well."""

    saves = False

    def __init__(self, subject: Subject, given: Mapping[str, Any], timeout: float = SECONDS):
        super().__init__(_layer(subject, list(given)), list(given.values()), timeout=timeout)
        self.subject = subject
        self.lines: dict[str, Line] = {}  # by the names of the gradients

    @property
    def batched(self) -> list[str]:
        return self.subject.batched

    @property
    def optional(self) -> list[str]:
        return [name for name in self.input_names if name not in self.subject.parameters]

    def dy_names(self, count: int) -> list[str]:
        names = self.subject.reached(self.subject.cotangents) or super().dy_names(count)
        return [f"{name} that comes in" for name in names]

    def case(self, dys: Sequence[Any]) -> Case:
        """The tape of the present inputs, with cotangents."""
        given = zip(self.input_names, self.inputs)
        return Case(self.subject, {name: self.floats.get(name, x) for name, x in given}, dys)

    def follow(self, case: Case) -> None:
        """Compare the gradients by local variables of a case as well, where their shapes fit."""
        inner = {name: line for name, line in case.lines.items() if line[0] != "given"}
        self.lines = {name: line for name, line in inner.items()
                      if np.shape(case.hand[name]) == np.shape(case.right(name))}  # fmt: skip

    def in_double(self) -> Derivation:
        """The same with a backward that computes in float64."""
        subject = copy.copy(self.subject)
        subject.dtype = np.dtype(np.float64)
        adapter = Derivation(subject, dict(zip(self.input_names, self.inputs)), self.timeout)
        adapter.lines = self.lines
        return adapter

    def gradients(self, run: Run) -> dict[str, Any]:
        return {**super().gradients(run), **{name[1:]: run.answer.get(name) for name in self.lines}}

    def inner_slopes(self, dys: Sequence[Any], seed: int, elements: int) -> dict[str, Any]:
        if not self.lines:
            return {}
        rng, slopes, case = np.random.default_rng(seed + 6), {}, self.case(dys)
        for name, line in self.lines.items():
            g = np.ravel(case.gradient(line, case.totals))
            some = rng.permutation(g.size)[:elements]
            along = np.concatenate([rng.standard_normal((2, g.size)), np.eye(g.size)[some]])
            slopes[name[1:]] = Slopes(along, along @ g, np.zeros(len(along)), True)
        return slopes

    def known_gradients(self, dys: Sequence[Any]) -> dict[str, list[np.ndarray]]:
        case = self.case(dys)
        runs = {case.labels.spelled(numbers[-1]): numbers for numbers in case.tape.lines.values()}
        return {name: [np.asarray(case.totals[n]) for n in numbers] for name, numbers in runs.items()
                if name and all(n in case.totals for n in numbers)}  # fmt: skip


def _layer(subject: Subject, names: Sequence[str]) -> Any:
    """The layer. Its forward computes in float64, the user's backward in the dtype of the check."""

    def forward(*inputs: Any) -> Any:
        arrays = [make(x, None) if np.asarray(x).dtype.kind in "fc" else x for x in inputs]
        return tuple(subject.reached(outputs(subject.function(**dict(zip(names, arrays)))))), inputs

    def backward(inputs: Sequence[Any], *dys: Any) -> dict[str, Any]:
        given, back = ([x.astype(subject.dtype, copy=False) if np.asarray(x).dtype.kind == "f" else x for x in arrays]
                       for arrays in (inputs, dys))  # fmt: skip
        result = subject.call(dict(zip(names, given)), back)
        for array, handed in zip([*inputs, *dys], [*given, *back]):  # what it writes to, the contract has to see
            if handed is not array and not np.array_equal(handed, array.astype(subject.dtype), equal_nan=True):
                array[...] = handed
        return result

    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    layer = functions_as_layer(forward, backward, subject.sources, signature, name=subject.name)
    layer.params, layer.grads, layer.variables = [], [], {}
    return layer
