"""How a backward derived by hand is called: one step, or over time."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..cells.cell import Cell
from ..check.layers.arguments import parameters
from ..errors import UserFileError


def signatures(name: str, cell: Cell) -> list[str]:
    """The ``def`` lines of a backward of the cell: of one step, and over time."""
    params = "".join(f", {param}" for param in cell.params)
    states, cotangents = ", ".join(cell.states), ", ".join(f"d{state}" for state in cell.states)
    step = f"{cell.input}, {states}, *{params}, {cotangents}"
    over_time = f"xs, {states}, *{params}, dhs, {cotangents}"
    return [f"def {name}({step}):", f"def {name}({over_time}):"]


def check_signature(backward: Callable[..., Any], name: str, cell: Cell) -> None:
    """Raise UserFileError unless the function can be called as a backward of the cell."""
    taken, cotangents = parameters(backward), [f"d{state}" for state in cell.states]
    if "dhs" in taken:  # over time, the gradients by the last states may be left out
        cotangents = ["dhs", *(name for name in cotangents if name in taken)]
    try:
        inspect.signature(backward).bind(0, *cell.states, **dict.fromkeys([*cell.params, *cotangents], 0))
    except TypeError as error:
        step, over_time = signatures(name, cell)
        raise UserFileError(
            f"def {name}{inspect.signature(backward)} cannot be called as the backward of {cell.name}: {error}; "
            f"should be\n  {step}  for one step, or\n  {over_time}  over time"
        ) from error
    except ValueError:  # no signature to read: the call will show
        pass
