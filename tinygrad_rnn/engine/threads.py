"""Blocks of rows on the threads of the process: NumPy releases Python's lock while it computes.

The environment variable ``TINYGRAD_RNN_THREADS`` sets the number of threads. By default it is the number of processors
that the process may use, at most 4 and at most ``OMP_NUM_THREADS``, which also limits the products of NumPy. The blocks
are the same for any number of threads, so the results are equal bit for bit. Compiled loops ask for the number too.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from ..errors import InvalidValue

VARIABLE = "TINYGRAD_RNN_THREADS"
chosen: int | None = None  #: the number inside of `using`
_here = threading.local()
_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}  # by the number of threads


def count() -> int:
    """The number of threads that blocks are shared by. Raises InvalidValue for a setting that is no number from 1."""
    if chosen is not None:
        return chosen
    setting = os.environ.get(VARIABLE, "")
    if setting:
        if not setting.isdecimal() or int(setting) < 1:
            raise InvalidValue(f"{VARIABLE} is {setting!r}, should be a whole number from 1")
        return int(setting)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    products = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(usable, 4, int(products) if products.isdecimal() else usable))


@contextmanager
def using(number: int) -> Iterator[None]:
    """Inside, all threads of the process share blocks by ``number`` threads, whatever the setting."""
    global chosen
    before, chosen = chosen, number
    try:
        yield
    finally:
        chosen = before


def over_blocks(function: Callable[[slice], None], rows: int, step: int) -> None:
    """Call ``function(slice)`` for blocks of ``step`` rows, on several threads at once.

    Equal to ``for start in range(0, rows, step): function(slice(start, min(start + step, rows)))``. ``function`` writes
    to its own rows alone. Each thread takes the next block when it is free; on a busy machine one thread takes most of
    them. Returns, or raises what it raised, when no call is running any more.
    """
    blocks = deque([slice(start, min(start + step, rows)) for start in range(0, rows, step)])
    others = 0 if len(blocks) < 2 else min(spare(), len(blocks) - 1)
    futures: list[Future[None]] = []
    try:
        while len(futures) < others and _begun(futures, function, blocks, others):
            pass
        _run(function, blocks)
    finally:
        blocks.clear()
        futures = [future for future in futures if not future.cancel()]  # a thread that has not begun is not waited for
        wait(futures)
    for future in futures:
        future.result()


def spare() -> int:
    """The number of threads that may work beside this one: none where this one is a worker."""
    return 0 if getattr(_here, "is_worker", False) else count() - 1


def _run(function: Callable[[slice], None], blocks: deque[slice]) -> None:
    while True:
        try:
            here = blocks.popleft()
        except IndexError:  # there is no block left
            return
        function(here)


def _begun(futures: list[Any], function: Callable[[slice], None], blocks: deque[slice], workers: int) -> bool:
    """Start a thread of the pool; False where no thread can start, as at the end of the interpreter."""
    try:
        with _lock:
            if workers not in _pools:
                _pools[workers] = ThreadPoolExecutor(workers, "tinygrad_rnn", initializer=_enter_worker)
            futures.append(_pools[workers].submit(_run, function, blocks))
    except RuntimeError:
        return False
    return True


def _enter_worker() -> None:
    _here.is_worker = True


def _forget() -> None:
    """In the child of a fork there are no threads of the parent."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()
    _here.is_worker = False


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
