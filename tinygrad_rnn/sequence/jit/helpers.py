"""Threads that help the one which runs a pass, without the lock of Python, as long as their help makes it quicker.

Each helper has a box. A pass puts the address of its work in, and takes it out at its end if no helper has begun. A
helper looks into its box for some tenths of a millisecond after its last work, then sleeps: to wake a thread takes as
long as a small product.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
from llvmlite import ir

from ...engine.threads import spare
from .loops import INT, Loops
from .numbers import Number

#: The states of a box. Whoever offers work has it being written to first.
FREE, WRITTEN, OFFERED, TAKEN, ASLEEP = range(5)
#: The integers of a box: its state, the function and its argument; a box fills cache lines of its own.
STATE, FUNCTION, ARGUMENT, SIZE = 0, 1, 2, 16
MOST = 32  #: helpers
LOOKS = 3_000_000  #: in a millisecond or two, into a box without work, before a helper sleeps
#: Calls of a pass from one trial of the other way to the next: at least and at most, or as many as take RARE seconds.
FEWEST, RAREST, RARE = 4, 128, 2.0
FIRST = 16  #: calls before the first trial
TRIAL = 3  #: calls of a trial, of which the median counts
PATIENCE = 0.06  #: seconds of a trial with helpers: the processor of a helper that slept may come so late
CLEARLY = 0.9  #: of the time of a way, that of the other from which it is the better

BYTE = ir.IntType(8).as_pointer()
WORK = ir.FunctionType(ir.VoidType(), [BYTE])

boxes = np.zeros((MOST, SIZE), np.int64)
_lock = threading.Lock()
_asleep: list[Any] = []  # for each helper, the lock that it waits for


class Sharing:
    """Whether helpers share a pass: as long as it takes less time than without them. Both ways give the same bits.

    Where other programs keep the processors busy, the thread waits longer for its helpers than they save. So some calls
    are a trial of the other way, which becomes rarer while that way stays the slower. ``seconds`` are those of a step,
    alone and shared: means of the latest calls, infinite for a way that has not run yet.
    """

    def __init__(self) -> None:
        self.seconds = [math.inf, math.inf]
        self.better, self.left, self.pause, self.begun = True, FIRST, FIRST, False
        self.tried: list[float] = []  # seconds of a step in the calls of this trial
        self.spent = 0.0  # seconds in this trial

    def run(self, call: Callable[[bool], None], steps: int) -> None:
        """``call(shared)``, in the way that is the better or on trial."""
        self.left -= 1
        trial = self.left <= 0
        way = self.better is not trial
        counts = self.begun and not (trial and way and self.left == 0)  # not while memory is new, or helpers wake
        self.begun = True
        start = perf_counter()
        call(way)
        took = perf_counter() - start
        seconds = took / steps
        if counts and trial:
            self.tried.append(seconds)
            self.spent += took
            seconds = sorted(self.tried[-TRIAL:])[TRIAL // 2] if len(self.tried) >= TRIAL else math.inf
            quicker = seconds < CLEARLY * self.seconds[self.better]
            counts = quicker or (seconds < math.inf and (not way or self.spent >= PATIENCE))
        if counts:
            self.tried, self.spent = [], 0.0
            self._enter(way, trial, seconds, max(RAREST, int(RARE / took)))

    def _enter(self, way: bool, trial: bool, seconds: float, rarest: int) -> None:
        mean = self.seconds[way]
        new = mean == math.inf or (trial and seconds < mean)  # an old mean may be that of a busier time
        self.seconds[way] = seconds if new else mean + (min(seconds, 2 * mean) - mean) / 4
        changes = self.seconds[not self.better] < CLEARLY * self.seconds[self.better]
        self.better = self.better is not changes
        if trial or changes:
            self.pause = FEWEST if changes else min(2 * self.pause, rarest)
            self.left = self.pause


def ready(serve: Any) -> int:
    """The helpers that are awake, or begin to be; those that are missing start to run ``serve``."""
    count = min(spare(), MOST)
    with _lock:
        while len(_asleep) < count:
            lock = threading.Lock()
            lock.acquire()
            try:
                threading.Thread(target=_run, args=(serve, len(_asleep), lock), daemon=True).start()
            except RuntimeError:  # at the end of the interpreter
                return len(_asleep)
            _asleep.append(lock)
        for k in range(count):
            if boxes[k, STATE] == ASLEEP:
                boxes[k, STATE] = FREE
                _asleep[k].release()
    return count


def _run(serve: Any, k: int, lock: Any) -> None:
    while True:
        serve(boxes[k])
        lock.acquire()


def _forget() -> None:
    """In the child of a fork there are no threads of the parent."""
    global _lock
    _lock = threading.Lock()
    _asleep.clear()
    boxes[:] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _place(builder: Any, box: Any, k: int) -> Any:
    return builder.gep(box, [ir.Constant(INT, k)], source_etype=INT)


def _changed(builder: Any, box: Any, before: int, after: int) -> Any:
    """Change the state from ``before`` to ``after``; false if it was another."""
    states = [ir.Constant(INT, state) for state in (before, after)]
    return builder.extract_value(builder.cmpxchg(_place(builder, box, STATE), *states, "seq_cst", "seq_cst"), 1)


def _read(builder: Any, box: Any, k: int) -> Any:
    return builder.load_atomic(_place(builder, box, k), "seq_cst", 8, typ=INT)


def _write(builder: Any, box: Any, k: int, number: Any) -> None:
    builder.store_atomic(number, _place(builder, box, k), "seq_cst", 8)


def write_serve(module: Any, numbers: Any) -> None:
    """Write the LLVM function ``serve(box)``, which does the work of a box until there is none for long."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [BYTE]), "serve")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    box = builder.bitcast(numbers(builder, function.args[0]), INT.as_pointer())
    again = builder.append_basic_block("again")
    builder.branch(again)
    builder.position_at_end(again)
    for _ in Loops(builder).range(LOOKS):
        offered = builder.icmp_signed("==", _read(builder, box, STATE), ir.Constant(INT, OFFERED))
        with builder.if_then(offered), builder.if_then(_changed(builder, box, OFFERED, TAKEN)):
            work, argument = (_read(builder, box, k) for k in (FUNCTION, ARGUMENT))
            builder.call(builder.inttoptr(work, WORK.as_pointer()), [builder.inttoptr(argument, BYTE)])
            _write(builder, box, STATE, ir.Constant(INT, FREE))
            builder.branch(again)
    with builder.if_then(builder.not_(_changed(builder, box, FREE, ASLEEP))):
        builder.branch(again)
    builder.ret_void()


def write_offers(builder: Any, all_boxes: Any, helpers: Number, work: Any, argument: Any) -> None:
    """Write a call of ``work(argument)``, which helpers are offered too; at its end no helper is at work."""
    function, place = (builder.ptrtoint(pointer, INT) for pointer in (work, argument))
    for k in Loops(builder).range(helpers):
        box = builder.gep(all_boxes, [(k * SIZE).value], source_etype=INT)
        with builder.if_then(_changed(builder, box, FREE, WRITTEN)):
            _write(builder, box, FUNCTION, function)
            _write(builder, box, ARGUMENT, place)
            _write(builder, box, STATE, ir.Constant(INT, OFFERED))
    builder.call(work, [argument])
    for k in Loops(builder).range(helpers):
        _withdraw(builder, builder.gep(all_boxes, [(k * SIZE).value], source_etype=INT), place)


def _withdraw(builder: Any, box: Any, place: Any) -> None:
    """Write lines that take the work with this argument out of a box, or wait until the helper has done it."""
    wait, end = builder.append_basic_block("wait"), builder.append_basic_block("left")
    builder.branch(wait)
    builder.position_at_end(wait)
    with builder.if_then(builder.icmp_signed("==", _read(builder, box, ARGUMENT), place)):
        with builder.if_then(_changed(builder, box, OFFERED, FREE)):
            builder.branch(end)
        taken = builder.icmp_signed("==", _read(builder, box, STATE), ir.Constant(INT, TAKEN))
        builder.cbranch(taken, wait, end)
    builder.branch(end)
    builder.position_at_end(end)
