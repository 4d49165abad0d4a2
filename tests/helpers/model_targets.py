"""The computations that are looked at, and how."""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import Param, cell, gru, lstm, projected, residual, rnn, scan, zoneout
from tinygrad_rnn.cells.builtin import BUILT_IN
from tinygrad_rnn.draw.model import of_cell, of_function, of_tensor

D, H, N, T = 3, 4, 2, 5

CELLS = {
    **{name: (one, {}) for name, one in BUILT_IN.items()},
    "zoneout": (zoneout(lstm, h=0.1), {}),
    "residual": (residual(projected(lstm)), {"D": 4, "P": 4}),
}


@cell
def sliced(x, h, *, W=Param("D H")):
    """Uses its state in two overlapping slices and as a whole, and one value twice."""
    a, b = h[:, :-1], h[:, 1:]
    y = x @ W
    return tg.tanh(y * y + h * tg.sum(a * b, axis=1, keepdims=True))


CELLS["sliced"] = (sliced, {})


def params(one, seed=1, **sizes):
    return one.init(np.random.default_rng(seed), dtype=np.float64, **{"D": D, "H": H, **sizes})


def xs(steps=T, width=D, seed=0):
    return np.random.default_rng(seed).standard_normal((N, steps, width))


# -- what is looked at, and how


def loss_of_a_scan():
    given = params(lstm)

    def loss(xs):
        hs, (h, c) = scan(lstm, xs, None, given)
        return tg.sum(hs * hs) + tg.mean(h * c)

    return of_function(loss, [xs()], ["xs"])


def two_layers():
    below, above = params(gru), params(lstm, D=H)

    def layers(xs):
        hs, _ = scan(gru, xs, None, below)
        ks, _ = scan(lstm, hs, None, above)
        return tg.sum(ks * ks)

    return of_function(layers, [xs()], ["xs"])


def both_directions():
    one, other = params(rnn), params(rnn, seed=2)

    def both(xs):
        forth, _ = scan(rnn, xs, None, one)
        back, _ = scan(rnn, xs, None, other, reverse=True)
        return tg.sum((forth + back) ** 2)

    return of_function(both, [xs()], ["xs"])


def own_loop():
    given = params(gru)

    def loop(xs):
        h = np.zeros((N, H))
        total = 0.0
        for t in range(T):
            h = gru(xs[:, t], h, **given)
            total = total + tg.sum(h * h)
        return total

    return of_function(loop, [xs()], ["xs"])


def in_scopes():
    given = params(rnn)
    V = tg.tensor(np.ones((H, 2)), requires_grad=True)

    def model(xs):
        with tg.scope("encoder"):
            wide = xs * 2.0
            hs, _ = scan(rnn, wide, None, given)
        with tg.scope("decoder"), tg.scope("head"):
            left, right = hs[:, :, :2], hs[:, :, 1:3]
            logits = hs @ V + left * right
            return tg.sum(tg.tanh(logits))

    return of_function(model, [xs()], ["xs"])


def behind_a_tensor():
    x = tg.tensor(xs(), requires_grad=True, name="x")
    hs, (h, c) = scan(lstm, x, None, params(lstm))
    return of_tensor(tg.sum(hs * hs) + tg.sum(h * c * c))


def plain_arithmetic():
    x = tg.tensor([[1.0, 2.0, -3.0]], requires_grad=True, name="x")
    W = tg.tensor(np.arange(12.0).reshape(3, 4) / 7, requires_grad=True)
    y = x @ W
    return of_tensor(tg.sum(tg.tanh(y * y + W[0] + W[:, :1].sum()) * 3.0))


def checkpointed():
    given = params(lstm)
    step = tg.checkpoint(lambda x, h, c: lstm(x, h, c, **given))

    def model(xs):
        h, c = np.zeros((N, H)), np.zeros((N, H))
        for t in range(3):
            h, c = step(xs[:, t], h, c)
        return tg.sum(h * c)

    return of_function(model, [xs()], ["xs"])


def read_twice():
    """Rows that are read several times, as of an embedding, and blocks of a parameter that overlap."""
    W = tg.tensor(np.arange(20.0).reshape(5, 4) / 9, requires_grad=True, name="W")

    def model(ids, x):
        with tg.scope("encoder"):
            rows = W[np.array([1, 3, 1, 1])] + tg.embedding(W, ids)
            return tg.sum(tg.tanh(rows * x) @ W[:4, 1:]) + tg.sum(W[1:, :3] * W[2:, 1:].sum())

    return of_function(model, [np.array([0, 2, 2, 4]), np.ones((4, 4))], ["ids", "x"])


TARGETS = {one.__name__: one for one in (loss_of_a_scan, two_layers, both_directions, own_loop, in_scopes,
                                         behind_a_tensor, plain_arithmetic, checkpointed, read_twice)}  # fmt: skip
for _name, (_cell, _sizes) in CELLS.items():
    TARGETS[f"{_name}, a step"] = lambda c=_cell, s=_sizes: of_cell(c, N=2, **s)
    TARGETS[f"{_name}, steps"] = lambda c=_cell, s=_sizes: of_cell(c, T, N=2, **s)
for _name in ("lstm", "gru", "sliced"):
    TARGETS[f"{_name}, many steps"] = lambda c=CELLS[_name][0]: of_cell(c, 20)
    TARGETS[f"{_name}, truncated"] = lambda c=CELLS[_name][0]: of_cell(c, 12, truncate=4)
    TARGETS[f"{_name}, the last"] = lambda c=CELLS[_name][0]: of_cell(c, T, last=True)
    TARGETS[f"{_name}, unwatched"] = lambda c=CELLS[_name][0]: of_cell(c, T, watch=False)

LOOKS = {
    "as it is": {},
    "op": {"level": "op", "fold": "none"},
    "affine": {"level": "op", "affine": True, "fold": "none"},
    "cell": {"level": "cell", "fold": "none"},
    "module": {"level": "module"},
    "folded": {"level": "cell", "fold": "full"},
    "folded operations": {"level": "op", "fold": "full"},
    "some": {"level": "cell", "unfold": (6, 9)},
    "some operations": {"level": "op", "unfold": (6, 9)},
}
