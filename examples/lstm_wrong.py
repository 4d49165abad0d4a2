"""Backpropagation through time for an LSTM with one mistake, which still trains, but worse; and its check.

python examples/lstm_wrong.py
tinygrad-rnn check examples/lstm_wrong.py:lstm_bptt
"""

import numpy as np

from tinygrad_rnn import lstm
from tinygrad_rnn.check import check_backward


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_bptt(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):
    """The gradients over time, as in lstm_right.py. One line is wrong."""
    (N, T, _), H = xs.shape, h.shape[1]
    steps = []
    for t in range(T):
        f, g, i, o = np.split(xs[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
        steps.append((h, c, f, g, i, o))
        c = f * c + g * i
        h = o * np.tanh(c)

    dxs, dWx, dWh, db = np.empty(xs.shape), np.zeros(Wx.shape), np.zeros(Wh.shape), np.zeros(b.shape)
    lines = {name: np.empty((N, T, H)) for name in ("do", "dc'", "df", "dg", "di")}
    lines["dA"] = np.empty((N, T, 4 * H))
    for t in reversed(range(T)):
        h, c, f, g, i, o = steps[t]
        c_new = f * c + g * i
        dh = dh + dhs[:, t]  # from the next step, and from the output of this step
        do = dh * c_new  # wrong: h' = o ⊙ tanh c', so it should be dh * np.tanh(c_new)
        dc = dc + dh * o * (1 - np.tanh(c_new) ** 2)  # from the next step, and through h'
        df, dg, di = dc * c, dc * i, dc * g  # c' = f ⊙ c + g ⊙ i
        dA = np.hstack([df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)])
        for name, d in {"do": do, "dc'": dc, "df": df, "dg": dg, "di": di, "dA": dA}.items():
            lines[name][:, t] = d
        dWx, dWh, db = dWx + xs[:, t].T @ dA, dWh + h.T @ dA, db + dA.sum(axis=0)
        dxs[:, t], dh, dc = dA @ Wx.T, dA @ Wh.T, dc * f
    return {**lines, "dWx": dWx, "dWh": dWh, "db": db, "dxs": dxs, "dh": dh, "dc": dc}


if __name__ == "__main__":
    print(check_backward(lstm, lstm_bptt))
