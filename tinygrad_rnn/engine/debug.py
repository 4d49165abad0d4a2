"""Find the operation that produced a NaN, and the write to an array that backward needs.

Both tools check every operation while they are open. They cost nothing otherwise, and may be nested.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import MutationError, NanError
from .context import context
from .graph import Node
from .observe import observing
from .op import Op
from .tensor import Tensor, value

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@contextmanager
def trace_nans() -> Iterator[None]:
    """Inside, the first operation that produces NaN or inf, forward or backward, raises `NanError`.

    The error names the operation, its operands, the user's line and, inside `scan`, the time step. An inf in an operand
    that passes through (a mask of -inf) is no error. A NaN in an operand is one, and is reported as such. NumPy's own
    warnings are off inside. Backward runs every rule twice.
    """
    with np.errstate(all="ignore"), observing(_Nans()):
        yield


@contextmanager
def trace_mutations() -> Iterator[None]:
    """Inside, backward raises `MutationError` if an array that it needs has changed since the forward pass.

    Every saved array is stored as a checksum, together with the line that called the operation; the error names that
    line. This also finds writes that the library cannot see, such as those of compiled code or of a user-defined rule.
    Both passes must be inside.
    """
    with observing(_Mutations()):
        yield


# -- places ----------------------------------------------------------------------------------------------------------


def place() -> str:
    """The current line of the user's code: the innermost one outside of this package, and the time step in `scan`."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_code.co_filename.startswith((PACKAGE, "<operation ")):
        frame = frame.f_back
    step = "" if context.step is None else f", in time step {context.step}"
    return f"{frame.f_code.co_filename}:{frame.f_lineno}{step}"


def _called(node: Node) -> str:
    """The label of a value in messages, with its own name if it has one."""
    name = getattr(node, "name", None)
    return f"{name} {node.shape}" if name else f"{node.shape}"


def holds(x: Any) -> str:
    """"NaN (2 of 12)", "inf (1 of 12)", or nothing."""
    array = np.asarray(value(x))
    if array.dtype.kind != "f":
        return ""
    for name, test in (("NaN", np.isnan), ("inf", np.isinf)):
        count = int(np.count_nonzero(test(array)))
        if count:
            return f"{name} ({count} of {array.size})"
    return ""


def described(name: str, x: Any) -> str:
    """An operand in a message: ``x = logits (3, 4) from -1 to 2``."""
    array = np.asarray(value(x))
    label = f" = {x.name}" if isinstance(x, Tensor) and x.name else ""
    if array.dtype.kind not in "fiub" or not array.size:
        return f"{name}{label} {array.shape}"
    if array.ndim == 0:
        return f"{name}{label} = {array}"
    if holds(array):
        return f"{name}{label} {array.shape} which holds {holds(array)}"
    return f"{name}{label} {array.shape} from {array.min():.4g} to {array.max():.4g}"


# -- NaN -------------------------------------------------------------------------------------------------------------


class _Nans:
    """The observer that checks every result and every gradient."""

    passive = True

    def __init__(self) -> None:
        self.places: WeakKeyDictionary[Node, str] = WeakKeyDictionary()
        self.reached: WeakKeyDictionary[Node, bool] = WeakKeyDictionary()

    def operation(self, spec: Op, args: Sequence[Any], output: Tensor) -> None:
        bad = holds(output)
        if output.node is not None:
            self.places[output.node] = place()
        if not bad:
            return
        names = spec.named([value(a) for a in args])
        before = {name: holds(a) for name, a in zip(names, args)}
        if bad.startswith("inf") and any(before.values()):
            return
        operands = ", ".join(described(name, a) for name, a in zip(names, args))
        for name, held in before.items():
            if held.startswith("NaN"):
                raise NanError(f"{spec.name}: {name} holds {held} already, made by no operation here; "
                               f"it got {operands}; at {place()}")  # fmt: skip
        raise NanError(f"{spec.name}: made {bad} from {operands}; at {place()}")

    def gradient(self, node: Node, dy: Any) -> None:
        if node.shape is None:
            return  # a checkpoint: its own backward pass is observed as well
        if holds(dy):
            why = "summed up to" if node in self.reached else "was given"
            raise NanError(f"backward: the gradient of {node.label()} {why} {holds(dy)}{self._place(node)}")
        for k, edge in enumerate(node.edges):
            if edge is None or edge[0].shape is None:
                continue
            parent, rule, saved = edge
            g = rule.fn(dy, *saved)
            self.reached[parent] = True
            if holds(g):
                self._refuse(node, k, rule, dy, saved, holds(g))

    def _refuse(self, node: Node, k: int, rule: Any, dy: Any, saved: Sequence[Any], bad: str) -> None:
        names = getattr(rule, "names", [f"saved value {j}" for j in range(len(saved))])
        arrays = [(name, array) for name, array in zip(names, saved) if isinstance(array, (np.ndarray, float))]
        used = [("dy", dy), *arrays]
        parent = node.edges[k][0]
        raise NanError(
            f"backward of {_op(node)}: the gradient by {_argument(node, k)} ({_called(parent)}) is {bad}, made from "
            f"{', '.join(described(name, array) for name, array in used)}{self._place(node)}"
        )

    def _place(self, node: Node) -> str:
        return f"; the operation is at {self.places[node]}" if node in self.places else ""


def _op(node: Node) -> str:
    return node.op.name if node.op else "a function"


def _argument(node: Node, k: int) -> str:
    """The name of input k of the operation of ``node``."""
    if not node.op:
        return f"input {k}"
    return f"{node.op.arguments[0]}[{k}]" if node.op.variadic else node.op.arguments[k]


# -- mutation --------------------------------------------------------------------------------------------------------


class _Mutations:
    """The observer that stores a checksum of every array that gradient rules save."""

    passive = True

    def __init__(self) -> None:
        self.seen: WeakKeyDictionary[Node, tuple[str, list[int]]] = WeakKeyDictionary()

    def operation(self, spec: Op, args: Sequence[Any], output: Tensor) -> None:
        if output.node is not None:
            self.seen[output.node] = place(), [_checksum(array) for *_, array in _saved(output.node)]

    def gradient(self, node: Node, dy: Any) -> None:
        if node not in self.seen:
            return
        line, checksums = self.seen[node]
        for (argument, name, array), checksum in zip(_saved(node), checksums):
            if _checksum(array) != checksum:
                what = "its result" if name == "y" else f"its {name}"
                raise MutationError(
                    f"{_op(node)}: {what}, an array of shape {array.shape}, was changed after the forward pass, and "
                    f"the gradient by {argument} needs it; the operation is at {line}"
                )


def _saved(node: Node) -> Iterator[tuple[str, str, np.ndarray]]:
    """Every array that the rules of a node save: the input that the rule is for, the name, the array."""
    for k, edge in enumerate(node.edges):
        if edge is not None:
            names = getattr(edge[1], "names", [f"saved value {j}" for j in range(len(edge[2]))])
            for name, saved in zip(names, edge[2]):
                for array in saved if isinstance(saved, (tuple, list)) else (saved,):
                    if isinstance(array, np.ndarray):
                        yield _argument(node, k), name, array


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).tobytes())
