"""Models that learn in a moment: with a state or without, with random numbers or without; and batches for them."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.models import LanguageModel


class Regression(nn.Module):
    """A line, without a state: ``loss(xs, ts)`` is a scalar."""

    def __init__(self) -> None:
        self.linear = nn.Linear(2, 1, rng=np.random.default_rng(0))

    def forward(self, xs):
        return self.linear(xs)

    def loss(self, xs, ts):
        return ((self(xs) - ts) ** 2).mean()


class Dropped(LanguageModel):
    """A language model that drops outputs in training; its generator is ``rng``."""

    def __init__(self, rate: float, V: int = 144):
        super().__init__(tg.lstm, V, 6, 5, rng=np.random.default_rng(0))
        self.rate, self.rng = rate, np.random.default_rng(1)

    def loss(self, ids, targets, state=None):
        hs, state = self.recurrent(self.embed(ids), state)
        hs = tg.dropout(hs, rate=self.rate, rng=self.rng) if self.training else hs
        return tg.softmax_cross_entropy(self.affine(hs), targets), state


def pairs(n: int, seed: int = 0) -> list:
    """``n`` batches of 5 points of a noisy line."""
    rng = np.random.default_rng(seed)
    xs = rng.standard_normal((n, 5, 2)).astype("f")
    ts = xs @ np.array([[2.0], [-1.0]], "f") + rng.standard_normal((n, 5, 1)).astype("f") * np.float32(0.1)
    return list(zip(xs, ts))
