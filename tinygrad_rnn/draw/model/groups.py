"""Groups: what is drawn as one box, such as a time step, folded steps, all steps of a cell, a scope, an affine map."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...cells.cell import Cell
from ...cells.step_run import is_block
from ...engine.graph import Node
from ...tracing.measure import Measured
from ...tracing.recurrences import Recurrence, TimeStep
from .capture import Captured
from .graph import RowOfSteps
from .helpers import boxes
from .spellings import spelled_out

LEVELS = ("op", "cell", "module")
MANY, ENDS = 8, 2  # steps that are shown without folding; steps that are always shown, at either end of a fold
BESIDE = 3, 1  # the same where two directions stand side by side
ODD = 4  # steps that are shown because their gradients are out of the ordinary, at most
MOST, SHOWN = 2000, 20  # operations that are drawn each; of more than that, how many at either end
TOTALS = {"assign": "stack", "add": "sum", "subtract": "− sum"}  # what a loop computes by these, step by step
RANGE = (1e-12, 1e6)  # norms of gradients outside of it are out of the ordinary


@dataclass(eq=False)
class Group:
    """Several operations that are one box in the picture; ``kind`` as that of a vertex, ``row`` its recurrence."""

    kind: str
    op: str
    row: int | None = None
    steps: list[TimeStep] = field(default_factory=list)
    scope: str = ""

    def state_of(self, value: Node) -> str:
        """The state as which its first step reads a value."""
        before = self.steps[0].before if self.steps else {}
        return next((name for name, node in before.items() if node is value), "")


def groups(
    captured: Captured, level: str, folds: Mapping[int, Sequence[tuple[int, int]]], affine: bool,
    helpers: bool = False,
) -> dict[Node, Group]:  # fmt: skip
    """The group of every node that is in a group; ``folds`` are the folded steps of each recurrence, first and last.

    ``helpers`` makes each call of a function of the user's one group.
    """
    group_of: dict[Node, Group] = {}
    for r, recurrence in enumerate(captured.recurrences):
        if level == "module":
            _put(group_of, Group("module", recurrence.cell.name, r, recurrence.steps))
            continue
        folded = [range(first, last + 1) for first, last in folds.get(r, ())]
        for stretch in folded:
            _put(group_of, Group("fold", recurrence.cell.name, r, [recurrence.steps[k] for k in stretch]))
        for k, step in enumerate(recurrence.steps):
            if level == "cell" and not any(k in stretch for stretch in folded):
                _put(group_of, Group("cell", recurrence.cell.name, r, [step]))
    if level == "module":
        _add_stacks(captured, group_of)
        _add_scopes(captured, group_of)
    elif affine and level == "op":
        _add_affine_maps(captured, group_of)
    by_hand = any(not isinstance(recurrence.cell, Cell) for recurrence in captured.recurrences)
    if helpers and (level == "op" or (level == "cell" and by_hand)):
        _add_helpers(captured, group_of)
    if by_hand and level != "module":
        _add_totals(captured, group_of)
    if level != "module":
        _fold_long_graph(captured, group_of)
    return group_of


def _put(group_of: dict[Node, Group], group: Group) -> None:
    """Assign the nodes of all steps of a group to it."""
    for step in group.steps:
        group_of.update(dict.fromkeys(step.nodes, group))


def _fold_long_graph(captured: Captured, group_of: dict[Node, Group]) -> None:
    """Fold very many operations outside of steps, all but the first and the last, into one group."""
    inside = dict.fromkeys(node for recurrence in captured.recurrences for step in recurrence.steps
                           for node in step.nodes)  # fmt: skip
    outside = [node for node in captured.order
               if node.parents and node not in group_of and not is_block(node) and node not in inside]  # fmt: skip
    if len(outside) > MOST:
        fold = Group("fold", f"{len(outside) - 2 * SHOWN} operations")
        group_of.update(dict.fromkeys(outside[SHOWN:-SHOWN], fold))


def _add_stacks(captured: Captured, group_of: dict[Node, Group]) -> None:
    """Add a stack of the states of all steps to the group of the steps, so that its output is one value."""
    for node in captured.order:
        first = group_of.get(node.parents[0]) if _is(node, "stack") and node.parents[0] is not None else None
        if first is not None and all(parent is not None and group_of.get(parent) is first for parent in node.parents):
            group_of[node] = first


def _add_scopes(captured: Captured, group_of: dict[Node, Group]) -> None:
    """Group the operations outside of cells by the outermost scope that was open."""
    by_scope: dict[str, Group] = {}
    for node in captured.order:
        scope = getattr(node, "scope", ())
        if scope and node not in group_of and not is_block(node):
            group_of[node] = by_scope.setdefault(scope[0], Group("module", scope[0], scope=scope[0]))


def _add_helpers(captured: Captured, group_of: dict[Node, Group]) -> None:
    """Group the operations of each call of a function of the user's that returns one value, and spelled functions.

    In a step, a function that multiplies by a parameter is open: its affine map is a part of the form of a cell.
    """
    results = {node: name for name, node in captured.outputs.items()}
    is_step = captured.states or any(len(recurrence.steps) == 1 for recurrence in captured.recurrences)
    maps = [node for node in captured.order if is_step and _is(node, "matmul", "einsum") and
            any(captured.kinds.get(_origin(parent)) == "parameter" for parent in node.parents if parent)]  # fmt: skip
    for name, nodes in boxes(captured.calls, captured.order, results, maps):
        if not any(node in group_of for node in nodes):
            group_of.update(dict.fromkeys(nodes, Group("module", name)))
    for name, nodes in spelled_out(captured):
        if not any(node in group_of for node in nodes):
            group_of.update(dict.fromkeys(nodes, Group("module", name)))


def _add_totals(captured: Captured, group_of: dict[Node, Group]) -> None:
    """Group the assignments ``hs[:, t] = h`` to an array of which nothing is read before the last, a stack, and the
    additions ``loss += e`` of what the steps compute, a sum.
    """
    readers = Counter(parent for node in captured.order for parent in node.parents if parent is not None)
    inside = dict.fromkeys(node for recurrence in captured.recurrences for step in recurrence.steps
                           for node in step.nodes)  # fmt: skip
    for node in captured.order:
        before = next((parent for parent in node.parents if _is(parent, *TOTALS) and parent not in inside), None)
        if before is None or not _is(node, before.op.name if before.op else "") or node in group_of:
            continue
        filled = _is(node, "assign") or all(any(part in inside for part in total.parents) for total in (before, node))
        if filled and readers[before] == 1 and before not in captured.cotangents:
            group = group_of.setdefault(before, Group("stack", TOTALS[node.op.name if node.op else ""]))
            if group.kind == "stack":
                group_of[node] = group


def _add_affine_maps(captured: Captured, group_of: dict[Node, Group]) -> None:
    """Group sums of products with parameters, such as ``x @ Wx + h @ Wh + b``."""
    uses: dict[Node, int] = {}
    for node in captured.order:
        for parent in node.parents:
            if parent is not None:
                uses[parent] = uses.get(parent, 0) + 1
    for node in reversed(captured.order):
        if _is(node, "add") and node not in group_of:
            terms = [node]
            for term in terms:  # which grows
                if _is(term, "add"):
                    more = [parent for parent in term.parents if _is(parent, "add", "matmul")]
                    terms += [parent for parent in more if uses[parent] == 1 and parent not in group_of]
            if any(_is(term, "matmul") for term in terms) and len(terms) > 1:
                group_of.update(dict.fromkeys(terms, Group("affine", "affine")))


def _origin(node: Node) -> Node:
    """The value of which a node is a transpose or a slice."""
    while len(node.parents) == 1 and node.parents[0] is not None:
        node = node.parents[0]
    return node


def _is(node: Node | None, *names: str) -> bool:
    """Whether it is an operation with one of these names, and no block of a parameter."""
    return node is not None and node.op is not None and node.op.name in names and not is_block(node)


def two_ways(recurrences: Sequence[Recurrence]) -> bool:
    """Do two recurrences of opposite directions run beside each other, so that none reads what the other computes?"""
    for before, after in itertools.pairwise(recurrences):
        inside = dict.fromkeys(node for step in before.steps for node in step.nodes)
        reached = dict.fromkeys(node for step in after.steps for node in step.nodes)
        waiting = list(reached) if before.reverse != after.reverse else []
        for node in waiting:  # which grows
            new = [parent for parent in node.parents if parent is not None and parent not in reached]
            reached.update(dict.fromkeys(new))
            waiting += new
        if waiting and not any(node in inside for node in reached):
            return True
    return False


def choose_folds(
    rows: Sequence[RowOfSteps], unfold: tuple[int, int] | None, two_ways: bool = False
) -> dict[int, list[tuple[int, int]]]:  # fmt: skip
    """The steps of each row to fold, where there are many: all but the ends, the odd ones and those asked for.

    All rows fold the same steps, so that equal times stay below each other. Of ``two_ways`` few steps are shown: they
    have to have room beside each other.
    """
    longest = max((row.steps for row in rows), default=0)
    many, ends = BESIDE if two_ways else (MANY, ENDS)
    if longest <= many:
        return {}
    shown = [*range(ends), *range(longest - ends, longest), *_odd_steps(rows), *_cuts(rows)]
    if unfold is not None:
        shown += range(max(unfold[0], 0), min(unfold[1], longest))
    open_steps = sorted(dict.fromkeys(shown))
    gaps = [(a + 1, b - 1) for a, b in zip([-1, *open_steps], [*open_steps, longest]) if b - a > 2]  # one step: no fold
    return {r: [(first, min(last, row.steps - 1)) for first, last in gaps if first < row.steps]
            for r, row in enumerate(rows)}  # fmt: skip


def _cuts(rows: Sequence[RowOfSteps]) -> list[int]:
    """The steps on either side of the first cuts."""
    cuts = [k for row in rows for k in row.cuts]
    return [step for k in cuts[: ODD // 2] for step in (k - 1, k)]


def _odd_steps(rows: Sequence[RowOfSteps]) -> list[int]:
    """The steps on either side of where a gradient becomes NaN, infinite or out of the ordinary, or ceases to be so."""
    steps: list[int] = []
    for row in rows:
        for known in row.gradients.values():
            norms = [1.0 if norm is None else norm for norm in known[:: -1 if row.reverse else 1]]
            odd = [not (math.isfinite(norm) and (norm == 0 or RANGE[0] < norm < RANGE[1])) for norm in norms]
            steps += [step for k in range(1, len(odd)) if odd[k] != odd[k - 1] for step in (k - 1, k)]
    return list(dict.fromkeys(steps))[:ODD]


def norm_after(measured: Measured, step: TimeStep, name: str) -> float | None:
    """The norm of the gradient by the state ``name`` after a step."""
    node = step.after[name]
    if node is None:
        return None
    known = measured.totals.get(node) if step.computed(node) else measured.passed.get((node, step.end))
    return known.norm if known else None
