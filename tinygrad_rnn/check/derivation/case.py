"""A case: the tape of the right computation, what comes back in, the gradients by hand, and the right ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..numeric.compare import CLOSE
from ..report import distance
from .labels import Labels, is_activation
from .readings import groups, reading, readings
from .subjects import Subject
from .tape import Line


class Case:
    """One run with its gradients by hand and the right ones, all by name ("dWx").

    ``given`` are the arguments by name, ``dys`` the gradients by the outputs that the backward takes. Gradients by what
    is computed once a step are stacked along axis 1.
    """

    def __init__(self, subject: Subject, given: Mapping[str, Any], dys: Sequence[Any]):
        self.subject, self.given, self.dys, self.timed = subject, given, dys, subject.timed
        tape, numbers = subject.recorded(given)
        self.back_in: dict[int, Any] = {}  # by the number of the value on the tape that each belongs to
        for runs, dy in zip(numbers, dys):
            steps = np.moveaxis(dy, 1, 0) if np.ndim(dy) > len(tape.values[runs[0]].shape or ()) else [dy]
            for number, part in zip(runs, steps):
                self.back_in[number] = self.back_in.get(number, 0) + part
        first = given[subject.batched[0]]
        T = len(numbers[0]) if subject.timed else 1
        tape.counts = {"N": len(first) if np.ndim(first) else 1, "T": T}
        self.tape, self.blocks = tape, subject.blocks(given)
        self.labels = Labels(tape, self.blocks)
        self.hand: dict[str, Any] = {}
        self.lines: dict[str, Line] = {}  # by the names of the gradients by hand
        self.read: dict[str, tuple[str, Any]] = {}  # of a name computed several times: which is meant
        self.wrong_rules: list[str] = []  # gradients for which autograd differs from the numbers
        self.doubtful = False  # a name that could mean two lines is right for neither
        self.instead: dict[int, Any] = {}  # gradients by hand, each to be passed on in the place of the right one
        self.known = {f"d{tape.values[n[-1]].name}": line for line, n in tape.lines.items() if self._named(n[-1])}
        for line, n in tape.lines.items():  # the sum inside of a gate z is A_z
            inside = self.labels.inside(n[0])
            self.known.update({f"d{inside}": line} if inside and f"d{inside}" not in self.known else {})
        self.totals = tape.back(self.back_in)

    def _named(self, number: int) -> bool:
        value = self.tape.values[number]
        return bool(value.name) and value.kind != "constant"

    # -- the right gradients

    def gradient(self, line: Line, totals: Mapping[int, Any]) -> Any:
        """By what a line makes: of all steps, stacked, if it runs once a step."""
        numbers = self.tape.lines[line]
        return self.tape.stacked(line, totals, self.timed and line[0] != "given" and self._each_step(numbers))

    def _each_step(self, numbers: Sequence[int]) -> bool:
        return len(numbers) == self.tape.counts.get("T", 1)

    def expected(self, upstream: bool = True) -> dict[str, Any]:
        """What every hand-derived gradient should be, given those before it (``upstream``), or given the right ones."""
        totals = self.tape.back(self.back_in, self.instead if upstream else None)
        return {name: self.gradient(line, totals) for name, line in self.lines.items()}

    # -- the gradients by hand

    def take(self, hand: Mapping[str, Any]) -> None:
        """The gradients by hand, each with the line that it belongs to; where ``do`` could be two, the inner one."""
        self.hand = dict(hand)
        numbers = {name: np.asarray(g) for name, g in hand.items() if g is not None}
        numbers = {name: g.astype(np.float64) for name, g in numbers.items() if g.dtype.kind in "fiu"}
        self._find(numbers, False)
        if self.doubtful and self._all_inside(numbers):
            self._find(numbers, True)
        self.lines = {name: self.lines[name] for name in hand if name in self.lines}
        self._set_apart(numbers)

    def _find(self, numbers: Mapping[str, np.ndarray], inside: bool) -> None:
        """The lines: first of those that are right, then, given these, of the others."""
        self.lines, self.instead, self.read, left = {}, {}, {}, []
        for name, g in numbers.items():
            exact = next((line for line in self._could(name) if self._off(line, g, self.totals) <= CLOSE), None)
            self._place(name, exact)
            left += [name] if exact is None else []
        for name in left:
            read = self._reading(name, numbers[name])
            if read is not None:
                self.read[name] = read
                continue
            upstream = self.tape.back(self.back_in, self.instead)
            self._place(name, self.line_of(name, numbers[name], upstream, inside))

    def _reading(self, name: str, g: np.ndarray) -> tuple[str, Any] | None:
        """What a gradient is of all those by its name; what it could be, and None, if no reading has its shape."""
        T, shapes = self.tape.counts.get("T", 1) if self.timed else 1, []
        for numbers in self._runs(name):
            runs = [self.totals.get(n, np.zeros(self.tape.values[n].shape or ())) for n in numbers]
            match = reading(g, runs, T)
            if match is not None:
                return match
            shapes += [np.shape(right) for _, right in readings(runs, T)]
        several = name in self.known and any(len(numbers) > T for numbers in self._runs(name))
        if several and g.shape not in [*shapes, np.shape(self.gradient(self.known[name], self.totals))]:
            return "", None
        return None

    def _runs(self, name: str) -> list[list[int]]:
        """The values of a name, those of one shape together; of a name that is not known, those of each line."""
        known = self.known.get(name)
        if known is not None and known[0] == "given":
            return []
        bound = self.tape.variables.get(name[1:].rstrip("'"), [])
        bound = list(dict.fromkeys([*bound, *(self.tape.lines[known] if known is not None else [])]))
        lines = [] if known is not None else [n for line, n in self.tape.lines.items() if line[0] != "given"]
        values = {n: self.tape.values[n].shape for numbers in [bound, *lines] for n in numbers}
        return [*groups(bound, values), *(numbers for numbers in lines if len(numbers) > 1)]

    def _all_inside(self, numbers: Mapping[str, np.ndarray]) -> bool:
        """Of the names that could be two, are those that are sure all of the inner one?"""
        upstream = self.tape.back(self.back_in, self.instead)
        two = [name for name in self.lines if name in self.known and len(self._could(name)) > 1]
        sure = [name for name in two if any(self._off(self.lines[name], numbers[name], totals) <= CLOSE
                                            for totals in (self.totals, upstream))]  # fmt: skip
        return bool(sure) and all(self.lines[name] != self.known[name] for name in sure)

    def _set_apart(self, numbers: Mapping[str, np.ndarray]) -> None:
        """A wrong gradient that is only returned, while the others were computed with the right one, is not passed on.

        It is, if another is right that would then be wrong, and none is wrong in just the way that follows from it.
        """
        wrong = {name: self._off(line, numbers[name], self.totals) > CLOSE for name, line in self.lines.items()}
        for name in [name for name, so in wrong.items() if so]:
            handed = {n: self.instead[n] for n in self.tape.lines[self.lines[name]] if n in self.instead}
            alone = self.tape.back(self.back_in, handed)
            others = {other: self._off(self.lines[other], numbers[other], alone) <= CLOSE
                      for other in wrong if other != name}  # fmt: skip
            denied = any(not fits and not wrong[other] for other, fits in others.items())
            if denied and not any(fits and wrong[other] for other, fits in others.items()):
                rest = {n: g for n, g in self.instead.items() if n not in handed}
                passed = self.tape.back(self.back_in, rest)
                self.instead = {**rest, **{n: passed[n] for n in handed if n in passed}}

    def _place(self, name: str, line: Line | None) -> None:
        if line is not None:
            self.lines[name] = line
            self.pass_on(name, line)

    def pass_on(self, name: str, line: Line) -> None:
        """Let the gradient by hand go on in the place of the right one, where it fits."""
        g, numbers = np.asarray(self.hand[name], np.float64), self.tape.lines[line]
        if line[0] == "given" or g.shape != np.shape(self.gradient(line, self.totals)):
            return
        if self.timed and self._each_step(numbers):
            self.instead.update({n: g[:, t] for t, n in enumerate(numbers)})
        else:
            self.instead[numbers[-1]] = g

    def line_of(self, name: str, g: np.ndarray, totals: Mapping[int, Any], inside: bool) -> Line | None:
        """The line that a gradient belongs to, given those before it."""
        could = self._could(name)
        exact = next((line for line in could if self._off(line, g, totals) <= CLOSE), None)
        if exact is not None or name not in self.known:
            return exact
        self.doubtful = self.doubtful or len(could) > 1
        return could[-1 if inside else 0]

    def _could(self, name: str) -> list[Line]:
        """The lines that a name could mean.

        ``do`` may be the gradient by the gate or, as the book has it, by the sum inside of it. A name that is none of
        the forward code's is known by its numbers; of several lines with the same, a named one is meant, or the last.
        """
        known = self.known.get(name)
        if known:
            return [known, *self._inside(known)]
        return [line for line in [*self.known.values(), *reversed(self.tape.lines)] if line[0] != "given"]

    def _inside(self, line: Line) -> list[Line]:
        """The line of the sum inside of an activation."""
        number = self.tape.lines[line][0]
        source = self.tape.operands.get((number, 0))
        activation = is_activation(self.tape.values[number].op)
        return [self.tape.site[source]] if source is not None and activation else []

    def _off(self, line: Line, g: np.ndarray, totals: Mapping[int, Any]) -> float:
        return distance(g, self.gradient(line, totals))

    def label(self, name: str) -> str:
        """What a gradient is by, in words: usually its name without the d."""
        number = self.tape.lines[self.lines[name]][-1]
        return self.tape.values[number].name or self.labels.label(self.tape.lines[self.lines[name]][0])

    def way(self, name: str) -> tuple[str, str] | None:
        """The backward edge of a gradient: its value and what reads it, "" if several do; None for no known value."""
        if name not in self.known:
            return None
        number = self.tape.lines[self.known[name]][-1]
        readers = [self.tape.values[target] for target in self.labels.readers.get(number, [])]
        names = list(dict.fromkeys(reader.name or reader.symbol for reader in readers))
        return self.labels.label(number), names[0] if len(names) == 1 else ""

    def right(self, name: str) -> Any:
        """Autograd's gradient by what a line makes."""
        return self.gradient(self.lines[name], self.totals)

    def by_argument(self, name: str) -> Any:
        """Autograd's gradient by an argument: ``dWx`` by Wx."""
        return self.gradient(("given", name[1:]), self.totals)

    def atoms(self, name: str, g: Any) -> dict[str, Any]:
        """A gradient by its gate blocks, if it is stacked: ``dWx.f``."""
        names = self.blocks.get(np.shape(g)[-1], ()) if np.ndim(g) else ()
        return dict(zip([f"{name}.{b}" for b in names], np.split(g, len(names), axis=-1))) if names else {name: g}
