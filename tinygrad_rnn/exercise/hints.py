"""Hints for a line of an exercise: which lines lead from a value to the loss, how they change the gradient on the way
back, and the line itself. All of it is read from the recorded step and the gradient rules of its operations.
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
    """The hints for each gradient, in ``LEVELS`` that say more and more."""

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
        """One hint. ``holds`` tells whether a line in NumPy gives the right numbers; only such a line is shown."""
        number = self.numbers[name]
        return [self.where, self.how, lambda n: self.line(name, n, holds)][level - 1](number)

    # -- through which lines

    def where(self, number: int) -> str:
        """Through which lines a value reaches the loss."""
        lines = [line for line, _ in self.ways(number)]
        clauses = [f"through `{self.forward(line)}`{TIMES.get(lines.count(line), '')}" for line in dict.fromkeys(lines)]
        if number in self.incoming:
            clauses.insert(0, f"as the new state, for which {self.come_in(number)}")
        value = f"`{self.exercise.names[number]}`"
        if not clauses:
            return f"{value} does not reach the loss at all"
        if len(clauses) == 1:
            return f"{value} reaches the loss only {clauses[0]}"
        return f"{value} reaches the loss in {len(clauses)} ways, whose gradients add up: {'; '.join(clauses)}"

    def forward(self, number: int) -> str:
        return f"{self.exercise.names[number]} = {self.exercise.lines[number]}"

    # -- what happens there

    def how(self, number: int) -> str:
        """The local derivative of each way."""
        states = len(self.incoming.get(number, []))
        clauses = [f"{self.come_in(number)} {'as it is' if states == 1 else 'and add up'}"] if states else []
        for line, formula in self.ways(number):
            step = lettered(along(formula, self.leaves), self.exercise.sizes)
            what = "stays as it is" if step == "=" else f"is changed by {step}"
            clauses.append(f"going back through `{self.forward(line)}`, {self.gradient(line)} {what}")
        return "; and ".join(clauses) or "it is zero"

    def gradient(self, number: int) -> str:
        """The name of the gradient by a value that has a line."""
        return self.names.get(number) or self.incoming[number][0]

    def come_in(self, number: int) -> str:
        """Which gradients by a new state come in."""
        names = self.incoming[number]
        return f"{' and '.join(names)} come{'s' * (len(names) == 1)} in"

    def ways(self, number: int) -> list[tuple[int, Part]]:
        """The next values that have a line, and the part of the gradient that comes back from each, a formula of dy."""
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
        """The line in NumPy; in the notation of a textbook if NumPy cannot write it in a single line."""
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
