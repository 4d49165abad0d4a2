"""Looking for the mistakes that give exactly the user's numbers.

A hypothesis is the right backward pass with one edit. It is kept only if every gradient by hand that it accounts for
comes out to 1e-8, without spoiling another, in the whole case and once more with another seed. The search begins on
the smallest case that still fails, where mistakes get least into each other's way: with one step the gate blocks are
apart, and what only more steps show comes after. What is explained stays in the backward pass when the next mistake is
looked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..report import distance
from . import line_edits, time_edits
from .candidates import Slots
from .case import Case
from .comparison import Edits, View
from .tape import Edit
from .tensor_edits import whole

MOST = 3  # mistakes at a time
SWEEPS = 6  # through all hypotheses
WIDTH = 6  # of several that do equally well on a small case, so many are followed


@dataclass
class Explained:
    """Sets of edits that account for the same gradients; those of ``sets`` are equal in all numbers."""

    sets: list[Edits] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # gradients that stay unexplained, or their blocks
    match: float = 0.0  # how far the explained ones are from the user's


def _begun(sets: Sequence[Edits]) -> list[Edits]:
    """What a larger case starts from: what is known of lines. What is said of a whole gradient is soon found again,
    and may be another where there are more steps: with two of them, a half is a mean over time.
    """
    lines = [tuple(one for one in edits if not one.results) for edits in sets]
    return list({tuple(map(id, edits)): edits for edits in [*lines[:2], ()]}.values())


class Search:
    """The mistakes of a subject, given the whole case and smaller ones."""

    def __init__(self, case: Case, smaller: Sequence[Case], other: Callable[[], Case | None]):
        self.whole, self.smaller, self.other = View(case), [View(one) for one in smaller], other
        words, slots = case.words, Slots(case.words)
        case.tape.back(case.groups)
        over_time = [*time_edits.caches(case.tape), *time_edits.incoming(case.groups), *time_edits.stacked(words)]
        over_time += time_edits.totals(words, slots)
        graph = [*over_time, *line_edits.along(words, slots)]
        self.graph = sorted(graph, key=lambda one: one.rank)
        self.first = [*self.smaller, self.whole][0]
        self.sweeps = 0

    def run(self) -> Explained:
        """What explains most, with the fewest edits."""
        sets: list[Edits] = [()]
        for view in [*self.smaller, self.whole]:
            done = [one for one in sets if not self._missing(view, one)]
            if not done and view is not self.first:
                if self._missing(self.first, ()):  # then the first has shown what is in one line
                    self.graph = [one for one in self.graph if not one.along]
                sets = _begun(sets)
            sets = self._best(view, done or [made for edits in sets for made in self._extended(view, edits)])
        return self._confirmed([one for one in sets if one])

    def _missing(self, view: View, edits: Edits) -> list[str]:
        return [atom for atom, fine in view.matched(edits).items() if not fine]

    def _best(self, view: View, sets: Iterable[Edits]) -> list[Edits]:
        """Those that leave least unexplained, of these the shortest, the likeliest first."""
        unique = list({tuple(map(id, one)): one for one in sets}.values())
        scored = [(len(self._missing(view, one)), len(one), sum(e.rank for e in one), one) for one in unique]
        least = min(one[:2] for one in scored)
        return [one[3] for one in sorted(scored, key=lambda one: one[2]) if one[:2] == least][: 8 * WIDTH]

    def _extended(self, view: View, edits: Edits) -> list[Edits]:
        """``edits`` and as few more as explain what can be explained."""
        state = view.matched(edits)
        wrong = [atom for atom, fine in state.items() if not fine]
        if not wrong or len(edits) >= MOST or self.sweeps >= SWEEPS:
            return [edits]
        self.sweeps += 1
        each = self._each(view, edits)
        options = self._options(view, edits, state, [one for found in each.values() for one in found])
        most = max((score for score, _ in options), default=0)
        best = [one for score, one in options if score == most]
        if most == len(wrong) > 0:
            return [(*edits, one) for one in best]
        if 0 < len(each) <= MOST and all(each.values()):  # each of the wrong ones has a mistake of its own, at its end
            graph = [one for _, one in options if not one.results]
            each = {name: [*self._of(view, edits, name, graph), *found] for name, found in each.items()}
            return [(*edits, *chosen) for chosen in itertools.islice(itertools.product(*each.values()), WIDTH)]
        made = []
        for alike in self._alike(view, edits, best)[: WIDTH - 2 * len(edits)]:
            for longer in self._extended(view, (*edits, alike[0])):
                made += [(*edits, one, *longer[len(edits) + 1 :]) for one in alike[:WIDTH]]
        return made or [edits]

    def _alike(self, view: View, edits: Edits, options: Sequence[Edit]) -> list[list[Edit]]:
        """The options in groups that give the same numbers."""
        groups: list[tuple[list[float], list[Edit]]] = []
        for one in options:
            mark = view.mark((*edits, one))
            same = next((group for seen, group in groups if np.allclose(seen, mark, rtol=1e-9, atol=0)), None)
            if same is None:
                groups.append((mark, [one]))
            else:
                same.append(one)
        return [group for _, group in groups]

    def _of(self, view: View, edits: Edits, name: str, options: Sequence[Edit]) -> list[Edit]:
        """The options that set a gradient right, all of it."""
        atoms, states = view.atoms[name], [(one, view.matched((*edits, one))) for one in options[: 2 * WIDTH]]
        return [one for one, state in states if all(state.get(atom, False) for atom in atoms)]

    def _each(self, view: View, edits: Edits) -> dict[str, list[Edit]]:
        """By wrong gradient, the mistakes with it as a whole."""
        found = view.case.expected(edits)
        names = [name for name in view.names if name not in view.silent]
        wrong = [name for name in names if not all(view.compared(name, found[name]).values())]
        return {name: sorted(whole(view.case, name, view.hand[name], found, edits), key=lambda one: one.rank)
                for name in wrong}  # fmt: skip

    def _options(
        self, view: View, edits: Edits, state: dict[str, bool], single: Sequence[Edit]
    ) -> list[tuple[int, Edit]]:
        """The edits that set something right and nothing wrong, each with how much."""
        wrong = list(dict.fromkeys(name for name in view.names if name not in view.silent))
        missing = [atom for atom, fine in state.items() if not fine]
        scored, probes = [], view.probes(wrong, missing)
        could = [one for one in self.graph if view.could(one, edits, missing)]
        for one in [*single, *(one for one in could if view.hopeful(probes, (*edits, one)))]:
            now = view.matched((*edits, one))
            gained = sum(now[atom] and not state[atom] for atom in now if atom in state)
            if gained and not any(state[atom] and not now.get(atom, False) for atom in state):
                scored.append((gained, one))
        return sorted(scored, key=lambda pair: pair[1].rank)

    def _confirmed(self, sets: list[Edits]) -> Explained:
        """What holds with another seed too, and in the same way: only that is said."""
        other = self.other() if sets else None
        if other is None:
            return Explained([], self._missing(self.whole, ()))
        again = View(other)
        before, after = self.whole.matched(()), again.matched(())
        held = []
        for edits in sets:
            here, there = self.whole.matched(edits), again.matched(edits)
            gained = [atom for atom in here if here[atom] and not before[atom]]
            holds = all(there.get(atom, False) for atom in gained) and any(not after.get(atom, True) for atom in gained)
            if holds and not any(after[atom] and not there.get(atom, False) for atom in after):
                held.append(edits)
        left = [atom for atom, fine in self.whole.matched(held[0]).items() if not fine] if held else []
        kinds = dict.fromkeys(one.kind for one in held[0]) if held else {}
        if not held or len(kinds) > 2 or (left and len(held[0]) > 2):  # a tale of so many mistakes is no explanation
            return Explained([], self._missing(self.whole, ()))
        state, found = self.whole.matched(held[0]), self.whole.case.expected(held[0])
        fine = [name for name in self.whole.names if state.get(next(iter(self.whole.atoms[name])), False)]
        match = max((distance(self.whole.hand[n], found[n]) for n in fine if self.whole.near(n, found)), default=0.0)
        return Explained(held, [atom for atom, matched in state.items() if not matched], match)
