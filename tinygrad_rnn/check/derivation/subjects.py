"""What is checked: a step of a cell, a cell over time, or a function, with inputs and the user's backward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...cells.cell import Cell
from ...engine.pytree import flatten
from ...engine.tensor import value
from ...errors import InvalidValue, Uncheckable
from ...ops import stack
from ...tracing.sample import sample
from ..layers.arguments import binds, parameters, takes_any_keyword
from ..numeric.inputs import SIZES, argument_names

STEPS = 5  # of a check over time: with the other sizes, distinct primes
Arrays = Mapping[str, Any]


@dataclass
class Subject:
    """A forward and the user's ``backward``; ``given`` are the arguments by name, as float64.

    ``outputs`` runs the forward on arguments by name. ``call`` runs the backward on such arguments and the gradients by
    the outputs that it takes, in ``dtype``: the gradients as a dict.
    """

    name: str
    forward: Any
    backward: Callable[..., Any]
    given: dict[str, Any]
    dtype: np.dtype[Any]
    outputs: Callable[..., Sequence[Any]]
    call: Callable[[Arrays, Sequence[Any]], dict[str, Any]]
    batched: list[str]  # the arguments with a row for each sample
    sources: list[Any]  # the user's functions
    kinds: dict[str, str] = field(default_factory=dict)  # of the arguments
    output_names: Sequence[str] = ()
    cotangents: Sequence[str | None] = ()  # the names of the gradients by the outputs; None if it does not take it
    timed: bool = False  # over time: the first output is stacked over the steps
    blocks: dict[int, tuple[str, ...]] = field(default_factory=dict)  # of the gates along an axis, by its length

    def reached(self, outputs: Sequence[Any]) -> list[Any]:
        """Of a list with an entry for each output, those whose gradient the backward takes."""
        names = self.cotangents or [""] * len(outputs)
        return [output for name, output in zip(names, outputs) if name is not None]


def of_cell(
    cell: Cell, backward: Callable[..., Any], inputs: Sequence[Any], params: Arrays, sizes: Mapping[str, int],
    dtype: Any, rng: np.random.Generator,
) -> Subject:  # fmt: skip
    """A cell, and the backward of a step, or of all steps if it takes ``dhs``."""
    taken, timed = parameters(backward), "dhs" in parameters(backward)
    batched, dtype = ["xs" if timed else cell.input, *cell.states], np.dtype(dtype or np.float64)
    config = {name: x for name, x in params.items() if name not in (*batched, *cell.params)}
    fixed = {**dict(zip(batched, inputs)), **{name: x for name, x in params.items() if name not in config}}
    given = _whole(fixed, [*batched, *cell.params]) if fixed else _random(cell, sizes, timed, rng)
    given = {name: exact(x, dtype) for name, x in given.items()}
    dys_of = ["dhs"] * timed + [f"d{name}" for name in cell.states]
    cotangents = [name if name in taken or takes_any_keyword(backward) else None for name in dys_of]

    def outputs(**now: Any) -> Sequence[Any]:
        x, *states = [now.pop(name) for name in batched]
        return _over_time(cell, x, states, {**now, **config}) if timed else _states(cell(x, *states, **now, **config))

    def call(now: Arrays, dys: Sequence[Any]) -> dict[str, Any]:
        back = {**dict.fromkeys(dys_of), **dict(zip([name for name in cotangents if name], dys)), **config}
        states, weights = {name: now[name] for name in batched}, {name: now[name] for name in cell.params}
        return by_key(_called(backward, states, weights, back), now)

    kinds = {batched[0]: "input", **dict.fromkeys(cell.states, "state"), **dict.fromkeys(cell.params, "parameter")}
    blocks = {np.shape(given[name])[-1]: param.blocks for name, param in reversed(cell.params.items()) if param.blocks}
    return Subject(cell.name, cell, backward, given, dtype, outputs, call, batched, [backward], kinds,
                   ["hs"] * timed + [f"{name}'" for name in cell.states], cotangents, timed, blocks)  # fmt: skip


def _states(new: Any) -> tuple[Any, ...]:
    return new if isinstance(new, tuple) else (new,)


def _over_time(cell: Cell, xs: Any, states: Sequence[Any], params: Arrays) -> Sequence[Any]:
    """Every output of a cell over time, (N, T, H), and the last states."""
    hs, state = [], tuple(states)
    for t in range(np.shape(value(xs))[1]):
        x = xs[:, t]
        if getattr(x, "node", None) is not None:
            x.name = cell.input
        state = _states(cell(x, *state, **params))
        hs.append(state[0])
    return stack(hs, axis=1), *state


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


def _whole(fixed: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The user's inputs, in order. Raises Uncheckable unless all are there."""
    missing = [name for name in names if name not in fixed]
    if missing:
        raise Uncheckable(f"check_backward: {', '.join(missing)} not given, should be as well: all of "
                          f"{', '.join(names)}, or none")  # fmt: skip
    return {name: fixed[name] for name in names}


def _called(f: Callable[..., Any], states: Arrays, params: Arrays, back: Arrays) -> Any:
    """Call a backward of a cell by name, with another name for the input, by position, or with a dict ``params``."""
    wanted, (first, *rest) = parameters(f), states
    here = {name: g for name, g in back.items() if name in wanted or takes_any_keyword(f)}
    calls: list[Any] = []
    star = any(part.kind is part.VAR_POSITIONAL for part in wanted.values())  # for the states
    for weights in (params, {"params": params}):
        forms = [([], {**states, **weights, **here}),
                 ([states[first]], {**{name: states[name] for name in rest}, **weights, **here}),
                 ([*states.values()], {**weights, **here}),
                 ([*states.values(), *weights.values(), *here.values()], {})]  # fmt: skip
        calls += forms[2 * star :]
    args, named = next((call for call in calls if not wanted or binds(f, *call)), calls[0])
    try:
        inspect.signature(f).bind(*args, **named)
    except TypeError as error:
        name = getattr(f, "__name__", "backward")
        raise Uncheckable(f"check_backward: {name}: {error}; it is called as {name}({', '.join(states)}, *, "
                          f"{', '.join([*params, *back])})") from None  # fmt: skip
    except ValueError:  # no signature to read: the call will tell
        pass
    return f(*args, **named)


def of_function(f: Callable[..., Any], backward: Callable[..., Any], inputs: Sequence[Any], dtype: Any) -> Subject:
    """A function of arrays, and its backward, which takes them and a gradient by each output."""
    if not inputs:
        raise Uncheckable("check_backward: a function needs inputs: check_backward(f, backward, x, w)")
    dtype, wanted = np.dtype(dtype or np.float64), parameters(backward)
    given = {name: exact(x, dtype) for name, x in zip(argument_names(f, len(inputs)), inputs)}
    others = [name for name, part in wanted.items() if name not in given and part.default is part.empty]

    def outputs(**now: Any) -> Sequence[Any]:
        return [leaf for leaf in flatten(f(*now.values()))[0] if np.asarray(value(leaf)).dtype.kind in "fc"]

    def call(now: Arrays, dys: Sequence[Any]) -> dict[str, Any]:
        if all(name in wanted for name in now) and len(others) == len(dys) and not takes_any_keyword(backward):
            return by_key(backward(**now, **dict(zip(others, dys))), now)
        args = [*now.values(), *dys]
        if not binds(backward, args):
            names = ", ".join([*now, *(["dy"] if len(dys) == 1 else [f"dy{k}" for k in range(len(dys))])])
            raise Uncheckable(f"check_backward: backward({', '.join(wanted)}) should be called as backward({names})")
        return by_key(backward(*args), now)

    return Subject(getattr(f, "__name__", type(f).__name__), f, backward, given, dtype, outputs, call, list(given),
                   [f, backward])  # fmt: skip


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
