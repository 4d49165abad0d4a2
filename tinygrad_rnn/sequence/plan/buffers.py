"""Where the values of the loop are stored: in arrays for all steps, in the next state, in a part of another value, or
in a buffer that several values use one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .program import Program, Statement, writes_into
from .schedule import Schedule, is_view

NEVER = 10**9
#: Rows of a product, and elements of its transposed weight, for which (W @ yᵀ)ᵀ is quicker than y @ Wᵀ.
FEW_ROWS, LARGE_WEIGHT = 64, 1 << 14


def in_place(program: Program, statement: Statement) -> bool:
    """May the statement write over an operand of the same shape?"""
    return statement.op not in ("matmul", "join")


class Buffers:
    """The storage of each value of the loop.

    ``next_of[number]`` is k if the statement writes the next state k; ``part_of[number]`` is the join that it writes a
    part of, with start and stop; ``buffer_of[number]`` the number of its buffer, ``shapes`` those of the buffers. All
    others are arrays of their own at each step.
    """

    def __init__(self, plan: Schedule, carry: Sequence[int | None], ends: Sequence[int]):
        self.plan, self.program, self.loop = plan, plan.program, plan.sections["loop"]
        self.next_of: dict[int, int] = {}
        self.part_of: dict[int, tuple[int, int, int]] = {}
        self.buffer_of: dict[int, int] = {}
        self.shapes: list[tuple[tuple[int, ...], np.dtype, str]] = []  # with the order in memory
        for k, number in enumerate(carry):
            statement = plan.by_value.get(number) if number is not None else None
            if statement in self.loop and statement is not None and number is not None and number not in self.next_of:
                self.next_of.update({number: k} if writes_into(self.program, statement) else {})
        for statement in self.loop:
            if statement.op == "join":
                self._place_parts(statement)
        self.turned = {statement.out: None for statement in self.loop if self._turns(statement)}
        self._share([*ends, *(number for number in carry if number is not None and number not in self.next_of)])

    def _place_parts(self, join: Statement) -> None:
        start = 0
        for arg in join.args:
            stop, statement = start + self.program.shape(arg)[-1], self.plan.by_value.get(arg)
            free = arg not in self.next_of and arg not in self.part_of and arg not in self.plan.histories
            if free and statement is not None and statement in self.loop and self._fits(statement, arg, join):
                self.part_of[arg] = join.out, start, stop
            start = stop

    def _fits(self, statement: Statement, arg: int, join: Statement) -> bool:
        """Can the statement write its value into its part of the join?"""
        alike = self.program.shape(arg)[:-1] == self.program.shape(join.out)[:-1]
        return alike and statement.out == arg and statement.op != "join" and writes_into(self.program, statement)

    def _turns(self, product: Statement) -> bool:
        """Is it a product of a few rows with a large transposed weight, which the loop reads from memory of its own?"""
        if product.op != "matmul" or not writes_into(self.program, product) or product.out in self.part_of:
            return False
        rows, weight = self.program.shape(product.args[0])[0], self.plan.by_value.get(product.args[1])
        fits = 1 < rows <= FEW_ROWS and math.prod(self.program.shape(product.args[1])) >= LARGE_WEIGHT
        once = weight is not None and weight.op == "transpose" and self.plan.place[weight.out] == "once"
        return fits and once and product.out not in self.plan.histories

    def root(self, number: int) -> int:
        """The value whose memory a value lies in."""
        while (inside := self._inside(number)) is not None:
            number = inside
        return number

    def _inside(self, number: int) -> int | None:
        """The value that a value is a part of, or a view of; None if it has memory of its own."""
        if number in self.part_of:
            return self.part_of[number][0]
        statement = self.plan.by_value.get(number)
        if statement is None or self.plan.place[number] != "loop":
            return None
        if is_view(statement):
            return statement.args[0]
        if number == statement.out and writes_into(self.program, statement):
            return None
        array = self.program.values[number].array  # any other operation may return a view, such as broadcast_to
        return next((arg for arg in statement.args if np.may_share_memory(array, self.program.values[arg].array)), None)

    def _share(self, ends: Sequence[int]) -> None:
        """Give buffers to the values that need one; a buffer is free again after the last use of its value."""
        first, last = self._lives(ends)
        free: list[int] = []
        holding: dict[int, int] = {}
        for k, statement in enumerate(self.loop):
            free += [holding.pop(number) for number in list(holding) if last[number] < k]
            ending = [arg for arg in statement.args if arg in holding and last[arg] == k and self.root(arg) == arg]
            for number in first.get(k, ()):
                dying = [holding[arg] for arg in ending if arg in holding] if in_place(self.program, statement) else []
                self.buffer_of[number] = self._taken(number, dying, free, holding)
                holding[number] = self.buffer_of[number]

    def _lives(self, ends: Sequence[int]) -> tuple[dict[int, list[int]], dict[int, int]]:
        """By the position of the statement that first writes to it: values that need a buffer; and their last uses."""
        first: dict[int, list[int]] = {}
        last: dict[int, int] = {}
        known: dict[int, None] = {}
        for k, statement in enumerate(self.loop):
            root = self.root(statement.out)
            if root not in known and self._needs_buffer(root):
                known[root] = None
                first.setdefault(k, []).append(root)
            for number in (statement.out, *statement.args):
                last[self.root(number)] = k
        last.update({self.root(number): NEVER for number in ends})
        return first, last

    def _needs_buffer(self, number: int) -> bool:
        statement = self.plan.by_value.get(number)
        stored = number in self.plan.histories or number in self.next_of
        if statement is None or statement not in self.loop or stored:
            return False
        return number == statement.out and writes_into(self.program, statement)

    def _taken(self, number: int, dying: Sequence[int], free: list[int], holding: dict[int, int]) -> int:
        value = self.program.values[number]
        like = (value.shape, value.dtype, "F" if number in self.turned else "C")
        for buffer in dying:
            if self.shapes[buffer] == like:
                for owner in [owner for owner, held in holding.items() if held == buffer]:
                    del holding[owner]
                return buffer
        for buffer in free:
            if self.shapes[buffer] == like:
                free.remove(buffer)
                return buffer
        self.shapes.append(like)
        return len(self.shapes) - 1


def copies(parts: Mapping[int, tuple[int, int, int]], join: Statement, program: Program) -> list[tuple[int, int, int]]:
    """The parts of a join that are not in their places yet: value, start, stop."""
    result, start = [], 0
    for arg in join.args:
        stop = start + program.shape(arg)[-1]
        if parts.get(arg) != (join.out, start, stop):
            result.append((arg, start, stop))
        start = stop
    return result
