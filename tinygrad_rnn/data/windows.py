"""A corpus cut into the batches of truncated backpropagation through time.

The text is ``N`` rows of ``L = (n - 1) // N`` words, side by side. A window is ``T`` words of every row, and each one
continues, row for row, where the one before it ended, so that a state can be carried on. ``ts`` is the word that
follows each word of ``xs``. (*Deep Learning from Scratch 2*, chapter 5, ``RnnlmTrainer``.)

A pass starts at the start of every row. With ``start``, it starts so many words further on, in a text that is a ring: a
row goes on into the next one, the last into the first. An epoch that starts where the one before ended cuts the text in
other places, as in the book's trainer.

**Which words are predicted.** Training has full windows only: ``L % T`` words of each row are left out, and
``(n - 1) % N`` at the end of the text. Evaluation asks for the tail: what is left of the rows is one last window
``(N, L % T)``; then ``(n - 1) % N``, fewer than N words, are left out, and none with ``N = 1``. The number left out is
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
    """The windows of one pass over a corpus; made by :func:`windows`, iterated as often as wanted."""

    rows: np.ndarray  #: (N, L + 1), row n the L inputs that it reads and, one on, the L words that it predicts
    T: int
    tail: bool
    lost: int  #: how many words a pass does not predict; the very first, before which there is nothing, does not count

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
    """Cut ``ids`` (n,) into windows ``xs, ts`` of ``(N, T)`` in the order of the text, one pass an epoch. Equal to::

        for start in range(0, L - T + 1, T):                          # L = (n - 1) // N
            xs = [ids[row * L + start : row * L + start + T] for row in range(N)]
            ts = [ids[row * L + start + 1 : row * L + start + T + 1] for row in range(N)]

    ``tail=True`` serves what is left of the rows as a last, shorter window. The arrays are copies, their dtype is that
    of ``ids``. Errors: N or T is not a positive int; ``ids`` is not one row of integers; less than one batch.
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
