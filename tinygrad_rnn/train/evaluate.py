"""Mean loss and perplexity of a model, and samples of a language model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..data import windows
from ..engine.tensor import Tensor
from ..errors import InvalidValue
from ..nn.evaluating import evaluating
from .history import exp
from .losses import Loss, targets_in

ROWS = 10  #: rows of a batch in an evaluation


def mean_loss(model: Any, batches: Iterable[Any], loss: Callable[..., Any] | None = None) -> float:
    """The mean loss over all targets of ``batches``, in evaluation mode. Equal to::

        state = None
        for batch in batches:
            value, state = loss(*batch, state)   # the state is carried if the loss takes one
            total, count = total + value * targets, count + targets
        return total / count

    ``loss`` is by default ``model.loss``. A label of -1 is no target. Raises InvalidValue without targets.
    """
    call, total, count, state = Loss(loss or model.loss), 0.0, 0, None
    with evaluating(model):
        for batch in batches:
            value, state = call(batch, state)
            n = targets_in(batch)
            total, count = total + float(value) * n, count + n
    if not count:
        raise InvalidValue("mean_loss: the batches have no targets, should have at least one")
    return total / count


def perplexity(model: Any, ids: Any, N: int = ROWS, T: int = 35, progress: Any = iter) -> float:
    """exp of the mean cross-entropy over the text ``ids`` (n,): from 1, certainty, up; V for a uniform guess.

    The state is carried from the start, and nothing is dropped. The text is read in N rows and windows of T words;
    fewer than N words at its end are not predicted (none with N = 1). ``progress`` is called on the iterable of windows
    and returns one. Raises InvalidValue for a text that is too short.
    """
    return exp(mean_loss(model, progress(windows(ids, N, T, tail=True))))


def generate(
    model: Any,
    start: Any,
    length: int,
    rng: np.random.Generator | int,
    temperature: float = 1.0,
    *,
    top_k: int | None = None,
    top_p: float | None = None,
) -> list[int]:
    """Draw ``length`` word ids after the ids ``start``, each from the softmax of the model's scores (the book's).

    Scores are divided by ``temperature``: below 1 likely words become likelier. ``top_k`` draws from the k likeliest
    words only; ``top_p`` from the fewest likeliest words whose probabilities add up to at least ``top_p`` (nucleus
    sampling, Holtzman et al. 2020). Raises InvalidValue for an empty start, a temperature that is not above 0, a
    ``top_k`` below 1, or a ``top_p`` outside of (0, 1].
    """
    words = stream(model, start, rng, temperature, top_k=top_k, top_p=top_p)
    return [next(words) for _ in range(length)]


def stream(
    model: Any,
    start: Any,
    rng: np.random.Generator | int,
    temperature: float = 1.0,
    *,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Iterator[int]:
    """As `generate`, without an end: an iterator that draws each id when it is asked for."""
    for name, number, right, should in (
        ("temperature", temperature, temperature > 0, "more than 0"),
        ("top_k", top_k, top_k is None or top_k >= 1, "at least 1"),
        ("top_p", top_p, top_p is None or 0 < top_p <= 1, "more than 0, at most 1"),
    ):
        if not right:
            raise InvalidValue(f"generate: {name} is {number}, should be {should}")
    ids = np.asarray(start, dtype=np.int64).reshape(1, -1)
    if ids.size == 0:
        raise InvalidValue("generate: start is empty, should be at least one word")
    rng = np.random.default_rng(rng) if isinstance(rng, int) else rng
    return _draws(model, ids, rng, temperature, top_k, top_p)


def _draws(
    model: Any, ids: np.ndarray, rng: np.random.Generator, temperature: float, top_k: int | None, top_p: float | None
) -> Iterator[int]:
    state, evaluation = None, evaluating(model)
    while True:
        with evaluation:
            scores, state = model(ids, state)
        p = _probabilities(scores, temperature, top_k, top_p)
        word = min(int(np.searchsorted(np.cumsum(p / p.sum()), rng.random(), side="right")), len(p) - 1)
        yield word
        ids = np.array([[word]])


def _probabilities(scores: Tensor, temperature: float, top_k: int | None, top_p: float | None) -> np.ndarray:
    """The weights (V,) of the next word, not normalised; words that are not drawn have 0."""
    last = scores.numpy()[0, -1].astype(np.float64)
    p = np.exp((last - last.max()) / temperature)
    if top_k is None and top_p is None:
        return p
    order = np.argsort(-p, kind="stable")
    p[order[top_k:] if top_k else []] = 0
    if top_p is not None:
        before = np.cumsum(p[order]) - p[order]  # weight of the words that are likelier
        p[order[before >= top_p * p.sum()]] = 0
    return p
