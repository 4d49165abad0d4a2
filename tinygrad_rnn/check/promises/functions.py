"""The protocol of a backward that is a function: what callers rely on beside its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..blame.case import Case
from ..blame.subjects import Subject
from ..numeric.slopes import outputs
from ..report import Diagnosis
from .protocol import Claims, broken, changes, later, linearity, modified, rows_apart, shared

AGAIN = "is another when backward is called again with the same: it keeps something between calls, or draws numbers"


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
    other = changes(pull({}, case.problem.dys), pull({}, case.problem.dys))
    again = [broken("again", f"d{name}", AGAIN) for name in other]
    own = {name: g for name, g in first.items() if name[1:] in floats}
    notes = [one.text for one in shared(own, after)]
    found = modified(before, after) + again
    if not again:
        linear = linearity(claims)
        found += linear + rows_apart(claims)
        found += later(claims, "xs") if case.timed and not linear else []
    return found, notes
