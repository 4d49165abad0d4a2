"""Wrappers take any cell and return a cell, so they compose, and `scan` runs the result like any cell.

A wrapped cell has the states, the parameters and the configuration of the cell inside, and those that the wrapper adds.
Its name shows the wrappers: ``zoneout(projected(lstm))``. It is a pure function too. Randomness is an argument: a
generator (``rng``) where every step draws, masks (`draw_masks`) where one draw holds for the whole sequence. Both are
configuration, given at the call in the dict of the parameters. A call without them is the deterministic cell, for
evaluation.

The usual order is ``residual(zoneout(variational_dropout(projected(cell), ...), ...))``.
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
    """The cell whose new state is ``equations(x, state, given)``; by default with the states and params of ``cell``."""
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
    wrapped = Cell(function, {name: " ".join(letters) for name, letters in words.items()})
    given: Any = rates or {}
    wrapped.inner, wrapped.wrap = cell, partial(WRAPPERS[wrapper], **given)
    return wrapped


def _free(wrapper: str, cell: Cell, *names: str) -> None:
    """Raise InvalidType if ``cell`` has an argument already that the wrapper adds."""
    for name in names:
        if name in cell.words or name in cell.params or name in cell.config or name == cell.input:
            raise InvalidType(f"{wrapper}({cell.name}): {cell.name} has an argument {name} already")


def _inner_arguments(cell: Cell, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``given`` that the cell inside takes."""
    return {name: argument for name, argument in given.items() if name in cell.params or name in cell.config}


def _check_rates(wrapper: str, cell: Cell, rates: Mapping[str, float], names: list[str]) -> None:
    """Raise unless every rate is at least 0 and less than 1, and belongs to one of ``names``."""
    where = f"{wrapper}({cell.name})"
    if not rates:
        raise InvalidType(f"{where}: no rate is given, should be such as {names[-1]}=0.1, for {', '.join(names)}")
    for name, rate in rates.items():
        if name not in names:
            raise InvalidType(f"{where}: {cell.name} has no {name}, only {', '.join(names)}")
        if not 0 <= rate < 1:
            raise InvalidValue(f"{where}: {name} is {rate}, should be at least 0 and less than 1")


def zoneout(cell: Cell, **rates: float) -> Cell:
    """Zoneout: units keep their old value at random: ``zoneout(lstm, h=0.05, c=0.5)`` (Krueger et al. 2017).

    For each state s with a rate:  s' = s + d ⊙ (new s - s).  In training each element of d is 0 with probability rate,
    else 1; in evaluation d is its mean, 1 - rate.  A call with a generator is training::

        hs, state = scan(cell, xs, state, {**params, "rng": rng})

    A generator of the same seed repeats a run. To check gradients, create the generator inside of the function. Raises
    InvalidType without a rate or for an unknown state, InvalidValue for a rate below 0 or from 1.
    """
    _check_rates("zoneout", cell, rates, cell.states)

    def equations(x: Any, state: tuple[Any, ...], given: dict[str, Any]) -> Any:
        rng, new = given.get("rng"), cell.step(x, state, _inner_arguments(cell, given), check=True)
        return tuple(
            _zoned(old, updated, rates[name], rng) if name in rates else updated
            for name, old, updated in zip(cell.states, state, new)
        )

    doc = "Zoneout: s' = s + d ⊙ (new s - s)."
    return _wrap("zoneout", cell, equations, doc, config={"rng": cell.config.get("rng")}, rates=rates)


def _zoned(old: Any, new: Any, rate: float, rng: Any) -> Any:
    """Dropout of the change, without its scaling: a unit has all of its change or none."""
    change = new - old
    return old + (1 - rate) * (change if rng is None else dropout(change, rate=rate, rng=rng))


def variational_dropout(cell: Cell, **rates: float) -> Cell:
    """Dropout with one mask for all steps: ``variational_dropout(lstm, x=0.25, h=0.25)`` (Gal and Ghahramani 2016).

    Every product with a matrix of D rows becomes (x ⊙ mask_x) @ W, every product with a matrix of H rows
    (h ⊙ mask_h) @ W. All gates share one mask. State that a cell carries past its matrices, such as (1 - z) ⊙ h in a
    GRU, is not masked. An element of a mask is 0 with probability rate, else 1/(1 - rate). Masks are arguments, so the
    caller decides how long they hold::

        masks = draw_masks(cell, rng, N, params)
        hs, state = scan(cell, xs, state, {**params, **masks})

    The masks are called mask_x, mask_h, ..., one for the input and for each state with a rate; without them nothing is
    dropped. Raises InvalidType where the cell uses a masked matrix in another way than ``a @ W``, and for rates as
    `zoneout` does.
    """
    _check_rates("variational_dropout", cell, rates, [cell.input, *cell.states])
    masks = {f"mask_{name}": Mask(name, rate) for name, rate in rates.items()}
    _free("variational_dropout", cell, *masks)
    where = f"variational_dropout({cell.name})"
    feeds = {mask: rows(where, cell, masks[mask].of) for mask in masks}

    def equations(x: Any, state: tuple[Any, ...], given: dict[str, Any]) -> Any:
        arguments = _inner_arguments(cell, given)
        for mask, names in feeds.items():
            if given.get(mask) is not None:
                arguments.update(masked(where, mask, given[mask], len(x), {name: arguments[name] for name in names}))
        return cell.step(x, state, arguments, check=True)

    doc = "Variational dropout: (a ⊙ mask) @ W."
    return _wrap("variational_dropout", cell, equations, doc, config=masks, rates=rates)


def residual(cell: Cell) -> Cell:
    """Residual connection, the input is added to the output:  y = x + h',  where D = H (He et al. 2016).

    ``scan`` collects the first state, and the recurrence must not read the sum. So y is a new state, in front of the
    others: ``y, h, c = residual(lstm)(x, y, h, c, **params)``. The old y is never read; it starts as zeros like any
    state. Raises ShapeError where D is not H.
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
    """Project the output by a matrix, so that it is narrower than the memory:  h' = (new h) P (Sak et al. 2014, LSTMP).

    P is ("H P") and h (N, P). Matrices with H rows, such as Wh, get P rows (D+H: D+P); c stays (N, H):
    ``projected(lstm).init(rng, D=100, H=400, P=100)``. The cell may use h in products only. So a GRU, whose
    (1 - z) ⊙ h adds the old h to the new h, cannot be projected. Raises InvalidType around another wrapper: projected
    is the innermost.
    """
    name, out = f"projected({cell.name})", cell.states[0]
    if cell.inner is not None:
        raise InvalidType(f"{name}: projected is the innermost wrapper, should be {_innermost(cell)}")
    _free("projected", cell, "P")
    width = cell.words[out][-1]
    matrices = {key: param for key, param in cell.params.items() if len(param.words) > 1}
    recurrent = [key for key, param in matrices.items() if width in param.words[0].split("+")]
    recurrent = recurrent or rows(name, cell, out)
    params = {key: _with_rows(param, width, "P") if key in recurrent else param for key, param in cell.params.items()}
    params["P"] = Param(f"{width} P")
    advice = f"{out} has P columns, should be used in products with a matrix of P rows only"

    def equations(x: Any, state: tuple[Any, ...], given: dict[str, Any]) -> Any:
        try:
            new = cell.step(x, state, _inner_arguments(cell, given), check=False)
        except ShapeError as error:
            raise ShapeError(f"{name}: {advice}; {error}") from error
        h = new[0] @ given["P"]
        return h, *new[1:]

    states = {**cell.words, out: (*cell.words[out][:-1], "P")}
    return _wrap("projected", cell, equations, "Projected: h' = (new h) P.", states, params)


def _innermost(cell: Cell) -> str:
    """The name of the cell with projected as the innermost wrapper."""
    base = cell
    while base.inner is not None:
        base = base.inner
    return cell.name.replace(base.name, f"projected({base.name})")


def _with_rows(param: Param, old: str, letter: str) -> Param:
    """A copy of the parameter with ``letter`` in the place of ``old`` in the size of its rows: D+H -> D+P."""
    new, first = copy.copy(param), param.words[0]
    word = "+".join(letter if term == old else term for term in first.split("+"))
    new.words, new.fan = (word, *param.words[1:]), word if param.fan == first else param.fan
    return new


WRAPPERS = {wrapper.__name__: wrapper for wrapper in (variational_dropout, zoneout, residual, projected)}
