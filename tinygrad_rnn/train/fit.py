"""The training loop: truncated BPTT through a corpus, epoch after epoch."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..data import windows
from ..engine.tensor import detach
from ..errors import InvalidValue, NumericalError
from ..optim import Optimizer, clip_grad_norm


@dataclass
class Progress:
    """The position and the numbers of training after a window, as `fit` reports them."""

    epoch: int  #: from 1
    epochs: int
    window: int  #: from 1
    windows: int
    perplexity: float  #: of the training words, averaged over about the last hundred windows
    tokens_per_second: float  #: averaged likewise
    norm: float  #: of the gradient, before clipping
    state: Any  #: the detached state for the next window


def fit(
    model: Any,
    ids: Any,
    optimizer: Optimizer,
    *,
    N: int = 20,
    T: int = 35,
    epochs: int = 1,
    max_norm: float = 0.25,
    report: Callable[[Progress], None] = lambda progress: None,
    after_epoch: Callable[[int], None] = lambda epoch: None,
    start: tuple[int, Any] = (0, None),
    passed: int = 0,
) -> None:
    """Train on ``ids`` by truncated BPTT. Equal to::

        state, words = None, len(windows(ids, N, T)) * T  # words of every row in an epoch
        for epoch in range(epochs):
            for xs, ts in windows(ids, N, T, start=epoch * words):
                optimizer.zero_grad()
                loss, state = model.loss(xs, ts, detach(state))
                loss.backward()
                clip_grad_norm(optimizer.params, max_norm)
                optimizer.step()

    ``report(progress)`` is called after every window, ``after_epoch(epoch)`` after every epoch. An exception that they
    raise ends the training between two windows.

    To continue an earlier run, ``start=(progress.window, progress.state)`` is the last window that it reported, and
    ``passed`` the number of its complete epochs. Raises NumericalError, a FloatingPointError, for a loss or a gradient
    that is not finite, before it changes a parameter; InvalidValue for a ``start`` that is not in the epoch.
    """
    batches, state = windows(ids, N, T), start[1]
    words = len(batches) * T
    if not 0 <= start[0] <= len(batches):
        raise InvalidValue(f"fit: start is after window {start[0]}, should be from 0 to {len(batches)}")
    for epoch in range(1, epochs + 1):
        meter, done = _Meter(), start[0] if epoch == 1 else 0
        batches = windows(ids, N, T, start=(passed + epoch - 1) * words)
        steps = _epoch(model, batches, optimizer, max_norm, done, state)
        for k, (loss, norm, state) in enumerate(steps, done + 1):
            perplexity, speed = meter.add(loss, N * T)
            report(Progress(epoch, epochs, k, len(batches), perplexity, speed, norm, state))
        after_epoch(epoch)


def _epoch(
    model: Any, batches: Any, optimizer: Optimizer, max_norm: float, done: int, state: Any
) -> Iterator[tuple[float, float, Any]]:
    """The inner loop of `fit` over the windows after the first ``done``; yields loss, norm and state after each."""
    for xs, ts in itertools.islice(batches, done, None):
        optimizer.zero_grad()
        loss, state = model.loss(xs, ts, state)
        state = detach(state)
        if not math.isfinite(float(loss)):
            raise NumericalError(f"fit: the loss is {float(loss)}; a smaller learning rate or max_norm may help")
        loss.backward()
        norm = clip_grad_norm(optimizer.params, max_norm)
        optimizer.step()
        yield float(loss), norm, state


class _Meter:
    """Perplexity and speed over about the last hundred windows."""

    def __init__(self) -> None:
        self.loss, self.speed, self.last = 0.0, 0.0, time.perf_counter()
        self.weight = 0.0

    def add(self, loss: float, tokens: int) -> tuple[float, float]:
        now = time.perf_counter()
        self.weight = 0.99 * self.weight + 0.01
        self.loss += 0.01 * (loss - self.loss)
        self.speed += 0.01 * (tokens / max(now - self.last, 1e-9) - self.speed)
        self.last = now
        return math.exp(min(self.loss / self.weight, 700.0)), self.speed / self.weight
