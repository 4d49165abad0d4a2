"""Perplexity of a language model, and samples of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..data import windows
from ..engine.context import no_grad
from ..errors import InvalidValue

ROWS = 10  #: rows of a batch in an evaluation


def perplexity(model: Any, ids: Any, N: int = ROWS, T: int = 35, progress: Any = iter) -> float:
    """exp of the mean cross-entropy over the text ``ids`` (n,): from 1, certainty, up; V for a uniform guess.

    The state is carried from the start. The text is read in N rows and windows of T words; fewer than N words at its
    end are not predicted. ``progress`` is called on the iterable of windows and returns one. Raises InvalidValue for a
    text that is too short.
    """
    total, count, state = 0.0, 0, None
    with no_grad():
        for xs, ts in progress(windows(ids, N, T, tail=True)):
            loss, state = model.loss(xs, ts, state)
            total, count = total + float(loss) * ts.size, count + ts.size
    return math.exp(min(total / count, 700.0))


def generate(model: Any, start: Any, length: int, rng: np.random.Generator, temperature: float = 1.0) -> list[int]:
    """Draw ``length`` word ids after the ids ``start``, each from the softmax of the model's scores (the book's).

    Scores are divided by ``temperature``: below 1 likely words become likelier. Raises InvalidValue for an empty start,
    or a temperature that is not above 0.
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
