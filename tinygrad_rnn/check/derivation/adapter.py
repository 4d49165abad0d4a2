"""A forward and the user's backward as a layer without parameters: all arguments are inputs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...engine.tensor import make, value
from ..layers.adapter import Adapter, Run
from ..layers.functions import functions_as_layer
from ..numeric.derivatives import Slopes
from ..timeout import SECONDS
from .case import Case
from .subjects import Subject


class Derivation(Adapter):
    """A hand-derived backward as a layer; ``inner`` are the gradients by local variables that it returns as well."""

    saves = False

    def __init__(self, subject: Subject, timeout: float = SECONDS):
        super().__init__(_layer(subject), list(subject.given.values()), timeout=timeout)
        self.subject = subject
        self.inner: dict[str, int] = {}  # by the names of the gradients: which of `Case.could`

    @property
    def batched(self) -> list[str]:
        return self.subject.batched

    @property
    def optional(self) -> list[str]:
        return [name for name in self.input_names if self.subject.kinds.get(name) != "parameter"]

    def dy_names(self, count: int) -> list[str]:
        names = self.subject.reached(self.subject.cotangents) or super().dy_names(count)
        return [f"{name} that comes in" for name in names]

    def case(self, dys: Sequence[Any], floats: Mapping[str, Any] | None = None) -> Case:
        """The tape of the present inputs, or of ``floats``, with cotangents."""
        now = self.floats if floats is None else floats
        return Case(self.subject, {name: now.get(name, x) for name, x in zip(self.input_names, self.inputs)}, dys)

    def follow(self, case: Case) -> None:
        """Compare the gradients by local variables of a case as well, where their shapes fit."""
        self.inner = {name: k for name, k in case.places.items() if name[1:] not in case.given
                      and np.shape(case.hand[name]) == np.shape(case.right(name))}  # fmt: skip

    def gradients(self, run: Run) -> dict[str, Any]:
        return {**super().gradients(run), **{name[1:]: run.answer.get(name) for name in self.inner}}

    def inner_slopes(self, dys: Sequence[Any], seed: int, elements: int) -> dict[str, Any]:
        if not self.inner:
            return {}
        rng, slopes, case = np.random.default_rng(seed + 6), {}, self.case(dys)
        for name, k in self.inner.items():
            g = np.ravel(case.gradient(case.could(name)[k]))
            some = rng.permutation(g.size)[:elements]
            along = np.concatenate([rng.standard_normal((2, g.size)), np.eye(g.size)[some]])
            slopes[name[1:]] = Slopes(along, along @ g, np.zeros(len(along)), True)
        return slopes

    def known_gradients(self, dys: Sequence[Any]) -> dict[str, list[np.ndarray]]:
        case, by_words = self.case(dys), dict[str, list[np.ndarray]]()
        for name, numbers in case.known.items():
            op = case.tape.values[numbers[-1]].op
            runs = [n for n in case.tape.all_runs(name[1:], numbers[-1]) if case.tape.values[n].op == op] or numbers
            if all(n in case.totals for n in runs):
                by_words[case.tape.spelled(numbers[-1])] = [np.asarray(case.totals[n]) for n in runs]
        return by_words


def _layer(subject: Subject) -> Any:
    """The layer. Its forward computes in float64, the user's backward in the dtype of the check."""

    def forward(*inputs: Any) -> Any:
        arrays = [make(x, None) if np.asarray(x).dtype.kind in "fc" else x for x in inputs]
        outputs = subject.outputs(**dict(zip(subject.given, arrays)))
        return tuple(np.asarray(value(y)) for y in subject.reached(outputs)), inputs

    def backward(inputs: Sequence[Any], *dys: Any) -> dict[str, Any]:
        given, back = ([x.astype(subject.dtype, copy=False) if np.asarray(x).dtype.kind == "f" else x for x in arrays]
                       for arrays in (inputs, dys))  # fmt: skip
        result = subject.call(dict(zip(subject.given, given)), back)
        for array, handed in zip([*inputs, *dys], [*given, *back]):  # what it writes to, the contract has to see
            if handed is not array and not np.array_equal(handed, array.astype(subject.dtype), equal_nan=True):
                array[...] = handed
        return result

    kind = inspect.Parameter.POSITIONAL_ONLY
    signature = inspect.Signature([inspect.Parameter(name, kind) for name in subject.given])
    layer = functions_as_layer(forward, backward, subject.sources, signature, name=subject.name)
    layer.params, layer.grads, layer.variables = [], [], {}
    return layer
