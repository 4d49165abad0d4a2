"""A corpus cut into the batches of truncated backpropagation through time: rows with offsets.

A text of ``n`` words has ``n - 1`` pairs of a word and the word that follows it. ``N`` rows begin
``jump = (n - 1) // N`` pairs apart, at the offsets ``0, jump, 2 jump, ...``. A window is ``T`` pairs of every row. Each
window begins, row for row, where the window before it ended, so that a state can be carried on. (*Deep Learning from
Scratch 2*, section 5.2.5 and figure 5-15; the loop is that of section 5.5.3.)

**Epochs.** An epoch has ``(n - 1) // (N T)`` windows. The next epoch begins where the epoch before ended, so it cuts
the text at other places, and rows run on into the next row. At the end of the text they run on at its beginning, in one
of two rings:

* ``ring="pairs"``, the book's: a ring of the ``n - 1`` pairs. Every pair is one that the text has. A row that runs over
  the end does not read the last word as an input.
* ``ring="words"``: a ring of the ``n`` words. A row reads every word in turn, and at the end of the text it learns the
  pair (last word, first word), which the text does not have.

The first epoch is the same in both.

**Which words are predicted.** Training has full windows only: in an epoch, ``jump % T`` words of each row are left out,
and ``(n - 1) % N`` words at the end of the text. With ``tail``, for evaluation, the rest of the rows is a last window
``(N, jump % T)``; only ``(n - 1) % N`` words are left out, none with ``N = 1``. The number of words left out is
``windows(...).lost``, the number of windows ``len(windows(...))``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InvalidValue
from .corpus import check_ids, integer

RINGS = ("pairs", "words")


@dataclass(frozen=True, eq=False, repr=False)
class Windows:
    """The windows of one epoch over a corpus, as :func:`windows` returns them. Each iteration is the same epoch again.

    ``epoch(k)`` are the windows of epoch ``k``. The ids are read when a window is, so they may be a memory map.
    """

    ids: np.ndarray  #: (n,)
    N: int
    T: int
    tail: bool = False
    ring: str = "pairs"
    start: int = 0  #: number of pairs that every row has passed before the first window

    @property
    def jump(self) -> int:
        """Number of pairs from the beginning of a row to that of the next: ``(n - 1) // N``."""
        return (len(self.ids) - 1) // self.N

    @property
    def offsets(self) -> np.ndarray:
        """The pair at which each row begins in the first epoch: ``[0, jump, 2 jump, ...]``, (N,)."""
        return np.arange(self.N) * self.jump

    @property
    def steps(self) -> int:
        """Number of pairs of each row in an epoch."""
        return self.jump if self.tail else self.jump // self.T * self.T

    @property
    def lost(self) -> int:
        """Number of words that an epoch does not predict; the first word of the text, which no word precedes, is not
        counted."""
        return len(self.ids) - 1 - self.N * self.steps

    def epoch(self, k: int) -> Windows:
        """The windows of epoch ``k``, from 0: they begin where those of epoch ``k - 1`` ended."""
        return replace(self, start=self.start + integer("epoch", "k", k, least=0) * self.steps)

    def places(self, first: int, last: int) -> np.ndarray:
        """The positions in the text of the inputs of steps ``first`` to ``last - 1`` of this epoch, (N, last - first).

        The target of an input is the word after it.
        """
        size = len(self.ids) - (self.ring == "pairs")
        return (self.offsets[:, None] + np.arange(self.start + first, self.start + last)) % size

    def __len__(self) -> int:
        return -(-self.steps // self.T)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(0, self.steps, self.T):
            places = self.places(first, min(first + self.T, self.steps))
            yield self.ids[places], self.ids[(places + 1) % len(self.ids)]

    def __repr__(self) -> str:
        return f"Windows({len(self)} of N={self.N}, T={self.T}, {self.lost} words lost)"


def windows(ids: Any, N: int, T: int, *, tail: bool = False, ring: str = "pairs", start: int = 0) -> Windows:
    """Cut ``ids`` (n,) into windows ``xs, ts``, both ``(N, T)``, in the order of the text. Epoch ``k`` is equal to::

        jump, size = (n - 1) // N, n - 1                # ring="words": size = n
        step = k * (jump // T) * T
        for _ in range(jump // T):
            at = [[(row * jump + step + t) % size for t in range(T)] for row in range(N)]
            xs, ts = ids[at], ids[at + 1]               # ring="words": ids[(at + 1) % n]
            step += T

    The result is iterated for epoch 0; ``.epoch(k)`` gives the windows of epoch ``k``. ``ring="pairs"`` is the book's
    loop, with ``xs = corpus[:-1]``, ``ts = corpus[1:]`` and both indexed modulo their length; ``ring="words"`` goes
    round the text itself. ``tail=True`` appends the rest of the rows as a last, shorter window. ``start`` begins that
    many steps later. The arrays are copies in the dtype of ``ids``.

    Raises InvalidValue if N or T is not a positive int, if ``ids`` has not one axis or is shorter than one batch, and
    for another ``ring``; InvalidType if ``ids`` are no integers.
    """
    ids = check_ids("windows", ids)
    N, T = integer("windows", "N", N), integer("windows", "T", T)
    if ring not in RINGS:
        raise InvalidValue(f"windows: ring is {ring!r}, should be 'pairs' (the book's) or 'words'")
    n = len(ids)
    if n - 1 < N * (1 if tail else T):
        least = f"one step of N={N} needs {N + 1}" if tail else f"one batch of N={N}, T={T} needs {N * T + 1}"
        raise InvalidValue(f"windows: the corpus has {n} tokens, {least}")
    return Windows(ids, N, T, tail, ring, integer("windows", "start", start, least=0))


def draw_rows(batches: Windows, vocab: Any = None, shown: int = 3) -> str:
    """A text picture of the rows of ``batches`` and their offsets (*Deep Learning from Scratch 2*, figure 5-15).

    A line is a row of the batch: its offset, then the first ``shown`` windows of this epoch. With ``vocab``, the words
    of the text by id, a window shows its inputs as words; without, the positions of its first and last input.
    """
    shown = min(integer("draw_rows", "shown", shown), len(batches))
    cells = [["row", "offset", *(f"window {k}" for k in range(shown)), "..."[: 3 * (shown < len(batches))]]]
    spans = [batches.places(k * batches.T, min((k + 1) * batches.T, batches.steps)) for k in range(shown)]
    for row, offset in enumerate(batches.offsets.tolist()):
        words = [" ".join(vocab[i] for i in batches.ids[span[row]]) if vocab else f"{span[row, 0]} .. {span[row, -1]}"
                 for span in spans]  # fmt: skip
        cells.append([str(row), str(offset), *words, cells[0][-1]])
    widths = [max(len(cell) for cell in column) for column in zip(*cells)]
    lines = ["  ".join(cell.rjust(w) if i < 2 else cell.ljust(w) for i, (cell, w) in enumerate(zip(line, widths)))
             for line in cells]  # fmt: skip
    head = (f"{len(batches.ids) - 1} pairs (word, next word); N = {batches.N} rows begin {batches.jump} pairs apart; "
            f"a window is T = {batches.T} pairs of every row; {len(batches)} windows an epoch")  # fmt: skip
    return "\n".join(line.rstrip() for line in [head, *lines]) + "\n"
