"""What is checked: a step of a cell, a cell over time, or a function, with inputs and the user's backward."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.tensor import value
from ...errors import InvalidValue, Uncheckable
from ...ops import stack
from ...tracing.sample import codes, sample
from ..layers.arguments import binds, parameters, takes_any_keyword
from ..numeric.inputs import SIZES, argument_names, by_name
from .calls import one_step, over_time
from .tape import Tape, taped

STEPS = 5  # of a check over time: with the other sizes, distinct primes


class Loop:
    """A cell over time, as a function of its arguments by name: every output (N, T, H), and the last states."""

    def __init__(self, cell: Cell, config: Mapping[str, Any]):
        self.cell, self.config = cell, config
        self.hs: list[Any] = []

    def __call__(self, xs: Any, **given: Any) -> Any:
        state = tuple(given.pop(name) for name in self.cell.states)
        self.hs = []
        for t in range(np.shape(value(xs))[1]):
            x = xs[:, t]
            if getattr(x, "node", None) is not None:
                x.name = self.cell.input
            new = self.cell(x, *state, **given, **self.config)
            state = new if isinstance(new, tuple) else (new,)
            self.hs.append(state[0])
        return stack(self.hs, axis=1), *state


class Subject(ABC):
    """A forward and the user's ``backward``. ``function`` is the forward, of arguments by name."""

    name: str
    backward: Callable[..., Any]
    function: Callable[..., Any]
    dtype: np.dtype[Any]
    batched: list[str]  # the arguments with a row for each sample
    sources: list[Any]  # the user's functions
    parameters: Sequence[str] = ()  # the arguments whose gradients are always needed
    cotangents: Sequence[str] = ()  # the names of the gradients by the outputs
    unreached: Sequence[int] = ()  # the outputs whose gradient the backward does not take
    timed = False  # over time: the first output is stacked over the steps
    first: int  # the seed of the user's inputs

    @abstractmethod
    def given(self, rng: np.random.Generator, seed: int) -> dict[str, Any]:
        """The arguments by name: the user's at the first seed, else random. Exact in ``dtype``, as float64."""

    @abstractmethod
    def recorded(self, given: Mapping[str, Any]) -> tuple[Tape, list[list[int]]]:
        """The tape of the forward, and the numbers of each output on it: several of an output over time."""

    @abstractmethod
    def call(self, given: dict[str, Any], dys: Sequence[Any]) -> dict[str, Any]:
        """The gradients that the backward returns for arguments by name and a cotangent for each output."""

    def reached(self, outputs: Sequence[Any]) -> list[Any]:
        """Of a list with an entry for each output, those whose gradient the backward takes."""
        return [output for k, output in enumerate(outputs) if k not in self.unreached]

    def blocks(self, given: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
        """The names of the gates that are stacked along an axis, by its length."""
        return {}


class OfCell(Subject):
    """A cell, and the backward of a step, or of all steps if it takes ``dhs``."""

    def __init__(
        self, cell: Cell, backward: Callable[..., Any], inputs: Sequence[Any], params: Mapping[str, Any],
        sizes: Mapping[str, int], dtype: Any, seed: int = 0,
    ):  # fmt: skip
        self.cell, self.backward, self.name, self.first, self.sizes = cell, backward, cell.name, seed, dict(sizes)
        self.sources, self.parameters = [backward], list(cell.params)
        self.timed, self.dtype = "dhs" in parameters(backward), np.dtype(dtype or np.float64)
        self.batched = ["xs" if self.timed else cell.input, *cell.states]
        names = (*self.batched, *cell.params)
        self.config = {name: x for name, x in params.items() if name not in names}
        self.fixed = {**dict(zip(self.batched, inputs)), **{name: x for name, x in params.items() if name in names}}
        self.function = Loop(cell, self.config) if self.timed else functools.partial(by_name(cell), **self.config)
        self.cotangents = ["dhs"] * self.timed + [f"d{name}" for name in cell.states]
        if self.timed and not takes_any_keyword(backward):
            taken = parameters(backward)
            self.unreached = [k for k, name in enumerate(self.cotangents) if name not in taken]

    def recorded(self, given: Mapping[str, Any]) -> tuple[Tape, list[list[int]]]:
        order = [self.cell.input, *self.cell.states]
        kinds = {order[0]: "input", "xs": "input", **dict.fromkeys(self.cell.states, "state")}
        kinds |= dict.fromkeys(self.cell.params, "parameter")

        def new_states(outputs: Any) -> dict[str, Any]:
            new = outputs[1:] if self.timed else outputs if isinstance(outputs, tuple) else (outputs,)
            return {f"{name}'": state for name, state in zip(self.cell.states, new)}

        tape, outputs = taped(lambda **now: self.function(**now), given, kinds, codes(self.cell), new_states, order)
        steps = [self.function.hs] if isinstance(self.function, Loop) else []  # of this run
        arrays = [*steps, *([state] for state in new_states(outputs).values())]
        return tape, self.reached([[tape.number(x) for x in runs] for runs in arrays])

    def blocks(self, given: Mapping[str, Any]) -> dict[int, tuple[str, ...]]:
        params = reversed(self.cell.params.items())  # of two with equal lengths the first counts
        return {np.shape(given[name])[-1]: param.blocks for name, param in params if param.blocks}

    def given(self, rng: np.random.Generator, seed: int) -> dict[str, Any]:
        sizes = dict(self.sizes)
        empty = next((letter for letter, n in sizes.items() if n < 1), None)
        if empty is not None:
            raise InvalidValue(f"{self.name}: {empty} is {sizes[empty]}, should be at least 1")
        if "T" in sizes and not self.timed:
            raise Uncheckable(f"{self.name}: T is not a size of one step; a backward over time takes dhs")
        T = sizes.pop("T", STEPS)
        if self.fixed:
            given = {name: x if seed == self.first else moved(x, rng) for name, x in self._whole().items()}
        else:
            given = sample(self.cell, rng, sizes, SIZES)
            if self.timed:
                N, D = given.pop(self.cell.input).shape
                given = {"xs": rng.standard_normal((N, T, D)), **given}
        return {name: exact(x, self.dtype) for name, x in given.items()}

    def _whole(self) -> dict[str, Any]:
        """The user's inputs. Raises Uncheckable unless all are there."""
        names = (*self.batched, *self.cell.params)
        missing = [name for name in names if name not in self.fixed]
        if missing:
            raise Uncheckable(f"check_backward: {', '.join(missing)} not given, should be as well: all of "
                            f"{', '.join(names)}, or none")  # fmt: skip
        return self.fixed

    def call(self, given: dict[str, Any], dys: Sequence[Any]) -> dict[str, Any]:
        back = {**dict.fromkeys(self.cotangents), **dict(zip(self.reached(self.cotangents), dys)), **self.config}
        states = {name: given[name] for name in self.batched}
        params = {name: x for name, x in given.items() if name not in states}
        call = over_time if self.timed else one_step
        return by_key(call(self.backward, states, params, back), given)


class OfFunction(Subject):
    """A function of arrays, and its backward, which takes them and a gradient by each output."""

    def __init__(self, f: Callable[..., Any], backward: Callable[..., Any], inputs: Sequence[Any], dtype: Any,
                 seed: int = 0):  # fmt: skip
        if not inputs:
            raise Uncheckable("check_backward: a function needs inputs: check_backward(f, backward, x, w)")
        self.f, self.backward, self.name = f, backward, getattr(f, "__name__", type(f).__name__)
        self.dtype, self.first = np.dtype(dtype or np.float64), seed
        self.function, self.sources = (lambda **now: f(*now.values())), [f, backward]
        self.inputs = {name: exact(x, self.dtype) for name, x in zip(argument_names(f, len(inputs)), inputs)}
        self.batched = list(self.inputs)

    def given(self, rng: np.random.Generator, seed: int) -> dict[str, Any]:
        return {name: x if seed == self.first else moved(x, rng) for name, x in self.inputs.items()}

    def recorded(self, given: Mapping[str, Any]) -> tuple[Tape, list[list[int]]]:
        def named(outputs: Any) -> dict[str, Any]:
            arrays = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
            return dict(zip(["y"] if len(arrays) == 1 else [f"y{k}" for k in range(len(arrays))], arrays))

        tape, outputs = taped(lambda **now: self.f(*now.values()), given, {}, codes(self.f), named, list(given))
        return tape, [[tape.number(y)] for y in named(outputs).values()]

    def call(self, given: dict[str, Any], dys: Sequence[Any]) -> dict[str, Any]:
        wanted = parameters(self.backward)
        others = [name for name, part in wanted.items() if name not in given and part.default is part.empty]
        if all(name in wanted for name in given) and len(others) == len(dys) and not takes_any_keyword(self.backward):
            return by_key(self.backward(**given, **dict(zip(others, dys))), given)
        args = [*given.values(), *dys]
        if not binds(self.backward, args):
            names = ", ".join([*given, *(["dy"] if len(dys) == 1 else [f"dy{k}" for k in range(len(dys))])])
            raise Uncheckable(f"check_backward: backward({', '.join(wanted)}) should be called as backward({names})")
        return by_key(self.backward(*args), given)


def by_key(gradients: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """The gradients as a dict; a tuple is in the order of the inputs, a single array is by the only input."""
    if isinstance(gradients, dict):
        return gradients
    floats = [name for name, x in given.items() if np.asarray(x).dtype.kind == "f"]
    several = gradients if isinstance(gradients, (tuple, list)) else [gradients]
    for names in (list(given), floats):
        if len(several) == len(names):
            return {f"d{name}": g for name, g in zip(names, several) if name in floats}
    several_text = f"{len(gradients)} gradients" if isinstance(gradients, (tuple, list)) else ""
    keys = ", ".join(f"'d{name}': ..." for name in floats)
    raise Uncheckable(f"check_backward: backward returned {several_text or f'a {type(gradients).__name__}'}, should be "
                      f"a dict such as {{{keys}}}, or a tuple in that order")  # fmt: skip


def exact(x: Any, dtype: Any) -> Any:
    """An input as float64, of numbers that ``dtype`` has, so that rounding hides nothing; integers as they are."""
    array = np.asarray(value(x))
    return array.astype(dtype).astype(np.float64) if array.dtype.kind == "f" else array


def moved(x: Any, rng: np.random.Generator) -> Any:
    """Other numbers of about the same size and of the same signs."""
    return x * rng.uniform(0.8, 1.2, np.shape(x)) if np.asarray(x).dtype.kind == "f" else x
