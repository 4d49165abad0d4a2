"""Where the statements for all steps at once write: over an operand that is not read again, or into pooled memory."""

from __future__ import annotations

from collections.abc import Sequence

from .buffers import NEVER, in_place
from .program import Statement, writes_into
from .schedule import SECTIONS, Schedule, is_view


class BulkBuffers:
    """``over[number]`` is the operand that the statement of ``number`` writes over.

    ``ends`` are the values that are read after all statements: those that are returned, saved or carried.
    """

    def __init__(self, plan: Schedule, ends: Sequence[int]):
        self.plan, self.program = plan, plan.program
        self.over: dict[int, int] = {}
        self.roots: dict[int, dict[int, None]] = {}
        order = [statement for name in SECTIONS for statement in plan.sections[name]]
        for statement in order:
            self.roots.update(dict.fromkeys(statement.outs, self._memory(statement)))
        self.last: dict[int, int] = {}
        for k, statement in enumerate(order):
            for arg in self._reads(statement):
                self.last.update(dict.fromkeys(self.root(arg), k))
        for number in ends:
            self.last.update(dict.fromkeys(self.root(number), NEVER))
        for k, statement in enumerate(order):
            if self.fits(statement) and in_place(self.program, statement):
                self._place(k, statement)

    def fits(self, statement: Statement) -> bool:
        """Is it written for all steps at once, into an array that is there already?"""
        bulk = self.plan.place[statement.out] in ("before", "after") and self.plan.timed(statement.out)
        return bulk and statement.op != "join" and not is_view(statement) and writes_into(self.program, statement)

    def root(self, number: int) -> dict[int, None]:
        """The values in whose memory a value may lie."""
        return self.roots.get(number, {number: None})

    def _memory(self, statement: Statement) -> dict[int, None]:
        known = dict.fromkeys(statement.outs)
        if is_view(statement) or (statement.op != "matmul" and not writes_into(self.program, statement)):
            for arg in statement.args:  # of a function that may return a view
                known |= self.root(arg)
        return known

    def _reads(self, statement: Statement) -> list[int]:
        """The operands. A sum over time may be one call with the statement whose result it sums (see `Sections`)."""
        reads = list(statement.args)
        if statement.op == "time_sum" and statement.args[0] in self.plan.by_value:
            reads += self.plan.by_value[statement.args[0]].args
        return reads

    def _place(self, k: int, statement: Statement) -> None:
        like = self.program.values[statement.out]
        for arg in statement.args:
            value, source = self.program.values[arg], self.plan.by_value.get(arg)
            alike = value.shape == like.shape and value.dtype == like.dtype
            free = source is not None and self.fits(source) and self.last[arg] == k and arg not in self.over.values()
            alone = all(other == arg or arg not in self.root(other) for other in statement.args)
            if alike and free and alone:
                self.over[statement.out] = arg
                return
