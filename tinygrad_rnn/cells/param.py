"""`Param` declares a parameter in the signature of a cell; `Stacked` is the Tensor that the cell then gets.

One array holds the blocks of all gates side by side: ``Wx=Param("D H", "fgio")`` is stored as (D, 4H), and ``Wx.f`` is
its slice for the gate f.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import InvalidAttribute, InvalidValue
from .sizes import Axis, length, words_of


class Param:
    """A parameter in the signature of a cell.

    ``words`` is its shape, a size for each axis: a letter, a number, or a sum of them. "D H" is (D, H), "D+H 2*H" is
    (D + H, 2H), "1" is (1,), and "" is a scalar. ``blocks`` names equal blocks stacked along the last axis, one letter
    each, or words with spaces ("fgio": stored as (D, 4H)). ``init`` is a scheme of `tg.init`, or a dict of schemes by
    block, ``{"f": 1.0}``; by default matrices are normal with standard deviation 1/√n, and vectors and scalars are 0.

    n, the fan, is the number of elements that a product with the parameter sums: the first axis in ``x @ W``, the last
    in ``x @ W.T``. It is read from the equations. ``fan`` says it where they do not: a size such as "D+H", or a number.

    Raises InvalidValue for a size that is no sum, for blocks of a scalar, and for a block that is named twice or like
    an attribute of Tensor.
    """

    def __init__(self, words: str, blocks: str = "", init: Any = None, fan: str | int | None = None):
        where = f"Param({words!r}, {blocks!r})" if blocks else f"Param({words!r})"
        self.words = words_of(words, where)
        self.blocks = tuple(blocks.split() if " " in blocks else blocks)
        self.init = init
        fans = () if fan is None else words_of(str(fan), f"{where}, fan={fan!r}")
        if len(fans) > 1:
            raise InvalidValue(f"{where}, fan={fan!r}: the fan is a single size, should be such as 'D+H'")
        self.fan = "".join(fans)
        if blocks and not self.words:
            raise InvalidValue(f"{where}: the shape is empty, should have an axis for the blocks, such as 'D H'")
        for k, name in enumerate(self.blocks):
            if hasattr(Tensor, name):
                raise InvalidValue(f"{where}: block {name} is what every Tensor has, should be another name")
            if name in self.blocks[:k]:
                raise InvalidValue(f"{where}: block {name} is named twice, should be once")

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape in numbers: "D H" with four blocks, D=3, H=5 -> (3, 20)."""
        lengths = [length(word, sizes) for word in self.words]
        return (*lengths[:-1], *(n * max(len(self.blocks), 1) for n in lengths[-1:]))

    def axes(self, name: str, shape: tuple[int, ...]) -> list[Axis] | None:
        """The axes of an array called ``name``; None if the number of axes, or that of the blocks, does not fit."""
        count = max(len(self.blocks), 1)
        if len(shape) != len(self.words) or (shape and shape[-1] % count):
            return None
        lengths = (*shape[:-1], *(n // count for n in shape[-1:]))
        return [Axis(word, n, name, shape, f"{self}") for word, n in zip(self.words, lengths, strict=True)]

    def __str__(self) -> str:
        words = list(self.words)
        if len(self.blocks) > 1:
            words[-1] = f"{len(self.blocks)}{words[-1] if words[-1].isidentifier() else f'({words[-1]})'}"
        return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


class BlockName(str):
    """The name of a block, ``Wx.f``. Its class distinguishes blocks from other slices in a graph."""


class Stacked(Tensor):
    """A parameter inside of a cell: a Tensor with its named blocks as attributes, each sliced once."""

    _blocks: tuple[str, ...]

    def __getattr__(self, name: str) -> Any:
        blocks = object.__getattribute__(self, "_blocks")
        if name not in blocks:
            raise InvalidAttribute(f"{self.name} has no block {name!r}, only {', '.join(blocks) or 'the whole'}")
        width = self.shape[-1] // len(blocks)
        at = blocks.index(name) * width
        block = self[..., at : at + width]
        block.name = BlockName(f"{self.name}.{name}")
        self.__dict__[name] = block
        return block


def advice(given: Any, call: str, tensors: bool = True) -> str:
    """What to write in the place of ``given``, as the end of an error text; "" where nothing better is known.

    ``call`` wants a cell, or where ``tensors`` are accepted a Tensor.
    """
    if isinstance(given, str):
        return f"; write {call}({given}), without quotes" if given.isidentifier() else ""
    if isinstance(given, type):
        return f"; {given.__name__} is a class: create an instance first"
    if isinstance(given, (Mapping, list, tuple)):
        items = given.items() if isinstance(given, Mapping) else enumerate(given)
        at = next((key for key, item in items if (tensors and isinstance(item, Tensor)) or _is_cell(item)), None)
        return "" if at is None else f"; an item fits: write {call}(...[{at!r}])"
    if isinstance(given, np.ndarray):
        return "; an array has no graph: give the Tensor that it was taken from" if tensors else ""
    if _is_cell(getattr(given, "cell", None)):
        return f"; its cell fits: write {call}(....cell)"
    defaults = getattr(given, "__kwdefaults__", None) or {}
    return "; put @cell above it" if any(isinstance(item, Param) for item in defaults.values()) else ""


def _is_cell(x: Any) -> bool:
    return hasattr(x, "zero_state") and not isinstance(x, type)
