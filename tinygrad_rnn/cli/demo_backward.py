"""The backward pass of `lstm`, derived by hand, as `check_backward` takes it."""

from __future__ import annotations

import numpy as np


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


def lstm_backward(x, h, c, *, Wx, Wh, b, dh, dc):
    """The gradients of one LSTM step, from dh and dc, the gradients by the *new* h and c.

    A key of the result is "d" and the name of the value in the cell. The cell writes ``c = f * c + g * i``; its
    argument ``c`` is the old memory, and ``c'`` the new memory. So ``"dc"`` and ``"dh"`` are the gradients by the old
    states, and ``"dc'"`` is the gradient by the new memory: the argument ``dc``, and the part that comes through h.
    """
    A = x @ Wx + h @ Wh + b
    Af, Ag, Ai, Ao = np.split(A, 4, axis=1)
    f, g, i, o = _sigmoid(Af), np.tanh(Ag), _sigmoid(Ai), _sigmoid(Ao)
    tanh_c = np.tanh(f * c + g * i)

    do = dh * tanh_c  # h' = o ⊙ tanh c'
    dc_new = dc + dh * o * (1 - tanh_c**2)  # c' is used twice: as the new state, and in h'
    df = dc_new * c  # c' = f ⊙ c + g ⊙ i
    dg = dc_new * i
    di = dc_new * g
    dA = np.hstack([df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)])
    return {
        "do": do, "dc'": dc_new, "df": df, "dg": dg, "di": di, "dA": dA,
        "dWx": x.T @ dA, "dWh": h.T @ dA, "db": dA.sum(axis=0),
        "dx": dA @ Wx.T, "dh": dA @ Wh.T, "dc": dc_new * f,
    }  # fmt: skip
