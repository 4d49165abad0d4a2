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
            anywhere.in_thread(special)
            super().__setattr__("special", special)


class Anywhere:
    """Is a thread special, or is an array handed out that user code can write to?

    An operation asks this first, which is quicker than asking for its own thread. What is set is worked out anew at
    every change, so that one that was interrupted is made up for by the next.
    """

    __slots__ = ("_lock", "handed", "special", "threads")

    def __init__(self) -> None:
        self._lock, self.threads, self.handed, self.special = threading.RLock(), dict[int, bool](), False, False

    def in_thread(self, special: bool) -> None:
        """Note that this thread is special, or no longer."""
        with self._lock:
            if special:
                self.threads[threading.get_ident()] = True
            else:
                self.threads.pop(threading.get_ident(), None)
            self.special = bool(self.threads) or self.handed

    def hand(self, handed: bool) -> None:
        """Note that arrays are handed out, or none any more."""
        with self._lock:
            self.handed = handed
            self.special = bool(self.threads) or handed


anywhere = Anywhere()


mode = Mode()


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: results need no gradient, and ``w -= lr * dw`` changes a leaf in place."""
    before = mode.recording
    try:
        mode.recording = False
        yield
    finally:
        mode.recording = before


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the part of a model that runs inside: its picture groups what was made there; scopes nest."""
    before = mode.scope
    try:
        mode.scope = (*before, name)
        yield
    finally:
        mode.scope = before
