"""Richardson extrapolation: the derivative along a line from differences with ever smaller steps.

Every step h gives a slope to either side. The mean of both slopes, extrapolated to h = 0, is the derivative. How fast
the difference of the slopes, the *gap*, falls with h shows what kind of point this is:

    gap(h) = (L(x + hv) - 2 L(x) + L(x - hv)) / h

falls as h where L is smooth, stays constant at a kink, and grows as 1/h if it is rounding or a jump.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..report import Row

STEPS = 40  # the last step is 1e-13 of x
START = 0.1  # the first step, relative to x: rounding is least there, and truncation is extrapolated away
SHORT = 0.037  # the control step is this factor shorter, no binary fraction of the other steps
GOAL = 1e-10  # a relative error that is good enough

Arrays = Sequence[np.ndarray]
Number = Callable[[Arrays], Any]  # of arrays, real or complex


class Richardson:
    """The extrapolation table: the estimate ``best`` with its ``error``, and ``steps`` and ``gaps`` so far."""

    def __init__(self, noise: float):
        self.noise = noise  # the rounding error of L
        self.best, self.error = np.nan, np.inf
        self.steps: list[float] = []
        self.gaps: list[float] = []
        self._row: list[float] = []

    def add(self, h: float, right: float, left: float) -> None:
        """Add a step: the differences L(x + hv) - L(x) = ``right`` and L(x) - L(x - hv) = ``left``."""
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
        """Does ``best`` agree with the slope over a far shorter step? If not, the estimate is discarded.

        The table can converge to a wrong value by accident: if L oscillates and the steps are nearly whole periods, or
        if there are kinks on both sides.
        """
        truncation = abs(self._row[0] - self.best) * (h / self.steps[-1])
        if abs(slope - self.best) <= 10 * (self.error + 4 * self.noise / h + truncation + GOAL * abs(self.best)):
            return True
        self.error, self._row = np.inf, []
        return False

    @property
    def order(self) -> float | None:
        """The power of h with which the gap falls for short steps; None if rounding hides the gap."""
        seen = self._seen()
        if len(seen) < 2:
            return None
        (long_step, large_gap), (short_step, small_gap) = seen[0], seen[-1]
        return float(np.log(large_gap / small_gap) / np.log(long_step / short_step))

    @property
    def gap(self) -> float:
        """The difference of the slopes on both sides; 0 except at a kink, or at a jump, where it grows with 1/h."""
        order, seen = self.order, self._seen()
        jumps = order is not None and order <= -0.5 and seen[-1][0] * seen[-1][1] > 1e4 * self.noise
        return seen[0][1] if jumps or (order is not None and -0.5 < order <= 0.5) else 0.0

    def _seen(self) -> list[tuple[float, float]]:
        """The last (step, gap) pairs whose gap is clearly larger than rounding."""
        pairs = zip(self.steps, self.gaps)
        return [(h, gap) for h, gap in pairs if np.isfinite(gap) and gap * h > 20 * self.noise][-4:]


def derivative(L: Number, xs: Arrays, k: int, v: np.ndarray, noise: float = 0.0) -> Richardson:
    """dL/dx_k along v, in ``best``: halve the step until the error reaches `GOAL` or rounding dominates."""
    here, h = tried(L, xs), START * scale(xs[k], v)
    noise = max(noise, float(np.finfo(np.float64).eps) * abs(here))
    table = Richardson(noise)
    for _ in range(STEPS):
        table.add(h, *_sides(L, xs, k, v, h, here))
        h /= 2
        if table.error <= max(GOAL * abs(table.best), 4 * noise / h):
            h *= SHORT
            if table.stands(h, sum(_sides(L, xs, k, v, h, here)) / (2 * h)):
                break
    return table


def kink(L: Number, xs: Arrays, k: int, v: np.ndarray, noise: float, slope: float | None = None) -> Richardson:
    """Is there a kink here, or only a sharp bend? See ``gap`` and ``order`` of the table.

    Quarters the step until rounding hides the gap. With a ``slope``, this is taken for that of one side.
    """
    table, here, h = Richardson(noise), tried(L, xs), START * scale(xs[k], v)
    for n in range(STEPS):
        right, left = _sides(L, xs, k, v, h, here)
        table.add(h, right, left if slope is None else h * slope)
        if n > 2 and not table.gaps[-1] * h > 20 * noise:
            break
        h /= 4
    return table


def _sides(L: Number, xs: Any, k: int, v: np.ndarray, h: float, here: float) -> tuple[float, float]:
    """The differences of L to both sides."""
    up, down = (tried(L, moved(xs, k, sign * h * v)) for sign in (1, -1))
    return up - here, here - down


def moved(xs: Arrays, k: int, step: np.ndarray) -> list[np.ndarray]:
    """The inputs with input k moved by a step."""
    return [x + step if j == k else x for j, x in enumerate(xs)]


def tried(L: Number, xs: Arrays) -> float:
    """The value of L; NaN where it raises or returns no number, as it may do near x."""
    try:
        return float(L(xs))
    except Exception:
        return np.nan


def scale(x: np.ndarray, v: np.ndarray) -> float:
    """The step along v that has the size of x."""
    size = np.sqrt(np.mean(np.square(x))) or 1.0
    return float(max(size, np.max(np.abs(x * (v != 0)), initial=0)) / np.max(np.abs(v)))


def remainder_order(L: Number, xs: Arrays, k: int, v: np.ndarray, slope: float, noise: float) -> float | None:
    """The power of h with which the remainder along v falls for short steps; None if it is all rounding."""
    order = kink(L, xs, k, v, noise + 1e-14 * abs(slope * scale(xs[k], v)), slope).order
    return None if order is None else order + 1  # that of R / h is less by 1


def second_opinion(rows: Sequence[Row], orders: Sequence[float | None]) -> list[str]:
    """A note that the test agrees with the verdicts, or a note for each verdict that it contradicts."""
    falls, against = {True: dict[str, float](), False: dict[str, float]()}, []
    for row, order in zip(rows, orders):
        right = row.verdict in ("right", "precision")
        if order is None or row.verdict == "unchecked" or (right and row.note):
            continue  # rounding hides the remainder, there is no verdict, or a kink disturbs the test
        falls[right][row.name] = order
        if right != (order > 1.5):
            against.append(f"the remainder of {row.name} falls as h^{order:.2f}, but its verdict is {row.verdict!r}")
    if against:
        return [f"the Taylor test disagrees: {text}" for text in against]
    names = {right: list(by_name) if len(by_name) < 5 else [*list(by_name)[:2], "...", list(by_name)[-1]]
             for right, by_name in falls.items() if by_name}  # fmt: skip
    parts = [f"as h^{min(falls[right].values()):.2f} ({', '.join(names[right])})" for right in names]
    return [f"the Taylor test agrees: remainders fall {', '.join(parts)}"] if parts else []
