"""The user's own functions that a cell calls, such as `layer_norm`: what they call their values.

Their local variables name what the cell left unnamed. They may be called more than once: the first value is d, the
second d_2. Arguments name nothing, for what they stand for is the cell's to name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from ..cells.cell import Cell
from ..engine.tensor import Tensor
from .sample import codes

#: The packages of the operations; the variables of their functions are not the user's.
PACKAGES = tuple(f"{__name__.partition('.')[0]}.{room}." for room in ("engine", "ops"))


def called(cell: Cell) -> list[Any]:
    """The code of every function of the user's that ``cell``, or what it wraps, calls by a global name."""
    waiting, found = [], []
    inside: Any = cell
    while inside is not None:
        waiting.append(inside.function)
        inside = inside.inner
    while waiting:
        function = waiting.pop()
        names = getattr(getattr(function, "__code__", None), "co_names", ())
        for one in (function.__globals__.get(name) for name in names):
            own = isinstance(one, FunctionType) and not one.__module__.startswith(PACKAGES)
            if own and one.__code__ not in found:
                found.append(one.__code__)
                waiting.append(one)
    return found


class Locals:
    """Looks at the frames of a cell and of what it calls; ``names`` has the first name of each value, by number."""

    def __init__(self, cell: Cell, number: Callable[[Tensor], int], told: Callable[[dict[str, Any]], None],
                 entered: Callable[[dict[str, Any]], None]):  # fmt: skip
        self.own, self.called = codes(cell), called(cell)
        self.number, self.told, self.entered = number, told, entered
        self.names: dict[int, str] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, every line of those functions is seen."""
        before = sys.gettrace()
        sys.settrace(self.call)
        try:
            yield
        finally:
            sys.settrace(before)

    def call(self, frame: Any, event: str, arg: Any) -> Any:
        """A function begins."""
        if frame.f_code in self.own:
            self.entered(dict(frame.f_locals))
            return self.line
        if frame.f_code not in self.called:
            return None
        given = [id(one) for one in frame.f_locals.values()]

        def line(frame: Any, event: str, arg: Any) -> Any:
            for name, one in frame.f_locals.items():
                if isinstance(one, Tensor) and id(one) not in given:
                    self.names.setdefault(self.number(one), name)
            return line

        return line

    def line(self, frame: Any, event: str, arg: Any) -> Any:
        """A line of the cell has run."""
        self.told(dict(frame.f_locals))
        return self.line
