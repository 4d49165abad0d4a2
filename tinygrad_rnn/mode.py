"""What holds for the code that runs now: is it recorded, observed, at which time step, in which scope."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Mode(threading.local):
    """What holds for the code that runs now, in this thread. Changed by context managers only."""

    recording: bool = True  # no_grad() turns it off
    observer: Any = None  # trace_nans() and its kin: told of every operation
    step: int | None = None  # the time step, inside scan
    scope: tuple[str, ...] = ()  # the names of the open scopes
    transforms: int = 0  # how many of grad, vjp, ... enclose this code
    special: bool = False  # not recording, observed, or in a scope

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "step":  # set at every time step
            return
        special = not self.recording or self.observer is not None or bool(self.scope)
        if special != self.special:
            super().__setattr__("special", special)
            anywhere.count(1 if special else -1)


class Anywhere:
    """How many threads are special, and one more while arrays are handed out.

    An operation asks this first, which is quicker than asking for its own thread.
    """

    __slots__ = ("_lock", "special")

    def __init__(self) -> None:
        self._lock, self.special = threading.RLock(), 0

    def count(self, change: int) -> None:
        with self._lock:
            self.special += change


anywhere = Anywhere()


mode = Mode()


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: results need no gradient, and ``w -= lr * dw`` changes a leaf in place."""
    before, mode.recording = mode.recording, False
    try:
        yield
    finally:
        mode.recording = before


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the part of a model that runs inside: its picture groups what was made there; scopes nest."""
    before, mode.scope = mode.scope, (*mode.scope, name)
    try:
        yield
    finally:
        mode.scope = before
