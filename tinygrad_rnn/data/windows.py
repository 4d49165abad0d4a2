"""A corpus cut into the batches of truncated backpropagation through time.

The text is cut into ``N`` rows of ``L = (n - 1) // N`` words. A window is ``T`` words of every row. Each window begins,
row for row, where the window before it ended, so that a state can be carried on. ``ts`` has the word that follows each
word of ``xs``. (*Deep Learning from Scratch 2*, chapter 5, ``RnnlmTrainer``.)

A pass begins at the first word of every row. With ``start`` it begins so many words later, and the text is a ring: a
row continues in the next row, the last row in the first. An epoch that begins where the epoch before ended cuts the
text at other places, as the book's trainer does.

**Which words are predicted.** Training has full windows only: ``L % T`` words of each row are left out, and
``(n - 1) % N`` words at the end of the text. With ``tail``, for evaluation, the rest of the rows is a last window
``(N, L % T)``; only ``(n - 1) % N`` words are left out, none with ``N = 1``. The number of words left out is
``windows(...).lost``, the number of windows ``len(windows(...))``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidValue
from .corpus import check_ids


@dataclass(frozen=True, eq=False, repr=False)
class Windows:
    """The windows of one pass over a corpus, as :func:`windows` returns them. Each iteration is a new pass."""

    rows: np.ndarray  #: (N, L + 1): row n has its L inputs in [:-1], its L targets in [1:]
    T: int
    tail: bool
    lost: int  #: number of words that a pass does not predict, without the first word of the text

    def __len__(self) -> int:
        L: int = self.rows.shape[1] - 1
        return -(-L // self.T) if self.tail else L // self.T

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        L: int = self.rows.shape[1] - 1
        for start in range(0, len(self) * self.T, self.T):
            end = min(start + self.T, L)
            yield self.rows[:, start:end].copy(), self.rows[:, start + 1 : end + 1].copy()

    def __repr__(self) -> str:
        return f"Windows({len(self)} of N={len(self.rows)}, T={self.T}, {self.lost} words lost)"


def windows(ids: Any, N: int, T: int, *, tail: bool = False, start: int = 0) -> Windows:
    """Cut ``ids`` (n,) into windows ``xs, ts``, both ``(N, T)``, in the order of the text. Equal to::

        for start in range(0, L - T + 1, T):                          # L = (n - 1) // N
            xs = [ids[row * L + start : row * L + start + T] for row in range(N)]
            ts = [ids[row * L + start + 1 : row * L + start + T + 1] for row in range(N)]

    ``tail=True`` appends the rest of the rows as a last, shorter window; ``start`` begins so many words later. The
    arrays are copies in the dtype of ``ids``. Raises InvalidValue if N or T is not a positive int, if ``ids`` has not
    one axis or is shorter than one batch; InvalidType if ``ids`` are no integers.
    """
    ids = check_ids("windows", ids)
    for name, value in (("N", N), ("T", T)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InvalidValue(f"windows: {name} is {value!r}, should be a positive int")
    n, N, T = len(ids), int(N), int(T)
    if n - 1 < N * (1 if tail else T):
        least = f"one step of N={N} needs {N + 1}" if tail else f"one batch of N={N}, T={T} needs {N * T + 1}"
        raise InvalidValue(f"windows: the corpus has {n} tokens, {least}")
    L = (n - 1) // N
    rows = ids[(np.arange(N)[:, None] * L + np.arange(L + 1) + start) % n]
    served = L if tail else L // T * T
    return Windows(rows, T, tail, lost=n - 1 - N * served)
