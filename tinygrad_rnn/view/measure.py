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

from ..graph import USED, Node, Rule, fitted
from .capture import Captured

SAFE = (1e-290, 1e290)  # where squares neither overflow nor vanish


class Size(NamedTuple):
    """How large an array is: the root of the sum of its squares, and the sum of its elements."""

    norm: float
    sum: float


def size(x: Any) -> Size:
    """The size of an array, taken in float64; norms down to 1e-300 and up to 1e300 are right."""
    flat = np.asarray(x, np.float64).ravel()
    square = float(np.dot(flat, flat))
    if SAFE[0] < square < SAFE[1]:
        return Size(math.sqrt(square), float(np.add.reduce(flat)))
    largest = float(np.abs(flat).max(initial=0))
    if largest == 0 or not math.isfinite(largest):
        return Size(largest, float(np.add.reduce(flat)))
    scaled = flat / largest
    return Size(largest * math.sqrt(float(np.dot(scaled, scaled))), float(np.add.reduce(flat)))


@dataclass
class Measured:
    """``totals`` by value; ``parts`` by (value, unit that it goes to, operand there): the operand of a group is 0."""

    totals: dict[Node, Size] = field(default_factory=dict)
    parts: dict[tuple[Node, Any, int], Size] = field(default_factory=dict)


def measure(made: Captured, unit: Mapping[Node, Any]) -> Measured:
    """Go back once. ``unit`` gives the groups; a node that is in none is one of its own.

    What stays inside a group is not measured. Where a backward pass has let go of the arrays, only leaves are known,
    by the ``.grad`` that they have.
    """
    if any(node.kept is USED for node in made.order):
        grads = {node: node.grad for node in made.order if getattr(node, "grad", None) is not None}
        return Measured({node: size(g) for node, g in grads.items()})
    going = _Pass(made, unit)
    with np.errstate(all="ignore"):
        for node in reversed(made.order):
            going.through(node)
    return going.found


class _Pass:
    """A backward pass: the gradients that have come so far, and those that pass into the group where it is."""

    def __init__(self, made: Captured, unit: Mapping[Node, Any]):
        self.found, self.unit = Measured(), unit
        self.totals: dict[Node, Any] = dict(made.cotangents)
        self.owned: dict[Node, bool] = {}  # totals that may be written to
        self.between: dict[Any, dict[Node, Any]] = {}
        self.left = Counter(unit.values())  # nodes of each group that have not had their turn
        self.outward = dict.fromkeys(made.cotangents)  # values that are used outside of their group
        self.outward.update((one, None) for cut in made.detached.values() for one in cut.values())
        for node in made.order:
            own = unit.get(node)
            self.outward.update((one, None) for one in node.parents if own is None or unit.get(one) is not own)

    def through(self, node: Node) -> None:
        """A node's turn: all of its gradient has come."""
        own = self.unit.get(node)
        if node in self.totals:
            self.pull_all(node, own, self.totals.pop(node))
        if own is not None:
            self.left[own] -= 1
            if not self.left[own]:
                self.settle(own)

    def pull_all(self, node: Node, own: Any, dy: Any) -> None:
        """What the rules of a node give, added up by value and by what it passes between."""
        if (own is None or node in self.outward) and node.shape is not None:
            self.found.totals[node] = size(dy)
        for k, (parent, rule, kept) in enumerate(zip(node.parents, node.rules, node.kept)):
            if parent is not None:
                inside = own is not None and self.unit.get(parent) is own
                part = self.pull(parent, rule, dy, kept, inside or _is_slice(node))
                if own is None and parent.shape is not None:
                    self.found.parts[parent, node, k] = size(part)
                elif not inside and own is not None:
                    passing = self.between.setdefault(own, {})
                    passing[parent] = passing[parent] + part if parent in passing else part

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
        for parent, g in self.between.pop(own, {}).items():
            self.found.parts[parent, own, 0] = size(g)


def _is_slice(node: Node) -> bool:
    return node.op is not None and node.op.name == "getitem"
