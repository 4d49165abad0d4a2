"""Adapter of a user-defined layer: runs fresh copies of it on arrays or Tensors; gradients are known by name."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.pytree import flatten
from ..numeric.derivatives import outputs
from ..numeric.inputs import argument_names, paths
from ..timeout import SECONDS, limited
from .arguments import is_layer, listed, parameter_names, refuse_dataclasses, refuse_deferred, refuse_inputs
from .calls import bound, cotangents, gradients_by_input, is_tree
from .copies import copy_with, like
from .discovered import Discovered, is_discovered

Floats = Mapping[str, Any]  # inputs and parameters by name
Reset = Callable[[Any], Any]
OTHER = 0.3


@dataclass
class Run:
    """A forward and, if there were cotangents, a backward: all arguments and results.

    ``inputs`` are the leaves of the arguments of forward, ``outputs`` the floating leaves of its ``result``.
    ``returned`` maps the names of inputs to the gradients that backward returned, ``count`` of them in all; ``answer``
    is what it returned as it was.
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
    answer: Any = None


class Adapter:
    """A user-defined layer and its inputs; ``floats`` are its floating inputs and parameters by name."""

    fill = 0.0  # what ``grads`` hold before each run
    kinds: Mapping[str, str] = {}  # of the inputs, where a cell tells them
    places: Discovered | None = None  # of the parameters, if the layer has no lists of them
    saves = True  # does backward read what forward has saved, and are its gradients kept?

    def __init__(
        self, layer: Any, inputs: Sequence[Any], reset: Reset | None = None, seed: int | None = None, dtype: Any = None,
        timeout: float = SECONDS,
    ):  # fmt: skip
        is_layer(layer)
        self.roots = getattr(layer, "user_functions", [layer])  # the user's functions, classes and objects
        with limited(type(layer).__name__, timeout):
            self.places = self.places or (Discovered(layer, inputs) if is_discovered(layer) else None)
        refuse_deferred("check_layer", layer.forward, layer.backward)
        refuse_dataclasses(inputs)
        self.layer, self.reset, self.seed, self.timeout = layer, reset, seed, timeout
        self.dtype = np.dtype(dtype or np.float64)
        self.arguments = argument_names(layer.forward, len(inputs))
        name = f"{type(layer).__name__}.forward"
        refuse_inputs("check_layer", name, layer.forward, inputs, "check_layer(layer, {})")
        trees = [x if is_tree(x) else x if x is None else np.asarray(x) for x in inputs]
        leaves = [leaf for name, tree in zip(self.arguments, trees) for leaf in paths(name, tree)]
        self.trees, self.build = trees, flatten(trees)[1]
        self.input_names = [name for name, _ in leaves]
        self.inputs = [x if np.asarray(x).dtype.kind != "f" else np.array(x, self.dtype) for _, x in leaves]
        self.listed = self.places.params(layer) if self.places else layer.params  # the parameters, as they are kept
        self.entries = [np.asarray(p) for p in listed(self.listed)]
        self.params = list({id(p): p for p in self.entries}.values())
        self.param_names = parameter_names(layer, self.listed, self.params, self.input_names)
        arrays = dict(zip([*self.input_names, *self.param_names], [*self.inputs, *self.params]))
        self.floats = {name: np.array(x, self.dtype) for name, x in arrays.items() if np.asarray(x).dtype.kind == "f"}
        self.names = list(self.floats)

    @property
    def batched(self) -> list[str]:
        """The inputs that are no parameters: with a row for each sample, and with gradients that nobody need want."""
        return [name for name in self.input_names if self.kinds.get(name) != "parameter"]

    def dy_names(self, count: int) -> list[str]:
        """What the gradients by the outputs are called in a diagnosis."""
        return ["dy"] if count == 1 else [f"dy{k}" for k in range(count)]

    def name_parameters(self, cell: Any) -> None:
        """Give nameless parameters the names of a cell's parameters, by their places in the list."""
        if len(cell.params) == len(self.param_names):
            self.rename({old: new for old, new in zip(self.param_names, cell.params) if old.startswith("params[")})

    def rename(self, names: Mapping[str, str]) -> None:
        """Give parameters other names."""
        self.param_names = [names.get(name, name) for name in self.param_names]
        self.floats = {names.get(name, name): x for name, x in self.floats.items()}
        self.names = list(self.floats)

    def keep_apart(self) -> None:
        """Fill ``grads`` with other numbers than 0 before each run, if the layer overwrites them.

        So no line is right by chance because it reads the zeros there.
        """
        dys = [np.ones(np.shape(y)) for y in self.run().outputs]
        zero, other = (self.gradients(self.run(self.floats, dys, fill)) for fill in (0.0, OTHER))
        pairs = [(np.asarray(g), np.asarray(other[name])) for name, g in zero.items() if g is not None]
        same = all(a.dtype.kind in "fiu" and np.array_equal(a, b, equal_nan=True) for a, b in pairs)
        self.fill = OTHER if same else 0.0

    def with_inputs(self, inputs: Sequence[Any], layer: Any = None) -> Adapter:
        """An adapter of the same layer, or of a copy of it, with other inputs (leaves), in float64."""
        other = copy.copy(self)
        layer = self.layer if layer is None else layer
        Adapter.__init__(other, layer, self.build(inputs), self.reset, self.seed, timeout=self.timeout)
        other.rename(dict(zip(other.param_names, self.param_names)))
        return other

    def on_others(self, rng: np.random.Generator, layer: Any = None) -> Adapter:
        """An adapter with inputs that differ from these by up to a fifth."""
        floats = [np.asarray(x).dtype.kind == "f" for x in self.inputs]
        inputs = [x * rng.uniform(0.8, 1.2, x.shape) if f else x for f, x in zip(floats, self.inputs)]
        return self.with_inputs(inputs, layer)

    def inner_slopes(self, dys: Sequence[Any], seed: int, elements: int) -> dict[str, Any]:
        """The right derivatives by values inside of forward, by name; nothing for a layer that returns none."""
        return {}

    def known_gradients(self, dys: Sequence[Any]) -> dict[str, list[np.ndarray]]:
        """The right gradients by values inside of forward at all their runs, by name, where a tape has them."""
        return {}

    def run(self, floats: Floats | None = None, dys: Sequence[Any] = (), fill: float | None = None) -> Run:
        """Run forward and backward on a fresh copy, with ``floats`` in place of the inputs and parameters.

        Before that, ``grads`` are filled with ``fill``, by default with ``self.fill``.
        """
        fill = self.fill if fill is None else fill
        now = floats or self.floats
        new = [like(p, now[name]) if name in now else p.copy() for name, p in zip(self.param_names, self.params)]
        grads = [g for g in listed(self.grads_of(self.layer)) if isinstance(g, np.ndarray) and g.dtype.kind == "f"]
        pairs = [*zip(self.params, new), *((g, like(g, np.full(g.shape, fill))) for g in grads)]
        return self.rerun(Run(copy_with(self.layer, pairs), [], new, None, [], [], {}, 0, []), now, dys)

    def rerun(self, run: Run, floats: Floats, dys: Sequence[Any] = ()) -> Run:
        """Run forward and backward on the layer of a run, in its present state."""
        with np.errstate(all="ignore"), self.seeded(), limited(type(self.layer).__name__, self.timeout):
            inputs = [_copy(floats.get(name, x)) for name, x in zip(self.input_names, self.inputs)]
            if self.reset is not None:
                self.reset(run.layer)
            result = run.layer.forward(*self.build(inputs))
            next_run = Run(run.layer, inputs, run.params, result, outputs(result), [], {}, 0, [])
            return self.run_backward(next_run, dys) if len(dys) else next_run

    @contextmanager
    def seeded(self) -> Iterator[None]:
        """Seed the global random generators if there is a ``seed``, and restore them afterwards."""
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

    def run_backward(self, run: Run, dys: Sequence[Any]) -> Run:
        """Run backward on the layer of a run, in its present state."""
        run.dys = [_copy(dy)[()] for dy in dys]
        args, named = bound(self.layer, cotangents(self.layer.backward, run.result, run.dys))
        with limited(type(self.layer).__name__, self.timeout):
            run.answer = run.layer.backward(*args, **named)
        answer, returned = run.answer, dict[str, Any]()
        if self.places:
            answer, returned = self.places.split(answer, run.layer, dict(zip(self.arguments, self.trees)))
        run.returned, run.count = gradients_by_input(answer, self.arguments, self.trees)
        run.grads = listed(self.grads_of(run.layer, returned), self.listed)
        return run

    def grads_of(self, layer: Any, returned: Mapping[str, Any] | None = None) -> Any:
        """The gradients that a layer keeps, and those by parameters that its backward has returned."""
        return self.places.grads(layer, returned or {}) if self.places else layer.grads

    def gradients(self, run: Run) -> dict[str, Any]:
        """The gradient by each float, or None; the sum for a parameter that is in ``params`` several times."""
        gradients = {name: g for name, g in run.returned.items() if name in self.floats}
        for name, param in zip(self.param_names, self.params):
            parts = [g for p, g in zip(self.entries, run.grads) if p is param and g is not None]
            distinct = list({id(g): g for g in parts}.values())
            gradients[name] = None if not distinct else distinct[0] if len(distinct) == 1 else sum(distinct)
        return {name: gradients.get(name) for name in self.names}


def _copy(x: Any) -> Any:
    """A copy of an array; anything else as it is."""
    return np.array(x) if isinstance(x, (np.ndarray, np.generic)) else x

