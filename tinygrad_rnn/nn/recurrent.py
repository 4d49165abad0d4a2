"""`Recurrent`: a cell with parameters of its own, run over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cell import Cell
from ..scan import scan
from ..tensor import Tensor, detach
from .layers import as_dtype
from .module import Module


class Recurrent(Module):
    """A layer from a cell: ``hs, state = layer(xs, state=None)``, xs (N, T, D) -> hs (N, T, H), last state.

    ``Recurrent(lstm, D=100, H=100, rng=rng)``: sizes by the letters of the cell's parameters; ``init`` overrides
    schemes by parameter (``{"b": {"f": 1.0}}``). ``stateful=True`` is the book's TimeLSTM: a call without ``state``
    starts from the state that the last one ended with, detached; `reset_state` forgets it. Otherwise the caller alone
    holds the state, and cuts the graph with ``state = detach(state)``.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        rng: np.random.Generator,
        stateful: bool = False,
        reverse: bool = False,
        mode: str = "auto",
        init: Mapping[str, Any] | None = None,
        dtype: Any = np.float32,
        **sizes: int,
    ):
        self.cell, self.stateful, self.reverse, self.mode = cell, stateful, reverse, mode
        self.sizes = sizes
        self.state: tuple[Tensor, ...] | None = None
        vars(self).update(cell.init(rng, init=init, dtype=dtype, **sizes))

    def __call__(self, xs: Any, state: Any = None, *, lengths: Any = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        params = {name: vars(self)[name] for name in self.cell.params}
        xs = as_dtype(xs, next(iter(params.values())).dtype)
        if state is None and self.stateful:
            state = self.state
        hs, state = scan(self.cell, xs, state, params, lengths=lengths, reverse=self.reverse, mode=self.mode)
        if self.stateful:
            self.state = detach(state)
        return hs, state

    def reset_state(self) -> None:
        """Start the next sequence from zeros."""
        self.state = None

    def set_state(self, *state: Any) -> None:
        """Start the next sequence from ``state``, in the order of the cell."""
        self.state = tuple(one if isinstance(one, Tensor) else Tensor(one) for one in state)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{letter}={size}" for letter, size in self.sizes.items())
        held = "" if not self.stateful else ", holds no state" if self.state is None else _held(self.cell, self.state)
        return f"Recurrent({self.cell.name}, {sizes}{held})"


def _held(cell: Cell, state: tuple[Tensor, ...]) -> str:
    return ", holds " + ", ".join(f"{name} {one.shape}" for name, one in zip(cell.states, state, strict=True))
