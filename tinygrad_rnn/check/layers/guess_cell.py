"""What the functions and layers of a user are called with: their arguments, and a layer's parameters by name."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...cells.builtin import BUILT_IN
from ...cells.cell import Cell
from ...errors import Uncheckable


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
