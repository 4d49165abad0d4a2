"""Functions that run one after another in one call, in phases; threads share the blocks of a phase.

Every thread runs the same machine code::

    for phase in phases:
        while (block := the next block of the phase that no thread has taken) is not None:
            compute the block
        wait until all blocks of the phase are computed

A thread waits for blocks that others compute, never for a thread that has not begun. So a single thread does all of it,
and a thread that comes late takes what is left. A block computes the same on every thread. The first thread takes
blocks from the front, the second from the back, so that rows stay in the cache of one processor from phase to phase.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from .helpers import BYTE, WORK, write_offers
from .loops import INT, Loops
from .numbers import Number, converted, where
from .source import HEADER, Argument, Source

APART = 128  #: bytes, of which arrays of the memory have a multiple: no two share a cache line
#: Integers from the counters of a phase to those of the next; from the number of taken blocks to that of computed ones,
#: and to that of threads that have come.
STRIDE, DONE, COME = 16, 8, 4
BACK = 1 << 32  #: a block that is taken from the back, in the counter of taken blocks
POLLS = 10_000  #: looks at a counter, some 10 µs, before a waiting thread lets others have the processor


@dataclass(frozen=True)
class Pass:
    """The functions of each phase, by name, the arrays that the pass is called with, and those of its ``memory``.

    The memory begins with integers, zero at first, by which the threads agree on who computes what.
    """

    phases: Sequence[Sequence[str]]
    arguments: Sequence[Argument]
    memory: Sequence[Argument] = ()

    @property
    def counters(self) -> int:
        """The bytes of the integers at the beginning of the memory."""
        return 8 * STRIDE * len(self.phases)

    def places(self) -> list[tuple[int, int]]:
        """Where in the memory each array begins, then the size: bytes, and bytes for each step."""
        integers = -(-8 * (1 + len(self.arguments)) // APART) * APART  # T and the addresses of the arrays
        result = [(self.counters + integers, 0)]
        for argument in self.memory:
            count, (fixed, a_step) = -(-argument.nbytes // APART) * APART, result[-1]
            result.append((fixed + count * (not argument.timed), a_step + count * argument.timed))
        return result

    def text(self, name: str, sources: Mapping[str, Source]) -> str:
        """The phases, as comments."""
        lines = [f"# {name}:" + " in phases, whose blocks threads share" * (len(self.phases) > 1)]
        for phase in self.phases:
            blocks = [f"{key} ({sources[key].blocks} blocks)" if sources[key].blocks else key for key in phase]
            lines.append(f"#     {', '.join(blocks)}")
        return "\n".join(lines) + "\n"


def in_phases(sources: Mapping[str, Source], written: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The names of functions in phases, by the arrays that they have ``written`` and the others that they are given.

    Functions that write parts of one array may run at the same time.
    """
    phases: list[list[str]] = []
    read = {name: [argument.name for argument in source.arguments if argument.name not in written[name]]
            for name, source in sources.items()}  # fmt: skip
    for name in sources:
        level = 0
        for k, phase in enumerate(phases):
            if any(_meet(written[name], read[other]) or _meet(read[name], written[other]) for other in phase):
                level = k + 1
        phases += [[]] * (level == len(phases))
        phases[level] = [*phases[level], name]
    return phases


def _meet(names: Sequence[str], others: Sequence[str]) -> bool:
    return any(name in others for name in names)


def write_pass(module: Any, name: str, this: Pass, sources: Mapping[str, Source], bodies: Mapping[str, Any]) -> None:
    """Write the LLVM function ``name(T, helpers, boxes, memory, *arrays)``, by the addresses of Python's arrays.

    It writes T and the addresses of the numbers into the memory, which is all that the work of a thread needs.
    """
    work = _write_work(module, name, this, sources, bodies)
    types = [INT, INT, *[BYTE] * (2 + len(this.arguments))]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), types), name)
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    T, helpers = (Number(builder, arg, "int64") for arg in function.args[:2])
    boxes, memory, *numbers = (numbers_of(builder, array) for array in function.args[2:])
    for k, number in enumerate([T.value, *(builder.ptrtoint(number, INT) for number in numbers)]):
        builder.store(number, _integer(builder, memory, this.counters // 8 + k))
    write_offers(builder, builder.bitcast(boxes, INT.as_pointer()), helpers, work, memory)
    builder.ret_void()


def _integer(builder: Any, memory: Any, k: int) -> Any:
    """The address of integer number ``k`` of the memory."""
    return builder.gep(builder.bitcast(memory, INT.as_pointer()), [ir.Constant(INT, k)], source_etype=INT)


def _write_work(module: Any, name: str, this: Pass, sources: Mapping[str, Source], bodies: Mapping[str, Any]) -> Any:
    """Write the function ``work(memory)`` that every thread calls."""
    function = ir.Function(module, WORK, f"{name}.work")
    function.linkage = "internal"
    builder, memory = ir.IRBuilder(function.append_basic_block("entry")), function.args[0]
    integers = [builder.load(_integer(builder, memory, this.counters // 8 + k), typ=INT)
                for k in range(1 + len(this.arguments))]  # fmt: skip
    T = Number(builder, integers[0], "int64")
    places = {argument.name: builder.inttoptr(place, BYTE) for argument, place in zip(this.arguments, integers[1:])}
    for argument, (fixed, a_step) in zip(this.memory, this.places()):
        places[argument.name] = builder.gep(memory, [(T * a_step + fixed).value], source_etype=ir.IntType(8))
    come = builder.atomic_rmw("add", _integer(builder, memory, COME), ir.Constant(INT, 1), "seq_cst")
    in_front = Number(builder, builder.trunc(come, ir.IntType(1)), "bool") == 0
    for k, phase in enumerate(this.phases):
        taken, done = (_integer(builder, memory, STRIDE * k + start) for start in (0, DONE))
        _write_phase(builder, [(sources[key], bodies[key]) for key in phase], T, places, in_front, taken, done)
    builder.ret_void()
    return function


def numbers_of(builder: Any, array: Any) -> Any:
    """The address of the numbers of an array."""
    place = builder.gep(array, [ir.Constant(INT, HEADER)], source_etype=ir.IntType(8))
    return builder.load(builder.bitcast(place, BYTE.as_pointer()), typ=BYTE)


def _write_phase(builder: Any, functions: Sequence[tuple[Source, Any]], T: Number, places: Mapping[str, Any],
                 in_front: Number, taken: Any, done: Any) -> None:  # fmt: skip
    counts = [converted(builder, eval(source.blocks or "1", {"T": T}), "int64") for source, _ in functions]
    total = functools.reduce(operator.add, counts)
    head, end = builder.append_basic_block("take"), builder.append_basic_block("all_taken")
    builder.branch(head)
    builder.position_at_end(head)
    step = where(in_front, 1, BACK)
    before = Number(builder, builder.atomic_rmw("add", taken, step.value, "seq_cst"), "int64")
    front, back = before % BACK, before // BACK
    with builder.if_then((front + back >= total).value):
        builder.branch(end)
    first = where(in_front, front, total - back - 1)
    for (source, body), count in zip(functions, counts):
        with builder.if_then(((first >= 0) & (first < count)).value):
            part = [first.value] * bool(source.blocks)
            arrays = [builder.bitcast(places[argument.name], kind) for argument, kind in
                      zip(source.arguments, [arg.type for arg in body.args[1 + len(part) :]])]  # fmt: skip
            builder.call(body, [T.value, *part, *arrays])
        first = first - count
    builder.atomic_rmw("add", done, ir.Constant(INT, 1), "seq_cst")
    builder.branch(head)
    builder.position_at_end(end)
    _wait(builder, done, total)


def _wait(builder: Any, done: Any, total: Number) -> None:
    """Wait until the counter is ``total``."""
    head, end = builder.append_basic_block("wait"), builder.append_basic_block("all_done")
    builder.branch(head)
    builder.position_at_end(head)
    for _ in Loops(builder).range(POLLS):
        now = Number(builder, builder.load_atomic(done, "seq_cst", 8, typ=INT), "int64")
        with builder.if_then((now >= total).value):
            builder.branch(end)
    let_others = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
    function = builder.module.globals.get(let_others)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(ir.IntType(32), []), let_others)
    builder.call(function, [])
    builder.branch(head)
    builder.position_at_end(end)
