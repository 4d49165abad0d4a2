"""`Param` says in the signature of a cell what a parameter is; `Stacked` is what the cell then gets.

One array holds the blocks of all gates side by side: ``Wx=Param("D H", "fgio")`` is stored as (D, 4H), and ``Wx.f`` is
the slice of it for the gate f.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..engine.tensor import Tensor
from ..errors import InvalidAttribute, InvalidValue


class Param:
    """A parameter in the signature of a cell.

    ``words`` is its shape ("D H": from D features to H units); ``blocks`` names equal blocks stacked along the last
    axis ("fgio": stored as (D, 4H)); one letter each, or words with spaces. ``init`` is a scheme of `tg.init` (by
    default 1/√n for matrices and 0 for vectors) or a dict of them by block: ``init={"f": 1.0}``.
    """

    def __init__(self, words: str, blocks: str = "", init: Any = None):
        self.words = tuple(words.split())
        self.blocks = tuple(blocks.split() if " " in blocks else blocks)
        self.init = init
        where = f"Param({words!r}, {blocks!r})"
        if not self.words:
            raise InvalidValue(f"{where}: the shape is empty, should be letters for its axes, such as 'D H'")
        for k, name in enumerate(self.blocks):
            if hasattr(Tensor, name):
                raise InvalidValue(f"{where}: block {name} is what every Tensor has, should be another name")
            if name in self.blocks[:k]:
                raise InvalidValue(f"{where}: block {name} is named twice, should be once")

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape in numbers: "D H" with four blocks, D=3, H=5 -> (3, 20)."""
        own = [sizes[word] for word in self.words]
        return (*own[:-1], own[-1] * max(len(self.blocks), 1))

    def __str__(self) -> str:
        count = str(len(self.blocks)) if len(self.blocks) > 1 else ""
        words = [*self.words[:-1], count + self.words[-1]]
        return f"({', '.join(words)}{',' if len(words) == 1 else ''})"


class BlockName(str):
    """The name of a block, ``Wx.f``: by it a graph tells blocks from other slices."""


class Stacked(Tensor):
    """A parameter as a cell sees it: a Tensor whose named blocks are its attributes, each sliced once."""

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
    """What to write in the place of what is no cell and, where ``tensors`` will do, no Tensor; "" if not known."""
    if isinstance(given, str):
        return f"; write {call}({given}), without quotes" if given.isidentifier() else ""
    if isinstance(given, type):
        return f"; {given.__name__} is a class: make one of it first"
    if isinstance(given, (Mapping, list, tuple)):
        items = given.items() if isinstance(given, Mapping) else enumerate(given)
        at = next((key for key, one in items if (tensors and isinstance(one, Tensor)) or _is_cell(one)), None)
        return "" if at is None else f"; it holds one: write {call}(...[{at!r}])"
    if isinstance(given, np.ndarray):
        return "; an array does not know what made it: give the Tensor that it was taken from" if tensors else ""
    if _is_cell(getattr(given, "cell", None)):
        return f"; it has one: write {call}(....cell)"
    defaults = getattr(given, "__kwdefaults__", None) or {}
    return "; put @cell above it" if any(isinstance(one, Param) for one in defaults.values()) else ""


def _is_cell(x: Any) -> bool:
    return hasattr(x, "zero_state") and not isinstance(x, type)
