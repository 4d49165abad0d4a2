"""The Taylor test: an independent check that shares nothing with the complex step or with differences.

Along a line the gradient g predicts the value of L. The remainder,

    R(h) = |L(x + hv) - L(x) - h <g, v>|,

falls as h² if g is right, and as h if it is wrong. The steps for which this can be seen depend on the curvature of L
and on its rounding: so h starts at half of x, and falls until rounding hides R.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..report import Row
from .richardson import Number, kink, scale


def remainder_order(
    L: Number, xs: Sequence[np.ndarray], k: int, v: np.ndarray, slope: float, noise: float
) -> float | None:
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
