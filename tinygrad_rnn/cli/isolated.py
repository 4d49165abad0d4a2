"""A separate process for work that may end, crash or hang its process: running a user's file."""

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

GRACE = 1.0  #: seconds for the process to end by itself once the work is done


def run_apart(work: Callable[[Any], int], options: Any, seconds: float) -> int | str:
    """Run ``work(options)`` in a process of its own; its result, or a text that says how the process ended before.

    The process prints to the same streams and has no standard input. It is killed when this process ends, at Ctrl-C,
    which it ignores itself, and after ``seconds``.
    """
    import multiprocessing  # not at the top: a command without a user's file starts faster without it

    # A fork has every import already. Where a fork is not safe, the new process imports the package again.
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=_work, args=(writer, work, options, os.getpid()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads: those of NumPy handle it
        child.start()
    writer.close()
    try:
        return _result(reader, child, seconds)
    finally:
        child.kill()
        child.join()


def _result(reader: Any, child: Any, seconds: float) -> int | str:
    """The result of the process, or how it ended. It may have closed the pipe, so the system is asked if it runs."""
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


def _work(writer: Any, work: Callable[[Any], int], options: Any, parent: int) -> None:
    """The main function of the process: do the work, and send its result."""
    signal.signal(signal.SIGINT, lambda *_: None)  # the parent ends this process
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    writer.send(work(options))


def _follow(parent: int) -> None:
    """End this process when its parent has ended, even if the parent was killed."""
    while os.getppid() == parent:
        time.sleep(0.2)
    os._exit(2)
