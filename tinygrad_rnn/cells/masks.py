"""Masks that hold for a whole sequence: which matrices of a cell they belong to, how they are drawn and applied.

A cell that carries its state past its matrices (a GRU's (1 - z) ⊙ h) must not have the state itself masked: at every
step the same units would be lost and the others scaled up. So a mask is bound to the matrices instead, and applied to
whatever is multiplied by them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.tensor import value
from ..errors import InvalidType, ShapeError
from ..ops import dropout
from .cell import Cell, Stacked


@dataclass(frozen=True)
class Mask:
    """The default of a configuration argument that `draw_masks` fills: of which input or state, dropped how often."""

    of: str
    rate: float


def draw_masks(cell: Cell, rng: np.random.Generator, N: int, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Every mask that ``cell`` takes, for N rows and the sizes of ``params``: one (N, D), one (N, H), by name.

    Elements are 0 with probability rate, else 1/(1 - rate), in the dtype of the parameters. An empty dict for a cell
    that takes none, so that a training loop need not know which cell it has.
    """
    sizes = {**cell.sizes(params), "N": N}
    dtype = np.result_type(*(np.asarray(value(params[name])).dtype for name in cell.params))
    made = {}
    for name, mask in cell.config.items():
        if isinstance(mask, Mask):
            words = ("N", "D") if mask.of == cell.input else cell.words[mask.of]
            made[name] = dropout(np.ones([sizes[word] for word in words], dtype), rate=mask.rate, rng=rng)
    return made


def draws(cell: Cell) -> list[str]:
    """The configuration that makes ``cell`` the one to train: its masks, and the generator ``rng``, of all wrappers."""
    return [name for name, default in cell.config.items() if isinstance(default, Mask) or name == "rng"]


def drawing(cell: Cell) -> str:
    """How a call gives it, as it is written."""
    names = draws(cell)
    masks = ["**draw_masks(cell, rng, N, params)"] * any(name != "rng" for name in names)
    return ", ".join([*masks, *["rng=rng"] * ("rng" in names)])


def rows(where: str, cell: Cell, name: str) -> list[str]:
    """The matrices that the input or a state goes through: those with a row for each of its elements."""
    word = "D" if name == cell.input else cell.words[name][-1]
    found = [key for key, param in cell.params.items() if len(param.words) > 1 and param.words[0] == word]
    if not found:
        raise InvalidType(f"{where}: {cell.name} has no matrix with {word} rows, which {name} would go through")
    return found


class Masked(Stacked):
    """A matrix whose inputs are masked: ``a @ W`` is ``(a ⊙ mask) @ W``, for its blocks as well.

    Python asks the right operand first where its class is the more special one. Everything else that reads the array
    raises, for there the mask would be lost.
    """

    _whole: Any
    _gate: _Gate

    @classmethod
    def of(cls, whole: Any, gate: _Gate) -> Masked:
        made = cls.__new__(cls)
        made._whole, made._gate, made._name, made.node = whole, gate, whole.name, whole.node
        return made

    def __getattr__(self, name: str) -> Any:
        block = Masked.of(getattr(self._whole, name), self._gate)
        self.__dict__[name] = block
        return block

    def __rmatmul__(self, a: Any) -> Any:
        return self._gate(a) @ self._whole

    @property
    def shape(self) -> tuple[int, ...]:
        return self._whole.shape

    @property
    def dtype(self) -> np.dtype:
        return self._whole.dtype

    @property
    def _array(self) -> Any:  # type: ignore[override]
        raise InvalidType(f"{self._gate.where}: {self.name} is masked, should be used as a @ {self.name} only")


class _Gate:
    """a -> a ⊙ mask, once for all matrices that the same a goes through."""

    def __init__(self, where: str, mask: Any):
        self.where, self.mask = where, mask
        self.a = self.result = None

    def __call__(self, a: Any) -> Any:
        if a is not self.a:
            self.a, self.result = a, a * self.mask
        return self.result


def masked(where: str, name: str, mask: Any, N: int, matrices: Mapping[str, Any]) -> dict[str, Any]:
    """The matrices of one step, with ``mask`` (N, rows) on what they multiply."""
    first: Sequence[int] = next(iter(matrices.values())).shape
    if np.shape(value(mask)) != (N, first[0]):
        raise ShapeError(f"{where}: {name} is {np.shape(value(mask))}, should be {(N, first[0])}")
    gate = _Gate(where, mask)
    return {key: Masked.of(matrix, gate) for key, matrix in matrices.items()}
