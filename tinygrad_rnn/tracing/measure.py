"""The sizes of all gradients of a graph: one backward pass that keeps the graph and changes nothing.

A *group* is looked at as one thing: an operation, or all operations of a time step. A gradient that passes from one
group into another is a part; a value's own gradient is the sum of its parts. The gradients are those of `pull`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from ..cells.step_run import is_block
from ..engine.graph import USED, Node, Rule, fitted
from ..engine.row_gradient import whole
from .magnitudes import Size, Sizes, size
from .recurrences import Detached, Recurrence
from .slices import is_basic_slice


@dataclass
class Measured:
    """``totals`` by value; ``parts`` by (value, group that it goes to, operand there): the operand of a group is 0.

    What passes from blocks of a parameter into a group is known for each block, and for the parameter. ``outside`` is
    what comes to a value from outside of its group, if it is used inside of it as well. ``passed`` is what comes back
    to a state that a step passed on, by (value, end of that step): from all that was computed later.
    """

    totals: dict[Node, Size] = field(default_factory=dict)
    outside: dict[Node, Size] = field(default_factory=dict)
    parts: dict[tuple[Node, Any, int], Size] = field(default_factory=dict)
    passed: dict[tuple[Node, int], Size] = field(default_factory=dict)
    entering: list[Node] = field(default_factory=list)  # nodes with an operand from outside of their group
    used_up: bool = False  # whether a backward pass has let go of the arrays


def measure(
    order: Sequence[Node], cotangents: Mapping[Node, Any], group_of: Mapping[Node, Any],
    recurrences: Sequence[Recurrence] = (), detached: Detached = MappingProxyType({}), wanted: Iterable[Node] = (),
) -> Measured:  # fmt: skip
    """Run one backward pass over ``order``, the graph oldest first.

    A node without an entry in ``group_of`` is a group by itself. What stays inside a group is not measured, but for
    the ``wanted`` values. Where a backward pass has let go of the arrays, only leaves are known, by their ``.grad``.
    """
    if any(node.edges is USED for node in order):
        grads = {node: g for node in order if (g := whole(node)) is not None}
        return Measured({node: size(g) for node, g in grads.items()}, entering=list(order), used_up=True)
    entering, between = find_edges_between(order, group_of, detached)
    cut = [node for operands in detached.values() for node in operands.values()]
    backward = _Pass(order, cotangents, group_of, dict.fromkeys([*cotangents, *cut, *wanted, *between]))
    backward.measured.entering = entering
    steps = [step for recurrence in recurrences for step in recurrence.steps]
    passed_on = [(node, step.end) for step in steps for node in step.passed_on()]
    backward.passed_on = sorted(passed_on, key=lambda state: state[1])  # the next state last
    with np.errstate(all="ignore"):
        backward.run()
        backward.sizes.finish()
    return backward.measured


def find_edges_between(
    order: Sequence[Node], group_of: Mapping[Node, Any], detached: Detached = MappingProxyType({})
) -> tuple[list[Node], list[Node]]:
    """The nodes that read values from outside of their group, and these values."""
    entering, between = list[Node](), dict[Node, None]()
    for node in order:
        group, inside = group_of.get(node), node not in detached
        for parent in node.parents:
            if parent is not None and (group is None or group_of.get(parent) is not group):
                between[parent], inside = None, False
        if group is None or not inside:
            entering.append(node)
    return entering, list(between)


class _Pass:
    """A backward pass: the totals so far, and the gradients that pass into the groups it is in."""

    def __init__(self, order: Sequence[Node], cotangents: Mapping[Node, Any], group_of: Mapping[Node, Any],
                 outward: dict[Node, None]):  # fmt: skip
        self.measured, self.sizes, self.group_of, self.order = Measured(), Sizes(), group_of, order
        self.totals: dict[Node, Any] = dict(cotangents)
        self.owned: dict[Node, bool] = {}  # totals that may be written to
        self.between: dict[Any, dict[Node, _Passing]] = {}
        self.left = Counter(group_of.values())  # nodes of each group that are still to come
        self.outward = outward  # values that are used outside of their group
        self.outer = {node: _Passing(dy) for node, dy in cotangents.items()}  # what comes from outside
        self.mixed: dict[Node, None] = {}  # values that are used both outside and inside of their group
        self.passed_on: list[tuple[Node, int]] = []  # states and the ends of the steps that passed them on

    def run(self) -> None:
        """Visit every node, newest first. This runs for every edge, so what stays in a group takes the short way."""
        totals, group_of, outward, mixed = self.totals, self.group_of.get, self.outward, self.mixed
        for node in reversed(self.order):
            while self.passed_on and node.seq < self.passed_on[-1][1]:
                self.note_passed(*self.passed_on.pop())
            group, dy = group_of(node), totals.pop(node, None)
            if dy is not None:
                if group is None or node in outward:
                    self.note_total(node, dy)
                for k, edge in enumerate(node.edges):
                    if edge is not None:
                        parent, rule, saved = edge
                        if group is None or group_of(parent) is not group:
                            self.cross(node, k, group, dy)
                        else:
                            self.add(parent, rule, dy, saved, True)
                            if parent in outward:
                                mixed[parent] = None
            if group is not None:
                self.left[group] -= 1
                if not self.left[group]:
                    self.close(group)

    def note_total(self, node: Node, dy: Any) -> None:
        """Note the gradient of a value that is complete."""
        if node.shape is not None:
            self.sizes.into(self.measured.totals, node, dy)
            outside = self.outer.pop(node, None) or _Passing()
            if node in self.mixed:
                self.sizes.into(self.measured.outside, node, outside.array(node))

    def note_passed(self, node: Node, end: int) -> None:
        """Note the gradient by a state so far, at the end of a step that passed the state on."""
        if node in self.totals:
            self.measured.passed[node, end] = size(self.totals[node])

    def cross(self, node: Node, k: int, group: Any, dy: Any) -> None:
        """Take a gradient from a node to its operand k, which is outside of the node's group."""
        parent, rule, saved = node.edges[k]
        small = is_basic_slice(node) and not is_block(node.parents[0])
        part = self.add(parent, rule, dy, saved, small)
        if parent.shape is None:
            return
        self.outer.setdefault(parent, _Passing()).add(part, node if small else None)
        if group is None:
            self.sizes.into(self.measured.parts, (parent, node, k), part)
        else:
            self.pass_into(group, parent, part, node if small else None)

    def pass_into(self, group: Any, parent: Node, part: Any, slice_node: Node | None) -> None:
        """Note a gradient by an operand of a group; by a block of a parameter, it is one by the parameter, too."""
        passing = self.between.setdefault(group, {})
        passing.setdefault(parent, _Passing()).add(part, slice_node)
        if is_block(parent):
            passing.setdefault(parent.parents[0], _Passing()).add(part, parent)

    def add(self, parent: Node, rule: Rule, dy: Any, saved: Any, in_place: bool) -> Any:
        """Add the result of a rule to the parent's total; the part, or for a slice dy, which has the same elements."""
        totals = self.totals
        if in_place and rule.accumulate_into is not None:
            if parent not in self.owned:
                totals[parent] = np.array(totals[parent]) if parent in totals else np.zeros(parent.shape, parent.dtype)
                self.owned[parent] = True
            rule.accumulate_into(totals[parent], dy, *saved)
            return dy
        g = rule.fn(dy, *saved)
        if g.dtype is not parent.dtype or g.shape != parent.shape:
            g = fitted(g, parent)
        if parent in totals:
            totals[parent] = totals[parent] + g
            self.owned[parent] = True
        else:
            totals[parent] = g
        return g

    def close(self, group: Any) -> None:
        """Measure what has passed into a group whose nodes have all been visited."""
        for parent, passing in self.between.pop(group, {}).items():
            self.sizes.into(self.measured.parts, (parent, group, 0), passing.array(parent))


class _Passing:
    """The gradient by a value that passes into a group: a sum, and the parts by slices that the group reads of it.

    A slice that is the only part stays as small as it is: it has the same elements.
    """

    def __init__(self, whole: Any = None) -> None:
        self.whole = whole
        self.slices: list[tuple[Node, Any]] = []

    def add(self, part: Any, slice_node: Node | None) -> None:
        """Add a part, which is the gradient by the value, or by a slice of it."""
        if slice_node is not None:
            self.slices.append((slice_node, part))
        else:
            self.whole = part if self.whole is None else self.whole + part

    def array(self, node: Node) -> Any:
        """An array with the same elements as the sum, and perhaps fewer zeros."""
        if not self.slices and self.whole is not None:
            return self.whole
        if self.whole is None and len(self.slices) == 1 and is_basic_slice(self.slices[0][0]):
            return self.slices[0][1]
        total = np.zeros(node.shape, node.dtype) if self.whole is None else np.array(self.whole)
        for slice_node, part in self.slices:
            _, rule, saved = slice_node.edges[0]
            rule.accumulate_into(total, part, *saved)
        return total
