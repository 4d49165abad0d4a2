"""Memory for the large arrays of plans, which is used again from call to call.

The system hands out new memory page by page, as it is first written to. For an LSTM of 100 units that takes a third of
the time of a training step. A buffer is free again when no array on it is left.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.versions import holders

SMALL = 1 << 17  #: bytes below which the C library hands out memory that it has
IDLE = 1000  #: arrays that are taken before a buffer that nobody has taken meanwhile is dropped

_lock = threading.Lock()
_buffers: dict[int, list[list[Any]]] = {}  # by size: the buffer, and when it was taken
_count = itertools.count(1).__next__


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """An array with any content, as ``np.empty``."""
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < SMALL:
        return np.empty(shape, dtype)
    size, now = _rounded(nbytes), _count()
    with _lock:
        if now % IDLE == 0:
            _drop(now)
        entries = _buffers.setdefault(size, [])
        entry = next((entry for entry in entries if holders(entry, 0) == 0), None)
        if entry is None:
            entry = [np.empty(size, np.uint8), now]
            entries.append(entry)
        entry[1] = now
        return entry[0][:nbytes].view(dtype).reshape(shape)


def in_order(array: np.ndarray) -> np.ndarray:
    """A contiguous copy."""
    copy = empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def _rounded(nbytes: int) -> int:
    """The size of a buffer: up to an eighth more, so that sequences of similar lengths share buffers."""
    step = 1 << max(nbytes.bit_length() - 4, 0)
    return -(-nbytes // step) * step


def _drop(now: int) -> None:
    """Drop the buffers that are free and were not taken for long."""
    for size, entries in list(_buffers.items()):
        _buffers[size] = [entry for entry in entries if entry[1] > now - IDLE or holders(entry, 0) > 0]
        if not _buffers[size]:
            del _buffers[size]
