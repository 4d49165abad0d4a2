"""Masks for a whole sequence: which matrices of a cell they belong to, how they are drawn and applied.

A mask must not be applied to the state itself if the cell also carries the state past its matrices (a GRU's
(1 - z) ⊙ h): every step would lose the same units and scale the others up. So a mask is bound to matrices, and applied
to every array that is multiplied by them.
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
from .probe import linked
from .sizes import length


@dataclass(frozen=True)
class Mask:
    """Default of a configuration argument that `draw_masks` draws: the input or state it masks, and the drop rate."""

    of: str
    rate: float


def draw_masks(cell: Cell, rng: np.random.Generator, N: int, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Draw every mask of ``cell`` for N rows and the sizes of ``params``: mask_x (N, D), mask_h (N, H), ... by name.

    Elements are 0 with probability rate, else 1/(1 - rate), in the dtype of the parameters. The dict is empty for a
    cell without masks, so that one training loop serves every cell.
    """
    sizes = {**linked(cell, cell.sizes(params)), "N": N}
    dtype = np.result_type(*(np.asarray(value(params[name])).dtype for name in cell.params))
    masks = {}
    for name, mask in cell.config.items():
        if isinstance(mask, Mask):
            words = ("N", "D") if mask.of == cell.input else cell.words[mask.of]
            masks[name] = dropout(np.ones([length(word, sizes) for word in words], dtype), rate=mask.rate, rng=rng)
    return masks


def draws(cell: Cell) -> list[str]:
    """The arguments that make ``cell`` random in training: the masks and the generator ``rng`` of all its wrappers."""
    return [name for name, default in cell.config.items() if isinstance(default, Mask) or name == "rng"]


def drawing(cell: Cell) -> str:
    """How a call passes these arguments, as source text."""
    names = draws(cell)
    masks = ["**draw_masks(cell, rng, N, params)"] * any(name != "rng" for name in names)
    return ", ".join([*masks, *["rng=rng"] * ("rng" in names)])


def rows(where: str, cell: Cell, name: str) -> list[str]:
    """The matrices that multiply the input or state ``name``: those with a row for each of its elements."""
    word = "D" if name == cell.input else cell.words[name][-1]
    matrices = [key for key, param in cell.params.items() if len(param.words) > 1 and param.words[0] == word]
    if not matrices:
        raise InvalidType(f"{where}: {cell.name} has no matrix with {word} rows, which {name} would go through")
    return matrices


class Masked(Stacked):
    """A matrix whose left operands are masked: ``a @ W`` computes ``(a ⊙ mask) @ W``, for its blocks too.

    It works because Python calls ``__rmatmul__`` first where the class of the right operand is a subclass of the left
    one's. Any other use of the array raises InvalidType, since the mask would be lost.
    """

    _whole: Any
    _gate: _Gate

    @classmethod
    def of(cls, whole: Any, gate: _Gate) -> Masked:
        masked = cls.__new__(cls)
        masked._whole, masked._gate, masked._name, masked.node = whole, gate, whole.name, whole.node
        return masked

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
    """a -> a ⊙ mask, computed once for all matrices that multiply the same a."""

    def __init__(self, where: str, mask: Any):
        self.where, self.mask = where, mask
        self.a = self.result = None

    def __call__(self, a: Any) -> Any:
        if a is not self.a:
            self.a, self.result = a, a * self.mask
        return self.result


def masked(where: str, name: str, mask: Any, N: int, matrices: Mapping[str, Any]) -> dict[str, Any]:
    """The matrices of one step as `Masked`, with ``mask`` (N, rows). Raises ShapeError for a mask of another shape."""
    first: Sequence[int] = next(iter(matrices.values())).shape
    if np.shape(value(mask)) != (N, first[0]):
        raise ShapeError(f"{where}: {name} is {np.shape(value(mask))}, should be {(N, first[0])}")
    gate = _Gate(where, mask)
    return {key: Masked.of(matrix, gate) for key, matrix in matrices.items()}
