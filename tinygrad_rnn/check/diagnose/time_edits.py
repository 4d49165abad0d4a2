"""Mistakes made between steps, and with what comes in: a cut, a gradient that is carried twice, dhs ignored."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .as_python import added
from .candidates import Seen, Slots
from .operand import FACTORS, times
from .tape import Change, Edit, Line, Tape
from .wording import Words

PRIME = "'"
#: What may become of the gradients of one cotangent, in the order of the steps.
INCOMING: dict[str, tuple[str, Callable[[list[Any]], list[Any]]]] = {
    "{n} is ignored": ("incoming", lambda g: [0 * one for one in g]),
    "{n} is added twice": ("incoming", lambda g: [2 * one for one in g]),
    "{n} has the wrong sign": ("incoming", lambda g: [-one for one in g]),
    "{n} is halved": ("incoming", lambda g: [0.5 * one for one in g]),
}
STEPWISE: dict[str, tuple[str, Callable[[list[Any]], list[Any]]]] = {
    "only the last step of {n} is used": ("incoming", lambda g: [*(0 * one for one in g[:-1]), g[-1]]),
    "the last step of {n} is ignored": ("incoming", lambda g: [*g[:-1], 0 * g[-1]]),
    "the first step of {n} is ignored": ("incoming", lambda g: [0 * g[0], *g[1:]]),
    "only the first step of {n} is used": ("incoming", lambda g: [g[0], *(0 * one for one in g[1:])]),
    "{n}[:, t - 1] is used at step t": ("step", lambda g: [g[-1], *g[:-1]]),
    "{n}[:, t - 1] is used at step t, nothing at the first": ("step", lambda g: [0 * g[0], *g[:-1]]),
    "{n}[:, t + 1] is used at step t": ("step", lambda g: [*g[1:], g[0]]),
    "{n}[:, t + 1] is used at step t, nothing at the last": ("step", lambda g: [*g[1:], 0 * g[0]]),
    "{n} is taken in the wrong order of time": ("reversed", lambda g: g[::-1]),
}


def incoming(groups: dict[str, dict[int, Any]]) -> Iterator[Edit]:
    """Mistakes with what comes in."""
    for name, group in groups.items():
        for form, (kind, change) in {**INCOMING, **(STEPWISE if len(group) > 1 else {})}.items():
            text = form.format(n=name)
            yield Edit(kind, name, f"{name}: {text}", incoming={name: _on_list(change)}, rank=1)


def _on_list(change: Callable[[list[Any]], list[Any]]) -> Callable[[dict[int, Any]], dict[int, Any]]:
    return lambda group: dict(zip(group, change(list(group.values()))))


def caches(tape: Tape) -> Iterator[Edit]:
    """The caches of another step."""
    if tape.counts.get("T", 1) > 1:
        for late, told in ((1, "before"), (-1, "after")):
            text = f"at every step, what the step {told} has kept is used (around the end), should be its own"
            yield Edit("step", "caches", text, cache=late, rank=2)


def totals(words: Words, slots: Slots) -> Iterator[Edit]:
    """Mistakes with the whole gradient by a value that several ways lead into, and with what is carried over time."""
    tape = words.tape
    for line, numbers in tape.lines.items():
        ways = slots.ways(numbers[0]) if line[0] != "given" else []
        if not ways:
            continue
        tensor = words.gradient_name(numbers[0])
        told = added(map(_way, ways))
        for form, (kind, number) in FACTORS.items():
            wrong = form.format(r=f"({told})")
            text = f"{tensor} = {wrong}   ->   {tensor} = {told}"
            yield Edit(kind, tensor, text, into={line: times(number)}, rank=1)
        yield from _carried(words, line, tensor, ways)


def stacked(words: Words) -> Iterator[Edit]:
    """The gate blocks of a stacked sum in another order, or one of them in the place of another."""
    tape = words.tape
    for line, numbers in tape.lines.items():
        shape = tape.values[numbers[0]].shape or ()
        names = words.blocks.get(shape[-1], ()) if shape and line[0] != "given" else ()
        cut = names and all(tape.values[t].op == "getitem" for t, _ in words.readers.get(numbers[0], [(0, 0)]))
        if not cut:
            continue
        tensor, right = words.gradient_name(numbers[0]), list(range(len(names)))
        single = [[*right[:k], j, *right[k + 1 :]] for k in right for j in right if j != k]
        for order in [*map(list, itertools.permutations(right)), *single]:
            told = " ".join(names[k] for k in order)
            kind = "permuted" if sorted(order) == right else "copied"
            text = f"{tensor} = [{told}]   ->   {tensor} = [{' '.join(names)}], by gate blocks"
            if order != right:
                yield Edit(kind, tensor, text, into={line: _ordered(order)}, rank=1)


def _ordered(order: list[int]) -> Change:
    def change(tape: Tape, t: int, dy: Any, total: Any) -> Any:
        blocks = np.split(total, len(order), axis=-1)
        return np.concatenate([blocks[k] for k in order], axis=-1)

    return change


#: What may become of what is carried, as how much more often it counts.
CARRIED: dict[str, tuple[str, int]] = {"added twice": ("path doubled", 1), "of the wrong sign": ("path sign", -2)}


def _carried(words: Words, line: Line, tensor: str, ways: list[Seen]) -> Iterator[Edit]:
    """What comes from the step after: all of it, or one way, is forgotten, doubled or negated."""
    late = [one for one in ways if isinstance(one.number, tuple) and one.number[2]]
    ends = [one for one in ways if isinstance(one.number, str) and one.number != "dhs"]
    state = f"d{tensor[1:].rstrip(PRIME)}"
    if not late:
        return
    for rank, gone in enumerate([late, [*late, *ends]][: 1 + bool(ends)]):
        rest = added(_way(one) for one in ways if one not in gone) or "0"
        right = added(_way(one) for one in [*(one for one in ways if one not in gone), *gone])
        numbers = [one.number for one in gone]
        text = f"{tensor} = {rest}   ->   {tensor} = {right}: nothing is carried from one step to the one before"
        yield Edit("cut", state, text, into={line: _plus(numbers, -1)}, rank=rank)
        for said, (kind, much) in CARRIED.items():
            text = f"{tensor}: {added(_way(one) for one in gone)} is {said}"
            yield Edit(kind, state, text, into={line: _plus(numbers, much)}, rank=1 + rank)
    yield from _again(words, line, tensor, state)
    for one in late if len(late) > 1 else ():
        for said, (kind, much) in {**CARRIED, "missing": ("path missing", -1)}.items():
            text = f"{tensor}: its part {_way(one)} is {said}"
            yield Edit(kind, state, text, into={line: _plus([one.number], much)}, rank=2)


def _again(words: Words, line: Line, tensor: str, state: str) -> Iterator[Edit]:
    """The gradient of a state handed on to the state before as it is, beside what belongs there."""
    tape = words.tape
    given = next((other for other in tape.lines if other == ("given", state[1:])), None)
    change: dict[Line, Change] = {line: _with_the_next(line)}
    if given is not None:
        change[given] = _with_the_first(line)
    text = f"{state} has a term {tensor} too many: the gradient that came in is handed on beside its own"
    yield Edit("extra", state, text, into=change, rank=3)


def _with_the_next(line: Line) -> Change:
    def change(tape: Tape, t: int, dy: Any, total: Any) -> Any:
        after = tape.lines[line][t + 1 : t + 2]
        return total + tape.totals[after[0]] if after and after[0] in tape.totals else total

    return change


def _with_the_first(line: Line) -> Change:
    return lambda tape, t, dy, total: total + tape.totals.get(tape.lines[line][0], 0)


def _way(one: Seen) -> str:
    """A way into a gradient, in words."""
    if isinstance(one.number, str):
        return "dhs[:, t]" if one.number == "dhs" else f"{one.number} at the last step"
    return f"{one.label} of the step after" if one.number[2] else one.label


def _plus(ways: list[Any], much: float) -> Change:
    """The total with these ways counted ``much`` more often."""

    def change(tape: Tape, t: int, dy: Any, total: Any) -> Any:
        for key, part in tape.parts[tape.current]:
            if tape.way(key, tape.current) in ways:
                total = total + much * part
        return total

    return change
