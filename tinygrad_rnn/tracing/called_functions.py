"""The local variables of user-defined functions that a cell calls, such as `layer_norm`.

They name the values that the cell leaves unnamed (`Value.inner_name`). A function may be called more than once: its
first value d is named d, the second d_2. Its arguments give no names: the cell names the values that it passes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from ..cells.cell import Cell
from .record import Recorder

#: The packages of the operations, whose functions are not user-defined.
PACKAGES = tuple(f"{__name__.partition('.')[0]}.{room}." for room in ("engine", "ops"))


def called(cell: Cell) -> list[Any]:
    """The code of every user-defined function that ``cell``, or a cell that it wraps, calls by a global name."""
    waiting, codes = [], []
    layer: Cell | None = cell
    while layer is not None:
        waiting.append(layer.function)
        layer = layer.inner
    while waiting:
        function = waiting.pop()
        names = getattr(getattr(function, "__code__", None), "co_names", ())
        for callee in (function.__globals__.get(name) for name in names):
            if not isinstance(callee, FunctionType) or callee.__module__.startswith(PACKAGES):
                continue
            if callee.__code__ not in codes:
                codes.append(callee.__code__)
                waiting.append(callee)
    return codes


@contextmanager
def inner_locals_of(codes: Sequence[Any], recorder: Recorder) -> Iterator[None]:
    """After each line of the functions with these ``codes``, pass their local variables to ``recorder``."""
    if not codes:
        yield
        return
    before: Any = sys.gettrace()

    def start(frame: Any, event: str, arg: Any) -> Any:
        if frame.f_code in codes:
            return _Frame(recorder, list(frame.f_locals.values())).look
        return before(frame, event, arg) if before is not None else None

    sys.settrace(start)
    try:
        yield
    finally:
        sys.settrace(before)


class _Frame:
    """One call of a function. A trace function that returns itself would be a cycle."""

    def __init__(self, recorder: Recorder, arguments: list[Any]):
        self.recorder, self.arguments = recorder, arguments

    def look(self, frame: Any, event: str, arg: Any) -> Any:
        local = {name: x for name, x in frame.f_locals.items() if not any(x is given for given in self.arguments)}
        self.recorder.inner_locals(local)
        return self.look
