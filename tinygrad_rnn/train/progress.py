"""The position and the numbers of a training."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Position:
    """Where a training is: with the history, the parameters and the optimiser all that `fit` needs to continue."""

    epoch: int = 0  #: complete epochs
    batch: int = 0  #: batches of the next epoch that are done
    loss: float = 0.0  #: sum of loss times targets since the last row of the history
    targets: int = 0  #: their number since then
    norm: float = 0.0  #: sum of the norms since then
    state: Any = None  #: the detached state for the next batch


@dataclass
class Progress:
    """The position and the numbers of training after a batch, as `fit` reports them."""

    epoch: int  #: from 1
    epochs: int
    batch: int  #: from 1
    batches: int
    loss: float  #: of the training, averaged over about the last hundred batches
    perplexity: float  #: its exp
    tokens_per_second: float  #: targets, averaged likewise
    norm: float  #: of the gradient, before clipping
    lr: float
    seconds_left: float  #: of all epochs, without their validation
    position: Position = field(repr=False)  #: a copy, from which `fit` continues


class Meter:
    """Loss, speed and duration over about the last hundred batches of an epoch."""

    def __init__(self) -> None:
        self.loss = self.rate = self.duration = self.weight = 0.0
        self.last = time.perf_counter()

    def add(self, loss: float, targets: int) -> tuple[float, float, float]:
        """Count a batch; returns the mean loss, targets per second and seconds per batch."""
        now = time.perf_counter()
        self.weight = 0.99 * self.weight + 0.01
        self.loss += 0.01 * (loss - self.loss)
        self.rate += 0.01 * (targets - self.rate)
        self.duration += 0.01 * (max(now - self.last, 1e-9) - self.duration)
        self.last = now
        return self.loss / self.weight, self.speed(), self.duration / self.weight

    def speed(self) -> float:
        """Targets per second; 0 before the first batch."""
        return self.rate / self.duration if self.duration else 0.0
