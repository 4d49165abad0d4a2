"""Observers of what runs: every operation and gradient, and the local variables of a function."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .context import context
from .graph import Node
from .op import Op
from .tensor import Tensor


class _Both:
    """Two observers as a single one.

    An observer has two methods. ``operation(spec, args, output)`` is called after each forward operation, with its
    declaration, its arguments and the resulting Tensor. ``gradient(node, dy)`` is called when a backward pass has the
    whole gradient of a node. An observer is ``passive`` if it records nothing that a Python number would lose.
    """

    def __init__(self, first: Any, second: Any):
        self.observers = first, second
        self.passive = all(getattr(observer, "passive", False) for observer in self.observers)

    def operation(self, spec: Op, args: Any, output: Tensor) -> None:
        for observer in self.observers:
            observer.operation(spec, args, output)

    def gradient(self, node: Node, dy: Any) -> None:
        for observer in self.observers:
            observer.gradient(node, dy)


@contextmanager
def observing(observer: Any) -> Iterator[Any]:
    """Notify ``observer`` of every operation and gradient inside, in addition to the observers that are set already."""
    before = context.observer
    try:
        context.observer = observer if before is None else _Both(before, observer)
        yield observer
    finally:
        context.observer = before


@contextmanager
def locals_of(codes: Sequence[Any], callback: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """After each line of the functions with these ``codes``, call ``callback`` with their local variables.

    This uses tracing, as debuggers do: the function stays unchanged, and other code costs nothing.
    """

    watched = _Watched(callback)
    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: watched.look(frame, event, arg) if frame.f_code in codes else None)
    try:
        yield
    finally:
        sys.settrace(before)


class _Watched:
    """The trace function of a frame, called at each event. A closure that returns itself would be a cycle."""

    def __init__(self, callback: Callable[[dict[str, Any]], None]):
        self.callback = callback

    def look(self, frame: Any, event: str, arg: Any) -> Any:
        self.callback(dict(frame.f_locals))
        return self.look
