"""An LSTM's backward with one mistake in it, the kind that trains all the same, only worse; and what the check says.

python examples/lstm_wrong.py
tinygrad-rnn check examples/lstm_wrong.py:lstm_backward --cell lstm
"""

import numpy as np

from tinygrad_rnn import lstm
from tinygrad_rnn.check import check_backward


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_backward(x, h, c, *, Wx, Wh, b, dh, dc):
    """The gradients of one LSTM step, given those by the new h and c. The output gate has no squashed memory."""
    f, g, i, o = np.split(x @ Wx + h @ Wh + b, 4, axis=1)
    f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
    c_new = f * c + g * i

    do = dh * c_new  # wrong: h' = o ⊙ tanh c', so it should be dh * np.tanh(c_new)
    dc_new = dc + dh * o * (1 - np.tanh(c_new) ** 2)
    df, dg, di = dc_new * c, dc_new * i, dc_new * g
    dA = np.hstack([df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)])
    return {
        "do": do, "dc'": dc_new, "df": df, "dg": dg, "di": di, "dA": dA,
        "dWx": x.T @ dA, "dWh": h.T @ dA, "db": dA.sum(axis=0),
        "dx": dA @ Wx.T, "dh": dA @ Wh.T, "dc": dc_new * f,
    }  # fmt: skip


if __name__ == "__main__":
    print(check_backward(lstm, lstm_backward))
