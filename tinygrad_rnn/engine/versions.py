"""Which memory a graph may save, and which writes a backward pass has to refuse.

A gradient rule computes with arrays that the forward pass saved, so these must not change. There are two kinds of
writes. Writes by the library (``w -= lr * dw`` under no_grad, an optimiser's step) go to the memory of a Tensor, and
`bump` records them: a backward pass through an older node that saved this memory raises `MutationError`. Writes by user
code are invisible, so a graph never saves memory that user code can reach. An operand that is the user's own array is
copied (`frozen`). So is memory that ``.data`` gave to the user, while that array or a view of it is alive (`watch`,
`is_watched`). Arrays are identified by the memory they live in: a view and its base are the same.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import MutationError
from .context import anywhere

_references: Callable[[Any], int] = getattr(sys, "getrefcount", lambda _: sys.maxsize)
_of_no_holder = 0


def holders(container: Any, key: Any) -> int:
    """The number of references to ``container[key]`` besides the container's; many if Python cannot tell."""
    item = container[key]
    return _references(item) - _of_no_holder


_of_no_holder = holders({0: object()}, 0) if hasattr(sys, "getrefcount") else 0


class _Temporary:
    """Counts, in its own ``__setitem__``, the references to an object that only the running expression holds."""

    count: int

    def __setitem__(self, index: Any, value: Any) -> None:
        type(self).count = holders((self,), 0)


_Temporary()[0] = None
OF_TEMPORARY = _Temporary.count  # seen in __setitem__, by holders((self,), 0)

_lock = threading.RLock()
_written: dict[int, tuple[weakref.ref, float]] = {}  # id of the memory -> (the memory, the clock at the last write)
_watched: dict[int, list[weakref.ref]] = {}  # id of the memory -> the arrays through which user code can write to it
_newest: float = 0  # the clock at the newest write
_sweep_at = 64  # the size of _written at which entries of freed memory are dropped
_forget_at = 64  # the size of _watched at which arrays that are no longer alive are dropped


def memory(array: Any) -> Any:
    """The array that owns the memory of ``array``."""
    return array if getattr(array, "base", None) is None else array.base


# -- writes of the library -------------------------------------------------------------------------------------------


def bump(array: np.ndarray, now: float) -> None:
    """Record that the library writes to ``array`` at ``now``."""
    global _newest, _sweep_at
    owner = memory(array)
    with _lock:
        _written[id(owner)] = weakref.ref(owner), now
        _newest = max(_newest, now)
        if len(_written) > _sweep_at:
            for key in [key for key, (owner_ref, _) in _written.items() if owner_ref() is None]:
                del _written[key]
            _sweep_at = 64 + 2 * len(_written)


def move(start: int, at: Callable[[float], float]) -> None:
    """Move the writes since ``start`` on the clock to the places ``at``."""
    with _lock:
        for key, (owner_ref, when) in list(_written.items()):
            if when > start:
                _written[key] = owner_ref, at(when)


def check(order: Sequence[Any], ends: Any, along: Any) -> None:
    """Raise `MutationError` if an array saved for a rule that will run was written to after its node was created.

    ``order`` is the order of the pass, newest first. The rules of ``ends`` do not run. With ``along``, rules that lead
    to a node outside of it do not run either.
    """
    oldest = next((node.seq for node in reversed(order) if node.parents), 0)
    if _newest <= oldest:
        return
    for node in order:
        for array in saved_arrays(node, along) if node not in ends else ():
            if is_written(array, node.seq):
                raise MutationError(
                    f"{node.op.name}: an array of shape {array.shape} that its gradient needs was changed "
                    "after the forward pass; change it after backward(), or compute with a copy"
                )


def any_written(since: float) -> bool:
    """Has the library written to any array after ``since``?"""
    return _newest > since


def is_written(array: Any, since: float) -> bool:
    """Has the library written to the memory of ``array`` after ``since`` on the clock of the graph?"""
    owner = memory(array)
    owner_ref, when = _written.get(id(owner), (None, 0))
    return when > since and owner_ref is not None and owner_ref() is owner


def saved_arrays(node: Any, along: Any = None) -> Iterator[np.ndarray]:
    """Every array that the rules of a node have saved, including the inputs of deferred arrays."""
    for edge in node.edges:
        for saved in edge[2] if edge is not None and (along is None or edge[0] in along) else ():
            for array in saved if isinstance(saved, tuple) else getattr(saved, "made_from", (saved,)):
                if isinstance(array, np.ndarray):
                    yield array


# -- writes of user code ---------------------------------------------------------------------------------------------

_UNCHANGING = (int, float, complex, str, np.generic, type(None), slice, type(...))


def frozen(x: Any) -> Any:
    """A user's operand as a graph may save it: a copy of an array or a list, a number unchanged."""
    if x.__class__ is np.ndarray:
        return np.array(x)
    return x if isinstance(x, _UNCHANGING) else np.array(x)


class _Lent:
    """The base of a watched array: it is also the base of its views, and lives until the last of them dies."""

    def __init__(self, array: np.ndarray):
        self.array, self.__array_interface__ = array, array.__array_interface__


def watch(array: np.ndarray) -> np.ndarray:
    """An array on the same memory that reports how long user code can write through it."""
    global _forget_at
    with _lock:
        if len(_watched) > _forget_at:
            _forget_returned()
            _forget_at = 64 + 2 * len(_watched)
        anywhere.watch(True)  # operations then take the path on which saved arrays are secured
        key = id(memory(array))
        alive = [handed for ref in _watched.get(key, ()) if (handed := ref()) is not None]
        same = [handed for handed in alive if handed.__array_interface__ == array.__array_interface__]
        handed = same[0] if same else np.asarray(_Lent(array))
        _watched[key] = [weakref.ref(other) for other in (*alive, *([] if same else [handed]))]
        return handed


def is_watched(array: Any) -> bool:
    """Can user code write to the memory of ``array``, through a watched array?"""
    return bool(_watched) and any(handed() is not None for handed in _watched.get(id(memory(array)), ()))


def saveable(operand: Any, array: Any) -> Any:
    """The array of an operand as a graph may save it: a copy if user code can write to its memory."""
    return frozen(array) if array is operand or is_watched(array) else array


def _forget_returned() -> None:
    """Drop watched arrays that are no longer alive."""
    with _lock:
        for key, arrays in list(_watched.items()):
            _watched[key] = [handed for handed in arrays if handed() is not None]
            if not _watched[key]:
                del _watched[key]
        anywhere.watch(bool(_watched))


def secured(edges: Iterable[Any], operands: Sequence[Any]) -> tuple[Any, ...]:
    """``edges`` with a copy of every saved array that user code can write to: an operand, or watched memory."""
    if _watched:
        _forget_returned()
    reachable = dict.fromkeys([id(memory(x)) for x in operands if not hasattr(x, "node")])
    if not reachable and not _watched:
        return tuple(edges)
    copies: dict[int, Any] = {}
    return tuple([edge and (edge[0], edge[1], _copied(edge[2], reachable, copies)) for edge in edges])


def _copied(saved: Any, reachable: Mapping[int, Any], copies: dict[int, Any]) -> Any:
    """A saved value, or tuple of them, with a copy of every array whose memory is ``reachable`` or watched."""
    if isinstance(saved, tuple):
        return tuple([_copied(part, reachable, copies) for part in saved])
    if id(memory(saved)) not in reachable and not is_watched(saved):
        return saved
    if id(saved) not in copies:
        copies[id(saved)] = frozen(saved)
    return copies[id(saved)]
