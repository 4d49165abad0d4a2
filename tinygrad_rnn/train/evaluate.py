"""What a language model is worth, and what it says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..data import windows
from ..engine.context import no_grad
from ..errors import InvalidValue

ROWS = 10  #: side by side in an evaluation


def perplexity(model: Any, ids: Any, N: int = ROWS, T: int = 35, progress: Any = iter) -> float:
    """exp of the mean cross-entropy over a text, the state carried from its start; 1 is certainty, V is none.

    The text is read in N rows side by side; all its words but fewer than N at the end are predicted. ``progress`` wraps
    the windows.
    """
    total, count, state = 0.0, 0, None
    with no_grad():
        for xs, ts in progress(windows(ids, N, T, tail=True)):
            loss, state = model.loss(xs, ts, state)
            total, count = total + float(loss) * ts.size, count + ts.size
    return math.exp(min(total / count, 700.0))


def generate(model: Any, start: Any, length: int, rng: np.random.Generator, temperature: float = 1.0) -> list[int]:
    """``length`` words drawn one by one after the words ``start``: the book's generator.

    Scores are divided by ``temperature``: below 1 the likely words get likelier.
    """
    if not temperature > 0:
        raise InvalidValue(f"generate: temperature is {temperature}, should be more than 0")
    ids, state, words = np.asarray(start, dtype=np.int64).reshape(1, -1), None, []
    if ids.size == 0:
        raise InvalidValue("generate: start is empty, should be at least one word")
    with no_grad():
        for _ in range(length):
            scores, state = model(ids, state)
            last = scores.numpy()[0, -1].astype(np.float64)
            p = np.exp((last - last.max()) / temperature)
            words.append(int(np.searchsorted(np.cumsum(p / p.sum()), rng.random(), side="right").clip(max=len(p) - 1)))
            ids = np.array([[words[-1]]])
    return words
