"""What is seen of a case: its gradients by hand in atoms, and which of them a backward pass with edits gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..report import distance
from .case import Case
from .tape import Edit, Slot
from .tensor_edits import MATCH

Edits: TypeAlias = tuple[Edit, ...]


class View:
    """The gradients by hand of one case, in atoms: by gate block where they are stacked."""

    def __init__(self, case: Case):
        self.case = case
        self.names = [n for n in case.lines if np.isfinite(np.asarray(case.hand[n], np.float64)).all()]
        self.hand = {n: np.asarray(case.hand[n], np.float64) for n in self.names}
        self.atoms = {n: self.case.atoms(n, g) for n, g in self.hand.items()}
        plain = case.expected(upstream=False)
        told = self.plain = case.expected()
        self._reach: dict[Slot, list[str]] = {}
        #: Right as they stand, though not by what was given before them: these say nothing.
        self.silent = [n for n in self.names if self.near(n, plain) and not self.near(n, told)]

    def near(self, name: str, found: Any) -> bool:
        return distance(self.hand[name], found[name]) <= 10 * MATCH

    def matched(self, edits: Edits) -> dict[str, bool]:
        """Which atoms come out as by hand."""
        found = self.case.expected(edits)
        state: dict[str, bool] = {}
        for name in self.names:
            if name not in self.silent:
                state.update(self.compared(name, found[name]))
        return state

    def compared(self, name: str, made: Any) -> dict[str, bool]:
        if np.shape(made) != self.hand[name].shape:
            return dict.fromkeys(self.atoms[name], False)
        if distance(self.hand[name], made) <= MATCH:
            return dict.fromkeys(self.atoms[name], True)
        parts = self.case.atoms(name, made)
        return {atom: distance(self.atoms[name][atom], one) <= MATCH for atom, one in parts.items()}

    def mark(self, edits: Edits) -> list[float]:
        """A few numbers by which gradients can be told apart: a random projection of each."""
        rng, found = np.random.default_rng(5), self.case.expected(edits)
        return [float(np.sum(found[name] * rng.standard_normal(np.shape(found[name])))) for name in self.names]

    def probes(self, names: Iterable[str], wrong: Iterable[str]) -> list[list[tuple[int, Any, float]]]:
        """Of every wrong atom two of its numbers, the largest: the value on the tape, the place in it, the number."""
        found = []
        for name in names:
            line, right = self.case.lines[name], np.asarray(self.hand[name])
            numbers = self.case.tape.lines[line]
            if right.shape != np.shape(self.case.gradient(line, self.case.totals)):
                continue
            places = self.case.atoms(name, np.arange(right.size).reshape(right.shape))
            stacked = right.ndim > len(self.case.tape.values[numbers[0]].shape or ())
            for atom in [atom for atom in places if atom in wrong]:
                flat = places[atom].ravel()
                largest = flat[np.argsort(-np.abs(right.ravel()[flat]), kind="stable")[:2]]
                found.append([_probe(numbers, right, int(k), stacked) for k in largest])
        return found

    def reach(self, slot: Slot) -> list[str]:
        """The atoms that depend on what goes back at an operand."""
        if slot not in self._reach:
            noise = np.random.default_rng(6)
            shaken = Edit("", "", "", along={slot: lambda tape, t, dy, part: part * noise.uniform(1, 2, part.shape)})
            found = self.case.expected((shaken,))
            plain = self.plain
            self._reach[slot] = [
                atom for name in self.names if name not in self.silent
                for (atom, a), b in zip(self.case.atoms(name, found[name]).items(),
                                        self.case.atoms(name, plain[name]).values())
                if distance(a, b) > MATCH
            ]  # fmt: skip
        return self._reach[slot]

    def could(self, edit: Edit, edits: Edits, missing: Sequence[str]) -> bool:
        """Could an edit set something right and nothing wrong? It has to reach what is wrong, and nothing else."""
        for slot in edit.along:
            reached = self.reach(slot)
            outside = [atom for atom in reached if atom not in missing]
            if not reached or (outside and (not edit.block or len(outside) == len(reached))):
                return False
        return True

    def hopeful(self, probes: list[list[tuple[int, Any, float]]], edits: Edits) -> bool:
        """Does any wrong atom come out right, as far as two of its numbers tell?"""
        try:
            totals = self.case.tape.back(self.case.groups, edits, self.case.instead)
        except (ValueError, LookupError):  # shapes that do not go together, or a line that did not run: it is not that
            return False
        return any(all(_hits(totals, *one) for one in pair) for pair in probes)


def _probe(numbers: Sequence[int], array: Any, k: int, stacked: bool) -> tuple[int, Any, float]:
    place = tuple(map(int, np.unravel_index(k, array.shape)))
    if stacked:
        return numbers[place[1]], (place[0], *place[2:]), float(array[place])
    return numbers[-1], place, float(array[place])


def _hits(totals: Any, number: int, place: Any, want: float) -> bool:
    made = totals.get(number)
    got = 0.0 if made is None else made[place]
    return abs(got - want) <= 1e-6 * max(abs(got), abs(want))
