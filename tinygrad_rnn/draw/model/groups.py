"""What is looked at as one: operations, time steps, folded steps, rows, scopes, affine maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...cells.step_run import is_block
from ...engine.graph import Node
from ...tracing.recurrences import Step
from .capture import Captured
from .measure import Measured

LEVELS = ("op", "cell", "module")
MANY = 8  # steps that are shown without folding
ENDS = 2  # steps that are always shown, at either end of a fold
ODD = 4  # steps that are shown because something is wrong with them, at most
MOST, SHOWN = 2000, 20  # operations that are drawn one by one, and of more than that, at either end
RANGE = (1e-12, 1e6)  # norms of gradients outside of it are out of the ordinary


@dataclass(eq=False)
class Unit:
    """Several operations that are one thing in the picture; ``kind`` as that of a vertex."""

    kind: str
    op: str
    row: int | None = None
    steps: list[Step] = field(default_factory=list)
    scope: str = ""


def units(made: Captured, level: str, folds: Mapping[int, Sequence[tuple[int, int]]], affine: bool) -> dict[Node, Unit]:
    """The unit of every node that is in one; ``folds`` are the folded steps of each row, first and last."""
    found: dict[Node, Unit] = {}
    for r, row in enumerate(made.rows):
        if level == "module":
            _put(found, Unit("module", row.cell.name, r, row.steps))
            continue
        folded = [range(first, last + 1) for first, last in folds.get(r, ())]
        for stretch in folded:
            _put(found, Unit("fold", row.cell.name, r, [row.steps[k] for k in stretch]))
        for k, step in enumerate(row.steps):
            if level == "cell" and not any(k in stretch for stretch in folded):
                _put(found, Unit("cell", row.cell.name, r, [step]))
    if level == "module":
        _stacks(made, found)
        _scopes(made, found)
    elif affine and level == "op":
        _affines(made, found)
    if level != "module":
        _long(made, found)
    return found


def _long(made: Captured, found: dict[Node, Unit]) -> None:
    """Of very many operations outside of steps, all but the first and the last are one."""
    loose = [node for node in made.order if node.parents and node not in found and not is_block(node)]
    inside = dict.fromkeys(node for row in made.rows for step in row.steps for node in step.nodes)
    loose = [node for node in loose if node not in inside]
    if len(loose) > MOST:
        unit = Unit("fold", f"{len(loose) - 2 * SHOWN} operations")
        found.update(dict.fromkeys(loose[SHOWN:-SHOWN], unit))


def _put(found: dict[Node, Unit], unit: Unit) -> None:
    for step in unit.steps:
        found.update(dict.fromkeys(step.nodes, unit))


def _stacks(made: Captured, found: dict[Node, Unit]) -> None:
    """The states of all steps side by side belong to the steps, so that what comes out is one value."""
    for node in made.order:
        first = found.get(node.parents[0]) if _is(node, "stack") and node.parents[0] is not None else None
        if first is not None and all(one is not None and found.get(one) is first for one in node.parents):
            found[node] = first


def _scopes(made: Captured, found: dict[Node, Unit]) -> None:
    """What no cell made, by the outermost scope that it was made in."""
    known: dict[str, Unit] = {}
    for node in made.order:
        scope = getattr(node, "scope", ())
        if scope and node not in found and not is_block(node):
            found[node] = known.setdefault(scope[0], Unit("module", scope[0], scope=scope[0]))


def _affines(made: Captured, found: dict[Node, Unit]) -> None:
    """Sums of products with parameters, such as ``x @ Wx + h @ Wh + b``, as one."""
    count: dict[Node, int] = {}
    for node in made.order:
        for parent in node.parents:
            if parent is not None:
                count[parent] = count.get(parent, 0) + 1
    for node in reversed(made.order):
        if _is(node, "add") and node not in found:
            inside, rest = [], [node]
            for one in rest:  # which grows
                inside.append(one)
                if _is(one, "add"):
                    rest += [p for p in one.parents if _is(p, "add", "matmul") and count[p] == 1 and p not in found]
            if sum(_is(one, "matmul") for one in inside) and len(inside) > 1:
                found.update(dict.fromkeys(inside, Unit("affine", "affine")))


def _is(node: Node | None, *names: str) -> bool:
    return node is not None and node.op is not None and node.op.name in names and not is_block(node)


def choose(made: Captured, measured: Measured, unfold: tuple[int, int] | None) -> dict[int, list[tuple[int, int]]]:
    """The steps of each row to fold, where there are many: all but the ends, the odd ones and those asked for.

    All rows fold the same steps, so that they stay under each other.
    """
    longest = max((len(row.steps) for row in made.rows), default=0)
    if longest <= MANY:
        return {}
    shown = [*range(ENDS), *range(longest - ENDS, longest), *_odd(made, measured), *_cuts(made)]
    if unfold is not None:
        shown += range(max(unfold[0], 0), min(unfold[1], longest))
    keep = sorted(dict.fromkeys(shown))
    gaps = [(a + 1, b - 1) for a, b in zip([-1, *keep], [*keep, longest]) if b - a > 2]  # one step is no fold
    return {
        r: [(first, min(last, len(row.steps) - 1)) for first, last in gaps if first < len(row.steps)]
        for r, row in enumerate(made.rows)
    }


def _cuts(made: Captured) -> list[int]:
    """The steps on either side of the first cuts."""
    cuts = [k for row in made.rows for k, step in enumerate(row.steps) if step.cut]
    return [one for k in cuts[: ODD // 2] for one in (k - 1, k)]


def _odd(made: Captured, measured: Measured) -> list[int]:
    """The steps on either side of where a gradient becomes NaN, infinite or out of the ordinary, or is so no more."""
    found: list[int] = []
    for row in made.rows:
        for name in row.cell.states:
            known = [after(measured, step, name) for step in row.steps]
            norms = [1.0 if norm is None else norm for norm in known]
            odd = [not (math.isfinite(one) and (one == 0 or RANGE[0] < one < RANGE[1])) for one in norms]
            found += [one for k in range(1, len(odd)) if odd[k] != odd[k - 1] for one in (k - 1, k)]
    return list(dict.fromkeys(found))[:ODD]


def after(measured: Measured, step: Step, name: str) -> float | None:
    """The norm of the gradient by the state ``name`` after a step."""
    node = step.after[name]
    if node is None:
        return None
    known = measured.totals.get(node) if node.seq >= step.start else measured.passed.get((node, step.end))
    return known.norm if known else None
