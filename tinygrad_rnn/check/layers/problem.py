"""A layer as a `Problem`: its own gradients in the place of autograd's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..numeric.compare import CLOSE, compared
from ..numeric.derivatives import Slopes
from ..numeric.problem import Problem
from ..report import Row
from .adapter import Adapter, Run
from .names import forgotten

SINGLE = float(np.finfo(np.float32).eps)
NONE = "is None"


class LayerProblem(Problem):
    """A layer as a `Problem` for `compared`; ``first`` is the first run of its backward."""

    first: Run | None = None
    gradients: Sequence[np.ndarray] = ()  # of the table
    slopes: Sequence[Slopes] = ()
    sure = True  # are the references of the table right, so that what is said of a line can be trusted?

    def __init__(self, adapter: Adapter, ys: Sequence[np.ndarray], rng: np.random.Generator):
        self.adapter, self.rng, self.names, self.arrays = adapter, rng, adapter.names, adapter.floats
        self.ys, self.dys = list(ys), [rng.standard_normal(y.shape) for y in ys]
        self.exact = list(adapter.floats.values())
        self.misfits: dict[str, str] = {}
        size = sum(float(np.sum(np.abs(dy * y))) for dy, y in zip(self.dys, ys))
        rough = any(y.dtype != np.float64 for y in ys) or self.noise > 1e-11 * size
        self.coarse = SINGLE if rough else 0.0

    def outputs(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        return self.adapter.run(dict(zip(self.names, xs))).outputs

    def autograd(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        run = self.adapter.run(dict(zip(self.names, xs)), self.dys)
        self.first = self.first or run
        gradients = self.adapter.gradients(run)
        return [self._fitting(name, g, x.shape) for (name, g), x in zip(gradients.items(), xs)]

    def is_needed(self, k: int) -> bool:
        """None for an input says that nobody needs this gradient."""
        return self.misfits.get(f"d{self.names[k]}") != NONE or self.names[k] not in self.adapter.batched

    def _fitting(self, name: str, g: Any, shape: tuple[int, ...]) -> np.ndarray:
        """The gradient; or, if it cannot be compared, zeros, with the reason in ``misfits``."""
        reason = misfit(g, shape)
        if reason:
            self.misfits[f"d{name}"] = reason
        return np.zeros(shape) if reason else np.asarray(g)

    def moved(self, xs: Sequence[np.ndarray]) -> list[np.ndarray]:
        eps = max(self.coarse, float(np.finfo(np.float64).eps))
        return [x * (1 + eps * self.rng.choice([-1.0, 1.0], x.shape)) for x in xs]

    def table(self) -> list[Row]:
        """A row for each gradient."""
        rows, self.gradients, self.slopes = compared(self)
        return [self.with_note(row) for row in rows]

    def errors_on(self, adapter: Any, rng: np.random.Generator) -> dict[str, float]:
        """The errors of the gradients that are wrong on other inputs, by name."""
        rows = LayerProblem(adapter, adapter.run().outputs, rng).table()
        return {row.name: row.rel_error or 0.0 for row in rows if row.verdict == "wrong"}

    def pairs(self, wrong: Row) -> list[tuple[Any, Any]]:
        """What a wrong gradient is, and what it should be; of a large one, along some directions."""
        k = self.names.index(wrong.name[1:])
        slope, g = self.slopes[k], self.gradients[k]
        shape = g.shape if len(slope.values) == g.size else slope.values.shape
        return [] if wrong.note else [(slope.of(g).reshape(shape), slope.values.reshape(shape))]

    def way(self, name: str) -> tuple[str, str] | None:
        """The backward edge of a gradient: its value and what reads it, where a tape has them."""
        return None

    def with_note(self, row: Row) -> Row:
        """The row with the verdict and the note for a gradient that could not be compared.

        None is right where the numbers are zero. Else, None for an input means that nobody needs this gradient; None
        for a parameter is wrong.
        """
        row.note = self.misfits.get(row.name, row.note)
        if row.name in self.misfits and row.note != NONE:
            return Row(row.name, "wrong", np.inf, shape=row.shape, note=row.note)
        if row.note == NONE and row.verdict != "right" and row.name[1:] in self.adapter.batched:
            places = self.adapter.places
            lost, functions = (", ".join(places.unmatched), places.functions) if places else ("", [])
            unread = next(filter(None, (forgotten(function, row.name[1:]) for function in functions)), "")
            reason = f"; {lost} belong to no argument" if lost else f"; {unread} is computed, and not returned"
            note = f"{NONE}{reason if lost or unread else ': taken as not needed'}"
            return Row(row.name, "unchecked", shape=row.shape, note=note, counts=bool(lost or unread))
        if self.coarse and row.verdict == "right" and (row.rel_error or 0) > CLOSE:
            row.verdict = "precision"
        return row


def misfit(g: Any, shape: tuple[int, ...]) -> str:
    """Why a gradient cannot be compared with an array of a shape; "" if it can."""
    if g is None or np.asarray(g).dtype.kind not in "fiu":
        return NONE if g is None else "is no array of numbers"
    return "" if np.shape(g) == shape else f"is {np.shape(g)}, should be {shape}"
