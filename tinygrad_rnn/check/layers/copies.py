"""Deep copies of a user-defined object with some arrays replaced, for example a layer with its weights in float64.

Side effects of a call stay on the copy. Two references to the same array refer to the same array in the copy, and a
view of a replaced array is a view of the replacement, so that ``self.Wf = self.Wx[:, :H]`` stays a part of ``Wx``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ...errors import Uncheckable

Path = tuple[Any, ...]  # attributes, keys and indices, from an object to an array
Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # an array, and its replacement


def copy_with(thing: Any, pairs: Pairs) -> Any:
    """A deep copy of ``thing`` with the first array of each pair replaced by the second. Raises Uncheckable."""
    memo: dict[int, Any] = {id(old): new for old, new in pairs}
    for _, array in arrays_by_path(thing):
        for old, new in pairs:
            if id(array) not in memo and np.may_share_memory(array, old):
                view = _same_view(array, old, new)
                if view is not None:
                    memo[id(array)] = view
    try:
        return copy.deepcopy(thing, memo)
    except TypeError as error:
        raise Uncheckable(
            f"check: {type(thing).__name__} cannot be copied, should be, for each call: {error}"
        ) from error


def like(old: np.ndarray, x: Any) -> np.ndarray:
    """A new array with the values of ``x`` and the layout of ``old``, so that a view of one is a view of the other."""
    new = np.empty_like(old, dtype=np.asarray(x).dtype, subok=False)
    new[...] = x
    return new


def arrays_by_path(thing: Any) -> Iterator[tuple[Path, np.ndarray]]:
    """All arrays in the attributes, lists and dicts of an object, at any depth, each once, by its first path."""
    seen: dict[int, Any] = {}
    stack: list[tuple[Path, Any]] = [((), thing)]
    while stack:
        path, item = stack.pop()
        if id(item) in seen or isinstance(item, (type, FunctionType, ModuleType, str)):
            continue
        seen[id(item)] = item
        if isinstance(item, np.ndarray):
            yield path, item
        else:
            parts = dict(enumerate(item)) if isinstance(item, (list, tuple)) else item
            parts = parts if isinstance(parts, Mapping) else fields_of(parts)
            stack += [((*path, key), part) for key, part in reversed(list(parts.items()))]


def fields_of(thing: Any) -> dict[str, Any]:
    """The attributes of an object by name, those in ``__slots__`` too."""
    slots = [name for kind in type(thing).__mro__ for name in np.ravel(getattr(kind, "__slots__", ())).tolist()]
    return {**{name: getattr(thing, name) for name in slots if hasattr(thing, name)}, **getattr(thing, "__dict__", {})}


def _same_view(view: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray | None:
    """The view of ``new`` that corresponds to ``view`` of ``old``; None if there is none."""
    begin, size = view.__array_interface__["data"][0] - old.__array_interface__["data"][0], old.itemsize
    if view.dtype != old.dtype or not old.flags.forc or not 0 <= begin < old.nbytes or begin % size:
        return None
    strides = [step // size * new.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(new.ravel(order="K")[begin // size :], view.shape, strides)
