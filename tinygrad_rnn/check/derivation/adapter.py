"""A forward and the user's backward as a layer without parameters: all arguments are inputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.pytree import flatten
from ...engine.tensor import make, value
from ...errors import InvalidValue, Uncheckable
from ...ops import stack
from ...tracing.sample import sample
from ..layers.adapter import Adapter, Run
from ..layers.arguments import binds, parameters, required, takes_any
from ..layers.forward_match import steps_of
from ..layers.functions import functions_as_layer
from ..numeric.derivatives import Slopes
from ..numeric.inputs import SIZES, argument_names
from ..timeout import SECONDS
from .case import Case

STEPS = 5  # of a check over time: with the other sizes, distinct primes
Arrays = Mapping[str, Any]


class Derivation(Adapter):
    """A function of arrays, and the user's backward, which takes them and a gradient by each output.

    Forward gets the inputs as float64, backward in ``precision``. ``inner`` are the gradients by local variables that
    backward returns as well, by name: which of `Case.could`.
    """

    saves = False
    timed = False  # over time: the first output is stacked over the steps
    output_names: Sequence[str] = ()
    cotangents: Sequence[str | None] = ()  # the names of the gradients by the outputs; None if it does not take it
    blocks: Mapping[int, Sequence[str]] = {}  # the gates along an axis, by its length

    def __init__(
        self, forward: Any, backward: Callable[..., Any], inputs: Sequence[Any], dtype: Any = None,
        timeout: float = SECONDS, names: Sequence[str] = (),
    ):  # fmt: skip
        self.forward, self.backward, self.precision = forward, backward, np.dtype(dtype or np.float64)
        self.inner: dict[str, int] = {}
        names = names or argument_names(forward, len(inputs))
        super().__init__(self._as_layer(names), [exact(x, self.precision) for x in inputs], timeout=timeout)

    def _as_layer(self, names: Sequence[str]) -> Any:
        def forward(*inputs: Any) -> Any:
            arrays = [make(x, None) if np.asarray(x).dtype.kind in "fc" else x for x in inputs]
            outputs = self.outputs(**dict(zip(names, arrays)))
            return tuple(np.asarray(value(y)) for y in self.reached(outputs)), inputs

        def backward(inputs: Sequence[Any], *dys: Any) -> dict[str, Any]:
            arrays, kind = [np.asarray(x) for x in (*inputs, *dys)], self.precision
            handed = [x.astype(kind, copy=False) if x.dtype.kind == "f" else x for x in arrays]
            result = self.call(dict(zip(names, handed)), handed[len(names) :])
            for array, copy in zip(arrays, handed):  # what it writes to, the contract has to see
                if copy is not array and not np.array_equal(copy, array.astype(kind), equal_nan=True):
                    array[...] = copy
            return by_key(result, dict(zip(names, inputs)))

        kind = inspect.Parameter.POSITIONAL_ONLY
        signature = inspect.Signature([inspect.Parameter(name, kind) for name in names])
        name = getattr(self.forward, "__name__", type(self.forward).__name__)
        name = self.forward.name if isinstance(self.forward, Cell) else name
        sources = [self.backward] if isinstance(self.forward, Cell) else [self.forward, self.backward]
        layer = functions_as_layer(forward, backward, sources, signature, name=name)
        layer.params, layer.grads, layer.variables, layer.owner = [], [], {}, []
        return layer

    def outputs(self, **now: Any) -> Sequence[Any]:
        """Run the forward on arguments by name."""
        leaves = flatten(self.forward(*now.values()))[0]
        return [leaf for leaf in leaves if np.asarray(value(leaf)).dtype.kind in "fc"]

    def call(self, now: Arrays, dys: Sequence[Any]) -> Any:
        """Run the backward on arguments by name and the gradients by the outputs that it takes."""
        wanted, args = parameters(self.backward), [*now.values(), *dys]
        others = [name for name in required(self.backward) if name not in now]
        by_name = all(name in wanted for name in now) and not takes_any(self.backward, "VAR_KEYWORD")
        if by_name and len(others) == len(dys):
            return self.backward(**now, **dict(zip(others, dys)))
        if not binds(self.backward, args):
            names = ", ".join([*now, *super().dy_names(len(dys))])
            raise Uncheckable(f"check_backward: backward({', '.join(wanted)}) should be called as backward({names})")
        return self.backward(*args)

    def reached(self, outputs: Sequence[Any]) -> list[Any]:
        """Of a list with an entry for each output, those whose gradient the backward takes."""
        names = self.cotangents or [""] * len(outputs)
        return [output for name, output in zip(names, outputs) if name is not None]

    def keep_apart(self) -> None:
        """Lines are searched in float64."""
        self.precision = np.dtype(np.float64)

    def dy_names(self, count: int) -> list[str]:
        return [f"{name} that comes in" for name in self.reached(self.cotangents) or super().dy_names(count)]

    def case(self, dys: Sequence[Any], floats: Arrays | None = None) -> Case:
        """The tape of the present inputs, or of ``floats``, with cotangents."""
        now = self.floats if floats is None else floats
        return Case(self, {name: now.get(name, x) for name, x in zip(self.input_names, self.inputs)}, dys)

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
        return self.case(dys).by_words()


class CellDerivation(Derivation):
    """A cell, and the user's backward of a step, or of all steps if it takes ``dhs``."""

    def __init__(
        self, cell: Cell, backward: Callable[..., Any], inputs: Sequence[Any], params: Arrays, sizes: Mapping[str, int],
        dtype: Any, rng: np.random.Generator, timeout: float = SECONDS,
    ):  # fmt: skip
        taken = parameters(backward)
        self.timed = "dhs" in taken
        first = "xs" if self.timed else cell.input
        names = [first, *cell.states, *cell.params]
        self.config = {name: x for name, x in params.items() if name not in names}
        fixed = {**dict(zip(names[: 1 + len(cell.states)], inputs)), **params}
        missing = [name for name in names if name not in fixed]
        if len(fixed) > len(self.config) and missing:
            raise Uncheckable(f"check_backward: {', '.join(missing)} not given, should be as well: all of "
                              f"{', '.join(names)}, or none")  # fmt: skip
        given = _random(cell, sizes, self.timed, rng) if missing else {name: fixed[name] for name in names}
        self.dys_of = ["dhs"] * self.timed + [f"d{name}" for name in cell.states]
        every = takes_any(backward, "VAR_KEYWORD")
        self.cotangents = [name if name in taken or every else None for name in self.dys_of]
        self.output_names = ["hs"] * self.timed + [f"{name}'" for name in cell.states]
        self.kinds = {first: "input", **dict.fromkeys(cell.states, "state"), **dict.fromkeys(cell.params, "parameter")}
        self.blocks = {np.shape(given[name])[-1]: param.blocks
                       for name, param in reversed(cell.params.items()) if param.blocks}  # fmt: skip
        super().__init__(cell, backward, list(given.values()), dtype, timeout, list(given))

    def outputs(self, **now: Any) -> Sequence[Any]:
        """Run a step; or all steps: every output (N, T, H), and the last states."""
        x, *state = [now.pop(name) for name in self.batched]
        params = {**now, **self.config}
        if self.timed:
            steps = list(steps_of(self.forward, x, state, params))
            return stack([state[0] for state in steps], axis=1), *steps[-1]
        new = self.forward(x, *state, **params)
        return new if isinstance(new, tuple) else (new,)

    def call(self, now: Arrays, dys: Sequence[Any]) -> Any:
        """Call the backward by name, with another name for the input, by position, or with a dict ``params``."""
        f, wanted = self.backward, parameters(self.backward)
        back = {**dict.fromkeys(self.dys_of), **dict(zip(self.reached(self.cotangents), dys)), **self.config}
        here = {name: g for name, g in back.items() if name in wanted or takes_any(f, "VAR_KEYWORD")}
        states, params = {name: now[name] for name in self.batched}, {name: now[name] for name in self.forward.params}
        (_, x), *rest = states.items()
        calls: list[Any] = []
        star = takes_any(f, "VAR_POSITIONAL")  # for the states
        for weights in (params, {"params": params}):
            forms = [([], {**states, **weights, **here}),
                     ([x], {**dict(rest), **weights, **here}),
                     ([*states.values()], {**weights, **here}),
                     ([*states.values(), *weights.values(), *here.values()], {})]  # fmt: skip
            calls += forms[2 * star :]
        args, named = next((call for call in calls if binds(f, *call)), calls[0])
        if not binds(f, args, named):
            name = getattr(f, "__name__", "backward")
            try:
                inspect.signature(f).bind(*args, **named)
            except TypeError as error:
                raise Uncheckable(f"check_backward: {name}: {error}; it is called as {name}({', '.join(states)}, *, "
                                  f"{', '.join([*params, *back])})") from None  # fmt: skip
        return f(*args, **named)


def _random(cell: Cell, sizes: Mapping[str, int], timed: bool, rng: np.random.Generator) -> dict[str, Any]:
    """Random arguments of a cell, of ``sizes`` by letter."""
    empty = next((letter for letter, n in sizes.items() if n < 1), None)
    if empty is not None:
        raise InvalidValue(f"{cell.name}: {empty} is {sizes[empty]}, should be at least 1")
    if "T" in sizes and not timed:
        raise Uncheckable(f"{cell.name}: T is not a size of one step; a backward over time takes dhs")
    given = sample(cell, rng, {letter: n for letter, n in sizes.items() if letter != "T"}, SIZES)
    if not timed:
        return given
    N, D = given.pop(cell.input).shape
    return {"xs": rng.standard_normal((N, sizes.get("T", STEPS), D)), **given}


def by_key(gradients: Any, given: Arrays) -> dict[str, Any]:
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
