"""The backward pass of one step, added to its program.

Gradients that come in are leaves of the kind "cotangent": ``carried[k]`` by the new state k from the step after, and
``incoming`` by the output. The gradient by a value that is the same in every step (a parameter) is the sum of the
gradients of all steps: ``time_sum``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .merge import part_of
from .program import Program, Statement
from .rules import has_rule, pulled

STATIC, KNOWN, CARRIED, SUMMED = range(4)
#: By the kind of a leaf: is it the same in every step, known for all steps before the loop, or carried on by the loop?
CLASS_OF = {"parameter": STATIC, "config": STATIC, "outer": STATIC, "constant": STATIC, "input": KNOWN,
            "state": CARRIED, "cotangent": CARRIED}  # fmt: skip


def classes(program: Program, leaves: Mapping[int, int]) -> dict[int, int]:
    """The class of every value, given those of the leaves: the latest of its operands'."""
    result = dict(leaves)
    for statement in program.statements.values():
        latest = max((result[arg] for arg in statement.args), default=STATIC)
        latest = max(latest, CARRIED) if statement.draws else latest
        latest = SUMMED if statement.op == "time_sum" else latest
        result.update(dict.fromkeys(statement.outs, latest))
    return result


def leaf_classes(program: Program) -> dict[int, int]:
    """The classes of the leaves in the forward pass."""
    return {value.number: CLASS_OF[value.kind] for value in program.values if value.kind in CLASS_OF}


@dataclass
class Backward:
    """The gradients of a step: ``before[k]`` by state k, ``of[n]`` by the wanted leaf n; None where none flows."""

    incoming: int
    carried: list[int]
    before: list[int | None] = field(default_factory=list)
    of: dict[int, int | None] = field(default_factory=dict)


class Adjoint:
    """Adds the gradients of a step to its program, the last statement first."""

    def __init__(self, program: Program, output: int, states: Sequence[int], new: Sequence[int], wanted: Sequence[int]):
        self.program, self.of_class = program, classes(program, leaf_classes(program))
        self.ways: dict[int, list[int]] = {}
        self.needs = dict.fromkeys([*wanted, *states])
        forward = list(program.used([output, *new]).values())
        for statement in forward:
            if any(arg in self.needs and has_rule(statement, k) for k, arg in enumerate(statement.args)):
                self.needs[statement.out] = None
        rng = np.random.default_rng(0)
        self.result = Backward(self._cotangent(output, rng, "output"), [self._cotangent(k, rng, "") for k in new])
        for number, leaf in zip([output, *new], [self.result.incoming, *self.result.carried]):
            self._arrive(number, leaf)
        for static in (False, True):
            for statement in reversed(forward):
                if (self.of_class[statement.out] == STATIC) == static:
                    self._pull(statement)
        self.result.before = [self._total(state) for state in states]
        self.result.of = {leaf: self._total(leaf) for leaf in wanted}

    def _cotangent(self, number: int, rng: np.random.Generator, name: str) -> int:
        like = self.program.values[number]
        array = rng.uniform(0.5, 1.5, like.shape).astype(like.dtype)
        return self.program.leaf("cotangent", f"d{name or like.name or 'state'}", array)

    def _arrive(self, number: int, gradient: int) -> None:
        if number in self.needs:
            self.ways.setdefault(number, []).append(gradient)

    def _pull(self, statement: Statement) -> None:
        total = self._total(statement.out) if statement.out in self.needs else None
        for k, arg in enumerate(statement.args if total is not None else ()):
            if arg in self.needs and has_rule(statement, k):
                gradient = pulled(self.program, statement, k, total)  # type: ignore[arg-type]
                if self.of_class[arg] == STATIC != self.of_class[statement.out]:
                    gradient = self.program.add("time_sum", (gradient,), function=_same)
                self._arrive(arg, gradient)

    def _total(self, number: int) -> int | None:
        """The sum of the gradients that have arrived; those of neighbouring slices are joined."""
        ways = self.ways.get(number)
        if not ways:
            return None
        ways = self._joined(ways)
        total, name = ways[0], self.program.values[number].name
        for way in ways[1:]:
            total = self.program.add("add", (total, way))
        if name and not self.program.values[total].name:
            self.program.values[total].name = f"d{name}"
        self.ways[number] = [total]
        return total

    def _joined(self, ways: Sequence[int]) -> list[int]:
        scatters = [(part, way) for way in ways if (part := _put_back(self.program, way)) is not None]
        scatters.sort()
        ends = [end for (start, stop, _), _ in scatters for end in (start, stop)]
        size = self.program.shape(ways[0])[-1:] if ways else ()
        if len(scatters) < 2 or ends[1:-1:2] != ends[2::2] or (ends[0], ends[-1]) != (0, *size):
            return list(ways)
        join = self.program.add("join", [inside for (*_, inside), _ in scatters], function=_join)
        gone = [way for _, way in scatters]
        return [join, *(way for way in ways if way not in gone)]


def _same(g: np.ndarray) -> np.ndarray:
    return g


def _join(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=-1)


def _put_back(program: Program, number: int) -> tuple[int, int, int] | None:
    """Of a gradient that goes back into a slice of the last axis: start, stop, and what goes there."""
    statement = program.statements.get(number)
    if statement is not None and statement.op == "time_sum":
        return None
    if statement is None or statement.op != "scatter":
        return None
    probe = Program()
    whole = probe.leaf("input", "", np.broadcast_to(np.zeros(()), program.shape(number)))
    part = part_of(probe, probe.add("getitem", (whole,), {"index": statement.attrs["index"]}))
    return None if part is None else (part.start, part.stop, statement.args[0])
