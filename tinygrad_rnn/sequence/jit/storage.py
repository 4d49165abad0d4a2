"""The place of each value of a compiled function: arrays for all steps, states, parts of joins, views, buffers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import PlanError
from ..plan.naming import plural
from ..plan.program import Statement
from ..plan.schedule import is_view
from ..plan.write_loop import Writer
from .numbers import KINDS
from .places import Place, part, viewed, whole
from .source import Argument


class Storage:
    """``place(number)`` of a value at a step; ``arrays`` that the function is given; ``buffers`` of one step.

    ``stored`` are the values of its ``groups`` of statements that are read elsewhere, and so are kept for all steps.
    """

    def __init__(self, writer: Writer, groups: Sequence[Sequence[Statement]], stored: Mapping[int, None],
                 next_of: Mapping[int, int]):  # fmt: skip
        self.writer, self.plan, self.program = writer, writer.plan, writer.program
        self.stored, self.next_of = stored, next_of
        self.now, self.then = ("t + 1", "t") if writer.backwards else ("t", "t + 1")
        self.group_of = {statement.out: k for k, group in enumerate(groups) for statement in group}
        self.places: dict[int, Place] = {}
        self.arrays: dict[str, Argument] = {}
        self.buffers: dict[str, None] = {}
        self.part_of: dict[int, tuple[int, int, int]] = {}
        for group in groups:
            for statement in group:
                if statement.op == "join":
                    self._place_parts(statement)
        self.needed = self._read_elsewhere(groups)

    def _place_parts(self, join: Statement) -> None:
        """Values that only the join keeps are written to their parts of it: its number, start, stop."""
        start = 0
        for arg in join.args:
            stop = start + self.program.shape(arg)[-1]
            alike = self.program.shape(arg)[:-1] == self.program.shape(join.out)[:-1]
            free = arg not in self.stored and arg not in self.next_of and arg not in self.part_of
            if free and alike and arg in self.group_of and self.plan.by_value[arg].op != "join":
                self.part_of[arg] = join.out, start, stop
            start = stop

    def _read_elsewhere(self, groups: Sequence[Sequence[Statement]]) -> dict[int, None]:
        """The values that are read in another group than their own, or through a view."""
        result: dict[int, None] = {}
        for k, group in enumerate(groups):
            for statement in group:
                for arg in statement.args:
                    source = self.source(arg)
                    if source != arg or self.group_of.get(arg) != k:
                        result[source] = None
        result.update((self.source(carry.next), None) for carry in self.writer.carries if carry.next is not None)
        return result

    def source(self, number: int) -> int:
        """The value that a view is taken of."""
        while is_view(self.plan.by_value.get(number)):
            number = self.plan.by_value[number].args[0]
        return number

    def in_memory(self, number: int) -> bool:
        """Does the function write the value to memory?"""
        return any(number in values for values in (self.stored, self.next_of, self.part_of, self.needed))

    def place(self, number: int) -> Place:
        """Where the value is at a step."""
        if number not in self.places:
            self.places[number] = self._find(number)
        return self.places[number]

    def _find(self, number: int) -> Place:
        statement, program = self.plan.by_value.get(number), self.program
        if statement is not None and is_view(statement):
            source = statement.args[0]
            place = viewed(statement.op, statement.attrs, self.place(source), program.shape(source))
            if place is None:
                raise PlanError(f"the loop cannot be compiled: it has a view by {statement.op}")
            return place
        name = self.writer.names.of.get(number, "")
        if number in self.part_of:
            join, start, _ = self.part_of[number]
            return part(self.place(join), start, len(program.shape(join)) - 1)
        if number in self.writer.state_of:
            return self.given(f"{name}_all", self.now, number)
        if (k := self.writer.buffers.next_of.get(number)) is not None and self.writer.carries[k].stored:
            return self.given(f"{self.writer.names.of[self.writer.carries[k].leaf]}_all", self.then, number)
        if number in self.group_of and number not in self.stored:
            self.buffers[f"{name}_now"] = None
            return self.given(f"{name}_now", "", number)
        if program.values[number].kind == "constant":
            return self.given(self.writer.texts.constant(program.values[number].array), "", number)
        timed = self.plan.timed(number)
        return self.given(plural(name) if timed else name, "t" if timed else "", number)

    def given(self, name: str, step: str, number: int) -> Place:
        """The place of a value in an array that the function is given; ``step`` is the text of its index of time."""
        value = self.program.values[number]
        if value.dtype.name not in KINDS:
            raise PlanError(f"the loop cannot be compiled: it has an array of {value.dtype.name}")
        steps = ("T + 1" if name.endswith("_all") else "T",) if step else ()
        self.arrays[name] = Argument(name, (*steps, *value.shape), value.dtype.name)
        return whole(name, step, value.shape)
