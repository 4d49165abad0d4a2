"""Hints for a line of an exercise: through which lines a value reaches the loss, what happens there on the way back,
and the line itself. All of it is read off the recorded step and the gradient rules of its operations.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ExerciseError, FormulaError
from ..formula import Leaf, Part, along, simplified, text
from ..formula.expression import DY
from ..formula.numpy_printer import Writer
from ..tracing.adjoint import Adjoint, side_by_side
from ..tracing.formulas import inlined, replaced
from .worksheet import Exercise, lettered

LEVELS = 3
TIMES = {2: ", where it stands twice", 3: ", where it stands three times"}


class Hints:
    """What can be said about each gradient; ``LEVELS`` of it, each more than the last."""

    def __init__(self, exercise: Exercise):
        self.exercise, self.step, self.leaves = exercise, exercise.step, exercise.leaves()
        try:
            self.adjoint = Adjoint(self.step)
        except FormulaError as error:
            raise ExerciseError(f"{exercise.cell.name}: {error}") from error
        names = {number: f"d{name}" for number, name in exercise.names.items()}
        self.numbers = {name: number for number, name in names.items()}
        lines = {called: name for name, called in exercise.called.items()}
        self.incoming: dict[int, list[str]] = {}
        for number, state in zip(self.step.new, exercise.cell.states):
            self.incoming.setdefault(number, []).append(f"d{state}")
        self.names = {number: lines[name] for number, name in names.items() if name in lines}
        self.numbers.update({name: number for number, name in self.names.items()})

    def hint(self, name: str, level: int, holds: Callable[[str], bool]) -> str:
        """One hint; ``holds`` tells whether a line in NumPy gives the right numbers, for no other is shown."""
        number = self.numbers[name]
        return [self.where, self.how, lambda n: self.line(name, n, holds)][level - 1](number)

    # -- through which lines

    def where(self, number: int) -> str:
        """Through which lines a value reaches the loss."""
        through = [at for at, _ in self.ways(number)]
        found = [f"through `{self.forward(at)}`{TIMES.get(through.count(at), '')}" for at in dict.fromkeys(through)]
        if number in self.incoming:
            found.insert(0, f"as the new state, for which {self.come_in(number)}")
        value = f"`{self.exercise.names[number]}`"
        if not found:
            return f"{value} does not reach the loss at all"
        if len(found) == 1:
            return f"{value} reaches the loss only {found[0]}"
        return f"{value} reaches the loss in {len(found)} ways, whose gradients add up: {'; '.join(found)}"

    def forward(self, number: int) -> str:
        return f"{self.exercise.names[number]} = {self.exercise.lines[number]}"

    # -- what happens there

    def how(self, number: int) -> str:
        """The local derivative of each way."""
        states = len(self.incoming.get(number, []))
        told = [f"{self.come_in(number)} {'as it is' if states == 1 else 'and add up'}"] if states else []
        for at, formula in self.ways(number):
            step = lettered(along(formula, self.leaves), self.exercise.sizes)
            what = "stays as it is" if step == "=" else f"is changed by {step}"
            told.append(f"going back through `{self.forward(at)}`, {self.gradient(at)} {what}")
        return "; and ".join(told) or "it is zero"

    def gradient(self, number: int) -> str:
        """What the gradient by a value that has a line is called."""
        return self.names.get(number) or self.incoming[number][0]

    def come_in(self, number: int) -> str:
        """Which gradients by a new state come in."""
        names = self.incoming[number]
        return f"{' and '.join(names)} come{'s' * (len(names) == 1)} in"

    def ways(self, number: int) -> list[tuple[int, Part]]:
        """The next values that have a gradient of their own, and what comes back from each, as a formula of dy."""
        ways: list[tuple[int, Part]] = []
        for out, k in sorted((out, k) for out, k, _ in self.adjoint.ways.get(number, []) if out >= 0):
            part = self.adjoint.local(self.step.equations[out], k, Leaf(DY, self.step.shape(out)))
            assert part is not None
            part = inlined(part, self.step.formulas, self.exercise.names)
            if out in self.names or out in self.incoming:
                ways.append((out, part))
            else:
                ways += [(line, replaced(part, {DY: outer})) for line, outer in self.ways(out)]
        return ways

    # -- the line

    def line(self, name: str, number: int, holds: Callable[[str], bool]) -> str:
        """The line in NumPy; in the notation of a textbook if it cannot be written in one line."""
        total = self.total(number)
        if total is None:
            return f"`{name} = np.zeros_like({self.exercise.names[number]})`"
        try:
            written = Writer(self.exercise.sizes, self.leaves).text(total)
            if holds(written):
                return f"`{name} = {written}`"
        except FormulaError:
            pass
        return f"{name} is {lettered(text(total, self.leaves), self.exercise.sizes)}"

    def total(self, number: int) -> Part | None:
        """The whole gradient by a value."""
        shape = self.step.shape(number)
        parts: list[Part] = [Leaf(name, shape) for name in self.incoming.get(number, [])]
        for line, formula in self.ways(number):
            dy = Leaf(self.gradient(line), self.step.shape(line))
            parts.append(simplified(replaced(formula, {DY: dy})))
        return simplified(self.adjoint.summed(side_by_side(parts, shape), number)) if parts else None
