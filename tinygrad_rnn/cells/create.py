"""Create the parameters of a cell: check the sizes, find the inputs of each parameter, draw it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import InvalidType, InvalidValue
from . import initializers as schemes
from .param import Param
from .probe import letters, linked, probe
from .sizes import length, letters_in

if TYPE_CHECKING:
    from .cell import Cell


def create(cell: Cell, rng: Any, dtype: Any, init: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, Tensor]:
    """The parameters as leaves that require a gradient, in the order of the signature; see `Cell.init`."""
    rng = np.random.default_rng(rng)
    sizes = _sizes(cell, init, sizes)
    tensors = {}
    for name, param in cell.params.items():
        scheme, where = init.get(name, param.init), f"{cell.name}: {name}"
        fan = _fan(cell, name, param, sizes)
        array = schemes.draw_blocks(scheme, rng, param.shape(sizes), param.blocks, where, fan).astype(dtype)
        tensors[name] = Tensor(array, requires_grad=True, name=name)
    return tensors


def _sizes(cell: Cell, init: Mapping[str, Any], sizes: Mapping[str, Any]) -> dict[str, int]:
    """The size of every letter of the parameters. Raises unless all are known, and every scheme has a parameter."""
    needed = letters_in(word for param in cell.params.values() for word in param.words)
    known = needed + [letter for letter in letters(cell) if letter not in (*needed, "N")]
    for name, size in sizes.items():
        if name not in known:
            raise InvalidType(f"{cell.name}.init: has no size {name}, only {', '.join(known)}")
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise InvalidValue(f"{cell.name}.init: {name} is {size!r}, should be a whole number from 1")
    for name in init:
        if name not in cell.params:
            raise InvalidType(f"{cell.name}.init: has no parameter {name}, only {', '.join(cell.params)}")
    complete = linked(cell, sizes) if len(sizes) < len(known) or probe(cell).links else dict(sizes)
    missing = [letter for letter in needed if letter not in complete]
    if missing:
        given = ", ".join(f"{letter}=100" for letter in missing)
        what = f"missing size {', '.join(missing)}, should be given, such as {given}, or be a number in Param"
        raise InvalidType(f"{cell.name}.init: {what}")
    return complete


def _fan(cell: Cell, name: str, param: Param, sizes: Mapping[str, int]) -> schemes.Fan:
    """The inputs of a parameter: as its `Param` says, else as the equations use it."""
    if not param.fan:
        return schemes.Fan(probe(cell).fans.get(name, (0,)))
    axes = (param.words.index(param.fan),) if param.fan in param.words else (0,)
    return schemes.Fan(axes, length(param.fan, sizes))
