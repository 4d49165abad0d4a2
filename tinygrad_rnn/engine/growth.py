"""A warning for a graph that grows with every backward pass."""

from __future__ import annotations

import itertools
import warnings

from .graph import Node, clock, shown


def warn_if_growing(order: list[Node]) -> None:
    """Warn when the graph, newest first, has grown after each of the last three passes through it.

    A state that is carried on without detach adds new nodes in every iteration, after the previous pass. Several losses
    on one trunk give two generations of nodes, and losses at several depths of one graph are older than the first pass.
    """
    now, newest = clock(), dict[int, Node]()  # by the time of the first pass over them
    for node in order:
        if node.parents:
            node.passed = getattr(node, "passed", now)
            newest.setdefault(node.passed, node)
    times = sorted(newest)
    if sum(newest[after].seq > before for before, after in itertools.pairwise(times)) == 3 and times[-1] == now:
        label = shown(newest[times[-2]], order).label()
        warnings.warn(
            f"backward(): the graph grows with every iteration, through {label}, made before "
            "the last backward() and carried on. Cut it there: state = detach(state)",
            stacklevel=3,
        )
