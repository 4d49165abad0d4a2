"""The smallest case that still fails, and what is told by which do: those with more rows, more steps, other states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..numeric.compare import CLOSE
from ..report import distance
from .targets import Subject

#: What a mistake needs in order to be seen, and what that means.
MEANS = {
    "N > 1": "a sum over the batch, or rows that are mixed",
    "T > 1": "what is carried from step to step, what is added up over steps, or a cache of another step",
    "states that are not zero": "a factor of the state that came in",
}
HAS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "N > 1": lambda one: one["N"] > 1,
    "T > 1": lambda one: one["T"] > 1,
    "states that are not zero": lambda one: not one["still"],
}


def corners(subject: Subject, seed: int) -> tuple[dict[str, Any], str]:
    """The sizes of the smallest case that fails, and what the failing ones have in common, in words."""
    cases = [{"N": N, "T": T, "still": still} for T in (1, 2) for N in (1, 2) for still in (True, False)]
    cases = [one for one in cases if subject.states or not one["still"]]
    asked = [one for one in cases if ("T" in subject.letters or one["T"] == 1)]
    asked = [one for one in asked if subject.letters or one["N"] == 1] if "N" in subject.letters else []
    if not asked:
        return {}, ""
    shown = [(one, _fails(subject, seed, one)) for one in asked]
    asked, fails = [one for one, so in shown if so is not None], [one for one, so in shown if so]
    if not fails:
        return {}, "only larger cases fail than 2 rows and 2 steps"
    smallest = dict(min(fails, key=lambda one: (one["T"], one["N"], not one["still"])))
    kept = [letter for letter in smallest if letter in subject.letters or (letter == "still" and subject.states)]
    smallest = {letter: smallest[letter] for letter in kept}
    return smallest, _needed(fails, asked, subject.states)


def _needed(fails: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]], states: bool) -> str:
    """What the cases that fail have in common; if nothing, in which ways a case can fail."""
    if len(fails) == len(asked):
        return "in every case: a local derivative, or what comes in"
    have = [[what for what, has in HAS.items() if has(one) and (states or "states" not in what)] for one in fails]
    common = [what for what in MEANS if all(what in one for one in have)]
    if common:
        return "; ".join(f"only with {what}: {MEANS[what]}" for what in common)
    least = [one for one in have if not any(set(other) < set(one) for other in have)]
    return f"only with {', or with '.join(dict.fromkeys(' and '.join(one) for one in least))}"


def _fails(subject: Subject, seed: int, asked: Mapping[str, Any]) -> bool | None:
    """Is a case wrong? None if it shows nothing, for it does not run, or all of its gradients are zero."""
    small = {letter: asked[letter] for letter in subject.letters}
    try:
        case = subject.case(seed, small=small, still=asked["still"])
        case.take(subject.ask(case))
    except Exception:  # of the user's code, which need not run on fewer rows and steps
        return None
    right = case.expected(upstream=False)
    fails = any(distance(np.asarray(case.hand[name], np.float64), g) > CLOSE for name, g in right.items())
    return fails if fails or any(np.any(g) for g in right.values()) else None
