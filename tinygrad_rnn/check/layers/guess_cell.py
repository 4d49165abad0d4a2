"""Which cell is meant, if nobody says: by the name of what is checked, else by what its parameters are called."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.builtin import BUILT_IN
from ...cells.cell import Cell
from ...errors import Uncheckable, UserFileError


def a_cell(where: str, cell: Any) -> Cell | None:
    """``cell=``, or a refusal that says what to write for a name."""
    if cell is None or isinstance(cell, Cell):
        return cell
    if isinstance(cell, str):
        known = [name for name in BUILT_IN if name == plain(cell) or name == cell]
        write = f"cell=tg.{known[0]}" if known else f"a cell such as cell=tg.lstm ({', '.join(BUILT_IN)}, or your own)"
        raise Uncheckable(f"{where}: cell is the string {cell!r}, should be {write}, without quotes")
    raise Uncheckable(f"{where}: cell is a {type(cell).__name__}, should be a cell: equations under @cell, or tg.lstm")


def plain(name: str) -> str:
    """A name without capitals, underscores and figures: ``W_x`` is wx, ``TimeLSTM`` is timelstm."""
    return re.sub("[^a-z]", "", name.lower())


def by_name(name: str) -> Cell | None:
    """The cell whose name begins or ends a word of ``name``; the longest, for an lstm is in a peephole_lstm."""
    apart = re.sub("([a-z])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", name)
    texts = [re.sub("[^a-z]+", " ", text.lower()) for text in (name, apart)]
    found = []
    for key, one in BUILT_IN.items():
        own = key.replace("_", " ?")
        found += [one] if any(re.search(rf"\b{own}|{own}\b", text) for text in texts) else []
    return max(found, key=lambda one: len(one.name), default=None)


def by_parameters(names: list[str]) -> list[Cell]:
    """The cells whose parameters are all in a signature, and whose other names are too, if any of them are."""
    wanted = {plain(name): None for name in names}
    found = []
    for one in BUILT_IN.values():
        every = {plain(name): None for other in BUILT_IN.values() for name in [*other.states, *other.params]}
        own = {plain(name): None for name in [*one.states, *one.params]}
        states = any(plain(name) in wanted for name in one.states)
        needed = [plain(name) for name in one.params] + [plain(name) for name in one.states if states]
        if all(name in wanted for name in needed) and all(name in own for name in wanted if name in every):
            found.append(one)
    return found


def by_shapes(layer: Any) -> list[Cell]:
    """The cells whose parameters fit those of a layer, by name or place, and shape."""
    return [one for one in BUILT_IN.values() if _fits(layer, one)]


def _fits(layer: Any, cell: Cell) -> bool:
    try:
        return bool(cell.sizes(attributes(layer, list(cell.params))))
    except (TypeError, ValueError):
        return False


def guessed(name: str, found: list[Cell], why: str, otherwise: str = "") -> tuple[Cell, str]:
    """The cell that ``name`` tells, or the only one of ``found``, and a note that says so."""
    told = by_name(name)
    if told is not None:
        return told, f"taken for {told.name}, by its name; --cell CELL says otherwise"
    if len(found) == 1:
        return found[0], f"taken for {found[0].name}, by {why}; --cell CELL says otherwise"
    could = f" (it could be {', '.join(one.name for one in found)})" if found else ""
    raise UserFileError(f"cannot tell which cell {name} is of{could}; --cell should say it: {', '.join(BUILT_IN)}, or "
                        f"FILE.py:NAME for a cell of your own{otherwise}")  # fmt: skip


def parameters(f: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """What a function takes, by name; nothing if it does not say."""
    try:
        return dict(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        return {}


def is_backward(found: Callable[..., Any]) -> bool:
    """Does a function take gradients, or anything; else it is one that makes a layer."""
    wanted = parameters(found)
    anything = not wanted or any(one.kind in (one.VAR_KEYWORD, one.VAR_POSITIONAL) for one in wanted.values())
    takes = [name for name in wanted if name == "dhs" or (name.startswith("d") and name[1:] in wanted)]
    return anything or bool(takes)


def binds(f: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any] | None = None) -> bool:
    """Can a function be called so?"""
    try:
        inspect.signature(f).bind(*args, **(named or {}))
    except TypeError:
        return False
    except ValueError:  # no signature to read: the call will tell
        return True
    return True


def takes_anything(f: Callable[..., Any]) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in parameters(f).values())


def attributes(layer: Any, names: list[str]) -> dict[str, np.ndarray]:
    """The parameters of a layer by the names that a cell has for them: as attributes, else by their place."""
    mine = {plain(key): one for key, one in getattr(layer, "__dict__", {}).items() if isinstance(one, np.ndarray)}
    if all(plain(name) in mine for name in names):
        return {name: mine[plain(name)] for name in names}
    arrays = [np.asarray(one) for one in layer.params]
    return dict(zip(names, arrays)) if len(arrays) == len(names) else {}
