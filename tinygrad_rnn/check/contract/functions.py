"""The contract of a backward function: what callers rely on, apart from the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..derivation.case import Case
from ..derivation.subjects import Subject
from ..numeric.compare import ROUNDED
from ..numeric.derivatives import outputs
from ..report import Diagnosis, distance
from .protocol import Pullback, broken, causality, changes, linearity, modified, rows_independent, shared_memory

OTHER = 1009  # the seed of the second case
LATER = "is right on the first inputs and wrong on other inputs in a later call: it keeps a state between calls"
AGAIN = "differs when backward is called again with the same arguments: it keeps a state, or draws random numbers"


def _on_others(subject: Subject, case: Case) -> list[Diagnosis]:
    """Diagnoses of gradients that are right in the first case and wrong in a second case with other inputs."""
    try:
        other = subject.case(OTHER)
        gradients, autograd = subject.ask(other), other.problem.autograd(list(other.problem.arrays.values()))
    except Exception:  # of the user's code, which may not run on other inputs
        return []
    right = {f"d{name}": g for name, g in zip(other.problem.names, autograd) if np.isfinite(g).all()}
    first = dict(zip((f"d{name}" for name in other.problem.names), case.autograd))
    before = [name for name in right if _error(case.hand.get(name), first[name]) <= ROUNDED]
    return [broken("again", name, LATER) for name in before if _error(gradients.get(name), right[name]) > ROUNDED]


def _error(g: Any, right: Any) -> float:
    """The relative error of a gradient; 0 for what is no array of numbers."""
    return distance(g, right) if g is not None and np.asarray(g).dtype.kind in "fiu" else 0.0


def function_contract(subject: Subject, case: Case) -> tuple[list[Diagnosis], list[str]]:
    """Check the contract of a backward. Returns (diagnoses of violations, notes)."""

    def pull(floats: Mapping[str, Any], dys: Any) -> dict[str, Any]:
        arguments = {name: np.array(floats.get(name, x)) for name, x in case.given.items()}
        with np.errstate(all="ignore"):
            gradients = subject.call(arguments, [np.array(dy) for dy in dys])
        return {name[1:]: g for name, g in gradients.items() if name in case.known}

    arguments = {name: np.array(x) for name, x in case.given.items()}
    dys = [np.array(dy) for dy in case.problem.dys]
    names = [f"{name} that comes in" for name in case.groups]
    before = {**case.given, **dict(zip(names, map(np.array, dys)))}
    first = subject.call(dict(arguments), dys)
    after = {**arguments, **dict(zip(names, dys))}
    floats = dict(zip(case.problem.names, case.problem.exact))
    pullback = Pullback(pull, lambda now: outputs(case.problem.f(*now.values())), floats,
                    [name for name in subject.batched if name in floats], case.problem.dys)  # fmt: skip
    returned = {name[1:]: g for name, g in case.hand.items() if name in case.known}
    changed = {name: None for _ in range(2) for name in changes(returned, pull({}, case.problem.dys))}
    again = [broken("again", f"d{name}", AGAIN) for name in changed] or _on_others(subject, case)
    by_arguments = {name: g for name, g in first.items() if name[1:] in floats}
    notes = [diagnosis.text for diagnosis in shared_memory(by_arguments, after)]
    diagnoses = modified(before, after) + again
    if not again:
        linear = linearity(pullback)
        diagnoses += linear + rows_independent(pullback)
        diagnoses += causality(pullback, "xs") if case.timed and not linear else []
    return diagnoses, notes
