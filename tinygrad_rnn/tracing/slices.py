"""Slices: whether an operation reads a part of an array, and which part; for its node or its equation."""

from __future__ import annotations

from typing import Any

import numpy as np

BASIC = (int, slice, type(None), type(...))


def slice_index(operation: Any) -> tuple[Any, ...] | None:
    """The index of a slice as a tuple, one entry an axis; None for any other operation, and for a leaf."""
    if operation.op is None or operation.op.name != "getitem":
        return None
    index = operation.attrs["index"]
    return index if isinstance(index, tuple) else (index,)


def is_basic_slice(operation: Any) -> bool:
    """Whether it is a slice that reads no element twice: basic indexing, in NumPy's words."""
    index = slice_index(operation)
    return index is not None and all(type(part) in BASIC or isinstance(part, np.integer) for part in index)


def is_time_slice(operation: Any) -> bool:
    """Whether it is the input of one time step, ``xs[:, t]``."""
    index = slice_index(operation)
    return index is not None and len(index) == 2 and isinstance(index[1], int)


def slice_text(operation: Any) -> str:
    """The index of a slice as Python writes it, ``[..., 0:5]``; empty for any other operation."""
    index = slice_index(operation)
    return "" if index is None else f"[{', '.join(map(_part_text, index))}]"


def _part_text(part: Any) -> str:
    if isinstance(part, slice):
        ends = ["" if end is None else str(end) for end in (part.start, part.stop, part.step)]
        return ":".join(ends if ends[2] else ends[:2])
    return "..." if part is Ellipsis else str(part) if np.ndim(part) == 0 else f"array {np.shape(part)}"
