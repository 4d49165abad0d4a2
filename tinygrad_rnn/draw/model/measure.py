"""The sizes of all gradients of a captured graph: one backward pass that forgets nothing and changes nothing.

A *unit* is what is looked at as one: an operation, or all operations of a time step. A gradient that passes from one
unit into another is a part; a value's own gradient is the sum of its parts. Sizes are norms; sums of elements are
measured beside them, because sums add up where norms do not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...cells.step_run import is_block
from ...engine.graph import USED, Node, Rule, fitted
from ...tracing.slices import is_basic_slice
from ...tracing.trace import SAFE_SQUARES, norm
from .capture import Captured

SMALL, TOGETHER = 2048, 256  # elements of an array that is small, and how many of them are taken together


class Size(NamedTuple):
    """How large an array is: the root of the sum of its squares, and the sum of its elements."""

    norm: float
    sum: float


def size(x: Any) -> Size:
    """The size of an array, taken in float64."""
    return Size(norm(x), float(np.add.reduce(np.asarray(x, np.float64).ravel())))


@dataclass
class Measured:
    """``totals`` by value; ``parts`` by (value, unit that it goes to, operand there): the operand of a group is 0.

    What passes from blocks of a parameter into a group is known for each block, and for the parameter. ``outside`` is
    what comes to a value from outside of its group, if it is used inside of it as well. ``passed`` is what comes back
    to a state that a step passed on, by (value, end of that step): from all that was made later.
    """

    totals: dict[Node, Size] = field(default_factory=dict)
    outside: dict[Node, Size] = field(default_factory=dict)
    parts: dict[tuple[Node, Any, int], Size] = field(default_factory=dict)
    passed: dict[tuple[Node, int], Size] = field(default_factory=dict)
    entering: list[Node] = field(default_factory=list)  # what something comes into from outside of its group
    used_up: bool = False  # has a backward pass let go of the arrays?


class Sizes:
    """The sizes of many small arrays: those of one shape are taken together, which costs a fraction."""

    def __init__(self) -> None:
        self.waiting: dict[tuple[Any, ...], list[tuple[dict[Any, Size], Any, Any]]] = {}

    def into(self, found: dict[Any, Size], key: Any, x: Any) -> None:
        """Put the size of ``x`` at ``found[key]``, sooner or later."""
        if x.size > SMALL or not x.size:
            found[key] = size(x)
            return
        alike = self.waiting.setdefault((x.shape, x.dtype), [])
        alike.append((found, key, x))
        if len(alike) == TOGETHER:
            self.take(alike)

    def take(self, alike: list[tuple[dict[Any, Size], Any, Any]]) -> None:
        rows = np.array([x for *_, x in alike], np.float64).reshape(len(alike), -1)
        squares, totals = np.add.reduce(rows * rows, axis=1).tolist(), np.add.reduce(rows, axis=1).tolist()
        for (found, key, x), square, total in zip(alike, squares, totals):
            safe = SAFE_SQUARES[0] < square < SAFE_SQUARES[1]
            found[key] = Size(math.sqrt(square), total) if safe else size(x)
        alike.clear()

    def finish(self) -> None:
        for alike in self.waiting.values():
            if alike:
                self.take(alike)


def measure(made: Captured, unit: Mapping[Node, Any]) -> Measured:
    """Go back once. ``unit`` gives the groups; a node that is in none is one of its own.

    What stays inside a group is not measured. Where a backward pass has let go of the arrays, only leaves are known,
    by the ``.grad`` that they have.
    """
    if any(node.edges is USED for node in made.order):
        grads = {node: node.grad for node in made.order if getattr(node, "grad", None) is not None}
        return Measured({node: size(g) for node, g in grads.items()}, entering=made.order, used_up=True)
    going = _Pass(made, unit)
    with np.errstate(all="ignore"):
        going.back()
        going.sizes.finish()
    return going.found


class _Pass:
    """A backward pass: the gradients that have come so far, and those that pass into the group where it is."""

    def __init__(self, made: Captured, unit: Mapping[Node, Any]):
        self.found, self.sizes, self.unit, self.order = Measured(), Sizes(), unit, made.order
        self.totals: dict[Node, Any] = dict(made.cotangents)
        self.owned: dict[Node, bool] = {}  # totals that may be written to
        self.between: dict[Any, dict[Node, _Passing]] = {}
        self.left = Counter(unit.values())  # nodes of each group that have not had their turn
        self.outward = dict.fromkeys(made.cotangents)  # values that are used outside of their group
        self.outward.update((one, None) for cut in made.detached.values() for one in cut.values())
        for node in made.order:
            own, inside = unit.get(node), node not in made.detached
            for one in node.parents:
                if one is not None and (own is None or unit.get(one) is not own):
                    self.outward[one], inside = None, False
            if own is None or not inside:
                self.found.entering.append(node)
        self.outer = {one: _Passing(dy) for one, dy in made.cotangents.items()}  # what comes to them from outside
        self.mixed: dict[Node, None] = {}  # those that are used inside, too
        kept = [(node, step.end) for row in made.rows for step in row.steps for node in step.kept()]
        self.kept = sorted(kept, key=lambda one: one[1])  # states that are passed on, the next one last

    def back(self) -> None:
        """Every node's turn, newest first. This runs for every edge, and what stays in a group takes the short way."""
        totals, group, outward, mixed = self.totals, self.unit.get, self.outward, self.mixed
        for node in reversed(self.order):
            while self.kept and node.seq < self.kept[-1][1]:
                self.keep(*self.kept.pop())
            own, dy = group(node), totals.pop(node, None)
            if dy is not None:
                if own is None or node in outward:
                    self.note(node, dy)
                for k, edge in enumerate(node.edges):
                    if edge is not None:
                        parent, rule, kept = edge
                        if own is None or group(parent) is not own:
                            self.across(node, k, own, dy)
                        else:
                            self.pull(parent, rule, dy, kept, True)
                            if parent in outward:
                                mixed[parent] = None
            if own is not None:
                self.left[own] -= 1
                if not self.left[own]:
                    self.settle(own)

    def note(self, node: Node, dy: Any) -> None:
        """All of a value's gradient has come."""
        if node.shape is not None:
            self.sizes.into(self.found.totals, node, dy)
            outside = self.outer.pop(node, None) or _Passing()
            if node in self.mixed:
                self.sizes.into(self.found.outside, node, outside.array(node))

    def keep(self, node: Node, end: int) -> None:
        """Note what has come to a state until the end of a step that passed it on."""
        if node in self.totals:
            self.found.passed[node, end] = size(self.totals[node])

    def across(self, node: Node, k: int, own: Any, dy: Any) -> None:
        """What passes from a node to a value outside of its group."""
        parent, rule, kept = node.edges[k]
        small = is_basic_slice(node) and not is_block(node.parents[0])
        part = self.pull(parent, rule, dy, kept, small)
        if parent.shape is None:
            return
        self.outer.setdefault(parent, _Passing()).add(part, node if small else None)
        if own is None:
            self.sizes.into(self.found.parts, (parent, node, k), part)
        else:
            self.pass_on(own, parent, part, node if small else None)

    def pass_on(self, own: Any, parent: Node, part: Any, slice_: Node | None) -> None:
        """Note what passes into a group; that of a block passes into it from the parameter, too."""
        passing = self.between.setdefault(own, {})
        passing.setdefault(parent, _Passing()).add(part, slice_)
        if is_block(parent):
            passing.setdefault(parent.parents[0], _Passing()).add(part, parent)

    def pull(self, parent: Node, rule: Rule, dy: Any, kept: Any, in_place: bool) -> Any:
        """Add what the rule gives to the parent's total; the part, or for a slice dy, which has the same elements."""
        totals = self.totals
        if in_place and rule.into is not None:
            if parent not in self.owned:
                totals[parent] = np.array(totals[parent]) if parent in totals else np.zeros(parent.shape, parent.dtype)
                self.owned[parent] = True
            rule.into(totals[parent], dy, *kept)
            return dy
        g = rule.fn(dy, *kept)
        if g.dtype is not parent.dtype or g.shape != parent.shape:
            g = fitted(g, parent)
        if parent in totals:
            totals[parent] = totals[parent] + g
            self.owned[parent] = True
        else:
            totals[parent] = g
        return g

    def settle(self, own: Any) -> None:
        """A group has been gone through: what has passed into it is complete."""
        for parent, passing in self.between.pop(own, {}).items():
            self.sizes.into(self.found.parts, (parent, own, 0), passing.array(parent))


class _Passing:
    """What passes from a value into a group: its sum, and the gradients by slices that the group reads of it.

    A slice that is the only one stays as small as it is: it has the same elements.
    """

    def __init__(self, whole: Any = None) -> None:
        self.whole = whole
        self.slices: list[tuple[Node, Any]] = []

    def add(self, part: Any, slice_: Node | None) -> None:
        if slice_ is not None:
            self.slices.append((slice_, part))
        else:
            self.whole = part if self.whole is None else self.whole + part

    def array(self, node: Node) -> Any:
        """An array with the same elements as the sum, and perhaps fewer zeros."""
        if not self.slices and self.whole is not None:
            return self.whole
        if self.whole is None and len(self.slices) == 1 and is_basic_slice(self.slices[0][0]):
            return self.slices[0][1]
        total = np.zeros(node.shape, node.dtype) if self.whole is None else np.array(self.whole)
        for one, part in self.slices:
            _, rule, kept = one.edges[0]
            rule.into(total, part, *kept)
        return total
