"""Wrappers take any cell and give a cell, so they compose and run under `scan` as they are.

A wrapped cell has the states, the parameters and the configuration of the cell inside, and what the wrapper adds; its
name tells: ``zoneout(projected(lstm))``. It is as pure as the cell was: what is random comes in as an argument, a
generator (``rng``) where every step draws anew, masks (`draw_masks`) where one draw holds for the whole sequence. Both
are configuration, given at the call in the dict of the parameters; a cell called without them is the cell to evaluate.

Inside out, the usual order is ``residual(zoneout(variational_dropout(projected(cell), ...), ...))``.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..errors import InvalidType, InvalidValue, ShapeError
from ..ops import dropout
from .cell import Cell, Param
from .masks import Mask, masked, rows

Equations = Callable[[Any, tuple[Any, ...], dict[str, Any]], Any]


def _wrap(
    wrapper: str,
    cell: Cell,
    equations: Equations,
    doc: str,
    states: Mapping[str, tuple[str, ...]] | None = None,
    params: Mapping[str, Param] | None = None,
    config: Mapping[str, Any] | None = None,
    rates: Mapping[str, float] | None = None,
) -> Cell:
    """The cell whose new state is ``equations(x, state, given)``; what is None is as ``cell`` has it."""
    words = dict(cell.words if states is None else states)
    named = {**(cell.params if params is None else params), **cell.config, **(config or {})}

    def function(x: Any, *state: Any, **given: Any) -> Any:
        return equations(x, state, given)

    function.__name__, function.__doc__ = f"{wrapper}({cell.name})", f"{doc}  Inside: {cell.__doc__}"
    kinds = inspect.Parameter
    function.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [kinds(name, kinds.POSITIONAL_OR_KEYWORD) for name in [cell.input, *words]]
        + [kinds(name, kinds.KEYWORD_ONLY, default=default) for name, default in named.items()]
    )
    made = Cell(function, {name: " ".join(letters) for name, letters in words.items()})
    given: Any = rates or {}
    made.inner, made.wrap = cell, partial(WRAPPERS[wrapper], **given)
    return made


def _free(wrapper: str, cell: Cell, *names: str) -> None:
    """The names that a wrapper adds must be new."""
    for name in names:
        if name in cell.words or name in cell.params or name in cell.config or name == cell.input:
            raise InvalidType(f"{wrapper}({cell.name}): {cell.name} has an argument {name} already")


def _own(cell: Cell, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the cell inside takes."""
    return {name: one for name, one in given.items() if name in cell.params or name in cell.config}


def _check_rates(wrapper: str, cell: Cell, rates: Mapping[str, float], names: list[str]) -> None:
    """Rates are given by the names in the cell's signature."""
    where = f"{wrapper}({cell.name})"
    if not rates:
        raise InvalidType(f"{where}: no rate is given, should be such as {names[-1]}=0.1, for {', '.join(names)}")
    for name, rate in rates.items():
        if name not in names:
            raise InvalidType(f"{where}: {cell.name} has no {name}, only {', '.join(names)}")
        if not 0 <= rate < 1:
            raise InvalidValue(f"{where}: {name} is {rate}, should be at least 0 and less than 1")


def zoneout(cell: Cell, **rates: float) -> Cell:
    """Units that now and then keep their old value: ``zoneout(lstm, h=0.05, c=0.5)`` (Krueger et al. 2017).

    For each state s with a rate, in training:  s' = s + d ⊙ (new s - s), each d 0 with probability rate, else 1;
    in evaluation d is its mean 1 - rate.  Training is where the call has a generator::

        hs, state = scan(cell, xs, state, {**params, "rng": rng})

    A run is repeated by a generator of the same seed; to check gradients, make it inside the function.
    """
    _check_rates("zoneout", cell, rates, cell.states)

    def equations(x: Any, state: tuple[Any, ...], given: dict[str, Any]) -> Any:
        rng, new = given.get("rng"), cell.step(x, state, _own(cell, given), check=True)
        return tuple(
            _zoned(old, one, rates[name], rng) if name in rates else one
            for name, old, one in zip(cell.states, state, new)
        )

    doc = "Zoneout: s' = s + d ⊙ (new s - s)."
    return _wrap("zoneout", cell, equations, doc, config={"rng": cell.config.get("rng")}, rates=rates)


def _zoned(old: Any, new: Any, rate: float, rng: Any) -> Any:
    """Dropout of the change; what it scales up is scaled down, so that a unit has all of its change or none."""
    change = new - old
    return old + (1 - rate) * (change if rng is None else dropout(change, rate=rate, rng=rng))


def variational_dropout(cell: Cell, **rates: float) -> Cell:
    """Dropout with one mask for all steps: ``variational_dropout(lstm, x=0.25, h=0.25)`` (Gal and Ghahramani 2016).

    Every product with a matrix of D rows is (x ⊙ mask_x) @ W, and with one of H rows (h ⊙ mask_h) @ W: all gates see
    one mask, and what a cell carries past its matrices, such as (1 - z) ⊙ h in a GRU, is left alone.  A mask is 0 with
    probability rate, else 1/(1 - rate); masks are arguments, so it is for the caller to say how long they hold::

        masks = draw_masks(cell, rng, N, params)
        hs, state = scan(cell, xs, state, {**params, **masks})

    The masks of the input and the states that have a rate are mask_x, mask_h, ...; without them, nothing is dropped.
    A matrix that is used in any other way than ``a @ W`` is an error, not a mask that is lost.
    """
    _check_rates("variational_dropout", cell, rates, [cell.input, *cell.states])
    masks = {f"mask_{name}": Mask(name, rate) for name, rate in rates.items()}
    _free("variational_dropout", cell, *masks)
    where = f"variational_dropout({cell.name})"
    feeds = {mask: rows(where, cell, masks[mask].of) for mask in masks}

    def equations(x: Any, state: tuple[Any, ...], given: dict[str, Any]) -> Any:
        own = _own(cell, given)
        for mask, names in feeds.items():
            if given.get(mask) is not None:
                own.update(masked(where, mask, given[mask], len(x), {name: own[name] for name in names}))
        return cell.step(x, state, own, check=True)

    doc = "Variational dropout: (a ⊙ mask) @ W."
    return _wrap("variational_dropout", cell, equations, doc, config=masks, rates=rates)


def residual(cell: Cell) -> Cell:
    """The input is added to the output:  y = x + h', where D = H.

    ``scan`` collects the first state, and the recurrence must not see the sum, so y is a state of its own, in front:
    ``y, h, c = residual(lstm)(x, y, h, c, **params)``.  The old y is never read; it starts as zeros like any state.
    """
    _free("residual", cell, "y")
    out = cell.states[0]

    def equations(x: Any, state: tuple[Any, ...], given: dict[str, Any]) -> Any:
        new = cell.step(x, state[1:], given, check=True)
        if new[0].shape != x.shape:
            sizes = f"{out} is {new[0].shape}, should be {x.shape} as {cell.input} is"
            raise ShapeError(f"residual({cell.name}): the new {sizes}, to be added")
        y = x + new[0]
        return y, *new

    return _wrap("residual", cell, equations, "Residual: y = x + h'.", states={"y": ("N", "D"), **cell.words})


def projected(cell: Cell) -> Cell:
    """The output through a matrix, so that it is narrower than the memory:  h' = (new h) P (LSTMP, Sak et al. 2014).

    P is ("H P"), h (N, P), and matrices with H rows, such as Wh, get P rows; c stays (N, H).
    ``projected(lstm).init(rng, D=100, H=400, P=100)``.  For cells that use h in products only: not for a GRU, whose
    (1 - z) ⊙ h adds the old h to the new one.  Of the wrappers this is the innermost.
    """
    name, out = f"projected({cell.name})", cell.states[0]
    if cell.inner is not None:
        raise InvalidType(f"{name}: projected is the innermost wrapper, should be {_innermost(cell)}")
    _free("projected", cell, "P")
    recurrent = rows(name, cell, out)
    params = {key: _with_rows(one, "P") if key in recurrent else one for key, one in cell.params.items()}
    params["P"] = Param(f"{cell.words[out][-1]} P")
    advice = f"{out} has P columns, should be used in products with a matrix of P rows only"

    def equations(x: Any, state: tuple[Any, ...], given: dict[str, Any]) -> Any:
        try:
            new = cell.step(x, state, _own(cell, given), check=False)
        except ShapeError as error:
            raise ShapeError(f"{name}: {advice}; {error}") from error
        h = new[0] @ given["P"]
        return h, *new[1:]

    states = {**cell.words, out: (*cell.words[out][:-1], "P")}
    return _wrap("projected", cell, equations, "Projected: h' = (new h) P.", states, params)


def _innermost(cell: Cell) -> str:
    """The name of the cell with projected where it belongs."""
    base = cell
    while base.inner is not None:
        base = base.inner
    return cell.name.replace(base.name, f"projected({base.name})")


def _with_rows(param: Param, word: str) -> Param:
    """The same parameter, with its rows counted by another letter."""
    new = copy.copy(param)
    new.words = (word, *param.words[1:])
    return new


WRAPPERS = {one.__name__: one for one in (variational_dropout, zoneout, residual, projected)}
