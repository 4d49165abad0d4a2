"""Per-thread execution context: recording on or off, the observer, scan's current time step, the open scopes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Context(threading.local):
    """The execution context of one thread. Only context managers change it."""

    recording: bool = True  # off inside no_grad()
    observer: Any = None  # notified of every operation, e.g. by trace_nans()
    step: int | None = None  # the current time step inside scan
    scope: tuple[str, ...] = ()  # the names of the open scopes, outermost first
    transforms: int = 0  # the number of enclosing transforms (grad, vjp, ...)
    special: bool = False  # True if not recording, observed, or in a scope

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "step":  # set at every time step, and never special
            return
        special = not self.recording or self.observer is not None or bool(self.scope)
        if special != self.special:
            anywhere.in_thread(special)
            super().__setattr__("special", special)


class Anywhere:
    """Whether any thread is special, or any array is handed out that user code can write to.

    An operation reads ``special`` first, because that is faster than reading thread-local data. Every change computes
    ``special`` anew, so that the next change repairs one that was interrupted. There is no lock, which an interruption
    could leave locked: who stores ``special`` looks again, so that the last store is right.
    """

    __slots__ = ("special", "threads", "watched")

    def __init__(self) -> None:
        self.threads, self.watched, self.special = dict[int, bool](), False, False

    def in_thread(self, special: bool) -> None:
        """Record whether this thread is special."""
        if special:
            self.threads[threading.get_ident()] = True
        else:
            self.threads.pop(threading.get_ident(), None)
        self._update()

    def watch(self, watched: bool) -> None:
        """Record whether any array is handed out."""
        self.watched = watched
        self._update()

    def _update(self) -> None:
        while self.special != (special := bool(self.threads) or self.watched):
            self.special = special


anywhere = Anywhere()


context = Context()


@contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing inside: results need no gradient, and ``w -= lr * dw`` changes a leaf in place."""
    before = context.recording
    try:
        context.recording = False
        yield
    finally:
        context.recording = before


@contextmanager
def scope(name: str) -> Iterator[None]:
    """Name the part of a model that runs inside. A picture groups the operations of a scope; scopes nest."""
    before = context.scope
    try:
        context.scope = (*before, name)
        yield
    finally:
        context.scope = before
