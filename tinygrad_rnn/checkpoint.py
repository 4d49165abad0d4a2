"""`checkpoint`: run again instead of keeping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .again import backpropagate_recorded, outside, recording_on, stand_in
from .graph import GraphError, Node, Rule, backpropagate, clock, mode
from .tensor import Tensor, make, value
from .tree import flatten


class _Parts(list):
    """The gradients of several outputs, side by side; None where nothing has arrived."""

    shape = dtype = None
    base = "several"  # never added to in place

    def __add__(self, other: Any) -> _Parts:
        return _Parts(b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True))


def _one_part(dy: Any, k: int, count: int) -> _Parts:
    return _Parts(dy if j == k else None for j in range(count))


class _Replay:
    """A run of f whose graph was let go of: run again when its gradients are asked for."""

    def __init__(self, f: Callable[..., Any], args: Sequence[Any]):
        self.f = f
        leaves, self.build = flatten(list(args))
        self.inputs = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.node is not None]
        self.leaves, start = leaves, clock()
        _, ys, self.build_y = self.run(fresh=True)
        self.outer = outside(ys, start)
        self.values = [np.asarray(value(y)) for y in ys]

    def run(self, fresh: bool) -> tuple[list[Tensor], list[Any], Any]:
        """f on stand-ins for the inputs that need a gradient: new leaves, or nodes behind the inputs' own."""
        picked = {id(x): stand_in(value(x) if fresh else x, "checkpoint") for x in self.inputs}
        with recording_on():
            y = self.f(*self.build([picked.get(id(leaf), leaf) for leaf in self.leaves]))
        ys, build_y = flatten(y)
        return [picked[id(x)] for x in self.inputs], ys, build_y

    def gradients(self, parts: _Parts) -> list[Any]:
        """The gradients by the inputs, then by what f uses from outside."""
        deep = any(isinstance(dy, Tensor) for dy in parts)
        stand_ins, ys, _ = self.run(fresh=not deep)
        for y, before in zip(ys, self.values, strict=True):
            if not np.array_equal(value(y), before, equal_nan=True):
                raise GraphError("checkpoint: f gave another result when run again; make its random generator inside f")
        nodes = [getattr(y, "node", None) for y in ys]
        roots: dict[Node, Any] = {}
        for node, dy in zip(nodes, parts, strict=True):
            if node is not None and dy is not None:
                roots[node] = roots[node] + dy if node in roots else dy
        wanted = [one.node for one in stand_ins if one.node is not None] + self.outer
        found: Any = backpropagate_recorded(roots, wanted) if deep else backpropagate(roots, wanted)
        shapes = [(node.shape, node.dtype) for node in wanted]
        return [found.get(node, np.zeros(*like)) for node, like in zip(wanted, shapes, strict=True)]


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``checkpoint(f)(*args)`` is ``f(*args)``, but keeps only its inputs: f is run again when the gradient is needed.

    Memory for time (Chen et al. 2016). f may use other Tensors that need a gradient; run again, it must do the same.
    """

    def checkpointed(*args: Any) -> Any:
        if not mode.recording:
            return f(*args)
        replay = _Replay(f, args)
        parents = [x.node for x in replay.inputs] + replay.outer
        hub = Node([(parent, _gradient(k), (replay,)) for k, parent in enumerate(parents)], None, None)
        count = len(replay.values)
        made = [
            make(array, Node([(hub, _PART, (k, count))], np.shape(array), array.dtype)) if parents else array
            for k, array in enumerate(replay.values)
        ]
        return replay.build_y(made)

    return checkpointed


_PART = Rule(_one_part)


def _gradient(k: int) -> Rule:
    """Gradient k of a replay; the first one asked for computes them all."""

    def fn(parts: _Parts, replay: _Replay) -> Any:
        if not hasattr(parts, "done"):
            parts.done = replay.gradients(parts)  # type: ignore[attr-defined]
        return parts.done[k]  # type: ignore[attr-defined]

    return Rule(fn)
