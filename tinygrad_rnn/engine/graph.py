"""The graph: nodes in order of creation, and the backward pass over them.

A node is one recorded value. It holds no array. For each input that needs a gradient, it holds the input's node, the
gradient rule, and the values that the rule saves. Nodes point from newer to older, so there are no cycles, and *newest
first is the backward order*: no recursion, no heap. A backward pass drops the saved values. The links between nodes
stay, so that a graph can be inspected before and after.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import GraphError
from . import versions
from .accumulation import Totals
from .context import context

clock = itertools.count(1).__next__


class Node:
    """One recorded value; ``edges[k]`` is ``(parent, rule, saved)`` for input k, or None if it needs no gradient.

    ``parents`` are those of the edges; a leaf has none. After a backward pass, ``edges`` is `USED`.
    """

    __slots__ = ("__weakref__", "attrs", "dtype", "edges", "gradient", "inside", "name", "op", "parents", "passed",
                 "run", "scope", "seq", "shape")  # fmt: skip
    edges: Any
    gradient: Any  # of a leaf: an array, a RowGradient, or None
    inside: Any  # of a node that stands for a computation: what can record it (see `expanded`)
    name: str | None
    scope: tuple[str, ...]  # the names of the scopes that were open, if any were
    passed: int  # the time of the first backward pass that retained it
    run: Any  # of a state that a cell computed: the steps of the cell that lead to it

    def __init__(self, edges: Sequence[Any], shape: Any, dtype: Any, op: Any = None, attrs: Any = None):
        self.seq = clock()
        self.edges = edges
        self.parents = tuple([edge and edge[0] for edge in edges])
        self.shape = shape
        self.dtype = dtype
        self.op = op
        self.attrs = attrs

    def label(self) -> str:
        """The label of this value in messages: its name, and the operation that computed it."""
        op = self.op.name if self.op else (self.attrs or {}).get("of")
        origin = f"the output {self.shape} of {op}" if op else f"a tensor of shape {self.shape}"
        name = getattr(self, "name", None)
        return f"{name} ({origin})" if name else origin


#: The edges of a node after a backward pass: the saved values are gone.
USED: Any = []


class Rule:
    """A gradient rule of one input: ``fn(dy, *saved)``.

    It may have cheaper forms. ``accumulate_into(total, dy, *saved)`` adds the same result to ``total`` in place.
    ``inplace_dy(dy, *saved)`` may overwrite ``dy``. ``consume_saved(dy, *saved)`` may overwrite saved arrays that only
    the operation holds. ``sum_over_uses(dys, *saved)`` is the sum over several uses of one array: the gradient of a
    weight that every time step uses is one large product instead of T small ones. ``rows(dy, *saved)`` is the same as
    a `RowGradient`, or None if ``accumulate_into``, which it comes with, is better.
    A rule with a cheaper form may return None: no gradient flows.
    ``sources[k]`` says where saved value k came from: the number of an input, "y", "xs", or None for a plain value.
    """

    __slots__ = ("accumulate_into", "consume_saved", "fn", "inplace_dy", "plain", "rows", "sources", "sum_over_uses")

    def __init__(self, fn: Callable[..., Any], sources: Sequence[Any] = ()):
        self.fn, self.sources = fn, sources
        self.cheaper()

    def cheaper(self, accumulate_into: Any = None, inplace_dy: Any = None, consume_saved: Any = None,
                sum_over_uses: Any = None, rows: Any = None) -> None:  # fmt: skip
        """Set the cheaper forms; a rule without any is plain."""
        self.accumulate_into, self.inplace_dy = accumulate_into, inplace_dy
        self.consume_saved, self.sum_over_uses, self.rows = consume_saved, sum_over_uses, rows
        self.plain = accumulate_into is inplace_dy is consume_saved is sum_over_uses is None


def newest_first(
    roots: Iterable[Node], ends: Mapping[Node, Any] = MappingProxyType({}), used: bool = False
) -> list[Node]:
    """Every node that the roots depend on, once each, newest first; nodes behind ``ends`` are left out.

    A node whose saved values an earlier backward pass has dropped is an error, unless ``used`` nodes are allowed.
    """
    nodes = list(dict.fromkeys(roots))
    seen: dict[Node | None, None] = dict.fromkeys([None, *nodes])  # None is the parent where no gradient is needed
    since = min((node.seq for node in ends), default=0)
    for node in nodes:  # which grows
        if ends and node in ends:
            continue
        if node.edges is USED and not used:
            raise GraphError(
                f"backward(): {shown(node, nodes).label()} belongs to a graph that an earlier backward() has used up. "
                "A state that is carried on needs state = detach(state); to go twice, the first call needs "
                "retain_graph=True"
            )
        for parent in node.parents:
            if parent not in seen and (not since or parent.seq >= since):
                seen[parent] = None
                nodes.append(parent)
    return sorted(nodes, key=operator.attrgetter("seq"), reverse=True)


def shown(node: Node, nodes: Iterable[Node]) -> Node:
    """The node that a message names: for a computation with several outputs, an output that ``nodes`` has."""
    return node if node.shape is not None else next(output for output in nodes if node in output.parents)


def on_path_to(order: list[Node], wanted: Iterable[Node]) -> dict[Node, None]:
    """The nodes of ``order`` that depend on a wanted node: gradients need to flow only through these."""
    path = dict.fromkeys(wanted)
    for node in reversed(order):
        if node not in path and any(parent in path for parent in node.parents):
            path[node] = None
    return path


def sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """``g`` summed over the axes that broadcasting had stretched to ``shape``: the only place of un-broadcasting."""
    if g.dtype.char == "e":  # in float16, a sum of ones ends at 2048
        g = g.astype(np.float32)
    lead = g.ndim - len(shape)
    if lead == 1 and g.shape[1:] == shape:  # a bias, the common case
        return np.add.reduce(g, 0)
    gone = tuple(range(lead)) + tuple(k + lead for k, n in enumerate(shape) if n == 1 and g.shape[k + lead] != 1)
    if gone:
        g = np.add.reduce(g, axis=gone[0] if len(gone) == 1 else gone)
    return g if g.shape == shape else np.reshape(g, shape)


def fitted(g: Any, node: Node) -> Any:
    """``g`` with the shape and the dtype of ``node``."""
    if node.shape is None:  # several outputs of a checkpoint, not an array
        return g
    if g.shape != node.shape:
        g = sum_to(g, node.shape)
    return g if g.dtype == node.dtype else g.astype(node.dtype)


def backpropagate(
    roots: dict[Node, Any], wanted: Iterable[Node] | None = None, retain: bool = False
) -> dict[Node, Any]:
    """The gradients of ``Σ <dy, root>``, given arrays ``roots[node] = dy``, by all leaves or by the ``wanted`` nodes.

    The walk goes newest first: when it reaches a node, every path into the node has been summed. The returned gradients
    own their memory. Without ``retain``, the saved values of a node are dropped before its rules run, so an interrupted
    pass cannot continue from the middle.
    """
    ends = dict.fromkeys(wanted or ())
    order = newest_first(roots, ends)
    along = None if wanted is None else on_path_to(order, ends)
    totals, gradients, observer = Totals(roots, wanted is None and context.observer is None), {}, context.observer
    arrays, waiting = totals.arrays, totals.waiting
    if observer is None:  # all nodes at once, before any saved value is dropped; an observer reports each first
        versions.check(order, ends, along)
    for node in order:
        if waiting and node in waiting:
            _settle(node, totals)
        if node not in arrays or (along is not None and node not in along):
            continue
        if observer is not None:
            observer.gradient(node, arrays[node])
        if not node.parents or (ends and node in ends):
            gradients[node] = totals.taken(node)
        else:
            if observer is not None:
                versions.check((node,), ends, along)
            edges = node.edges
            if not retain:
                node.edges = USED
            _step(node, edges, totals, along, retain)
        del arrays[node]
    return gradients


def _step(node: Node, edges: Any, totals: Totals, along: Any, retain: bool) -> None:
    """Run the rules of one node, and add each result to the total of the rule's parent."""
    arrays, owned = totals.arrays, totals.owned
    dy = arrays[node]
    for edge in edges:
        if edge is None or (along is not None and edge[0] not in along):
            continue
        parent, rule, saved = edge
        if rule.plain:
            g = rule.fn(dy, *saved)
        elif (g := _cheaply(node, edge, totals, retain)) is None:
            continue
        if g.dtype is not parent.dtype or g.shape != parent.shape:
            g = fitted(g, parent)
        if parent not in arrays:
            arrays[parent] = g
        elif parent in owned:
            arrays[parent] += g
        else:  # as Totals.add does
            arrays[parent] = total = arrays[parent] + g
            if total.__class__ is np.ndarray:
                owned[parent] = True


def _cheaply(node: Node, edge: Any, totals: Totals, retain: bool) -> Any:
    """The result of a rule in a cheaper form; None if it is in the total already, or waits to be summed."""
    parent, rule, saved = edge
    dy = totals.arrays[node]
    if rule.sum_over_uses is not None:
        totals.waiting.setdefault(parent, []).append((rule, dy, saved))
        return None
    if rule.accumulate_into is not None:
        if rule.rows is None or not totals.add_rows(parent, rule.rows, dy, saved):
            rule.accumulate_into(totals.writable(parent), dy, *saved)
        return None
    if rule.consume_saved is not None and not retain:
        return rule.consume_saved(dy, *saved)
    if rule.inplace_dy is not None and totals.sole(node, others=2):  # dy here and in the caller
        return rule.inplace_dy(dy, *saved)
    return rule.fn(dy, *saved)


def _settle(node: Node, totals: Totals) -> None:
    """Add the waiting parts of ``node``: all uses under the same rule at once."""
    rules: dict[Rule, list[Any]] = {}
    for rule, dy, saved in totals.waiting.pop(node):
        rules.setdefault(rule, []).append((dy, *saved))
    for rule, calls in rules.items():
        g = rule.fn(*calls[0]) if len(calls) == 1 else rule.sum_over_uses(*zip(*calls))
        totals.add(node, fitted(g, node))
