"""Which cell is meant, where ``--cell`` does not say: recognised by name, by parameters or by shapes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell
from ..check.layers.arguments import plain
from ..errors import UserFileError


def by_name(name: str) -> Cell | None:
    """The cell whose name begins or ends a word of ``name``; the longest, for an lstm is in a peephole_lstm."""
    apart = re.sub("([a-z])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", name)
    texts = [re.sub("[^a-z]+", " ", text.lower()) for text in (name, apart)]
    patterns = {key: key.replace("_", " ?") for key in BUILT_IN}
    cells = [BUILT_IN[key] for key, pattern in patterns.items()
             if any(re.search(rf"\b{pattern}|{pattern}\b", text) for text in texts)]  # fmt: skip
    return max(cells, key=lambda cell: len(cell.name), default=None)


def by_parameters(names: Sequence[str]) -> list[Cell]:
    """The cells whose parameters are all among ``names``, and whose states are too, if any of them are.

    A cell is left out if ``names`` has a parameter or state that only other cells have.
    """
    wanted = [plain(name) for name in names]
    known = [plain(name) for cell in BUILT_IN.values() for name in [*cell.states, *cell.params]]
    cells = []
    for cell in BUILT_IN.values():
        states, params = [plain(name) for name in cell.states], [plain(name) for name in cell.params]
        needed = params + (states if any(name in wanted for name in states) else [])
        foreign = [name for name in wanted if name in known and name not in [*states, *params]]
        if all(name in wanted for name in needed) and not foreign:
            cells.append(cell)
    return cells


def by_shapes(layer: Any) -> list[Cell]:
    """The cells whose parameters fit those of a layer, by name or place, and by shape."""
    return [cell for cell in BUILT_IN.values() if _fits(layer, cell)]


def _fits(layer: Any, cell: Cell) -> bool:
    try:
        return bool(cell.sizes(attributes(layer, list(cell.params))))
    except (TypeError, ValueError):
        return False


def attributes(layer: Any, names: list[str]) -> dict[str, np.ndarray]:
    """The parameters of a layer by the cell's names: found as attributes, else by their place in ``params``."""
    mine = {plain(key): array for key, array in getattr(layer, "__dict__", {}).items() if isinstance(array, np.ndarray)}
    if all(plain(name) in mine for name in names):
        return {name: mine[plain(name)] for name in names}
    params = getattr(layer, "params", [])
    arrays = [np.asarray(array) for array in (params.values() if isinstance(params, dict) else params)]
    return dict(zip(names, arrays)) if len(arrays) == len(names) else {}


def guess(name: str, cells: Sequence[Cell], evidence: str, otherwise: str = "") -> tuple[Cell, str]:
    """The cell that ``name`` contains, or the only one of ``cells``, and a note that says why it was taken.

    Raises UserFileError, which asks for ``--cell``, where neither decides.
    """
    cell = by_name(name)
    if cell is not None:
        return cell, f"taken for {cell.name}, by its name; --cell CELL overrides this"
    if len(cells) == 1:
        return cells[0], f"taken for {cells[0].name}, by {evidence}; --cell CELL overrides this"
    could = f" (it could be {', '.join(cell.name for cell in cells)})" if cells else ""
    raise UserFileError(f"cannot tell the cell of {name}{could}; --cell should name it: {', '.join(BUILT_IN)}, or "
                        f"FILE.py:NAME for a cell of your own{otherwise}")  # fmt: skip
