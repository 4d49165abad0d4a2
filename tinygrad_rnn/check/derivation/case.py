"""A case: the tape of the right computation, what comes back in, the gradients by hand, and the right ones.

What a gradient by hand may be is a `Reading`: by which values of forward, and how those of several runs are put
together. A loop computes ``A`` three times, a helper that is called twice binds its variables twice, and
``h = tanh(h @ W)`` gives one name to two values. By hand people return that of one run, the sum of all, or all of them,
stacked along some axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...tracing.trace import pull
from ..numeric.compare import CLOSE
from ..report import distance
from .tape import Tape, is_activation


@dataclass
class Reading:
    """The gradients by ``numbers``, one after the other along the first axis, ``put`` together.

    ``direct`` are the values, one in each step, that it is the gradient by as it stands. ``text`` is the reading in
    words. ``inner`` says that it is by the sum inside of the gate that is named.
    """

    numbers: Sequence[int]
    put: Callable[[np.ndarray], np.ndarray]
    direct: Sequence[int] = ()
    text: str = ""
    inner: bool = False


def usual(numbers: Sequence[int], timed: bool, inner: bool = False) -> Reading:
    """The gradient by a value, that of all steps stacked along axis 1."""
    return Reading(numbers, lambda S: np.moveaxis(S, 0, 1) if timed else S[0], numbers, "", inner)


def readings(numbers: Sequence[int], T: int, timed: bool, ndim: int) -> Iterator[Reading]:
    """All readings for the values of a name, with ``ndim`` axes, K times in each of T steps."""
    K = len(numbers) // T
    if not K or len(numbers) % T or K * T == 1:
        return

    def put(pick: Any, *axes: int) -> Callable[[np.ndarray], np.ndarray]:
        """``pick`` of an array (T, K, ...), with its first axes at ``axes``."""
        return lambda S: np.moveaxis(pick(S.reshape(T, K, *S.shape[1:])), range(len(axes)), axes)

    each, every = (" in each step", "steps and runs") if timed else ("", "runs")
    picks: list[Any] = [(f"run {k + 1} of {K}{each}", lambda S, k=k: S[:, k], numbers[k::K]) for k in range(K)]
    picks = [*picks, (f"the sum over its {K} runs{each}", lambda S: S.sum(1), ())] if K > 1 else []
    stacked: list[Any] = [*(picks if timed else ()), (f"all {every}", lambda S: S.reshape(-1, *S.shape[2:]), ())]
    stacked += [] if timed else [("all runs, from the last", lambda S: S[0, ::-1], ())]
    for text, pick, direct in [] if timed else picks:
        yield Reading(numbers, put(lambda S, pick=pick: pick(S)[0]), direct, text)
    for text, pick, direct in stacked:
        for axis in range(ndim + 1):
            yield Reading(numbers, put(pick, axis), direct if axis == 1 else (), f"{text}, along axis {axis}")
    for axes in itertools.permutations(range(ndim + 2), 2) if K > 1 and timed else ():
        yield Reading(numbers, put(lambda S: S, *axes), (), f"all {every}")


class Case:
    """One run with its gradients by hand and the right ones, all by name ("dWx").

    ``given`` are the arguments by name, ``dys`` the gradients by the outputs that the backward takes. Gradients by what
    is computed once a step are stacked along axis 1.
    """

    def __init__(self, derivation: Any, given: Mapping[str, Any], dys: Sequence[Any]):
        self.timed, self.given, self.dys, self.tape = derivation.timed, given, dys, Tape(derivation)
        outputs = self.tape.run(given)
        self.back_in: dict[int, Any] = {}
        for number, dy in zip(derivation.reached(outputs), dys):
            self.back_in[number] = self.back_in.get(number, 0) + dy
        self.steps = len(self.tape.groups[0]) if self.timed else 1
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
        return reading.put(np.stack([totals.get(value.number, np.zeros(value.shape or ())) for value in values]))

    def right(self, name: str) -> np.ndarray:
        """Autograd's gradient for one by hand, or by an argument."""
        return self.gradient(self.read[name] if name in self.read else usual(self.known[name], False))

    def upstream(self) -> dict[str, np.ndarray]:
        """What every gradient by hand should be, given those before it."""
        totals = self.passed_on()
        return {name: self.gradient(reading, totals) for name, reading in self.read.items()}

    def passed_on(self) -> dict[int, Any]:
        """The gradients by all values, if those by hand are passed on."""
        return pull(self.tape, self.back_in, self.instead)[0]

    def by_words(self) -> dict[str, list[np.ndarray]]:
        """The right gradients by the values with names, at all their runs, by what they are called."""
        gradients = dict[str, list[np.ndarray]]()
        for name, numbers in self.known.items():
            op = self.tape.values[numbers[-1]].op
            runs = [n for n in self.tape.all_runs(name[1:], numbers[-1]) if self.tape.values[n].op == op] or numbers
            if all(n in self.totals for n in runs):
                gradients[self.tape.spelled(numbers[-1])] = [np.asarray(self.totals[n]) for n in runs]
        return gradients

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
            sure = exact[name] or self._exact(could[name], g, self.passed_on())
            sums += [sure.inner] if sure and two else []
            reading = sure or (two[0] if two and inner else self._likely(name, could[name], g))
            if reading is not None:
                self.read[name], self.places[name] = reading, could[name].index(reading)
                if reading.direct and g.shape == np.shape(self.gradient(reading)):
                    self.instead.update(zip(reading.direct, np.moveaxis(g, 1, 0) if self.timed else [g]))
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
        values, known = self.tape.values, self.known.get(name)
        equations = [values[number].equation for number in known or ()]
        sums = [equation.args[0] for equation in equations if equation and is_activation(equation.op.name)]
        runs = [numbers for key, numbers in self.known.items() if key[1:] not in self.given]
        runs = [known] if known else [*runs, *reversed(self.tape.groups)]
        could = [usual(numbers, self.timed) for numbers in runs] + ([usual(sums, self.timed, True)] if sums else [])
        all_runs = [self.tape.all_runs(name[1:], known[-1])] if known else []
        for numbers in [*all_runs, *(runs if self.timed else [])]:
            ndim = len(values[numbers[0]].shape or ()) if numbers else 0
            could += readings(numbers, self.steps, self.timed, ndim)
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
