"""The protocol of a backward that is a function: what callers rely on beside its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .numbers import outputs
from .protocol import Claims, broken, changes, linearity, modified, rows_apart, shared
from .report import Diagnosis

if TYPE_CHECKING:
    from .backward import Case


def promises(case: Case, backward: Callable[..., Any]) -> tuple[list[Diagnosis], list[str]]:
    """What else callers rely on."""

    def pull(floats: Mapping[str, Any], dys: Any) -> dict[str, Any]:
        given = {name: np.array(floats.get(name, x)) for name, x in case.given.items()}
        with np.errstate(all="ignore"):
            return {
                name[1:]: g
                for name, g in case.call(backward, given, [np.array(dy) for dy in dys]).items()
                if name in case.by_name
            }

    given = {name: np.array(x) for name, x in case.given.items()}
    dys = [np.array(dy) for dy in case.problem.dys]
    before = {**case.given, **{f"upstream {k}": np.array(dy) for k, dy in enumerate(dys)}}
    first = case.call(backward, dict(given), dys)
    after = {**given, **{f"upstream {k}": dy for k, dy in enumerate(dys)}}
    floats = dict(zip(case.problem.names, case.problem.exact))
    claims = Claims(pull, lambda now: outputs(case.problem.f(*now.values())), floats,
                    [name for name in case.batched() if name in floats], case.problem.dys)  # fmt: skip
    text = "is another when backward is called again with the same: it keeps something between calls, or draws numbers"
    again = [
        broken("again", f"d{name}", text) for name in changes(pull({}, case.problem.dys), pull({}, case.problem.dys))
    ]
    own = {name: g for name, g in first.items() if name[1:] in floats}
    notes = [one.text for one in shared(own, after)]
    return modified(before, after) + again + ([] if again else linearity(claims) + rows_apart(claims)), notes
