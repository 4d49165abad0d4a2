"""Where can the mistake be? Each value that a line computes is moved a little, and the gradients that change are noted.

A line that computes a wrong value influences every gradient that is wrong by it. So a line can be the only mistake only
if all wrong gradients change with it. The fewer right ones change too, the likelier it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .instrument import instrumented
from .job import Job
from .observe import Observation
from .scope import names_of
from .statement_edits import bodies

UNKNOWN = 0.6  # the rank of a line whose value cannot be moved, such as the header of a loop
USED = 0.05  # of such a line, so much more than the likeliest line that uses what it assigns
RANK = 1.0  # the rank of the likeliest statements: all that is wrong changes with them
ALONE = 0.7  # less than this has what all that is wrong changes with
ELSEWHERE = 1.6  # the rank of a value that influences a part of what is wrong
WRONG, CHANGED = 1e-6, 1e-11  # a smaller error is that of the numbers; a smaller change is rounding
FEW = 0.05  # of what is wrong, so much may be so little changed that it does not show
Place = tuple[int, int]  # a unit, and the number of a statement in it


@dataclass
class Ranks:
    """How likely it is that a statement, or the value of an expression, is the mistake: 0 if so, to 2 if not.

    ``places`` are the ranks of statements that ran, ``nodes`` those of expressions by the id of their node. Those of
    ``variables``, by unit and name, are of the values wherever they are read: a statement that changes the variable
    can be missing.
    """

    places: dict[Place, float]
    nodes: dict[int, float]
    variables: dict[tuple[int, str], float]  # if forward and backward are one function, of the reads from some line on


def ranks(job: Job, seen: Observation) -> Ranks:
    """The ranks of all statements: 0 if the value influences exactly what is wrong, to 2 if nothing of it.

    A loop has the rank of the likeliest statement inside of it.
    """
    wrong = differences(job, job.first.gradients)
    ranking = Ranks({}, {}, {})
    names = [unit.function.__name__ for unit in job.units]
    for k, unit in enumerate(job.units):
        numbered = [(n, statement) for n, (_, _, statement) in enumerate(bodies(unit.node)) if seen.ran(k, statement)]
        listed = [node for _, statement in numbered for node in values(statement, names)]
        for node, changed in zip(listed, influences(job, k, [[node] for node in listed])):
            if changed is not None:
                ranking.nodes[id(node)] = rank(wrong, changed)
        for name, changed in _variables(job, k, not seen.following):
            least = ranking.variables.get((k, name), 2.0)
            ranking.variables[k, name] = min(least, rank(wrong, changed))
        for n, statement in numbered:
            ranked = [ranking.nodes[id(node)] for node in values(statement, names) if id(node) in ranking.nodes]
            no_array = isinstance(statement, ast.Return) and not ranked and np.inf in job.first.errors.values()
            ranking.places[k, n] = 0.0 if no_array else _place(statement, min(ranked, default=None))
        _by_users(ranking.places, k, numbered)
    return ranking


def _by_users(places: dict[Place, float], k: int, numbered: Sequence[tuple[int, ast.stmt]]) -> None:
    """Rank a line whose value cannot be moved by the lines that use what it assigns, a loop by those inside of it."""
    for n, statement in reversed(numbered):
        if places[k, n] == UNKNOWN and isinstance(statement, ast.Assign):
            assigned = _names(statement, ast.Store)
            users = [places[k, m] for m, other in numbered if m > n and not isinstance(other, ast.For)
                     and any(name in assigned for name in _names(other, ast.Load))]  # fmt: skip
            places[k, n] = min([UNKNOWN, *(USED + least for least in users)])
    for n, statement in numbered:
        if isinstance(statement, ast.For):
            last = statement.end_lineno or 0
            inside = [m for m, other in numbered if statement.lineno <= other.lineno <= last]
            places[k, n] = min(places[k, m] for m in inside)


def _names(statement: ast.stmt, context: type) -> list[str]:
    """The variables that a statement reads or assigns."""
    return [part.id for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, context)]


def _place(statement: ast.stmt, least: float | None) -> float:
    """The rank of a statement whose likeliest value has the rank ``least``."""
    if least is None:
        return UNKNOWN + 0.3 * isinstance(statement, (ast.If, ast.Return))
    targets = [getattr(statement, "target", None), *getattr(statement, "targets", [])]
    indexed = any(isinstance(target, ast.Subscript) for target in targets)  # perhaps the element or block is wrong
    return min(least, UNKNOWN) if indexed and least < ELSEWHERE else least


def _variables(job: Job, k: int, suffixes: bool) -> Iterator[tuple[str, np.ndarray]]:
    """What changes with the values of each variable where it is read, and if ``suffixes`` where it is read late."""
    reads = reads_of(job.units[k].node)
    for first in range(max(map(len, reads.values()), default=0) if suffixes else 1):
        reads = {name: nodes[min(first, 1) :] for name, nodes in reads.items() if len(nodes) > min(first, 1)}
        for name, changed in zip(reads, influences(job, k, list(reads.values()))):
            if changed is not None:
                yield name, changed


def rank(wrong: np.ndarray, changed: np.ndarray) -> float:
    """How well what changes covers what is wrong."""
    if not changed.any():
        return 2.0
    missed, extra = np.mean(~changed[wrong]) if wrong.any() else 0.0, np.mean(~wrong[changed])
    return float(0.5 * extra + (missed if missed < FEW else ALONE + missed))


def values(statement: ast.stmt, names: Sequence[str] = ()) -> list[ast.expr]:
    """The expressions whose values a statement computes: the parts of a tuple, a list or a dict apart.

    Also what it hands to user-defined functions, given by their ``names``, and to a method: this may influence more
    than the result.
    """
    value = getattr(statement, "value", None)
    if isinstance(statement, ast.Expr) and isinstance(value, ast.Call):
        return [node for part in value.args for node in _members(part, names)]
    return list(_members(value, names)) if isinstance(value, ast.expr) else []


def _members(node: ast.expr, names: Sequence[str]) -> Iterator[ast.expr]:
    inside: list[Any] = []
    if isinstance(node, (ast.Tuple, ast.List)):
        inside = node.elts
    elif isinstance(node, ast.Dict):
        inside = node.values
    elif isinstance(node, ast.Call):
        yield node
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        inside = [part for part in node.args if name in names or isinstance(part, (ast.Tuple, ast.List))]
    elif not isinstance(node, ast.Starred) and isinstance(getattr(node, "value", 0), (int, float, ast.expr)):
        yield node
    for part in inside:
        yield from _members(part, names)


def reads_of(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """Where each variable of a function is read, from the first line on."""
    reads: dict[str, list[ast.expr]] = {name: [] for name in names_of(function)}
    nodes = [node for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        if node.id in reads:
            reads[node.id].append(node)
    return reads


def influences(job: Job, k: int, groups: Sequence[Sequence[ast.expr]]) -> Iterator[np.ndarray | None]:
    """Which parts of the gradients change if the values of some expressions do, for each of ``groups``.

    None if the values cannot be changed; nothing if the outputs change.
    """
    nodes = [node for group in groups for node in group]
    group_of = [number for number, group in enumerate(groups) for _ in group]
    chosen, moved = [0], [False]

    def callback(n: int, x: Any) -> Any:
        if group_of[n] != chosen[0]:
            return x
        new = shaken(x, rng)
        moved.append(new is not x)
        return new

    code = instrumented(job.units[k], nodes, 0, callback)
    for chosen[0] in range(len(groups)):
        rng, moved = np.random.default_rng(0), []
        try:
            with job.running({k: code}):
                outcome = job.outcome()
        except Exception:  # of the user's code, with other numbers than usual
            yield None
            continue
        if any(moved) and not job.same_outputs(outcome.outputs):
            yield np.zeros(len(differences(job, job.first.gradients)), bool)
        else:
            yield differences(job, outcome.gradients, job.first.gradients) if any(moved) else None


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
    """Floats and ints with other numbers, also inside of tuples, lists and dicts; anything else as the same object."""
    if type(x) is int:  # an initial value
        return x + 0.1 + rng.random()
    if isinstance(x, (np.ndarray, np.generic, float)) and np.asarray(x).dtype.kind == "f" and np.size(x):
        scale = float(np.max(np.abs(np.nan_to_num(x)))) or 1.0
        return x + 0.1 * scale * rng.standard_normal(np.shape(x))
    if isinstance(x, (tuple, list)) and x:
        parts = [shaken(part, rng) for part in x]
        return x if all(a is b for a, b in zip(parts, x)) else type(x)(parts) if type(x) in (tuple, list) else x
    if type(x) is dict and x:
        new = {key: shaken(part, rng) for key, part in x.items()}
        return x if all(new[key] is x[key] for key in x) else new
    return x
