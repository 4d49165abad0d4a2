"""What is checked, as a maker of cases of any size and seed: a step of a cell, a cell over time, a function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.tensor import value
from ...errors import InvalidValue, Uncheckable
from ...ops import stack
from ...tracing.sample import sample
from ..layers.arguments import binds, parameters, takes_any_keyword
from ..numeric.inputs import SIZES, argument_names, by_name
from .case import Case
from .cases import case_of_cell, case_of_function, exact, moved, one_step, over_time

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


class Subject:
    """What makes cases, and asks the user for the gradients of one (`ask`). Its kinds fill in `case` and `call`."""

    name: str
    letters: tuple[str, ...] = ()  # of the sizes that can be made smaller
    states = False  # has it some that could be zero?

    def case(self, seed: int, small: Mapping[str, int] | None = None, still: bool = False) -> Case:
        """A case from a seed; with N or T as ``small`` says, and from zero states if it is ``still``."""
        raise NotImplementedError

    def exactly(self) -> Subject:
        """The same in float64."""
        return self

    def call(self, case: Case, given: dict[str, Any], dys: list[Any]) -> Any:
        """What the user's backward makes of the arguments by name and the cotangents."""
        raise NotImplementedError

    def batched(self, case: Case) -> list[str]:
        """The arguments that have a row for each sample."""
        return list(case.given)

    def ask(self, case: Case) -> Any:
        """The gradients by hand, computed on copies."""
        given = {name: np.array(x) for name, x in case.given.items()}
        with np.errstate(all="ignore"):
            return self.call(case, given, [np.array(dy) for dy in case.problem.dys])


class OfCell(Subject):
    """A cell, and the backward of a step, or of all steps if it takes ``dhs``."""

    def __init__(
        self, cell: Cell, backward: Callable[..., Any], inputs: Sequence[Any], params: Mapping[str, Any],
        sizes: Mapping[str, int], dtype: Any, seed: int = 0,
    ):  # fmt: skip
        self.asked, self.first = (cell, backward, inputs, params, sizes), seed
        self.cell, self.backward, self.name = cell, backward, cell.name
        self.timed = "dhs" in parameters(backward)
        self.sizes, self.dtype = {**SIZES, **sizes}, np.dtype(dtype or np.float64)
        self.letters = ("N", "T") if self.timed else ("N",)
        self.states = True
        self.order = ["xs" if self.timed else cell.input, *cell.states]
        own = (*self.order, *cell.params)
        self.config = {name: x for name, x in params.items() if name not in own}
        self.fixed = {**dict(zip(self.order, inputs)), **{name: x for name, x in params.items() if name in own}}
        self.function = Loop(cell, self.config) if self.timed else functools.partial(by_name(cell), **self.config)

    def case(self, seed: int, small: Mapping[str, int] | None = None, still: bool = False) -> Case:
        rng = np.random.default_rng(seed)
        given = self.given(rng, {**self.asked[-1], **(small or {})}, seed)
        given |= {name: np.zeros_like(given[name]) for name in self.cell.states if still}
        case = case_of_cell(self.cell, self.function, given, rng, self.timed)
        case.given = {name: x.astype(self.dtype) if x.dtype.kind == "f" else x for name, x in given.items()}
        for name, dy in zip(self.cotangents(), case.problem.dys):
            if self.timed and name not in parameters(self.backward) and not takes_any_keyword(self.backward):
                dy[...] = 0  # it has no way in
        case.totals = case.tape.back(case.groups)
        return case

    def given(self, rng: np.random.Generator, sizes: Mapping[str, int], seed: int) -> dict[str, Any]:
        """The arguments by name: the user's as far as there are some, else random. Exact in ``dtype``, as float64."""
        sizes = dict(sizes)
        empty = next((letter for letter, n in sizes.items() if n < 1), None)
        if empty is not None:
            raise InvalidValue(f"{self.name}: {empty} is {sizes[empty]}, should be at least 1")
        T = sizes.pop("T", STEPS)
        if "T" in self.sizes and not self.timed:
            raise Uncheckable(f"{self.name}: T is not a size of one step; a backward over time takes dhs")
        if self.fixed:
            found = {name: self._cut(name, x, sizes.get("N", SIZES["N"]), T) for name, x in self._whole().items()}
            found = {name: x if seed == self.first else moved(x, rng) for name, x in found.items()}
        else:
            found = sample(self.cell, rng, sizes, SIZES)
            if self.timed:
                N, D = found.pop(self.cell.input).shape
                found = {"xs": rng.standard_normal((N, T, D)), **found}
        return {name: exact(x, self.dtype) for name, x in found.items()}

    def _whole(self) -> dict[str, Any]:
        """What the user gave, if it is all."""
        own = (*self.order, *self.cell.params)
        missing = [name for name in own if name not in self.fixed]
        if missing:
            raise Uncheckable(f"check_backward: {', '.join(missing)} not given, should be as well: all of "
                            f"{', '.join(own)}, or none")  # fmt: skip
        return self.fixed

    def _cut(self, name: str, x: Any, N: int | None, T: int) -> Any:
        """A given input with fewer rows and steps, for a smaller case."""
        if name not in self.order or (self.sizes["N"] == N and self.sizes.get("T", STEPS) == T):
            return x
        rows = np.asarray(value(x))[:N]
        return rows[:, :T] if name == "xs" else rows

    def exactly(self) -> Subject:
        return OfCell(*self.asked, None, self.first)

    def cotangents(self) -> list[str]:
        """The names under which the backward takes what comes in."""
        return ["dhs"] * self.timed + [f"d{name}" for name in self.cell.states]

    def batched(self, case: Case) -> list[str]:
        return self.order

    def call(self, case: Case, given: dict[str, Any], dys: list[Any]) -> Any:
        back = {name: dy.astype(self.dtype, copy=False) for name, dy in zip(self.cotangents(), dys)}
        states = {name: given.pop(name) for name in self.order}
        call = over_time if self.timed else one_step
        return by_key(call(self.backward, states, given, {**back, **self.config}), case)


class OfFunction(Subject):
    """A function of arrays, and its backward, which takes them and a gradient by each output."""

    def __init__(self, f: Callable[..., Any], backward: Callable[..., Any], inputs: Sequence[Any], dtype: Any,
                 seed: int = 0):  # fmt: skip
        if not inputs:
            raise Uncheckable("check_backward: a function needs inputs: check_backward(f, backward, x, w)")
        self.f, self.backward, self.name = f, backward, getattr(f, "__name__", type(f).__name__)
        self.dtype, self.first, self.asked = np.dtype(dtype or np.float64), seed, (f, backward, inputs)
        self.inputs = {name: exact(x, self.dtype) for name, x in zip(argument_names(f, len(inputs)), inputs)}

    def case(self, seed: int, small: Mapping[str, int] | None = None, still: bool = False) -> Case:
        rng, given = np.random.default_rng(seed), self.inputs
        if seed != self.first:
            given = {name: moved(x, rng) for name, x in given.items()}
        case = case_of_function(self.f, given, rng)
        case.given = {name: x.astype(self.dtype) if x.dtype.kind == "f" else x for name, x in given.items()}
        return case

    def exactly(self) -> Subject:
        return OfFunction(*self.asked, None, self.first)

    def call(self, case: Case, given: dict[str, Any], dys: list[Any]) -> Any:
        dys = [dy.astype(self.dtype, copy=False) for dy in dys]
        wanted = parameters(self.backward)
        others = [name for name, one in wanted.items() if name not in given and one.default is one.empty]
        if all(name in wanted for name in given) and len(others) == len(dys) and not takes_any_keyword(self.backward):
            return by_key(self.backward(**given, **dict(zip(others, dys))), case)
        args = [*given.values(), *dys]
        if not binds(self.backward, args):
            names = ", ".join([*given, *(["dy"] if len(dys) == 1 else [f"dy{k}" for k in range(len(dys))])])
            raise Uncheckable(f"check_backward: backward({', '.join(wanted)}) should be called as backward({names})")
        return by_key(self.backward(*args), case)


def by_key(hand: Any, case: Case) -> dict[str, Any]:
    """The gradients by hand as a dict; a tuple is in the order of the inputs, one array that by the only one."""
    if isinstance(hand, dict):
        return hand
    several = hand if isinstance(hand, (tuple, list)) else [hand]
    for names in (list(case.given), case.problem.names):
        if len(several) == len(names):
            return {f"d{name}": g for name, g in zip(names, several) if name in case.problem.names}
    what = f"{len(hand)} gradients" if isinstance(hand, (tuple, list)) else f"a {type(hand).__name__}"
    keys = ", ".join(f"'d{name}': ..." for name in case.problem.names)
    raise Uncheckable(f"check_backward: backward returned {what}, should be a dict such as {{{keys}}}, or a tuple in "
                  "that order")  # fmt: skip
