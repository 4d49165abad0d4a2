"""Elementwise operations of one shape as chains: one loop over the elements computes all of them.

`into_loop` takes elementwise statements that only the loop reads back from the statements for all steps: in a compiled
loop their values stay in registers. `chains` then puts the statements of the loop into an order in which many of the
same shape follow each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..plan.adjoint import KNOWN
from ..plan.program import Statement
from ..plan.schedule import Schedule, is_view
from .scalars import is_elementwise


def into_loop(plan: Schedule, ends: Sequence[int]) -> None:
    """Move statements for all steps, whose readers are all in the loop, into the loop."""
    outside = [statement for name in ("once", "after", "end") for statement in plan.sections[name]]
    read = dict.fromkeys([*ends, *plan.histories, *(arg for statement in outside for arg in statement.args)])
    loop, before = plan.sections["loop"], plan.sections["before"]
    moved, stay = [], []
    for statement in reversed(before):
        is_free = is_view(statement) and not statement.kept
        fits = statement.out not in read and (is_free or is_elementwise(plan.program, statement))
        if loop and fits and plan.of_class[statement.out] == KNOWN:
            moved.append(statement)
            plan.place[statement.out] = "loop"
        else:
            stay.append(statement)
            read.update(dict.fromkeys(statement.args))
    plan.sections["before"] = stay[::-1]
    plan.sections["loop"] = sorted([*moved, *loop], key=lambda statement: statement.out)


def chains(plan: Schedule, statements: Sequence[Statement]) -> list[list[Statement]]:
    """The statements but views, in groups: elementwise ones of one shape, or a single other one."""
    program = plan.program
    groups: list[list[Statement]] = []
    group_of: dict[int, int] = {}  # by value
    direct: dict[int, int] = {}  # the value that a view is taken of
    for statement in statements:
        if is_view(statement):
            source = direct.get(statement.args[0], statement.args[0])
            direct[statement.out] = source
            group_of[statement.out] = group_of.get(source, -1) + 1
            continue
        shape, together = program.shape(statement.out), is_elementwise(program, statement)
        first = 0
        for arg in statement.args:
            same = together and arg not in direct and program.shape(arg) == shape
            first = max(first, group_of.get(arg, 0) + (arg in group_of and arg not in direct and not same))
        place = next((k for k in range(first, len(groups)) if together and _joins(plan, groups[k], shape)), len(groups))
        if place == len(groups):
            groups.append([])
        groups[place].append(statement)
        group_of.update(dict.fromkeys(statement.outs, place))
    return groups


def _joins(plan: Schedule, group: Sequence[Statement], shape: tuple[int, ...]) -> bool:
    program = plan.program
    return is_elementwise(program, group[0]) and program.shape(group[0].out) == shape
