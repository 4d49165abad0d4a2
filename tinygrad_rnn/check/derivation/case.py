"""A case: the tape of the right computation, what comes back in, the gradients by hand, and the right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...tracing.trace import pull
from ..numeric.compare import CLOSE
from ..report import distance
from .readings import Reading, readings, usual
from .subjects import Subject
from .tape import Tape, is_activation


class Case:
    """One run with its gradients by hand and the right ones, all by name ("dWx").

    ``given`` are the arguments by name, ``dys`` the gradients by the outputs that the backward takes. Gradients by what
    is computed once a step are stacked along axis 1.
    """

    def __init__(self, subject: Subject, given: Mapping[str, Any], dys: Sequence[Any]):
        self.subject, self.given, self.dys, self.tape = subject, given, dys, Tape(subject.forward)
        outputs = self.tape.run(subject.outputs, given, subject.kinds, subject.output_names, subject.timed)
        self.back_in: dict[int, Any] = {}
        for number, dy in zip(subject.reached(outputs), dys):
            self.back_in[number] = self.back_in.get(number, 0) + dy
        self.steps = len(self.tape.groups[0]) if subject.timed else 1
        self.known = {f"d{name}": numbers for name, numbers in self.tape.variables().items()}
        self.hand: dict[str, Any] = {}
        self.read: dict[str, Reading] = {}  # what the gradients by hand are, by name
        self.places: dict[str, int] = {}  # which of those that a name could be
        self.instead: dict[int, Any] = {}  # gradients by hand, each to be passed on in the place of the right one
        self.totals = pull(self.tape, self.back_in)[0]

    # -- the right gradients

    def gradient(self, reading: Reading, totals: Mapping[int, Any] | None = None) -> np.ndarray:
        """The right gradient, or that of a walk back with ``totals``."""
        totals = self.totals if totals is None else totals
        values = [self.tape.values[number] for number in reading.numbers]
        return reading.of(np.stack([totals.get(value.number, np.zeros(value.shape or ())) for value in values]))

    def right(self, name: str) -> np.ndarray:
        """Autograd's gradient for one by hand."""
        return self.gradient(self.read[name])

    def by_argument(self, name: str) -> np.ndarray:
        """Autograd's gradient by an argument: ``dWx`` by Wx."""
        return self.gradient(usual(self.known[name], False))

    def upstream(self) -> dict[str, np.ndarray]:
        """What every gradient by hand should be, given those before it."""
        totals = pull(self.tape, self.back_in, self.instead)[0]
        return {name: self.gradient(reading, totals) for name, reading in self.read.items()}

    # -- the gradients by hand

    def take(self, hand: Mapping[str, Any]) -> None:
        """The gradients by hand, each with its reading.

        A wrong ``do`` is by the gate, or by the sum inside of it if all that may be so and are sure are.
        """
        self.hand = dict(hand)
        numbers = {name: np.asarray(g) for name, g in hand.items() if g is not None}
        numbers = {name: g.astype(np.float64) for name, g in numbers.items() if g.dtype.kind in "fiu"}
        inner = self._find(numbers, False)
        if inner and all(inner):
            self._find(numbers, True)

    def _find(self, numbers: Mapping[str, np.ndarray], inner: bool) -> list[bool]:
        """Read first those that are right, then, given these, the others.

        Of those that may be by a gate or by the sum inside of it, and that are sure: is it the sum?
        """
        self.read, self.instead, sums = {}, {}, list[bool]()
        could = {name: self.could(name) for name in numbers}
        exact = {name: self._exact(could[name], g, self.totals) for name, g in numbers.items()}
        for name in sorted(numbers, key=lambda name: exact[name] is None):
            g, two = numbers[name], [reading for reading in could[name] if reading.inner and name in self.known]
            sure = exact[name] or self._exact(could[name], g, pull(self.tape, self.back_in, self.instead)[0])
            sums += [sure.inner] if sure and two else []
            reading = sure or (two[0] if two and inner else self._likely(name, could[name], g))
            if reading is not None:
                self.read[name], self.places[name] = reading, could[name].index(reading)
                if reading.direct and g.shape == np.shape(self.gradient(reading)):
                    self.instead.update(zip(reading.direct, np.moveaxis(g, 1, 0) if self.subject.timed else [g]))
        return sums

    def _exact(self, could: Sequence[Reading], g: np.ndarray, totals: Mapping[int, Any]) -> Reading | None:
        return next((reading for reading in could if distance(g, self.gradient(reading, totals)) <= CLOSE), None)

    def _likely(self, name: str, could: Sequence[Reading], g: np.ndarray) -> Reading | None:
        """What a wrong gradient is; None for a name of nothing, or of what runs several times in another shape."""
        if name not in self.known:
            return None
        fits = [reading for reading in could if np.shape(self.gradient(reading)) == g.shape]
        return fits[0] if fits else None if self.several(name) else could[0]

    def several(self, name: str) -> bool:
        """Is the value of a name computed more than once, or more than once in each step?"""
        return name in self.known and len(self.tape.all_runs(name[1:], self.known[name][-1])) > self.steps

    def could(self, name: str) -> list[Reading]:
        """What a gradient may be by its name; if it is the name of nothing, by any value, those with names first.

        ``do`` may be the gradient by the gate or, as the book has it, by the sum inside of it.
        """
        if name[1:] in self.given:
            return [replace(usual(self.known[name], False), direct=())]
        timed, values, known = self.subject.timed, self.tape.values, self.known.get(name)
        equations = [values[number].equation for number in known or ()]
        sums = [equation.args[0] for equation in equations if equation and is_activation(equation.op.name)]
        runs = [numbers for key, numbers in self.known.items() if key[1:] not in self.given]
        runs = [known] if known else [*runs, *reversed(self.tape.groups)]
        could = [usual(numbers, timed) for numbers in runs] + ([usual(sums, timed, True)] if sums else [])
        all_runs = [self.tape.all_runs(name[1:], known[-1])] if known else []
        for numbers in [*all_runs, *(runs if timed else [])]:
            could += readings(numbers, self.steps, timed, len(values[numbers[0]].shape or ())) if numbers else []
        return could

    # -- words

    def label(self, name: str) -> str:
        """What a gradient is by, in words: usually its name without the d."""
        return self.tape.label(self.read[name].direct[-1]) if self.read[name].direct else name[1:]

    def way(self, name: str) -> tuple[str, str] | None:
        """The backward edge of a gradient: its value and what reads it, "" if several do; None for no known value."""
        if name not in self.known:
            return None
        number = self.known[name][-1]
        readers = [self.tape.values[equation.out] for equation, _ in self.tape.readers(number)]
        names = list(dict.fromkeys(reader.name or reader.symbol for reader in readers))
        return self.tape.label(number), names[0] if len(names) == 1 else ""
