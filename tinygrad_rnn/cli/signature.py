"""How a backward derived by hand is called: one step, or over time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..cells.cell import Cell
from ..check.layers.guess_cell import parameters
from ..errors import UserFileError


def signatures(name: str, cell: Cell) -> list[str]:
    """What a backward of a cell is to look like."""
    params = "".join(f", {one}" for one in cell.params)
    states, back = ", ".join(cell.states), ", ".join(f"d{state}" for state in cell.states)
    step, over_time = f"{cell.input}, {states}, *{params}, {back}", f"xs, {states}, *{params}, dhs, {back}"
    return [f"def {name}({step}):", f"def {name}({over_time}):"]


def fitting(found: Callable[..., Any], name: str, cell: Cell) -> None:
    """Raise unless the function can be called as a backward of the cell."""
    wanted, back = parameters(found), {f"d{state}": 0 for state in cell.states}
    time = "dhs" in wanted
    if time:
        back = {"dhs": 0, **{one: 0 for one in back if one in wanted}}
    try:
        inspect.signature(found).bind(0, *cell.states, **dict.fromkeys(cell.params, 0), **back)
    except TypeError as error:
        own = f"def {name}{inspect.signature(found)}"
        step, over_time = signatures(name, cell)
        raise UserFileError(
            f"{own} cannot be called as the backward of {cell.name}: {error}; should be\n"
            f"  {step}  for one step, or\n  {over_time}  over time"
        ) from error
    except ValueError:  # no signature to read: the call will tell
        pass
