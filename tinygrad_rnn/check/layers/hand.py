"""The user's layer: run on fresh copies of it, on arrays or on Tensors, and what it gives by name."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numeric.given import argument_names
from .copies import arrays_in, copy_with, like

Reset = Callable[[Any], Any]


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

    def __init__(
        self, layer: Any, inputs: Sequence[Any], reset: Reset | None = None, seed: int | None = None, dtype: Any = None
    ):
        missing = [name for name in ("params", "grads", "forward", "backward") if not hasattr(layer, name)]
        kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
        if isinstance(layer, type):
            raise TypeError(f"check_layer: {kind} is a class, should be a layer: {kind}(...)")
        if missing:
            raise TypeError(f"check_layer: {kind} has no {', '.join(missing)}; "
                            "a layer has params, grads, forward and backward")  # fmt: skip
        self.layer, self.reset, self.seed = layer, reset, seed
        self.dtype = np.dtype(dtype or np.float64)
        self.inputs = [x if np.asarray(x).dtype.kind != "f" else np.array(x, self.dtype) for x in inputs]
        self.params = list({id(p): p for p in map(np.asarray, layer.params)}.values())
        self.input_names = argument_names(layer.forward, len(inputs))
        self.param_names = _names(layer, self.params, self.input_names)
        every = dict(zip([*self.input_names, *self.param_names], [*self.inputs, *self.params]))
        self.floats = {name: np.array(x, self.dtype) for name, x in every.items() if np.asarray(x).dtype.kind == "f"}
        self.names = list(self.floats)

    def call_as(self, cell: Any) -> None:
        """Give parameters that have no name in the layer those of a cell, by their places in the list."""
        names = list(cell.params)
        if len(names) == len(self.param_names):
            called = {old: new for old, new in zip(self.param_names, names) if old.startswith("params[")}
            self.param_names = [called.get(name, name) for name in self.param_names]
            self.floats = {called.get(name, name): x for name, x in self.floats.items()}
            self.names = list(self.floats)

    def on(self, inputs: Sequence[Any]) -> Hand:
        """The same layer on other inputs, in float64."""
        made = Hand(self.layer, inputs, self.reset, self.seed)
        called = dict(zip(made.param_names, self.param_names))
        made.floats = {called.get(name, name): x for name, x in made.floats.items()}
        made.param_names, made.names = self.param_names, list(made.floats)
        return made

    def run(self, floats: Mapping[str, Any] | None = None, dys: Sequence[Any] = ()) -> Run:
        """Forward and backward on a fresh copy, with ``floats`` in the place of the inputs and parameters."""
        with np.errstate(all="ignore"), self.drawing():
            now = floats or self.floats
            inputs = [_own(now.get(name, x)) for name, x in zip(self.input_names, self.inputs)]
            new = [like(p, now[name]) if name in now else p.copy() for name, p in zip(self.param_names, self.params)]
            grads = [g for g in self.layer.grads if isinstance(g, np.ndarray) and g.dtype.kind == "f"]
            pairs = [*zip(self.params, new), *((g, like(g, np.zeros(g.shape))) for g in grads)]
            layer = copy_with(self.layer, pairs)
            if self.reset is not None:
                self.reset(layer)
            result = layer.forward(*inputs)
            made = Run(layer, inputs, new, _arrays(result), [], [], [])
            return self.back(made, dys) if len(dys) else made

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """The global generators, from ``seed`` if there is one, and as they were afterwards."""
        if self.seed is None:
            yield
            return
        before, plain = np.random.get_state(), random.getstate()
        np.random.seed(self.seed)
        random.seed(self.seed)
        try:
            yield
        finally:
            np.random.set_state(before)
            random.setstate(plain)

    def on_tensors(self, floats: Mapping[str, Any]) -> list[Any]:
        """The outputs of a fresh copy whose parameters, and inputs, are the Tensors ``floats``."""
        memo: dict[int, Any] = {id(p): floats.get(name, p) for name, p in zip(self.param_names, self.params)}
        for array in arrays_in(self.layer):
            if id(array) not in memo and any(np.may_share_memory(array, p) for p in self.params):
                raise TypeError("it keeps a view of a parameter")
        with self.drawing():
            layer = copy.deepcopy(self.layer, memo)
            if self.reset is not None:
                self.reset(layer)
            result = layer.forward(*(floats.get(name, x) for name, x in zip(self.input_names, self.inputs)))
        return list(result) if isinstance(result, (tuple, list)) else [result]

    def codes(self) -> list[Any]:
        """The code of forward, whose local variables name values."""
        return [getattr(getattr(self.layer.forward, "__func__", None), "__code__", None)]

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
