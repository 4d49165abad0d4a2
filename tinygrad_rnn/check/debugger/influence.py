"""Where can the mistake be? Each value that a line computes is moved a little, and the gradients that change are noted.

A line that computes a wrong value influences every gradient that is wrong by it. So a line can be the only mistake only
if all wrong gradients change with it. The fewer right ones change too, the likelier it is.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from .instrument import instrumented
from .job import Job
from .observe import Observation
from .statement_edits import bodies

UNKNOWN = 0.6  # the rank of a line whose value cannot be moved, such as the header of a loop
WRONG, CHANGED = 1e-6, 1e-11  # a smaller error is that of the numbers; a smaller change is rounding
FEW = 0.05  # of what is wrong, so much may be so little changed that it does not show
Place = tuple[int, int]  # a unit, and the number of a statement in it


def ranks(job: Job, seen: Observation, partial: bool = False) -> dict[Place, float]:
    """For each statement that ran: 0 if its value influences exactly what is wrong, to 2 if nothing of it.

    If ``partial``, there are several mistakes, and a statement may influence only a part of what is wrong. A loop has
    the rank of the likeliest statement inside of it.
    """
    wrong = differences(job, job.first.gradients)
    best: dict[Place, float] = {}
    names = [unit.function.__name__ for unit in job.units]
    for k, unit in enumerate(job.units):
        numbered = [(n, statement) for n, (_, _, statement) in enumerate(bodies(unit.node)) if seen.ran(k, statement)]
        for n, statement in numbered:
            changes = [influence(job, k, node) for node in values(statement, names)]
            known = [rank(wrong, changed, partial) for changed in changes if changed is not None]
            best[k, n] = min(known, default=UNKNOWN + (0.3 if isinstance(statement, (ast.If, ast.Return)) else 0))
        for n, statement in numbered:
            if isinstance(statement, ast.For):
                last = statement.end_lineno or 0
                best[k, n] = min(best[k, m] for m, other in numbered if statement.lineno <= other.lineno <= last)
    return best


def rank(wrong: np.ndarray, changed: np.ndarray, partial: bool = False) -> float:
    """How well what changes covers what is wrong."""
    if not changed.any():
        return 2.0
    missed, extra = np.mean(~changed[wrong]) if wrong.any() else 0.0, np.mean(~wrong[changed])
    return float(0.5 * extra + (missed if missed < FEW else 0.3 * missed if partial else 0.7 + missed))


def values(statement: ast.stmt, names: Sequence[str] = ()) -> list[ast.expr]:
    """The expressions whose values a statement computes: the parts of a tuple apart.

    Also what it hands to user-defined functions, given by their ``names``: it may influence more than their results.
    """
    value = getattr(statement, "value", None)
    if not isinstance(value, ast.expr) or isinstance(value, ast.Constant):
        return []
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    for part in list(parts):
        name = getattr(part.func, "attr", getattr(part.func, "id", "")) if isinstance(part, ast.Call) else ""
        parts = [*parts, *part.args] if name in names else parts  # type: ignore[attr-defined]
    return [part for part in parts if not isinstance(part, (ast.Constant, ast.Starred))]


def influence(job: Job, k: int, node: ast.expr) -> np.ndarray | None:
    """Which parts of the gradients change if the value of an expression does; None if it cannot, or outputs change."""
    rng, moved = np.random.default_rng(0), []

    def callback(_: int, x: Any) -> Any:
        new = shaken(x, rng)
        moved.append(new is not x)
        return new

    try:
        with job.running({k: instrumented(job.units[k], [node], 0, callback)}):
            outcome = job.outcome()
    except Exception:  # of the user's code, with other numbers than usual
        return None
    if not any(moved):
        return None
    if not job.same_outputs(outcome.outputs):
        return np.zeros(len(differences(job, job.first.gradients)), bool)
    return differences(job, outcome.gradients, job.first.gradients)


def differences(job: Job, gradients: dict[str, Any], other: dict[str, Any] | None = None) -> np.ndarray:
    """Where gradients differ from others, or from the right ones: a flag for each direction of each gradient."""
    flags = []
    for name, slope in job.right.items():
        g = gradients.get(name)
        theirs = slope.values if other is None else _of(slope, other.get(name))
        mine = _of(slope, g)
        if g is None and name in job.adapter.input_names:
            mine = theirs = np.zeros(len(slope.values))
        scale = max(float(np.max(np.abs(theirs), initial=0)), float(np.max(np.abs(mine), initial=0)), 1e-300)
        flags.append(~(np.abs(mine - theirs) <= (WRONG if other is None else CHANGED) * scale))
    return np.concatenate(flags) if flags else np.zeros(0, bool)


def _of(slope: Any, g: Any) -> np.ndarray:
    fits = g is not None and np.size(g) == slope.along.shape[1] and np.asarray(g).dtype.kind in "fiu"
    return np.asarray(slope.of(np.asarray(g, np.float64)) if fits else np.full(len(slope.values), np.nan))


def shaken(x: Any, rng: np.random.Generator) -> Any:
    """Floats with other numbers, also inside of tuples, lists and dicts; anything else as the same object."""
    if isinstance(x, (np.ndarray, np.generic)) and np.asarray(x).dtype.kind == "f" and np.size(x):
        scale = float(np.max(np.abs(np.nan_to_num(x)))) or 1.0
        return x + 0.1 * scale * rng.standard_normal(np.shape(x))
    if isinstance(x, (tuple, list)) and x:
        parts = [shaken(part, rng) for part in x]
        return x if all(a is b for a, b in zip(parts, x)) else type(x)(parts) if type(x) in (tuple, list) else x
    if type(x) is dict and x:
        new = {key: shaken(part, rng) for key, part in x.items()}
        return x if all(new[key] is x[key] for key in x) else new
    return x
