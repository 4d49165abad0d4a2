"""What may not change between forward and backward, and who may write where.

A rule computes with the arrays it kept. If one of them has been written to since, the gradient would be silently wrong,
so every write that the library can see leaves a stamp (`wrote`), and a backward pass compares stamps with the age of
its nodes. An array handed out by ``.data`` may be written to unseen: its bytes are remembered (`expose`) and compared.
Arrays are known by the memory they live in: a view and its base are one. Nothing here costs a forward pass anything.
"""

from __future__ import annotations

import sys
import weakref
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

#: How many references an object has; where Python cannot tell, always "many", and everything is copied.
references = getattr(sys, "getrefcount", lambda _: sys.maxsize)
SOLE = 2  # of an object that one container holds, seen by references(container[key])

_written: dict[int, int] = {}  # id of the memory -> the clock when it was last written to
_exposed: dict[int, tuple[Any, int, int]] = {}  # id of the memory -> (weak reference, clock, checksum)
_newest = 0  # the newest stamp


class MutationError(RuntimeError):
    """An array that a gradient rule kept was changed before the rule ran."""


def memory(array: Any) -> Any:
    """The array that owns the memory of ``array``."""
    return array if getattr(array, "base", None) is None else array.base


def wrote(array: np.ndarray, now: int) -> None:
    """Note that ``array`` is written to at ``now``."""
    global _newest
    _newest = _written[id(memory(array))] = now


def expose(array: np.ndarray, now: int) -> None:
    """Note that ``array`` is handed out at ``now``, with the bytes it has."""
    owner = memory(array)
    if not isinstance(owner, np.ndarray):
        return
    key = id(owner)
    _settle(key)
    _exposed[key] = (weakref.ref(owner, lambda _: _exposed.pop(key, None)), now, _checksum(owner))


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1).data)


def _settle(key: int) -> None:
    """Turn an exposure that has been written through into a stamp, dated to when the array was handed out."""
    global _newest
    entry = _exposed.get(key)
    owner = entry and entry[0]()
    if entry and owner is not None and _checksum(owner) != entry[2]:
        _written[key] = entry[1]
        _newest = max(_newest, entry[1])


def begin(order: Sequence[Any]) -> bool:
    """At the start of a backward pass over ``order``, newest first: can anything have changed since its oldest node?"""
    for key in list(_exposed):
        _settle(key)
    oldest = next((node.seq for node in reversed(order) if node.parents), 0)
    return _newest > oldest


def check(node: Any) -> None:
    """Raise `MutationError` if an array that ``node`` kept was written to after the node was made."""
    for edge in node.edges:
        for kept in edge[2] if edge is not None else ():
            for array in kept if isinstance(kept, tuple) else (kept,):
                if isinstance(array, np.ndarray) and _written.get(id(memory(array)), 0) > node.seq:
                    raise MutationError(
                        f"{node.op.name}: an array of shape {array.shape} that its gradient needs was changed "
                        "after the forward pass; change it after backward(), or compute with a copy"
                    )
