"""Loops, variables and arrays that write LLVM instructions: what a traced loop has beside its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from llvmlite import ir

from .numbers import KINDS, Number, converted

INT = ir.IntType(64)
#: Types in memory: a boolean is a byte.
STORED = {**KINDS, "bool": ir.IntType(8)}


class Loops:
    """``range`` and ``local`` of the function that ``builder`` writes."""

    def __init__(self, builder: Any):
        self.builder = builder

    def range(self, start: Any, stop: Any = None, step: int = 1) -> Iterator[Any]:
        """A loop, whose body is written once: the index is a Number; a Python number if there is a single round."""
        start, stop = (0, start) if stop is None else (start, stop)
        if not isinstance(start, Number) and not isinstance(stop, Number) and len(range(start, stop, step)) < 2:
            yield from range(start, stop, step)
            return
        builder = self.builder
        first, last = (converted(builder, end, "int64") for end in (start, stop))
        before = builder.block
        head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
        builder.branch(head)
        builder.position_at_end(head)
        index = builder.phi(INT)
        index.add_incoming(first.value, before)
        builder.cbranch(builder.icmp_signed("<" if step > 0 else ">", index, last.value), body, end)
        builder.position_at_end(body)
        yield Number(builder, index, "int64")
        index.add_incoming(builder.add(index, ir.Constant(INT, step), flags=("nsw",)), builder.block)
        builder.branch(head)
        builder.position_at_end(end)

    def local(self, kind: str, start: Any) -> Local:
        """A variable that a loop may change, as ``total[0]``."""
        with self.builder.goto_entry_block():
            place = self.builder.alloca(KINDS[kind])
        variable = Local(self.builder, place, kind)
        variable[0] = start
        return variable


class Local:
    """A variable; a register after LLVM's passes."""

    def __init__(self, builder: Any, place: Any, kind: str):
        self.builder, self.place, self.kind = builder, place, kind

    def __getitem__(self, _: int) -> Number:
        return Number(self.builder, self.builder.load(self.place, typ=KINDS[self.kind]), self.kind)

    def __setitem__(self, _: int, number: Any) -> None:
        self.builder.store(converted(self.builder, number, self.kind).value, self.place)


class Array:
    """An array in C order: the address of its first number, its shape, of which the first length may be unknown."""

    def __init__(self, builder: Any, address: Any, shape: Sequence[Any], kind: str):
        self.builder, self.address, self.kind = builder, address, kind
        self.steps = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]

    def __getitem__(self, index: Any) -> Number:
        builder, number = self.builder, STORED[self.kind]
        value = builder.load(self.at(index), typ=number)
        if self.kind == "bool":
            value = builder.trunc(value, KINDS["bool"])
        return Number(builder, value, self.kind)

    def __setitem__(self, index: Any, number: Any) -> None:
        value = converted(self.builder, number, self.kind).value
        if self.kind == "bool":
            value = self.builder.zext(value, STORED["bool"])
        self.builder.store(value, self.at(index))

    def at(self, index: Any) -> Any:
        """The address of an element."""
        indices = index if isinstance(index, tuple) else (index,)
        offset: Any = 0
        for entry, step in zip(indices, self.steps, strict=True):
            offset = entry * step + offset
        place = converted(self.builder, offset, "int64").value
        return self.builder.gep(self.address, [place], inbounds=True, source_etype=STORED[self.kind])
