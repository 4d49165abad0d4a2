"""Ctrl-C and SIGTERM wait for a moment where all is consistent."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

NAMES = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Inside ``with``, Ctrl-C and SIGTERM only set ``received``; a second Ctrl-C does not wait.

    Outside of the main thread, which alone receives signals, it does nothing.
    """

    def __init__(self) -> None:
        self.received = False
        self.handled = False  #: did the training save and end?
        self.before: dict[Any, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self.before = {name: signal.signal(name, self._receive) for name in NAMES}
        return self

    def _receive(self, *_: Any) -> None:
        self.received = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *_: Any) -> None:
        for name, handler in self.before.items():
            signal.signal(name, handler)


class Watched:
    """Batches with a call of ``pause`` before each."""

    def __init__(self, batches: Iterable[Any], pause: Callable[[], None]):
        self.batches, self.pause = batches, pause

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            self.pause()
            yield batch
