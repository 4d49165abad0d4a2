"""`checkpoint`: recompute a function in the backward pass instead of saving its intermediate arrays."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ..errors import InvalidType, MutationError
from .graph import Node, Rule, backpropagate, clock, context
from .higher_order import backpropagate_recorded, recording_on, split_at
from .linearize import called
from .pickling import twins
from .pytree import flatten
from .tensor import Tensor


class Parts(list):
    """The gradients of several outputs; None for an output that no gradient has reached."""

    shape = dtype = None
    base = "several"  # never added to in place
    done: list[Any] | None = None  # the gradients by the nodes before, after the first of them was asked for

    def __add__(self, other: Any) -> Parts:
        return Parts(b if a is None else a if b is None else a + b for a, b in zip(self, other, strict=True))


def _one_part(dy: Any, k: int, count: int) -> Parts:
    parts = Parts([None] * count)
    parts[k] = dy
    return parts


PART = Rule(_one_part)


class _Replay:
    """A run of f whose graph was dropped; f runs again when its gradients are needed.

    Both runs use the same older nodes, ``outer``: those of the arguments and of the variables that f closes over. The
    gradients are right if the rules of both graphs compute with the same arrays. A fingerprint of each output's graph
    compares these without saving them.
    """

    def __init__(self, f: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]):
        self.f, self.args, self.transforms = f, twins((args, options)), context.transforms
        start = clock()
        self.y = f(*args, **options)
        if self.y is None:
            raise InvalidType(f"checkpoint: {called(f)} returned None, should return a value; is a return missing?")
        leaves = flatten(self.y)[0]
        new = {id(y): k for k, y in enumerate(leaves) if isinstance(y, Tensor) and y.node and y.node.seq > start}
        self.places = list(new.values())  # of the outputs that this run computed
        self.outputs = [leaves[k] for k in self.places]
        inside, self.outer = split_at([y.node for y in self.outputs], lambda node: node.seq < start or _is_leaf(node))
        self.fingerprints, arrays = _fingerprints(self.outputs, inside, self.outer)
        self.arguments = [_fingerprint(leaf, arrays) for leaf in flatten(self.args)[0]]

    def gradients(self, parts: Parts) -> list[Any]:
        """The gradients by the outer nodes."""
        deep = any(isinstance(dy, Tensor) for dy in parts)
        args, options = twins(self.args)
        start = clock()
        with recording_on(self.transforms - context.transforms):
            leaves = flatten(self.f(*args, **options))[0]
        outputs = [leaves[k] for k in self.places if k < len(leaves)]
        nodes = [getattr(y, "node", None) for y in outputs]
        known = dict.fromkeys(self.outer)
        inside, _ = split_at([node for node in nodes if node], lambda node: node in known)
        if _fingerprints(outputs, inside, self.outer)[0] != self.fingerprints:
            self.refuse()
        totals: dict[Any, Any] = {}
        for node, dy in zip(nodes, parts, strict=True):
            if dy is not None:
                totals[node] = totals[node] + dy if node in totals else dy
        shared = inside[0].seq < start  # with the first run, such as a block of weights
        gradients: dict[Node, Any]
        gradients = backpropagate_recorded(totals, self.outer) if deep else backpropagate(totals, self.outer, shared)
        return [gradients.get(node, np.zeros(node.shape, node.dtype)) for node in self.outer]

    def refuse(self) -> None:
        """Raise `MutationError` that names what has changed since the first run."""
        f, (args, options) = called(self.f), self.args
        owners = [*enumerate(args), *options.items()]
        named = [(name, leaf) for name, arg in owners for leaf in flatten(arg)[0]]
        for (name, leaf), before in zip(named, self.arguments, strict=True):
            if _fingerprint(leaf, {}) != before:
                raise MutationError(
                    f"checkpoint: argument {name} of {f}, an array of shape {np.shape(leaf)}, was changed after the "
                    "forward pass; change it after backward(), or pass a copy"
                )
        raise MutationError(
            f"checkpoint: {f} gave another result when run again: something that it reads besides its arguments was "
            f"changed after the forward pass; change it after backward(), and make a random generator inside {f}"
        )


def _is_leaf(node: Node) -> bool:
    """Is it a leaf whose ``.grad`` `backward` fills?"""
    return hasattr(node, "gradient")


def _fingerprints(outputs: Iterable[Any], inside: list[Node], outer: list[Node]) -> tuple[list[Any], dict[int, Any]]:
    """A fingerprint for each output: of its operations, the outer nodes, and the arrays that the rules have saved.

    Then the fingerprints of all saved arrays, by id.
    """
    arrays: dict[int, Any] = {}
    of: dict[Any, Any] = {node: k for k, node in enumerate(outer)}
    for node in inside:
        edges = [edge and (of[edge[0]], _fingerprint(edge[2], arrays)) for edge in node.edges]
        of[node] = hash((node.op and node.op.name, node.shape, *edges))
    return [of.get(getattr(y, "node", None)) for y in outputs], arrays


def _fingerprint(x: Any, arrays: dict[int, Any]) -> Any:
    """A checksum of a value: equal for equal values, and almost never for others."""
    x = x._array if isinstance(x, Tensor) else x
    if isinstance(x, np.ndarray):
        if id(x) not in arrays:
            arrays[id(x)] = x.dtype.str, x.shape, _checksum(x)
        return arrays[id(x)]
    if isinstance(x, (tuple, list)):
        return tuple([_fingerprint(part, arrays) for part in x])
    if isinstance(x, _Replay):
        return tuple(x.fingerprints)
    if hasattr(x, "reads"):  # a planned scan
        return _fingerprint(tuple(x.reads()), arrays)
    plain = isinstance(x, (int, float, str, slice, np.generic, np.dtype)) or x is None or x is Ellipsis
    return repr(x) if plain else type(x).__name__


def _checksum(x: np.ndarray) -> int:
    if x.dtype.char == "g":  # has padding bytes
        with np.errstate(invalid="ignore"):
            x = np.stack([x.astype(float), (x - x.astype(float)).astype(float)])
    return zlib.crc32(np.ascontiguousarray(x).reshape(-1).view(np.uint8).data)


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """``checkpoint(f)(*args)`` is ``f(*args)``, but saves only its inputs: f runs again when the gradient is needed.

    This trades time for memory (Chen et al. 2016). f may use other Tensors that need a gradient. The second run must
    compute the same: a change in between of something that the gradient depends on raises `MutationError`.
    """

    @wraps(f, updated=())
    def checkpointed(*args: Any, **options: Any) -> Any:
        if not context.recording:
            return f(*args, **options)
        replay = _Replay(f, args, options)
        y, outputs = replay.y, replay.outputs
        del replay.y, replay.outputs  # with the graph
        hub = Node([(node, _gradient(k), (replay,)) for k, node in enumerate(replay.outer)], None, None)
        for k, output in enumerate(outputs if replay.outer else ()):
            name = getattr(output.node, "name", None)
            output.node = Node([(hub, PART, (k, len(outputs)))], output.shape, output.dtype)
            output.node.name = name
        return y

    return checkpointed


def _gradient(k: int) -> Rule:
    """Gradient k of a replay; the first call computes all of them."""

    def fn(parts: Parts, replay: _Replay) -> Any:
        if parts.done is None:
            parts.done = replay.gradients(parts)
        return parts.done[k]

    return Rule(fn)
