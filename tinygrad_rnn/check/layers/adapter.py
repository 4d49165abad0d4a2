"""The user's layer: run on fresh copies of it, on arrays or on Tensors, and what it gives by name."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ...errors import InvalidType, Uncheckable
from ..numeric.inputs import argument_names, paths
from .calls import bound, cotangents, fits, gradients_by_input, is_tree, tops
from .copies import arrays_in, copy_with, like

Reset = Callable[[Any], Any]
PROTOCOL = ("params", "grads", "forward", "backward")


@dataclass
class Run:
    """One forward and, if there were cotangents, one backward: all that went in and came out.

    ``inputs`` are the leaves of what forward takes, ``outputs`` the floating leaves of its ``result``; ``returned`` are
    the gradients by the inputs, by name, as far as backward returned them, of ``count`` that it returned in all.
    """

    layer: Any
    inputs: list[Any]
    params: list[np.ndarray]
    result: Any
    outputs: list[np.ndarray]
    dys: list[Any]
    returned: dict[str, Any]
    count: int
    grads: list[Any]


class Hand:
    """The user's layer and its inputs; its floats by name."""

    def __init__(
        self, layer: Any, inputs: Sequence[Any], reset: Reset | None = None, seed: int | None = None, dtype: Any = None
    ):
        is_layer(layer)
        self.layer, self.reset, self.seed = layer, reset, seed
        self.dtype = np.dtype(dtype or np.float64)
        self.arguments = argument_names(layer.forward, len(inputs))
        fits(layer, self.arguments, inputs)
        trees = [x if is_tree(x) else x if x is None else np.asarray(x) for x in inputs]
        leaves = [leaf for name, tree in zip(self.arguments, trees) for leaf in paths(name, tree)]
        self.trees, self.build = trees, flatten(trees)[1]
        self.input_names = [name for name, _ in leaves]
        self.inputs = [x if np.asarray(x).dtype.kind != "f" else np.array(x, self.dtype) for _, x in leaves]
        self.entries = [np.asarray(p) for p in _listed(layer.params)]
        self.params = list({id(p): p for p in self.entries}.values())
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

    def on(self, inputs: Sequence[Any], layer: Any = None) -> Hand:
        """The same layer, or one that is a copy of it, on other inputs (leaves), in float64."""
        made = Hand(self.layer if layer is None else layer, self.build(inputs), self.reset, self.seed)
        called = dict(zip(made.param_names, self.param_names))
        made.floats = {called.get(name, name): x for name, x in made.floats.items()}
        made.param_names, made.names = self.param_names, list(made.floats)
        return made

    def run(self, floats: Mapping[str, Any] | None = None, dys: Sequence[Any] = (), fill: float = 0.0) -> Run:
        """Forward and backward on a fresh copy, with ``floats`` in the place of the inputs and parameters.

        ``fill`` is what stands in ``grads`` before.
        """
        now = floats or self.floats
        new = [like(p, now[name]) if name in now else p.copy() for name, p in zip(self.param_names, self.params)]
        grads = [g for g in _listed(self.layer.grads) if isinstance(g, np.ndarray) and g.dtype.kind == "f"]
        pairs = [*zip(self.params, new), *((g, like(g, np.full(g.shape, fill))) for g in grads)]
        return self.again(Run(copy_with(self.layer, pairs), [], new, None, [], [], {}, 0, []), now, dys)

    def again(self, run: Run, floats: Mapping[str, Any], dys: Sequence[Any] = ()) -> Run:
        """Forward and backward on the layer of a run, once more perhaps, as it is."""
        with np.errstate(all="ignore"), self.drawing():
            inputs = [_own(floats.get(name, x)) for name, x in zip(self.input_names, self.inputs)]
            if self.reset is not None:
                self.reset(run.layer)
            result = run.layer.forward(*self.build(inputs))
            made = Run(run.layer, inputs, run.params, result, _arrays(result), [], {}, 0, [])
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
                raise InvalidType("it keeps a view of a parameter")
        with self.drawing():
            layer = copy.deepcopy(self.layer, memo)
            if self.reset is not None:
                self.reset(layer)
            inputs = [floats.get(name, x) for name, x in zip(self.input_names, self.inputs)]
            return [leaf for top in tops(layer.forward(*self.build(inputs))) for leaf in flatten(top)[0]]

    def codes(self) -> list[Any]:
        """The code of forward, whose local variables name values."""
        return [getattr(getattr(self.layer.forward, "__func__", None), "__code__", None)]

    def back(self, run: Run, dys: Sequence[Any]) -> Run:
        """Go back through a run, once more perhaps."""
        run.dys = [_own(dy)[()] for dy in dys]
        args, named = bound(self.layer, cotangents(self.layer.backward, run.result, run.dys))
        returned = run.layer.backward(*args, **named)
        run.returned, run.count = gradients_by_input(returned, self.arguments, self.trees)
        run.grads = _listed(run.layer.grads, self.layer.params)
        return run

    def gradients(self, run: Run) -> dict[str, Any]:
        """The gradient by each float, None where there is none; of a parameter that stands twice, the sum."""
        found = {name: g for name, g in run.returned.items() if name in self.floats}
        for name, param in zip(self.param_names, self.params):
            mine = [g for p, g in zip(self.entries, run.grads) if p is param and g is not None]
            own = list({id(g): g for g in mine}.values())
            found[name] = None if not own else own[0] if len(own) == 1 else sum(own)
        return {name: found.get(name) for name in self.names}


def is_layer(layer: Any) -> None:
    """Raise unless it has what a layer has."""
    kind = layer.__name__ if isinstance(layer, type) else type(layer).__name__
    if isinstance(layer, type):
        raise Uncheckable(f"check_layer: {kind} is a class, should be a layer: {kind}(...)")
    missing = [name for name in PROTOCOL if not hasattr(layer, name)]
    if missing:
        raise Uncheckable(f"check_layer: {kind} has no {', '.join(missing)}; "
                      "a layer has params, grads, forward and backward")  # fmt: skip


def _own(x: Any) -> Any:
    return np.array(x) if isinstance(x, (np.ndarray, np.generic)) else x


def _arrays(result: Any) -> list[np.ndarray]:
    """The outputs that have a cotangent."""
    leaves = [np.asarray(leaf) for top in tops(result) for leaf in flatten(top)[0]]
    return [leaf for leaf in leaves if leaf.dtype.kind in "fc"]


def _listed(arrays: Any, params: Any = None) -> list[Any]:
    """The parameters, or the gradients in the order of ``params``: a list, or a dict by name (W or dW)."""
    if not isinstance(arrays, dict):
        return list(arrays)
    if not isinstance(params, dict):
        return list(arrays.values())
    return [arrays[name] if name in arrays else arrays.get(f"d{name}") for name in params]


def _names(layer: Any, params: Sequence[np.ndarray], taken: Sequence[str]) -> list[str]:
    """What the layer calls each parameter: its key, an attribute bound to it, else its place in the list."""
    own = layer.params if isinstance(layer.params, dict) else getattr(layer, "__dict__", {})
    bound = {id(one): name for name, one in reversed(own.items()) if name not in taken}
    return [bound.get(id(p), f"params[{k}]") for k, p in enumerate(params)]
