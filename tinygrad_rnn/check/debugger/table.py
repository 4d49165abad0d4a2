"""Products of arrays by their value: those of two arrays are sorted, those of more are found by division."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

FACTORS = 100  # so many expressions are tried in a product of several
CLOSE = 1e-6  # relative; what a line should hold has about 1e-9 of a derivative
Values = list[np.ndarray]  # at all runs
Form = tuple[float, str, Values]  # an expression with its cost and its values


class Table:
    """Expressions by some of their values: those at ``places``, each a run and an index. Equal ones are one."""

    def __init__(self, forms: Iterable[Form], places: np.ndarray):
        rows: dict[tuple[float, ...], tuple[np.ndarray, Form]] = {}
        for form in sorted(forms, key=lambda form: form[0]):
            row = np.array([form[2][n].flat[k if form[2][n].ndim else 0] for n, k in places])
            if row.any():
                rows.setdefault(tuple(np.float32(row)), (row, form))
        self.forms = [form for _, form in rows.values()]
        self.rows = np.array([row for row, _ in rows.values()]).reshape(len(rows), len(places))
        first, second = np.triu_indices(min(len(rows), FACTORS))
        order = np.argsort(np.abs(self.rows[first, 0] * self.rows[second, 0]))
        self.factors = list(zip(first[order], second[order]))
        self.pairs = self.rows[first[order]] * self.rows[second[order]]
        self.keys = np.abs(self.pairs[:, 0])

    def products(self, target: np.ndarray, most: int) -> Iterator[tuple[list[Form], int]]:
        """The fewest expressions, ``most`` of them, whose product is a target, or (-1) its negative."""
        if len(target) < 2 or not target.any():  # one value is had by chance
            return
        hits = {(n,): sign for n, row in enumerate(self.rows) if (sign := _sign(row, target))}
        alone: Any = [(n,) for n in range(len(self.rows))]
        groups = [([()], np.ones((1, len(target)))), (alone, self.rows), (self.factors, self.pairs)]
        for names, others in groups[: most - 1]:
            if hits:
                break
            hits = {tuple(sorted((*self.factors[k], *names[m]))): sign for m, k in self._fits(target, others)
                    if (sign := _sign(self.pairs[k] * others[m], target))}  # fmt: skip
        yield from (([self.forms[n] for n in numbers], sign) for numbers, sign in hits.items())

    def _fits(self, target: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, int]]:
        """The pairs that, times one of ``others``, give the first value of a target."""
        with np.errstate(all="ignore"):
            wanted = np.abs(target[0] / others[:, 0])
        low, high = (np.searchsorted(self.keys, wanted * (1 + side)) for side in (-CLOSE, CLOSE))
        for m in np.flatnonzero(high > low):
            yield from ((int(m), k) for k in range(low[m], high[m]))


def _sign(product: np.ndarray, target: np.ndarray) -> int:
    """1 or -1 if a product is the target or its negative, else 0."""
    near = CLOSE * np.max(np.abs(target))
    return 1 if np.max(np.abs(product - target)) <= near else -1 if np.max(np.abs(product + target)) <= near else 0
