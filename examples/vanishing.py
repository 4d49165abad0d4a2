"""Gradients that vanish and explode over 20 steps back, and the memory of an LSTM, through which they survive.

    python examples/vanishing.py

Each step back multiplies dh by Whᵀ, so dh grows at most by the largest singular value of Wh. Below 1 it must vanish,
above 1 it may explode. In an LSTM dc is multiplied by the forget gate, element by element. With a large forget bias the
gate is nearly 1. (If dc grows, the additional part comes back through h.)
"""

import numpy as np

import tinygrad_rnn as tg

N, H = 2, 8
SHOWN = (1, 5, 10, 15, 20)


def norms(run, start):
    """‖dh‖ / N after k steps back from a gradient of ones, for each k in SHOWN. ``run(h, k)`` goes k steps forward."""
    result = []
    for k in SHOWN:
        _, pull = tg.vjp(lambda h, k=k: run(h, k), start)
        result.append(np.linalg.norm(pull(np.ones((N, H)))[0]) / N)
    return result


def through_product(Wh):
    """dh through h' = h Wh."""

    def run(h, k):
        for _ in range(k):
            h = h @ Wh
        return h

    return norms(run, np.zeros((N, H)))


def through_lstm(params, x):
    """dc through an LSTM with the same input x at each step."""

    def run(c, k):
        h = np.zeros((N, H))
        for _ in range(k):
            h, c = tg.lstm(x, h, c, **params)
        return c

    return norms(run, np.zeros((N, H)))


def random(rng, largest):
    """A random matrix whose largest singular value is ``largest``."""
    Wh = rng.standard_normal((H, H))
    return Wh * (largest / np.linalg.norm(Wh, 2))


def orthogonal(rng, value):
    """A matrix with all singular values equal to ``value``: no direction vanishes before the others."""
    params = tg.rnn.init(rng, dtype=np.float64, D=1, H=H, init={"Wh": "orthogonal"})
    return value * params["Wh"].numpy()


def line(what, values):
    print(f"{what:34s}" + "".join(f"{norm:10.3g}" for norm in values))


if __name__ == "__main__":
    print(f"{'norm of the gradient, steps back:':34s}" + "".join(f"{k:10d}" for k in SHOWN))
    rng = np.random.default_rng(3)
    for largest in (0.5, 0.9, 1.5, 2.5):
        line(f"h Wh, largest singular value {largest}", through_product(random(rng, largest)))
    for value in (0.9, 1.0, 1.1):
        line(f"h Wh, all singular values {value}", through_product(orthogonal(rng, value)))
    for bias in (0.0, 1.0, 5.0):
        params = tg.lstm.init(rng, dtype=np.float64, D=1, H=H, init={"b": {"f": bias}})
        line(f"c of an LSTM, forget bias {bias}", through_lstm(params, rng.standard_normal((N, 1))))
