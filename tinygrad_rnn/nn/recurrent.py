"""`Recurrent`: the layer that owns the parameters of a cell and runs it over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.cell import Cell
from ..cells.masks import drawing, draws
from ..engine.context import context
from ..engine.tensor import Tensor, detach
from ..errors import InvalidType
from ..sequence.scan import scan
from .layers import as_dtype
from .module import Module


class Recurrent(Module):
    """A layer from a cell: ``hs, state = layer(xs, state=None)``, xs (N, T, D) -> hs (N, T, H), last state.

    ``Recurrent(lstm, D=100, H=100, rng=rng)`` takes sizes by the letters of the cell's parameters. ``init`` overrides
    schemes by parameter (``{"b": {"f": 1.0}}``). xs and state are cast to the dtype of the parameters. A call equals
    ``scan(cell, xs, state, params)`` and takes its ``lengths``.

    The configuration of the cell is given at the call: ``layer(xs, rng=rng)``,
    ``layer(xs, **draw_masks(cell, rng, N, layer.params))``. A cell that draws random numbers is evaluated under
    `no_grad`, or with ``rng=None`` at the call. A call in training without them raises InvalidType, since it would drop
    nothing.

    With ``stateful=True``, as the book's TimeLSTM, a call without ``state`` starts from the detached last state of the
    call before; `reset_state` starts from zeros again. Otherwise only the caller holds the state, and cuts the graph
    with ``state = detach(state)``.
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
        for name in cell.params:
            if hasattr(self, name):
                raise InvalidType(f"Recurrent: {cell.name} has a parameter {name}, which the layer needs for itself")
        vars(self).update(cell.init(rng, init=init, dtype=dtype, **sizes))

    def forward(
        self, xs: Any, state: Any = None, *, lengths: Any = None, **config: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        params = {name: vars(self)[name] for name in self.cell.params}
        for name in config:
            if name not in self.cell.config:
                known = ", ".join(self.cell.config) or "none"
                raise InvalidType(f"Recurrent: {name} is no configuration of {self.cell.name}, which has {known}")
        missing = [name for name in draws(self.cell) if name not in config] if context.recording else []
        if missing:
            evaluated = ", ".join(f"{name}=None" for name in missing)
            should = f"layer(xs, {drawing(self.cell)}); to evaluate, under no_grad() or with {evaluated}"
            what = f"{self.cell.name} draws {', '.join(missing)} in training"
            raise InvalidType(f"Recurrent: {what}, should be called as {should}")
        dtype = next(iter(params.values())).dtype
        state = self.state if state is None and self.stateful else state
        if state is not None:
            state = [as_dtype(part, dtype) for part in (state if isinstance(state, (tuple, list)) else (state,))]
        given = {**params, **config}
        hs, state = scan(
            self.cell, as_dtype(xs, dtype), state, given, lengths=lengths, reverse=self.reverse, mode=self.mode
        )
        if self.stateful:
            self.state = detach(state)
        return hs, state

    def reset_state(self) -> None:
        """Start the next sequence from zeros."""
        self.state = None

    def set_state(self, *state: Any) -> None:
        """Start the next sequence from ``state``, in the order of the cell, detached."""
        if not self.stateful:
            raise InvalidType(f"Recurrent({self.cell.name}): it holds no state, should be stateful=True; "
                            "or give the state to the call")  # fmt: skip
        if len(state) != len(self.cell.states):
            wanted = f"{len(self.cell.states)}: {', '.join(self.cell.states)}"
            raise InvalidType(f"Recurrent({self.cell.name}): set_state got {len(state)} arrays, should be {wanted}")
        self.state = tuple(detach(part) if isinstance(part, Tensor) else Tensor(part) for part in state)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{letter}={size}" for letter, size in self.sizes.items())
        held = "" if not self.stateful else ", holds no state" if self.state is None else _held(self.cell, self.state)
        return f"Recurrent({self.cell.name}, {sizes}{held})"


def _held(cell: Cell, state: tuple[Tensor, ...]) -> str:
    return ", holds " + ", ".join(f"{name} {tensor.shape}" for name, tensor in zip(cell.states, state, strict=True))
