"""The text of a compiled function, and the arrays that it is called with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

#: An ndarray begins with the header of a Python object; the address of its numbers is next (PyArrayObject in C).
HEADER = object.__basicsize__


@dataclass(frozen=True)
class Argument:
    """An array that a function reads or writes: its shape, with a text for the first length, the name of its dtype."""

    name: str
    shape: tuple[Any, ...]
    kind: str

    @property
    def timed(self) -> bool:
        """Is there a part of it for each step?"""
        return self.shape[:1] == ("T",)

    @property
    def nbytes(self) -> int:
        """The bytes, or those of a step."""
        return math.prod(self.shape[self.timed :]) * np.dtype(self.kind).itemsize

    def __str__(self) -> str:
        return f"{self.name}: {self.kind} ({', '.join(map(str, self.shape))}{',' * (len(self.shape) == 1)})"


@dataclass(frozen=True)
class Source:
    """A function ``name(T, part, *arrays)`` as text, its arrays, and the number of its parts as a text of T.

    Parts are computed in any order, by several threads. Without ``blocks`` it is ``name(T, *arrays)``.
    """

    text: str
    arguments: Sequence[Argument]
    blocks: str = ""

    @staticmethod
    def of(name: str, arguments: Sequence[Argument], lines: Sequence[str], head: Sequence[str] = (),
           blocks: str = "") -> Source:  # fmt: skip
        """The function of ``lines``, with the types of its arguments, and ``head``, in front."""
        names = ", ".join(["T", *["part"] * bool(blocks), *(argument.name for argument in arguments)])
        text = [*(f"# {argument}" for argument in arguments), *head, f"def {name}({names}):"]
        return Source("\n".join([*text, *(f"    {line}" for line in lines)]) + "\n", arguments, blocks)
