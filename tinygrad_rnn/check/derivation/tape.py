"""A recorded forward, with the values that each of the user's local variables was bound to, in order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ...formula.numpy_functions import traits
from ...tracing.called_functions import inner_locals_of
from ...tracing.record import Recorder, record
from ...tracing.sample import codes
from ...tracing.users import is_users_file


class Tape(Recorder):
    """A recording of the forward of a derivation; ``bound`` are the values of each local variable.

    ``slices`` are the inputs of the time steps; they cut the operations into ``groups``: the same operation in each
    step.
    """

    def __init__(self, derivation: Any) -> None:
        super().__init__()
        self.derivation, self.bound = derivation, dict[str, list[int]]()

    def run(self, given: Mapping[str, Any]) -> list[int]:
        """Record the forward on arguments by name; the numbers of its outputs."""
        forward, timed = self.derivation.forward, self.derivation.timed

        def call(**tensors: Any) -> Any:
            with inner_locals_of(UsersCodes(codes(forward)), self):  # type: ignore[arg-type]
                return self.derivation.outputs(**tensors)

        _, outputs = record(call, given, self.derivation.kinds, codes(forward), self)
        names = self.derivation.output_names or (["y"] if len(outputs) == 1 else [f"y{k}" for k in range(len(outputs))])
        self.finish(dict(zip(names, outputs)), self.derivation.batched)
        numbers = [self.number(y) for y in outputs]
        slices = [equation.out for equation, _ in self.readers(self.inputs["xs"])] if timed else []
        self.groups = self._groups([*slices, numbers[0]] if timed else [])
        return numbers

    def recorded(self, variables: Mapping[str, Any]) -> dict[str, int]:
        numbers = super().recorded(variables)
        for name, number in numbers.items():
            runs = self.bound.setdefault(name, [])
            if number in self.equations and number not in runs:
                runs.append(number)
        return numbers

    def _groups(self, ends: Sequence[int]) -> list[list[int]]:
        """The same operation of all steps, which are between ``ends``; each operation alone if there are none."""
        if not ends:
            return [[number] for number in self.equations]
        steps = [[n for n in self.equations if a <= n < b] for a, b in itertools.pairwise(ends)]
        return [list(group) for group in zip(*steps) if len({self.values[number].op for number in group}) == 1]

    # -- names

    def variables(self) -> dict[str, list[int]]:
        """The values of each name, one in each step, arguments first; ``c'`` is of an argument that is assigned.

        ``A_z`` is the sum inside of a gate z.
        """
        runs = {name: [number] for name, number in self.inputs.items()}
        group = {number: group for group in self.groups for number in group}
        runs |= {value.name: group[value.number] for value in self.values if value.name and value.number in group}
        last = {name: numbers[-1] for name, numbers in self.bound.items() if numbers}
        names = [*last.items(), *((self.inside(numbers[-1]), numbers[-1]) for numbers in self.groups)]
        for name, number in names:
            if name and number in group:
                runs.setdefault(name, group[number])
        return runs

    def all_runs(self, name: str, number: int) -> list[int]:
        """The values of the variable with a name that are like one of them, in the order of computation.

        Of ``f, g = split(A)``, ``f = sigmoid(f)`` only the second counts.
        """
        like, values = self.values[number], [self.values[n] for n in sorted(self.bound.get(name.rstrip("'"), []))]
        return [value.number for value in values
                if value.shape == like.shape and bool(value.detail) == bool(like.detail)]  # fmt: skip

    def gate(self, number: int) -> str:
        """The name of what an activation makes from a value; "" if none does."""
        read = [self.values[equation.out] for equation, _ in self.readers(number) if is_activation(equation.op.name)]
        return next((value.name for value in read if value.name), "")

    def inside(self, number: int) -> str:
        """``A_z`` for the sum inside of ``z = sigmoid(...)``, or ``A.z`` if it is a part of ``A``; "" for all else."""
        value, gate = self.values[number], self.gate(number).replace("'", "")
        if not gate or value.equation is None:
            return ""
        return f"{self.label(value.equation.args[0])}.{gate}" if value.op == "getitem" else f"A_{gate}"

    def label(self, number: int) -> str:
        """What a value is called: by its name, by the gate that it is inside of, or by its operation."""
        value = self.values[number]
        part = f"{self.label(value.equation.args[0])}{value.detail}" if value.equation and value.detail else ""
        return value.name or value.inner_name or self.inside(number) or part or f"{value.op or value.kind}(...)"

    def spelled(self, number: int) -> str:
        """A value in words: by its name, or as what goes into an activation with a name; "" for any other."""
        value, gate = self.values[number], self.gate(number)
        if value.name or not gate:
            return value.name
        activation = next(equation.op.name for equation, _ in self.readers(number) if is_activation(equation.op.name))
        return f"{gate}, before the {activation}"


class UsersCodes:
    """The code of all functions that are the user's, but for some."""

    def __init__(self, others: Sequence[Any]):
        self.others = others

    def __contains__(self, code: Any) -> bool:
        file = code.co_filename
        return is_users_file(file) and not file.startswith("<operation") and code not in self.others


def is_activation(op: str) -> bool:
    """Is an operation an activation, such as tanh? Then its argument is the sum inside of a gate."""
    return bool(op) and traits(op).activation
