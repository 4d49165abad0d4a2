"""Models that train in a moment, here and in another process, which imports this module."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.models import LanguageModel


class Tied(tg.nn.Module):
    def __init__(self, cell, rng):
        self.recurrent = tg.nn.Recurrent(cell, D=3, H=3, rng=rng, stateful=True, init={"b": {"f": 1.0}})
        self.linear = tg.nn.Linear(3, 3, rng=rng)
        self.linear.W = self.recurrent.Wh  # tied
        self.activation = tg.exp

    def loss(self, xs):
        hs, _ = self.recurrent(xs)
        return (self.activation(hs @ self.linear.W[:, :3] + self.linear.b) ** 2).sum()


def model_of(name):
    rng = np.random.default_rng(0)
    if name == "tied":
        return Tied(tg.lstm, rng)
    return LanguageModel(BUILT_IN[name], V=7, D=3, H=4, rng=rng)


def train(model, optimizer, steps=2):
    """Some steps; what is left of the gradients and the parameters, as bytes."""
    rng = np.random.default_rng(1)
    for _ in range(steps):
        optimizer.zero_grad()
        if isinstance(model, Tied):
            model.loss(rng.standard_normal((2, 4, 3))).backward()
        else:
            model.loss(rng.integers(0, 7, (2, 5)), rng.integers(0, 7, (2, 5)))[0].backward()
        optimizer.step()
    return {name: (w.grad.tobytes(), w.numpy().tobytes()) for name, w in model.params.items()}
