"""`Recurrent`: the layer that owns the parameters of a cell and runs it over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..cells.builtin import BUILT_IN
from ..cells.cell import Cell, advice
from ..cells.masks import draw_masks, draws
from ..engine.tensor import Tensor, detach, value
from ..errors import InvalidType, InvalidValue, ShapeError
from ..ops import stack
from ..sequence.scan import scan
from .layers import as_dtype
from .module import Module
from .parameter import generator


class Recurrent(Module):
    """A layer from a cell: ``hs, state = layer(xs, state=None)``, xs (N, T, D) -> hs (N, T, H), last state.

    ``Recurrent(lstm, D=100, H=100, rng=rng)`` takes sizes by the letters of the cell's parameters; a built-in cell may
    be given by its name. ``init`` overrides schemes by parameter (``{"b": {"f": 1.0}}``). xs and state are cast to the
    dtype of the parameters; xs may be a list over time of arrays (N, D). A call equals
    ``scan(cell, xs, state, params)`` and takes its ``lengths``; ``mode`` and ``checkpoint`` are those of `scan`.

    A cell that draws random numbers (`variational_dropout`, `zoneout`) does so in training mode, from the generator
    ``rng`` of the constructor: masks are drawn once a call, so they hold for all steps of a sequence, or of a window in
    truncated BPTT. In evaluation mode (`eval`) nothing is drawn, under `no_grad` or not. Configuration of the cell that
    is given at the call takes precedence: ``layer(xs, rng=rng)``, ``layer(xs, mask_h=mask)``; None is the evaluation
    form.

    With ``stateful=True``, as the book's TimeLSTM, a call without ``state`` starts from the detached last state of the
    call before; `reset_state` starts from zeros again. Otherwise only the caller holds the state, and cuts the graph
    with ``state = detach(state)``.
    """

    def __init__(
        self,
        cell: Cell | str,
        *,
        rng: Any,
        stateful: bool = False,
        reverse: bool = False,
        mode: str = "auto",
        checkpoint: int | None = None,
        init: Mapping[str, Any] | None = None,
        dtype: Any = np.float32,
        **sizes: int,
    ):
        cell, rng = as_cell(cell, "Recurrent"), generator(rng, "Recurrent")
        self.cell, self.stateful, self.reverse, self.mode = cell, stateful, reverse, mode
        self.sizes, self.checkpoint = sizes, checkpoint
        self.rng = rng if draws(cell) else None
        self.state: tuple[Tensor, ...] | None = None
        for name in cell.params:
            if hasattr(self, name):
                raise InvalidType(f"Recurrent: {cell.name} has a parameter {name}, which the layer needs for itself")
        vars(self).update(cell.init(rng, init=init, dtype=dtype, **sizes))

    def forward(
        self, xs: Any, state: Any = None, *, lengths: Any = None, **config: Any
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        for name in config:
            if name not in self.cell.config:
                known = ", ".join(self.cell.config) or "none"
                raise InvalidType(f"Recurrent: {name} is no configuration of {self.cell.name}, which has {known}")
        params = self._params
        dtype = _dtype(params)
        xs = as_dtype(over_time(xs), dtype)
        state = self.state if state is None and self.stateful else state
        if state is not None:
            state = [as_dtype(part, dtype) for part in (state if isinstance(state, (tuple, list)) else (state,))]
        given = {**params, **self._drawn(len(xs._array) if xs.ndim else 0, config), **config}
        hs, state = scan(self.cell, xs, state, given, lengths=lengths, reverse=self.reverse, mode=self.mode,
                         checkpoint=self.checkpoint)  # fmt: skip
        if self.stateful:
            self.state = detach(state)
        return hs, state

    @property
    def _params(self) -> dict[str, Tensor]:
        """The parameters of the cell by name, frozen ones included."""
        tensors = vars(self)
        return {name: tensors[name] for name in self.cell.params}

    @property
    def width(self) -> int:
        """The size of the output: H, or what letter the first state of the cell has."""
        return self.zero_state(1)[0].shape[-1]

    def zero_state(self, N: int) -> tuple[Tensor, ...]:
        """The state of N rows that a call without a state starts from: zeros."""
        return self.cell.zero_state(N, {**dict.fromkeys(self.cell.config), **self._params}, _dtype(self._params))

    def _drawn(self, N: int, config: Mapping[str, Any]) -> dict[str, Any]:
        """The random arguments of the cell that ``config`` lacks, for N rows; empty in evaluation mode."""
        if not self.training or self.rng is None:
            return {}
        missing = [name for name in draws(self.cell) if name not in config]
        if not missing:
            return {}
        drawn = draw_masks(self.cell, self.rng, N, self._params) if missing != ["rng"] else {}
        return {name: self.rng if name == "rng" else drawn[name] for name in missing}

    def reset_state(self) -> None:
        """Start the next sequence from zeros."""
        self.state = None

    def set_state(self, *state: Any) -> None:
        """Start the next sequence from ``state``, in the order of the cell, detached.

        States that are left out, or None, are zeros: ``set_state(h)`` leaves c at zero. A tuple such as a call returns
        is accepted too. Raises InvalidType for a layer that holds no state, and for none or too many arrays.
        """
        if not self.stateful:
            raise InvalidType(f"Recurrent({self.cell.name}): it holds no state, should be stateful=True; "
                            "or give the state to the call")  # fmt: skip
        names = self.cell.states
        state = tuple(state[0]) if len(state) == 1 and isinstance(state[0], (tuple, list)) else state
        if not 1 <= len(state) <= len(names) or state[0] is None:
            got = "None first" if state and state[0] is None else f"{len(state)} arrays"
            count = f"1 to {len(names)}" if len(names) > 1 else "1"
            raise InvalidType(
                f"Recurrent({self.cell.name}): set_state got {got}, should be {count}: {', '.join(names)}"
            )
        N = len(np.atleast_1d(value(state[0])))
        given = (*state, *[None] * (len(names) - len(state)))
        self.state = tuple(zero if part is None else detach(part) if isinstance(part, Tensor) else Tensor(part)
                           for part, zero in zip(given, self.zero_state(N), strict=True))  # fmt: skip

    def __repr__(self) -> str:
        sizes = ", ".join(f"{letter}={size}" for letter, size in self.sizes.items())
        held = "" if not self.stateful else ", holds no state" if self.state is None else _held(self.cell, self.state)
        return f"Recurrent({self.cell.name}, {sizes}{held})"


def _dtype(params: Mapping[str, Tensor]) -> np.dtype:
    """The dtype of the parameters of a cell; float32 if it has none."""
    return next(iter(params.values())).dtype if params else np.dtype(np.float32)


def _held(cell: Cell, state: tuple[Tensor, ...]) -> str:
    return ", holds " + ", ".join(f"{name} {tensor.shape}" for name, tensor in zip(cell.states, state, strict=True))


def as_cell(cell: Any, where: str) -> Cell:
    """The cell, or the built-in cell of that name. Raises InvalidType or InvalidValue for anything else."""
    if isinstance(cell, str):
        if cell not in BUILT_IN:
            raise InvalidValue(f"{where}: cell is {cell!r}, should be a cell, or one of {', '.join(BUILT_IN)}")
        return BUILT_IN[cell]
    if not isinstance(cell, Cell):
        what = f"cell is a {type(cell).__name__}, should be a cell: equations under @cell"
        raise InvalidType(f"{where}: {what}{advice(cell, where, tensors=False)}")
    return cell


def over_time(xs: Any) -> Any:
    """xs (N, T, D); a list over time of arrays (N, D) is stacked. Numbers in nested lists stay as they are."""
    if not isinstance(xs, (list, tuple)) or not any(isinstance(x, (Tensor, np.ndarray)) for x in xs):
        return xs
    shapes = list(dict.fromkeys(np.shape(value(x)) for x in xs))
    if len(shapes) != 1 or len(shapes[0]) != 2:
        seen = ", ".join(str(shape) for shape in shapes)
        raise ShapeError(f"Recurrent: xs is a list of arrays {seen}, should be an array (N, T, D), "
                         "or a list over time of arrays (N, D)")  # fmt: skip
    return stack(xs, axis=1)
