"""The protocol of a backward that is a function: what callers rely on beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..diagnose.case import Case
from ..diagnose.targets import Subject
from ..numeric.compare import ROUNDED
from ..numeric.derivatives import outputs
from ..report import Diagnosis, distance
from .protocol import Claims, broken, changes, later, linearity, modified, rows_apart, shared

OTHER = 1009  # the seed of another case
LATER = "is right on the first inputs, and wrong on others that come later: it keeps something between calls"
AGAIN = "is another when backward is called again with the same: it keeps something between calls, or draws numbers"


def _on_others(subject: Subject, case: Case) -> list[Diagnosis]:
    """Is what was right still right on other inputs, once it was called?"""
    try:
        other = subject.case(OTHER)
        hand, autograd = subject.ask(other), other.problem.autograd(list(other.problem.arrays.values()))
    except Exception:  # of the user's code, which need not run on other inputs than it was given
        return []
    right = {f"d{name}": g for name, g in zip(other.problem.names, autograd) if np.isfinite(g).all()}
    was = [name for name, g in right.items()
           if _far(case.hand.get(name), case.autograd[other.problem.names.index(name[1:])]) <= ROUNDED]  # fmt: skip
    return [broken("again", name, LATER) for name in was if _far(hand.get(name), right[name]) > ROUNDED]


def _far(g: Any, right: Any) -> float:
    return distance(g, right) if g is not None and np.asarray(g).dtype.kind in "fiu" else 0.0


def promises(subject: Subject, case: Case) -> tuple[list[Diagnosis], list[str]]:
    """What else callers rely on."""

    def pull(floats: Mapping[str, Any], dys: Any) -> dict[str, Any]:
        given = {name: np.array(floats.get(name, x)) for name, x in case.given.items()}
        with np.errstate(all="ignore"):
            hand = subject.call(case, given, [np.array(dy) for dy in dys])
        return {name[1:]: g for name, g in hand.items() if name in case.known}

    given = {name: np.array(x) for name, x in case.given.items()}
    dys = [np.array(dy) for dy in case.problem.dys]
    names = [f"{name} that comes in" for name in case.groups]
    before = {**case.given, **dict(zip(names, map(np.array, dys)))}
    first = subject.call(case, dict(given), dys)
    after = {**given, **dict(zip(names, dys))}
    floats = dict(zip(case.problem.names, case.problem.exact))
    claims = Claims(pull, lambda now: outputs(case.problem.f(*now.values())), floats,
                    [name for name in subject.batched(case) if name in floats], case.problem.dys)  # fmt: skip
    asked = {name[1:]: g for name, g in case.hand.items() if name in case.known}
    other = {name: None for _ in range(2) for name in changes(asked, pull({}, case.problem.dys))}
    again = [broken("again", f"d{name}", AGAIN) for name in other] or _on_others(subject, case)
    own = {name: g for name, g in first.items() if name[1:] in floats}
    notes = [one.text for one in shared(own, after)]
    found = modified(before, after) + again
    if not again:
        linear = linearity(claims)
        found += linear + rows_apart(claims)
        found += later(claims, "xs") if case.timed and not linear else []
    return found, notes
