"""A process of its own, for work that may end, crash or hang the process it runs in: that of a user's file."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

GRACE = 1.0  # seconds for the process to end by itself once the work is done


def run_apart(work: Callable[[Any], int], asked: Any, seconds: float) -> int | str:
    """The number that ``work(asked)`` returns, in a process of its own; or how that process ended before.

    What the work prints is printed as it comes, and it reads nothing from the terminal. It ends with this process, and
    with Ctrl-C, which it does not see itself, whatever it does; after ``seconds`` it is ended.
    """
    import multiprocessing  # here: a command without a user's file starts without it

    # A fork has all that is imported already; where it is not safe, the package is imported again.
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(writer, work, asked, os.getpid()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy has threads, which know of forks
        child.start()
    writer.close()
    try:
        return _result(reader, child, seconds)
    finally:
        child.kill()
        child.join()


def _result(reader: Any, child: Any, seconds: float) -> int | str:
    """What came back, or why nothing did. Whether the process has ended is asked of the system: pipes may be closed."""
    end = time.monotonic() + seconds
    with contextlib.suppress(EOFError):
        while not reader.poll(0.05) and child.is_alive() and time.monotonic() < end:
            pass
        if reader.poll():
            result: int = reader.recv()
            end = min(end, time.monotonic() + GRACE)
            while child.is_alive() and time.monotonic() < end:
                time.sleep(0.01)
            return result
    while child.is_alive() and time.monotonic() < end:
        time.sleep(0.05)
    code = child.exitcode
    if code is None:
        return f"took longer than {seconds:g} seconds and was ended; --timeout gives it more"
    if code < 0:
        names = {number.value: number.name for number in signal.Signals}
        return f"ended the process by signal {-code} ({names.get(-code, 'unknown')}) before the command was done"
    return f"ended the process with exit code {code} before the command was done"


def _work(writer: Any, work: Callable[[Any], int], asked: Any, parent: int) -> None:
    """The process: do the work, and send what it returns."""
    signal.signal(signal.SIGINT, lambda *_: None)  # the parent ends this process
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    writer.send(work(asked))


def _follow(parent: int) -> None:
    """End this process after the parent, which may have been killed."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(2)
