"""A ladder of ever smaller steps: the derivative along a line by differences, and what the ladder says of the function.

On every rung the function is taken to both sides. The mean of both slopes, extrapolated over the rungs (Richardson), is
the derivative; how fast their *gap* falls tells what kind of place this is:

    gap(h) = (L(x + hv) - 2 L(x) + L(x - hv)) / h

falls as h where L is smooth, stays at a kink, and grows as 1/h where there is nothing but rounding, or a jump.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RUNGS = 40  # the last step is 1e-13 of x
START = 0.1  # the first step, relative to x: rounding is least there, and truncation is extrapolated away
SHORT = 0.037  # the last look is at a step that much shorter, and no binary fraction of the others
GOAL = 1e-10  # an extrapolation that is as good as that will do

Number = Callable[[Sequence[np.ndarray]], Any]  # of arrays, real or complex


class Ladder:
    """``best``, and how far it may be off, ``error``; ``steps`` and ``gaps`` of all rungs so far."""

    def __init__(self, noise: float):
        self.noise = noise  # the rounding in L
        self.best, self.error = np.nan, np.inf
        self.steps: list[float] = []
        self.gaps: list[float] = []
        self._row: list[float] = []

    def add(self, h: float, right: float, left: float) -> None:
        """One rung more: what L gains from x to x + hv, and from x - hv to x."""
        row, rounding = [(right + left) / (2 * h)], 4 * self.noise / h
        for m, old in enumerate(self._row):
            row.append(row[m] + (row[m] - old) / (4 ** (m + 1) - 1))
        for m in range(1, len(row)):
            error = max(abs(row[m] - row[m - 1]), abs(row[m] - self._row[m - 1])) + rounding
            if error <= self.error:
                self.best, self.error = float(row[m]), float(error)
        self.steps.append(h)
        self.gaps.append(float(abs(right - left) / h))
        self._row = row

    def stands(self, h: float, slope: float) -> bool:
        """Is ``best`` what the slope over a far shorter step says? Else it is forgotten: halves agreed by bad luck.

        As they do if x oscillates, and a step is nearly a whole number of periods; or over a kink on both sides.
        """
        truncation = abs(self._row[0] - self.best) * (h / self.steps[-1])
        if abs(slope - self.best) <= 10 * (self.error + 4 * self.noise / h + truncation + GOAL * abs(self.best)):
            return True
        self.error, self._row = np.inf, []
        return False

    @property
    def order(self) -> float | None:
        """The power of h with which the gap falls at the short end; None where rounding hides the gap."""
        seen = self._seen()
        if len(seen) < 2:
            return None
        (far, much), (near, little) = seen[0], seen[-1]
        return float(np.log(much / little) / np.log(far / near))

    @property
    def kind(self) -> str:
        """"smooth", "kink", "jump" or "rounding"; "straight" where no gap shows."""
        order = self.order
        if order is None:
            return "straight"
        if order > -0.5:
            return "smooth" if order > 0.5 else "kink"
        h, gap = self._seen()[-1]
        return "jump" if gap * h > 1e4 * self.noise else "rounding"

    @property
    def gap(self) -> float:
        """How much the slope changes here, from one side to the other; 0 unless at a kink or jump."""
        return self._seen()[0][1] if self.kind in ("kink", "jump") else 0.0

    def _seen(self) -> list[tuple[float, float]]:
        """The last steps whose gap stands out of the rounding, with it."""
        pairs = zip(self.steps, self.gaps)
        return [(h, gap) for h, gap in pairs if np.isfinite(gap) and gap * h > 20 * self.noise][-4:]


def climb(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray, noise: float = 0.0) -> Ladder:
    """dL/dx_k along v: down until the extrapolation is good, or rounding is more than what is left."""
    here, h = tried(L, xs), START * scale(xs[k], v)
    noise = max(noise, float(np.finfo(np.float64).eps) * abs(here))
    made = Ladder(noise)
    for _ in range(RUNGS):
        made.add(h, *_sides(L, xs, k, v, h, here))
        h /= 2
        if made.error <= max(GOAL * abs(made.best), 4 * noise / h):
            h *= SHORT
            if made.stands(h, sum(_sides(L, xs, k, v, h, here)) / (2 * h)):
                break
    return made


def bend(L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray, noise: float) -> Ladder:
    """The ladder down to where rounding hides the gap: is there a kink here, or only a sharp bend?

    By quarters, for the gap alone.
    """
    made, here, h = Ladder(noise), tried(L, xs), START * scale(xs[k], v)
    for n in range(RUNGS):
        made.add(h, *_sides(L, xs, k, v, h, here))
        if n > 2 and not made.gaps[-1] * h > 20 * noise:
            break
        h /= 4
    return made


def _sides(L: Number, xs: Any, k: int, v: np.ndarray, h: float, here: float) -> tuple[float, float]:
    up, down = (tried(L, moved(xs, k, sign * h * v)) for sign in (1, -1))
    return up - here, here - down


def moved(xs: Sequence[np.ndarray], k: int, step: np.ndarray) -> list[np.ndarray]:
    return [x + step if j == k else x for j, x in enumerate(xs)]


def tried(L: Number, xs: Sequence[np.ndarray]) -> float:
    """L, NaN where it is not defined: beside x it may raise, or give what is no number."""
    try:
        return float(L(xs))
    except Exception:
        return np.nan


def scale(x: np.ndarray, v: np.ndarray) -> float:
    """How large a step along v is one of the size of x."""
    size = np.sqrt(np.mean(np.square(x))) or 1.0
    return float(max(size, np.max(np.abs(x * (v != 0)), initial=0)) / np.max(np.abs(v)))
