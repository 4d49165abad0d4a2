"""Merge equal operations on neighbouring slices into one operation on the whole.

::

    f = sigmoid(x @ Wx.f + b.f);  g = sigmoid(x @ Wx.g + b.g)      # Wx.f is Wx[:, 0:H], Wx.g is Wx[:, H:2*H]
    A = sigmoid(x @ Wx + b);      f = A[:, 0:H];  g = A[:, H:2*H]

The products merge first, then the sums that read their slices, then what reads these. Blocks of one stacked parameter
are such slices. An operation merges if it is elementwise, or a product whose right operands are slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...engine.op import OPS
from ...engine.shape import broadcast, equal
from ...tracing.slices import BASIC
from .program import Program, Statement, writes_into


class Part(NamedTuple):
    """A slice of the last axis of a value: ``parent[..., start:stop]``."""

    parent: int
    start: int
    stop: int


def part_of(program: Program, number: int) -> Part | None:
    """The slice of the last axis that a value is; None for other values."""
    statement = program.statements.get(number)
    if statement is None or statement.op != "getitem":
        return None
    index, shape = statement.attrs["index"], program.shape(statement.args[0])
    *others, last = index if isinstance(index, tuple) else (index,)
    whole = all(entry is Ellipsis or (isinstance(entry, slice) and entry == slice(None)) for entry in others)
    reaches = shape and (Ellipsis in others or len(others) + 1 == len(shape)) if whole else False
    if not reaches or type(last) not in BASIC or not isinstance(last, slice):
        return None
    start, stop, step = last.indices(shape[-1])
    return Part(statement.args[0], start, stop) if step == 1 and start < stop else None


def is_elementwise(op: str) -> bool:
    """Does every element of the result depend on the elements at its place alone?"""
    if op in OPS:
        spec = OPS[op]
        return spec.shape in (broadcast, equal) and not spec.keeps and "rng" not in spec.attributes
    return isinstance(getattr(np, op, None), np.ufunc)


def merge(program: Program, roots: Sequence[int]) -> tuple[Program, dict[int, int]]:
    """The program with merged operations, and the numbers in it of the values of the old one."""
    numbers = {value.number: value.number for value in program.values}
    while groups := _groups(program, roots):
        program, step = _rewritten(program, groups)
        numbers = {old: step[new] for old, new in numbers.items() if new in step}
        roots = [step[root] for root in roots]
    return program, numbers


def _groups(program: Program, roots: Sequence[int]) -> dict[int, list[Statement]]:
    """Statements that merge, by the first of each group."""
    alike: dict[Any, list[tuple[int, Statement]]] = {}
    for statement in program.used(roots).values():
        if (key := _key(program, statement)) is not None:
            alike.setdefault(key[0], []).append((key[1], statement))
    groups = {}
    for members in alike.values():
        members.sort(key=lambda member: member[0])
        run: list[Statement] = []
        for _, statement in members:
            if run and not _adjacent(program, run[-1], statement):
                groups.update({run[0].out: run} if len(run) > 1 else {})
                run = []
            run.append(statement)
        groups.update({run[0].out: run} if len(run) > 1 else {})
    return groups


def _key(program: Program, statement: Statement) -> tuple[Any, int] | None:
    """What statements have to share to merge, and where on the last axis the statement stands."""
    product = statement.op == "matmul" and len(program.shape(statement.args[1])) == 2
    if statement.attrs or statement.draws or not (product or is_elementwise(statement.op)):
        return None
    width = program.shape(statement.out)[-1:]
    operands: list[Any] = []
    first: Part | None = None
    for k, arg in enumerate(statement.args):
        part, shape = part_of(program, arg), program.shape(arg)
        if product and k == 0:
            operands.append(arg)
        elif part is not None and shape[-1:] == width:
            first = first or part
            operands.append((part.parent, part.start - first.start))
        elif not product and shape[-1:] in ((), (1,)):
            operands.append(arg)
        else:
            return None
    if first is None or not width:
        return None
    return (statement.op, *operands), first.start


def _adjacent(program: Program, before: Any, after: Statement) -> bool:
    parts = [(part_of(program, a), part_of(program, b)) for a, b in zip(before.args, after.args) if a != b]
    return all(a is not None and b is not None and a.stop == b.start for a, b in parts)


def _described(program: Program, groups: dict[int, list[Statement]]) -> list[str]:
    """Each group in words: ``matmul of Wx.f, Wx.g``, by its operands or results that have names."""
    lines = []
    for group in groups.values():
        sides = [*zip(*(statement.args for statement in group)), [statement.out for statement in group]]
        columns = [[program.values[number].name for number in side] for side in sides]
        named = [names for names in columns if len(dict.fromkeys(names)) == len(group) and all(names)]
        lines.append(f"{group[0].op} of {', '.join(named[0]) if named else f'{len(group)} blocks'}")
    return lines


def _rewritten(program: Program, groups: dict[int, list[Statement]]) -> tuple[Program, dict[int, int]]:
    """The program in which each group is one statement, and slices of its result."""
    members = {statement.out: (lead, group) for lead, group in groups.items() for statement in group}
    new, numbers = Program(rng=program.rng, merged=[*program.merged, *_described(program, groups)]), dict[int, int]()
    for value in program.values:
        number = value.number
        statement = program.statements.get(number)
        if statement is None and number not in numbers:
            numbers[number] = new.leaf(value.kind, value.name, value.array)
        elif statement is not None and number in members:
            numbers[number] = _member(program, new, numbers, statement, members[number][1])
        elif statement is not None:
            copied(program, new, numbers, statement)
    return new, numbers


def copied(old: Program, new: Program, numbers: dict[int, int], statement: Statement) -> None:
    """Add a statement of an old program to a new one, and note the numbers of its values.

    A result that is never a view of an operand keeps its sample array.
    """
    args, name = [numbers[arg] for arg in statement.args], old.values[statement.out].name
    fresh = not statement.kept and (statement.op == "matmul" or writes_into(old, statement))
    known = [old.values[statement.out].array] if fresh else []
    out = new.add(statement.op, args, statement.attrs, name, statement.function, statement.draws, known)
    numbers[statement.out] = out
    numbers.update(zip(statement.kept, new.statements[out].kept))


def _member(
    program: Program, new: Program, numbers: dict[int, int], statement: Statement, group: list[Statement]
) -> int:
    """The value of a member of a group: a slice of the result of the whole group."""
    ends = [(part_of(program, a), part_of(program, b)) for a, b in zip(group[0].args, group[-1].args)]
    args, start, offset = [], 0, 0
    for k, (first, last) in enumerate(ends):
        if first is None or last is None or (statement.op == "matmul" and k == 0):
            args.append(numbers[statement.args[k]])
            continue
        start = first.start
        offset = part_of(program, statement.args[k]).start - start  # type: ignore[union-attr]
        args.append(sliced(new, numbers[first.parent], first.start, last.stop))
    names = [program.values[member.out].name for member in group]
    between = "_" if max(map(len, names)) > 1 else ""  # i and o are io
    whole = new.add(statement.op, args, name=between.join(names) if all(names) else "")
    width = program.shape(statement.out)[-1]
    return sliced(new, whole, offset, offset + width, program.values[statement.out].name)


def sliced(program: Program, number: int, start: int, stop: int, name: str = "") -> int:
    """``value[..., start:stop]``, or the value itself if that is all of it."""
    if (start, stop) == (0, program.shape(number)[-1]):
        return number
    if (part := part_of(program, number)) is not None:
        return sliced(program, part.parent, part.start + start, part.start + stop, name)
    return program.add("getitem", (number,), {"index": (..., slice(start, stop))}, name)
