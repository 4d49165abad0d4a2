"""Generation of the likeliest sequences, token by token: greedy, or with a beam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.corpus import integer
from ..engine.pytree import flatten
from ..engine.tensor import Tensor, value
from ..errors import InvalidValue
from ..ops import log_softmax
from .answers import IGNORE


def shifted(targets: Any, start: int) -> np.ndarray:
    """The tokens before each target: ``start``, then targets[:, :-1]; in the place of -1 is ``start``."""
    targets = np.asarray(value(targets))
    before = np.concatenate([np.full((len(targets), 1), start), targets[:, :-1]], axis=1)
    return np.where(before == IGNORE, start, before)


def check_tokens(where: str, V: int, start: int, end: int | None) -> None:
    """Raise InvalidValue unless ``start``, and ``end`` if there is one, are ids of V tokens."""
    for name, token in (("start", start), *([] if end is None else [("end", end)])):
        if not isinstance(token, (int, np.integer)) or isinstance(token, bool) or not 0 <= token < V:
            raise InvalidValue(f"{where}: {name} is {token!r}, should be an id from 0 to {V - 1}")


def after_end(ids: np.ndarray, end: int | None) -> np.ndarray:
    """The tokens with -1 in each place after ``end``."""
    if end is None:
        return ids
    ended = np.cumsum(ids == end, axis=1) - (ids == end)
    return np.where(ended > 0, IGNORE, ids)


def take(tree: Any, rows: np.ndarray) -> Any:
    """The ``rows`` of every Tensor or array in a pytree of states; None stays None."""
    leaves, build = flatten(tree)
    return build([leaf if leaf is None else leaf[rows] for leaf in leaves])


def search(
    step: Callable[[np.ndarray, Any], tuple[Tensor, Any]],
    state: Any,
    start: int,
    length: int,
    *,
    beam: int = 1,
    end: int | None = None,
) -> np.ndarray:
    """The tokens (N, length) with the largest sum of log-probabilities that a beam search finds.

    ``step(ids (n,), state) -> scores (n, V), state`` is one step of a decoder; ``state`` is a pytree of Tensors with N
    rows. ``beam`` hypotheses of each row are kept at every step; 1 takes the likeliest token each time. A hypothesis
    that has reached ``end`` stays as it is, with ``end`` in all places after it. Raises InvalidValue unless ``length``
    and ``beam`` are positive ints.
    """
    length, beam = integer("predict", "length", length), integer("predict", "beam", beam)
    N = len(next(leaf for leaf in flatten(state)[0] if leaf is not None))
    ids, total = np.full((N, 1, 1), start), np.zeros((N, 1))  # (N, hypotheses, tokens), (N, hypotheses)
    for _ in range(length):
        scores, state = step(ids[:, :, -1].reshape(-1), state)
        logs = log_softmax(scores).numpy().astype(np.float64)
        V = logs.shape[-1]
        logs = logs.reshape(*total.shape, V)
        if end is not None:
            logs[(ids[:, :, 1:] == end).any(axis=-1)] = np.where(np.arange(V) == end, 0.0, -np.inf)
        sums = (total[:, :, None] + logs).reshape(N, total.shape[1] * V)
        best = np.argsort(-sums, axis=1, kind="stable")[:, : min(beam, sums.shape[1])]
        before, token = np.divmod(best, V)
        rows = (np.arange(N)[:, None] * total.shape[1] + before).reshape(-1)
        total, state = np.take_along_axis(sums, best, axis=1), take(state, rows)
        ids = np.concatenate([np.take_along_axis(ids, before[:, :, None], axis=1), token[:, :, None]], axis=2)
    return ids[:, 0, 1:]
