"""Being told of what runs: of every operation and gradient, and of the local variables of a function."""

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
    """Two observers as one.

    An observer is told ``operation(spec, args, made)`` after each forward operation, with its declaration, what it was
    called with and the Tensor it gave, and ``gradient(node, dy)`` when a backward pass has all of a node's gradient.
    One that makes no record for others is ``passive``: to take a Python number of a Tensor loses nothing then.
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
    """Tell ``observer`` of every operation and gradient inside, beside those who observe already."""
    before = context.observer
    try:
        context.observer = observer if before is None else _Both(before, observer)
        yield observer
    finally:
        context.observer = before


@contextmanager
def locals_of(codes: Sequence[Any], callback: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """After each line of the functions with these ``codes``, tell what the local variables are.

    It is done by tracing, as debuggers do: nothing is asked of the function, and nobody pays who does not look.
    """

    watched = _Watched(callback)
    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: watched.look(frame, event, arg) if frame.f_code in codes else None)
    try:
        yield
    finally:
        sys.settrace(before)


class _Watched:
    """Looks at a frame whenever something happens in it. A function that returns itself would be a cycle."""

    def __init__(self, callback: Callable[[dict[str, Any]], None]):
        self.callback = callback

    def look(self, frame: Any, event: str, arg: Any) -> Any:
        self.callback(dict(frame.f_locals))
        return self.look
