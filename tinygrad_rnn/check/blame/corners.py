"""The smallest case that still fails, and what is told by which do: those with more rows, more steps, other states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..numeric.compare import CLOSE
from ..report import distance
from .subjects import Subject

#: What a mistake needs in order to be seen, and what that means.
MEANS = {
    "N > 1": "a sum over the batch, or rows that are mixed",
    "T > 1": "what is carried from step to step, what is added up over steps, or a cache of another step",
    "states that are not zero": "a factor of the state that came in",
}


def corners(subject: Subject, seed: int) -> tuple[dict[str, Any], str]:
    """The sizes of the smallest case that fails, and what the failing ones have in common, in words."""
    cases = [{"N": N, "T": T, "still": still} for T in (1, 2) for N in (1, 2) for still in (True, False)]
    cases = [one for one in cases if subject.states or not one["still"]]
    asked = [one for one in cases if ("T" in subject.letters or one["T"] == 1)]
    asked = [one for one in asked if subject.letters or one["N"] == 1] if "N" in subject.letters else []
    if not asked:
        return {}, ""
    fails = [one for one in asked if _fails(subject, seed, one)]
    if not fails:
        return {}, "only larger cases fail than 2 rows and 2 steps"
    smallest = dict(min(fails, key=lambda one: (one["T"], one["N"], not one["still"])))
    needs = {
        "N > 1": all(one["N"] > 1 for one in fails),
        "T > 1": all(one["T"] > 1 for one in fails),
        "states that are not zero": subject.states and all(not one["still"] for one in fails),
    }
    kept = [letter for letter in smallest if letter in subject.letters or (letter == "still" and subject.states)]
    smallest = {letter: smallest[letter] for letter in kept}
    needed = [f"only with {what}: {MEANS[what]}" for what, so in needs.items() if so]
    return smallest, "; ".join(needed) or "in every case: a local derivative, or what comes in"


def _fails(subject: Subject, seed: int, asked: Mapping[str, Any]) -> bool:
    small = {letter: asked[letter] for letter in subject.letters}
    case = subject.case(seed, small=small, still=asked["still"])
    case.take(subject.ask(case))
    right = case.expected(upstream=False)
    return any(distance(np.asarray(case.hand[name], np.float64), g) > CLOSE for name, g in right.items())
