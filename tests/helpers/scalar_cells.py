"""Every cell once more, one element at a time in Python's own arithmetic: what the built-in ones are compared with.

Nothing here is an array before the end. A row of the batch is a list of floats, a matrix a list of rows; gate k of unit
j stands in column ``k * H + j``. The formulas are from the docstrings of `tinygrad_rnn.cells.builtin`.
"""

import math

import numpy as np


def sigmoid(a):
    return 1 / (1 + math.exp(-a)) if a >= 0 else math.exp(a) / (1 + math.exp(a))


def into(v, W, column):
    """Row vector times one column of a matrix."""
    return math.fsum(v[k] * W[k][column] for k in range(len(v)))


def gate(k, j, x, h, p):
    """The affine map into unit j of gate k."""
    column = k * len(h) + j
    return into(x, p["Wx"], column) + into(h, p["Wh"], column) + p["b"][column]


def rnn(x, h, *, p):
    return ([math.tanh(gate(0, j, x, h, p)) for j in range(len(h))],)


def lstm(x, h, c, *, p):
    new_h, new_c = [], []
    for j in range(len(h)):
        f, g, i, o = (gate(k, j, x, h, p) for k in range(4))
        memory = sigmoid(f) * c[j] + sigmoid(i) * math.tanh(g)
        new_c.append(memory)
        new_h.append(sigmoid(o) * math.tanh(memory))
    return new_h, new_c


def peephole_lstm(x, h, c, *, p):
    H, new_h, new_c = len(h), [], []
    for j in range(H):
        f = sigmoid(gate(0, j, x, h, p) + p["p"][j] * c[j])
        i = sigmoid(gate(2, j, x, h, p) + p["p"][H + j] * c[j])
        memory = f * c[j] + i * math.tanh(gate(1, j, x, h, p))
        o = sigmoid(gate(3, j, x, h, p) + p["p"][2 * H + j] * memory)
        new_c.append(memory)
        new_h.append(o * math.tanh(memory))
    return new_h, new_c


def normal(row, gain):
    """To mean 0 and variance 1 (not quite: 1e-5 keeps a constant row finite), then scaled."""
    mean = math.fsum(row) / len(row)
    variance = math.fsum((a - mean) ** 2 for a in row) / len(row)
    return [s * (a - mean) / math.sqrt(variance + 1e-5) for a, s in zip(row, gain)]


def layer_norm_lstm(x, h, c, *, p):
    H = len(h)
    from_x = normal([into(x, p["Wx"], column) for column in range(4 * H)], p["gx"])
    from_h = normal([into(h, p["Wh"], column) for column in range(4 * H)], p["gh"])
    A = [a + b + bias for a, b, bias in zip(from_x, from_h, p["b"])]
    new_c = [sigmoid(A[j]) * c[j] + sigmoid(A[2 * H + j]) * math.tanh(A[H + j]) for j in range(H)]
    seen = normal(new_c, p["gc"])
    return [sigmoid(A[3 * H + j]) * math.tanh(seen[j] + p["bc"][j]) for j in range(H)], new_c


def gru(x, h, *, p):
    H, new = len(h), []
    reset = [sigmoid(gate(1, j, x, h, p)) * h[j] for j in range(H)]
    for j in range(H):
        z = sigmoid(gate(0, j, x, h, p))
        new.append(h[j] + z * (math.tanh(gate(2, j, x, reset, p)) - h[j]))
    return (new,)


def gru_after(x, h, *, p):
    H, new = len(h), []
    for j in range(H):
        zx, rx, nx = (into(x, p["Wx"], k * H + j) + p["bx"][k * H + j] for k in range(3))
        zh, rh, nh = (into(h, p["Wh"], k * H + j) + p["bh"][k * H + j] for k in range(3))
        z = sigmoid(zx + zh)
        new.append(h[j] + z * (math.tanh(nx + sigmoid(rx + rh) * nh) - h[j]))
    return (new,)


def mgu(x, h, *, p):
    H = len(h)
    forget = [sigmoid(gate(0, j, x, h, p)) for j in range(H)]
    kept = [f * a for f, a in zip(forget, h)]
    return ([h[j] + forget[j] * (math.tanh(gate(1, j, x, kept, p)) - h[j]) for j in range(H)],)


CELLS = {one.__name__: one for one in (rnn, lstm, gru, gru_after, peephole_lstm, layer_norm_lstm, mgu)}


def over_time(name, xs, state, params):
    """hs and the last state, row by row: no row knows of another."""
    p = {key: one.tolist() for key, one in params.items()}
    hs, last = [], []
    for n, row in enumerate(xs.tolist()):
        now = tuple(one[n].tolist() for one in state)
        steps = []
        for x in row:
            now = CELLS[name](x, *now, p=p)
            steps.append(now[0])
        hs.append(steps)
        last.append(now)
    return np.array(hs), tuple(np.array(one) for one in zip(*last))
