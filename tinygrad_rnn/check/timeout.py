"""A time limit for each call of the user's forward and backward: a loop that never ends is told by its line."""

from __future__ import annotations

import ctypes
import linecache
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import InvalidValue, Uncheckable
from ..tracing.users import is_users_file

SECONDS = 60.0  # the default of ``timeout``


@contextmanager
def limited(where: str, seconds: float) -> Iterator[None]:
    """Raise Uncheckable inside of the block if it takes longer than ``seconds``; ``where`` begins the text.

    In the main thread a signal ends a call that waits, too. In other threads, on systems without SIGALRM, and if
    somebody else has set the alarm, a watchdog thread ends it at the next line of Python.
    """
    if not seconds > 0:
        raise InvalidValue(f"{where}: timeout is {seconds!r}, should be a number of seconds above 0")
    main = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    pending = main and signal.getitimer(signal.ITIMER_REAL)[0] > 0
    if pending and getattr(signal.getsignal(signal.SIGALRM), "__module__", "") == __name__:
        yield  # a block around this one has the limit
        return
    frames: list[Any] = []
    try:
        with (_alarm if main and not pending else _watchdog)(seconds, frames):
            yield
    except TookTooLong:
        if not frames:  # of a block around this one, which tells it
            raise
        raise Uncheckable(_text(where, seconds, frames[0])) from None


class TookTooLong(BaseException):
    """Raised in a call that takes too long; no Exception, which the user's code may catch."""


@contextmanager
def _alarm(seconds: float, frames: list[Any]) -> Iterator[None]:
    def over(_: int, frame: Any) -> None:
        frames.append(frame)
        raise TookTooLong(f"a call runs for longer than {seconds:g} s; a larger timeout gives it more")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _watchdog(seconds: float, frames: list[Any]) -> Iterator[None]:
    thread, lock, ended = threading.get_ident(), threading.Lock(), False

    def over() -> None:
        with lock:
            if not ended:
                frames.append(sys._current_frames().get(thread))
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TookTooLong))

    timer = threading.Timer(seconds, over)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            ended = True
        timer.cancel()
        late = bool(frames) and not isinstance(sys.exc_info()[1], TookTooLong)
        for _ in range(20 if late else 0):  # set just before the end: it is raised here, not after the block
            time.sleep(0.001)


def _text(where: str, seconds: float, frame: Any) -> str:
    """Which line of the user's runs still."""
    while frame is not None and not is_users_file(frame.f_code.co_filename):
        frame = frame.f_back
    at = ""
    if frame is not None:
        file, line = frame.f_code.co_filename, frame.f_lineno
        text = linecache.getline(file, line).strip()
        at = f" at {os.path.basename(file)}:{line} in {frame.f_code.co_name}: {text}".rstrip(": ") + ";"
    return f"{where}: a call runs for longer than {seconds:g} s,{at} a larger timeout gives it more"
