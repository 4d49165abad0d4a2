"""Nodes that stand for a whole computation, and the graph in which they are expanded.

A planned `scan` is a single node, the *hub*, and a node for each output. ``hub.inside`` can record the steps of the
loop: ``inside.record(hub, in_place_of)`` gives its results, and ``inside.outputs()`` the nodes of the outputs. Tools
that show the steps look at the graph inside `expanded`: it is the graph that the loop would have recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import versions
from .context import context
from .graph import USED, Node, clock, newest_first

PATCHED = ("edges", "parents", "op", "attrs", "name", "scope", "run", "seq")


@contextmanager
def expanded(roots: Iterable[Node]) -> Iterator[dict[Node, Node]]:
    """Inside, the graph of ``roots`` has the nodes of a computation in the place of its hub; afterwards as before.

    Yields the roots that are other nodes inside: a computation may return a value as it was given. The new nodes come
    on the clock of the graph after the hub and before the next node. An output keeps its node.
    """
    roots = list(roots)
    hubs = [node for node in newest_first(roots, used=True)[::-1] if hasattr(node, "inside")]
    before: dict[Node, dict[str, Any]] = {}
    swaps: dict[Node, Node | None] = {}
    try:
        for hub in hubs:
            _expand(hub, before, swaps)
        if swaps:
            _redirect(roots, before, swaps)
        places = {root: _resolved(root, swaps) for root in roots}
        yield {root: node for root, node in places.items() if node is not None and node is not root}
    finally:
        for node, slots in before.items():
            _restore(node, slots)


def _expand(hub: Node, before: dict[Node, Any], swaps: dict[Node, Node | None]) -> None:
    """Give the outputs of a hub the edges that the computation records; ``swaps`` are nodes in the place of others."""
    start, given = clock(), (context.observer, context.recording)
    try:
        context.observer, context.recording = None, True
        with np.errstate(all="ignore"):
            results = hub.inside.record(hub, lambda node: _resolved(node, swaps))
    finally:
        context.observer, context.recording = given
    nodes: Sequence[Node | None] = [tensor.node for tensor in results]
    _move([node for node in nodes if node is not None and node.seq > start], start, hub)
    for output, node in zip(hub.inside.outputs(), nodes, strict=True):
        if output is None:
            continue
        if node is None or node.seq < hub.seq or node in swaps:
            swaps[output] = node
            continue
        before[output] = _slots(output)
        _restore(output, _slots(node))
        swaps[node] = output


def _move(new: Sequence[Node], start: int, hub: Node) -> None:
    """Move what was recorded since ``start`` on the clock to between the hub and the next node."""
    step = 0.5 ** (clock() - start).bit_length()  # a power of 2, so that differences of places are exact

    def at(place: Any) -> Any:
        return hub.seq + (place - start) * step if place is not None and place > start else place

    order = [node for node in newest_first(new, used=True) if node.seq > start]
    for run in dict.fromkeys(node.run for node in order if hasattr(node, "run")):
        run.move(at, step)
    for node in order:
        node.seq = at(node.seq)
        if hub.edges is USED and node.parents:
            node.edges = USED
    versions.move(start, at)


def _redirect(roots: Sequence[Node], before: dict[Node, Any], swaps: dict[Node, Node | None]) -> None:
    """Let every edge lead to the node that is in the place of its parent."""
    waiting: list[Any] = [_resolved(root, swaps) for root in roots]
    seen = dict.fromkeys([None, *waiting])
    for node in waiting:  # which grows
        if node is None:
            continue
        if any(parent in swaps for parent in node.parents):
            before.setdefault(node, _slots(node))
            node.parents = tuple([_resolved(parent, swaps) for parent in node.parents])
            if node.edges is not USED:
                pairs = zip(node.edges, node.parents)
                node.edges = tuple([None if parent is None else (parent, *edge[1:]) for edge, parent in pairs])
        waiting += [parent for parent in dict.fromkeys(node.parents) if parent not in seen]
        seen.update(dict.fromkeys(node.parents))


def _resolved(node: Node | None, swaps: dict[Node, Node | None]) -> Node | None:
    while node in swaps:
        node = swaps[node]
    return node


def _slots(node: Node) -> dict[str, Any]:
    return {name: getattr(node, name) for name in PATCHED if hasattr(node, name)}


def _restore(node: Node, slots: dict[str, Any]) -> None:
    """Set the slots of a node. One that a backward pass has used up meanwhile stays used up."""
    used = node.edges is USED
    for name in PATCHED:
        if name in slots:
            setattr(node, name, slots[name])
        elif hasattr(node, name):
            delattr(node, name)
    if used and node.parents:
        node.edges = USED
        for parent in node.parents:
            if hasattr(parent, "inside"):
                parent.edges = USED
