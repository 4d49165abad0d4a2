"""Hints for a line of an exercise: through which lines a value reaches the loss, what happens there on the way back,
and the line itself. All of it is read off the recorded step and the gradient rules of its operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from ..errors import ExerciseError, FormulaError
from ..formula import Expr, Leaf, Part, along, local_derivative, postorder, simplified, text
from ..formula.expression import DY
from ..formula.numpy_printer import Writer
from ..tracing.trace import Equation, pull
from .worksheet import Exercise, lettered

LEVELS = 3
TIMES = {2: ", where it stands twice", 3: ", where it stands three times"}


class Hints:
    """What can be said about each gradient; ``LEVELS`` of it, each more than the last."""

    def __init__(self, exercise: Exercise):
        self.exercise, self.recording = exercise, exercise.recording
        outputs = list(self.recording.outputs.values())
        ones = {number: np.ones(self.recording.values[number].shape or ()) for number in outputs}
        self.flows = pull(self.recording, ones)[1]
        names = {number: f"d{name}" for number, name in exercise.names.items()}
        self.numbers = {name: number for number, name in names.items()}
        lines = {called: name for name, called in exercise.called.items()}
        self.incoming = {number: f"d{state}" for number, state in zip(outputs, exercise.cell.states)}
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
            found.insert(0, f"as the new state, for which {self.incoming[number]} comes in")
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
        told = [f"{self.incoming[number]} comes in as it is"] if number in self.incoming else []
        for at, formula in self.ways(number):
            step = lettered(along(formula), self.exercise.sizes)
            what = "stays as it is" if step == "=" else f"is changed by {step}"
            told.append(f"going back through `{self.forward(at)}`, {self.gradient(at)} {what}")
        return "; and ".join(told) or "it is zero"

    def gradient(self, number: int) -> str:
        """What the gradient by a value that has a line is called."""
        return self.names.get(number) or self.incoming[number]

    def ways(self, number: int) -> list[tuple[int, Part]]:
        """The next values that have a gradient of their own, and what comes back from each, as a formula of dy."""
        found: list[tuple[int, Part]] = []
        for equation, k in self.recording.readers(number):
            if (equation.out, k) in self.flows:
                own = self.local(equation, k)
                if equation.out in self.names or equation.out in self.incoming:
                    found.append((equation.out, own))
                else:
                    further = self.ways(equation.out)
                    found += [(at, replaced(own, {DY: outer})) for at, outer in further]
        return found

    def local(self, equation: Equation, k: int) -> Part:
        """What comes back along one operand."""
        spec, exercise = equation.op, self.exercise
        parts = [exercise.part(source) for source in equation.args]
        args = [getattr(part, "value", part.shape) for part in parts]
        formula = local_derivative(spec, k, args, equation.attrs)
        leaves = dict(zip(spec.named(args), parts))
        leaves |= {DY: Leaf(DY, self.recording.values[equation.out].shape or ()), "y": exercise.part(equation.out)}
        if any(isinstance(one, Leaf) and one.name not in leaves for one in postorder(formula)):
            raise ExerciseError(f"the rule of {spec.name} cannot be told as a formula")
        return replaced(formula, leaves)

    # -- the line

    def line(self, name: str, number: int, holds: Callable[[str], bool]) -> str:
        """The line in NumPy; in the notation of a textbook if it cannot be written in one line."""
        total = self.total(number)
        if total is None:
            return f"`{name} = np.zeros_like({self.exercise.names[number]})`"
        try:
            written = Writer(self.exercise.sizes, {}).text(total)
            if holds(written):
                return f"`{name} = {written}`"
        except FormulaError:
            pass
        return f"{name} is {lettered(text(total), self.exercise.sizes)}"

    def total(self, number: int) -> Part | None:
        """The whole gradient by a value."""
        shape = self.recording.values[number].shape or ()
        parts: list[Part] = [Leaf(self.incoming[number], shape)] if number in self.incoming else []
        for at, formula in self.ways(number):
            dy = Leaf(self.gradient(at), self.recording.values[at].shape or ())
            parts.append(simplified(replaced(formula, {DY: dy})))
        parts = side_by_side(parts, shape)
        if not parts:
            return None
        total = parts[0]
        for part in parts[1:]:
            total = Expr("add", (total, part), {}, shape)
        return simplified(total)


def replaced(root: Part, leaves: Mapping[str, Part]) -> Part:
    """A formula with others in the place of some of its leaves."""
    done: dict[int, Part] = {}
    for part in postorder(root):
        if isinstance(part, Expr):
            done[id(part)] = Expr(part.op, tuple(done[id(arg)] for arg in part.args), part.attrs, part.shape)
        else:
            done[id(part)] = leaves.get(part.name, part) if isinstance(part, Leaf) else part
    return done[id(root)]


def side_by_side(parts: list[Part], shape: tuple[int, ...]) -> list[Part]:
    """Gradients that go back into the slices of one array, as one beside the other, if together they fill it."""
    slices = [(*_bounds(part), part) for part in parts if isinstance(part, Expr) and part.op == "scatter"]
    slices.sort(key=lambda one: one[:2])
    ends = [0, *(stop for _, stop, _ in slices)]
    if len(slices) < 2 or ends[-1] != shape[-1] or any(one[0] != end for one, end in zip(slices, ends)):
        return parts
    whole = [part for part in parts if not (isinstance(part, Expr) and part.op == "scatter")]
    return [*whole, Expr("hstack", tuple(part.args[0] for *_, part in slices), {}, shape)]


def _bounds(part: Expr) -> tuple[int, int]:
    """From where to where on the last axis, if it is a slice of that only; else nothing that fits."""
    index = part.attrs["index"]
    *before, last = index if isinstance(index, tuple) else (index,)
    if not isinstance(last, slice) or any(one is not ... and one != slice(None) for one in before):
        return -1, -1
    start, stop, step = last.indices(part.shape[-1])
    return (start, stop) if step == 1 else (-1, -1)
