"""Invent a cell, check its gradient, train it. Only the equations are written.

    python examples/custom_cell.py

The task: remember the first number of a sequence through noise, and return it at the end. The cell has two memories: a
fast one that is new at every step, and a slow one that a gate writes to. It is compared with the simple RNN.
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param, nn, optim, sigmoid, tanh

N, T, H, STEPS = 32, 20, 8, 300


@tg.cell
def two_speeds(x, h, s, *, Wx=Param("D H", "gn"), Wh=Param("H H", "gn"), Ws=Param("H H", "gn"),
               b=Param("H", "gn", init={"g": -2.0})):  # fmt: skip
    """g = σ(a.g),  n = tanh(a.n),  s' = (1 - g) ⊙ s + g ⊙ n,  h' = tanh(n + s').  The gate starts nearly closed."""
    g = sigmoid(x @ Wx.g + h @ Wh.g + s @ Ws.g + b.g)
    n = tanh(x @ Wx.n + h @ Wh.n + s @ Ws.n + b.n)
    s = (1 - g) * s + g * n
    h = tanh(n + s)
    return h, s


class Reader(nn.Module):
    """xs (N, T, 2) -> one number for each row, computed from the last state."""

    def __init__(self, cell, *, rng):
        self.recurrent = nn.Recurrent(cell, D=2, H=H, rng=rng)
        self.out = nn.Linear(H, 1, rng=rng)

    def __call__(self, xs):
        hs, _ = self.recurrent(xs)
        return self.out(hs[:, -1])


def batch(rng):
    """Inputs (N, T, 2): numbers, and a mark at the first of them. Targets (N, 1): the first number."""
    xs = rng.uniform(-1, 1, (N, T, 2)).astype("f")
    xs[:, :, 1] = np.arange(T) == 0
    return xs, xs[:, 0, :1]


def train(cell):
    """Train a model with this cell. Return its mean loss over the last quarter of the training."""
    rng = np.random.default_rng(0)
    model, losses = Reader(cell, rng=rng), []
    optimizer = optim.Adam(model, lr=0.01)
    for _ in range(STEPS):
        xs, target = batch(rng)
        optimizer.zero_grad()
        loss = tg.mean_squared_error(model(xs), target)
        loss.backward()
        optim.clip_grad_norm(model, 1.0)
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses[-STEPS // 4 :]))


if __name__ == "__main__":
    print(tg.check_gradients(two_speeds))
    print(f"\nRemembering a number through {T} steps; guessing 0 gives a loss of {1 / 3:.3f}")
    for cell in (tg.rnn, two_speeds):
        print(f"{cell.name:12s} {train(cell):.4f}")
