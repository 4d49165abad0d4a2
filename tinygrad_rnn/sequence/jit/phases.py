"""The statements for all steps at once, in phases: what is compiled, and the calls of NumPy in between.

Elementwise operations, reductions within a step, joins and sums over time are compiled: a phase of them is one pass
over the steps, in which most values are kept for a single step. Large products are calls of NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..plan.program import Statement
from ..plan.schedule import Schedule, is_view
from .moves import MOVES
from .numbers import KINDS
from .scalars import is_elementwise, is_reduction


@dataclass
class Phase:
    """Statements that are compiled together, with the views that they read, or that are calls of NumPy."""

    compiled: bool
    statements: list[Statement] = field(default_factory=list)


def sink(plan: Schedule, ends: Sequence[int]) -> None:
    """Move statements that only the section after the loop reads into it, so that it need not read them."""
    read = dict.fromkeys([*ends, *(arg for statement in plan.sections["loop"] for arg in statement.args)])
    moved, stay = list[Statement](), list[Statement]()
    for statement in reversed(plan.sections["before"]):
        fits = is_view(statement) or is_compiled(plan, statement)
        if plan.sections["after"] and fits and not any(out in read for out in statement.outs):
            moved.append(statement)
            plan.place[statement.out] = "after"
        else:
            stay.append(statement)
            read.update(dict.fromkeys(statement.args))
    plan.sections["before"], plan.sections["after"] = stay[::-1], [*moved[::-1], *plan.sections["after"]]


def phases(plan: Schedule, statements: Sequence[Statement], fused: Mapping[int, str | None]) -> list[Phase]:
    """The phases of ``statements``; those that are ``fused`` with a sum over time are calls of NumPy."""
    fused = {out: text for out, text in fused.items() if not _adds_up(plan, statements, out)}
    level: dict[int, int] = {}
    result: dict[int, Phase] = {}
    for statement in statements:
        if fused.get(statement.out, "") is None:
            continue
        reads = max((level[arg] for arg in reads_of(plan, statement, fused) if arg in level), default=-1)
        compiled = statement.out not in fused and is_compiled(plan, statement)
        if is_view(statement):
            level[statement.out] = reads
        else:
            start = max(reads, 0)
            level[statement.out] = start + (start % 2 if compiled else 1 - start % 2)
        place = level[statement.out]
        level.update(dict.fromkeys(statement.kept, place))
        result.setdefault(place, Phase(place >= 0 and place % 2 == 0)).statements.append(statement)
    return [result[place] for place in sorted(result)]


def reads_of(plan: Schedule, statement: Statement, fused: Mapping[int, str | None]) -> list[int]:
    """The values that the line of a statement reads."""
    if not fused.get(statement.out):
        return list(statement.args)
    reads = list[int]()
    for arg in plan.by_value[statement.args[0]].args:
        inner = plan.by_value.get(arg)
        reads += [arg, *(inner.args if inner is not None and is_view(inner) else ())]
    return reads


def is_compiled(plan: Schedule, statement: Statement) -> bool:
    """Can the statement be a part of a pass over the steps?"""
    program = plan.program
    if any(program.values[number].dtype.name not in KINDS for number in (*statement.outs, *statement.args)):
        return False
    if statement.op == "time_sum":
        return plan.timed(statement.args[0])
    if not plan.timed(statement.out) or statement.kept or statement.draws:
        return False
    moves = statement.op in ("join", "reshape", *MOVES)
    return moves or is_elementwise(program, statement) or is_reduction(program, statement)


def _adds_up(plan: Schedule, statements: Sequence[Statement], out: int) -> bool:
    """Is it a sum over rows, or the sum of it over time, of a value that a phase computes?"""
    statement = plan.by_value[out]
    inner = plan.by_value[statement.args[0]] if statement.op == "time_sum" else statement
    if inner.op != "sum" or not is_compiled(plan, inner):
        return False
    source = plan.by_value.get(inner.args[0])
    return source is not None and source in statements and is_compiled(plan, source)
