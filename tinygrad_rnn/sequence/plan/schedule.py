"""Where each statement runs: once a sequence, for all steps before the loop, in the loop, after it, or at the end.

The loop keeps what the next step needs, and what can only be run step by step. A known value is hoisted before the
loop; a carried value that the next step does not need is sunk after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...ops.index import basic
from .adjoint import CARRIED, KNOWN, STATIC, SUMMED, classes
from .batch import can_batch
from .program import Program, Statement

SECTIONS = ("once", "before", "loop", "after", "end")
#: Operations whose result shares memory with their operand, or may: nothing in a plan changes an operand.
VIEWS = ("transpose", "swapaxes", "expand_dims", "squeeze", "detach", "copy")


def is_view(statement: Statement | None) -> bool:
    """Is the result a part of the operand, or the operand in another shape?"""
    if statement is None:
        return False
    return statement.op in VIEWS or (statement.op == "getitem" and basic(statement.attrs["index"]))


def computes(statement: Statement) -> bool:
    """Does the statement compute numbers? Views, and joins of parts that are written in their places, do not."""
    return not is_view(statement) and statement.op != "join"


@dataclass
class Schedule:
    """The statements of each section; ``histories``: the values of the loop that are stored for all steps."""

    program: Program
    of_class: dict[int, int]
    sections: dict[str, list[Statement]] = field(default_factory=lambda: {name: [] for name in SECTIONS})
    place: dict[int, str] = field(default_factory=dict)
    histories: dict[int, None] = field(default_factory=dict)
    by_value: dict[int, Statement] = field(default_factory=dict)

    def timed(self, number: int) -> bool:
        """Does the value change from step to step?"""
        return self.of_class[number] in (KNOWN, CARRIED)


def schedule(program: Program, leaves: Mapping[int, int], carry: Sequence[int], roots: Sequence[int]) -> Schedule:
    """Place every statement that ``carry`` (needed by the next step) and ``roots`` (needed for all steps) depend on."""
    result = Schedule(program, classes(program, leaves))
    live = program.used([*carry, *roots])
    result.by_value = {out: statement for statement in live.values() for out in statement.outs}
    steps = _step_by_step(result, live)
    needed = dict.fromkeys(carry)
    for statement in reversed(live.values()):
        looped = any(out in needed for out in statement.outs) or statement.out in steps
        if result.of_class[statement.out] == CARRIED and looped:
            result.place.update(dict.fromkeys(statement.outs, "loop"))
            needed.update(dict.fromkeys(statement.args))
    for statement in live.values():
        _assign(result, statement)
    for number in [*carry, *roots]:
        if number in roots:
            _need_all_steps(result, number)
    for statement in [*result.sections["after"], *result.sections["end"]]:
        for arg in statement.args:
            _need_all_steps(result, arg)
    order = {statement.out: k for k, statement in enumerate(live.values())}
    result.sections["after"].sort(key=lambda statement: order[statement.out])
    return result


def _step_by_step(result: Schedule, live: Mapping[int, Statement]) -> dict[int, None]:
    """The statements that cannot be written for all steps; what depends on them counts as carried."""
    steps: dict[int, None] = {}
    for statement in live.values():
        number = statement.out
        if any(result.of_class[arg] == CARRIED for arg in statement.args) and result.of_class[number] == KNOWN:
            result.of_class.update(dict.fromkeys(statement.outs, CARRIED))
        timed = [result.timed(arg) for arg in statement.args]
        if result.of_class[number] in (KNOWN, CARRIED) and not can_batch(result.program, statement, timed):
            steps[number] = None
            result.of_class.update(dict.fromkeys(statement.outs, CARRIED))
    return steps


def _assign(result: Schedule, statement: Statement) -> None:
    of_class = result.of_class[statement.out]
    place = {STATIC: "once", KNOWN: "before", SUMMED: "end"}.get(of_class) or result.place.get(statement.out, "after")
    result.place.update(dict.fromkeys(statement.outs, place))
    result.sections[place].append(statement)


def _need_all_steps(result: Schedule, number: int) -> None:
    """A value of the loop is read outside of it: store it, or if it is a view store what it is a view of."""
    if result.place.get(number) != "loop":
        return
    statement = result.by_value[number]
    if is_view(statement) and number not in statement.kept:
        if not any(other.out == number for other in result.sections["after"]):
            result.sections["after"].append(statement)
            _need_all_steps(result, statement.args[0])
    else:
        result.histories[number] = None
