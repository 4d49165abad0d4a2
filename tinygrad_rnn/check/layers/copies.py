"""Copies of an object of the user's in which some arrays are others: a layer with its weights in float64, say.

A copy costs a call its side effects: what the layer keeps, it keeps on the copy. Whatever is *the same* array in the
object is the same one in the copy, and a view of it is a view again, so that ``self.Wf = self.Wx[:, :H]`` stays tied.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...errors import Uncheckable

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # an array, and what stands in its place


def copy_with(thing: Any, pairs: Pairs) -> Any:
    """A deep copy of ``thing`` in which each first array of a pair is the second."""
    memo: dict[int, Any] = {id(old): new for old, new in pairs}
    for array in arrays_in(thing):
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


def arrays_in(thing: Any) -> Iterator[np.ndarray]:
    """Every array that an object holds, in its attributes, lists and dicts, at any depth."""
    seen: dict[int, Any] = {}
    left = [thing]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen[id(one)] = one
        if isinstance(one, np.ndarray):
            yield one
        elif isinstance(one, (list, tuple)):
            left += one
        else:
            left += (one if isinstance(one, dict) else getattr(one, "__dict__", {})).values()


def _same_view(view: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray | None:
    """The part of ``new`` that ``view`` is of ``old``."""
    begin, size = view.__array_interface__["data"][0] - old.__array_interface__["data"][0], old.itemsize
    if view.dtype != old.dtype or not old.flags.forc or not 0 <= begin < old.nbytes or begin % size:
        return None
    strides = [step // size * new.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(new.ravel(order="K")[begin // size :], view.shape, strides)
