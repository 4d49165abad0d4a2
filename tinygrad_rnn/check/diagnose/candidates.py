"""Which values of the forward pass could stand for which: those of the same shape, at the same step or beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.op import OPS
from .as_python import enclosed
from .tape import Slot, Tape
from .wording import Words


@dataclass(frozen=True)
class Seen:
    """A value at every run of a line, or that of ``shift`` steps later; off the end it is zero, or begins again."""

    slot: Slot
    label: str
    numbers: tuple[int, ...]
    shape: tuple[int, ...]
    shift: int = 0
    wraps: bool = False
    number: Any = None

    def at(self, tape: Tape, t: int) -> Any:
        runs = len(tape.lines[self.slot[0]])
        s = t + self.shift
        if runs == 1 or 0 <= s < runs:
            return tape.at(self.slot, s if runs > 1 else 0)
        if self.wraps:
            return tape.at(self.slot, s % runs)
        return np.zeros_like(tape.at(self.slot, t))

    @property
    def atom(self) -> str:
        return enclosed(self.label)

    @property
    def rank(self) -> int:
        return 3 * (self.shift != 0) + self.wraps + len(self.label) // 12

    def same(self, other: Seen) -> bool:
        return self.numbers == other.numbers and self.shift == other.shift


class Slots:
    """All values of a tape, each once, by what it could stand for."""

    def __init__(self, words: Words):
        self.words, self.tape = words, words.tape
        self.every: dict[tuple[int, ...], Seen] = {}
        for line, numbers in self.tape.lines.items():
            self._add((line, None), numbers)
            spec = OPS.get(self.tape.values[numbers[0]].op)
            for k in range(0 if spec is None or spec.variadic else len(spec.arguments)):
                if all((n, k) in self.tape.operands for n in numbers):
                    self._add((line, k), [self.tape.operands[n, k] for n in numbers])

    def _add(self, slot: Slot, numbers: Any) -> None:
        one = self.tape.values[numbers[0]]
        if one.shape and one.kind != "constant" and tuple(numbers) not in self.every:
            self.every[tuple(numbers)] = Seen(slot, self.words.label(numbers[0]), tuple(numbers), one.shape)

    def of(self, slot: Slot) -> Seen:
        """What is in a slot itself."""
        line, k = slot
        numbers = self.tape.lines[line] if k is None else [self.tape.operands[n, k] for n in self.tape.lines[line]]
        one = self.tape.values[numbers[0]]
        return Seen(slot, self.words.label(numbers[0]), tuple(numbers), one.shape or ())

    def like(self, slot: Slot, beside: bool = True) -> list[Seen]:
        """What could stand in a slot: of its shape, made as often; and that of a step before or after."""
        mine, runs = self.of(slot), len(self.tape.lines[slot[0]])
        found = []
        for seen in self.every.values():
            if seen.shape != mine.shape or len(self.tape.lines[seen.slot[0]]) not in (1, runs):
                continue
            found.append(seen)
            if beside and runs > 1 and len(self.tape.lines[seen.slot[0]]) == runs and _named(seen):
                found += [_shifted(seen, -1), _shifted(seen, -1, True), _shifted(seen, 1), _shifted(seen, 1, True)]
        return found

    def kind(self, slot: Slot, seen: Seen, form: str) -> str:
        """What it is to write ``form`` of ``seen`` for what is in the slot."""
        mine = self.of(slot)
        if self._argument_of(mine, seen) and form in ("{v}", "tanh({v})", "sigmoid({v})"):
            return "argument"
        if self._argument_of(seen, mine) and form == "{v}":
            return "argument"
        if mine.numbers == seen.numbers:
            if form == "{v}":
                return "step"
            return "argument" if form in ("tanh({v})", "sigmoid({v})", "(1 - {v})") else "operand"
        moved = set(mine.numbers[1:]) & set(seen.numbers[:-1]) or set(mine.numbers[:-1]) & set(seen.numbers[1:])
        primed = mine.label.rstrip("'") == seen.label.rstrip("'")
        if form == "{v}" and (moved or primed or (seen.shift and mine.label == seen.label)):
            return "step"
        return "argument" if form == "{v}" and self._complement(mine, seen) else "operand"

    def _complement(self, y: Seen, x: Seen) -> bool:
        """Is y made of x by taking it from a number, as 1 - z is of z?"""
        number = y.numbers[0]
        made = self.tape.values[number].op == "subtract" and self.words.unary(number)
        return made and self.words.made_of(number) == x.numbers[0]

    def _argument_of(self, y: Seen, x: Seen) -> bool:
        """Is y an activation of x?"""
        one = self.tape.values[y.numbers[0]]
        return one.op in ("tanh", "sigmoid") and self.tape.operands[y.numbers[0], 0] == x.numbers[0]

    def gradients(self, slot: Slot) -> list[Seen]:
        """The gradients that could stand for the one of a line: by values of its shape, made as often."""
        mine, runs = self.of(slot), len(self.tape.lines[slot[0]])
        found = []
        for seen in self.every.values():
            line = seen.slot[0]
            fits = seen.slot[1] is None and seen.shape == mine.shape and len(self.tape.lines[line]) == runs
            if fits and not seen.same(mine) and seen.numbers[0] > mine.numbers[0]:
                found.append(Seen(seen.slot, self.words.gradient(seen.numbers[0]), seen.numbers, seen.shape))
        return found

    def ways(self, number: int) -> list[Seen]:
        """The ways into the gradient by a value, each with a number that `Tape.way` gives."""
        found: dict[Any, Seen] = {}
        for n in self.tape.lines[self.tape.site[number]]:
            for key, _ in self.tape.parts.get(n, ()):
                way = self.tape.way(key, n)
                if way not in found:
                    label = way if isinstance(way, str) else self._way(*key)
                    found[way] = Seen((self.tape.site[n], None), label, (n,), (), number=way)
        return list(found.values()) if len(found) > 1 else []

    def _way(self, target: int, k: int) -> str:
        """What goes back along a way, in words; of a slice, the gradient by the block."""
        cut = self.tape.values[target].op == "getitem"
        return self.words.gradient_name(target) if cut else self.words.summand(target, k)


def _named(seen: Seen) -> bool:
    return seen.label.isidentifier() or seen.label.endswith("'")


def _shifted(seen: Seen, shift: int, wraps: bool = False) -> Seen:
    before = "before" if shift < 0 else "after"
    label = f"{seen.label} of the step {before}" + (" (around the end)" if wraps else "")
    return Seen(seen.slot, label, seen.numbers, seen.shape, shift, wraps)
