"""The Taylor test: a second opinion that shares nothing with the complex step or with differences.

Along a line the gradient g foretells what L becomes; what is left over,

    R(h) = |L(x + hv) - L(x) - h <g, v>|,

falls as h² where g is right and as h where it is not. Over which steps that can be seen depends on the curvature of L
and on its rounding: so h starts at half of x, and falls until R is lost in rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..report import Row
from .richardson import Number, moved, scale, tried

RUNGS = 30  # by quarters: the last is 1e-18 of x


def remainder_order(
    L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray, slope: float, noise: float
) -> float | None:
    """The power of h with which the remainder along v falls at the short end; None if it is rounding throughout."""
    here, h = tried(L, xs), 0.5 * scale(xs[k], v)
    seen: list[tuple[float, float]] = []
    for _ in range(RUNGS):
        left = abs(tried(L, moved(xs, k, h * v)) - here - h * slope)
        if left <= 100 * noise + 1e-13 * abs(h * slope):
            break
        if np.isfinite(left):
            seen.append((np.log(h), np.log(left)))
        h /= 4
    if len(seen) < 2:
        return None
    (far, much), (near, little) = seen[-2:]
    return float((much - little) / (far - near))


def second_opinion(rows: Sequence[Row], orders: Sequence[float | None]) -> list[str]:
    """What the test says of the verdicts; where it contradicts one, that."""
    told, against = [], []
    for row, order in zip(rows, orders):
        right = row.verdict in ("right", "precision")
        if order is None or row.verdict == "unchecked" or (right and row.note):
            continue  # rounding hides the remainder, nothing was said, or a kink bends the line
        told.append((row, right, order))
        if right != (order > 1.5):
            against.append(f"the remainder of {row.name} falls as h^{order:.2f}, but its verdict is {row.verdict!r}")
    if against:
        return [f"the Taylor test disagrees: {text}" for text in against]
    parts = []
    for kind in (True, False):
        mine = {row.name: order for row, right, order in told if right == kind}
        names = list(mine) if len(mine) < 5 else [*list(mine)[:2], "...", list(mine)[-1]]
        parts += [f"as h^{min(mine.values()):.2f} ({', '.join(names)})"] if mine else []
    return [f"the Taylor test agrees: remainders fall {', '.join(parts)}"] if parts else []
