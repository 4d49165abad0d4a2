"""Backpropagation through time by hand, each cell in three handwritings: what learners write, without their mistakes.

A function ``f(xs, h, ..., *, Wx, Wh, b, dhs, dh, ...)`` takes xs (N, T, D), the first states (N, H), and the gradients
by every output, dhs (N, T, H), and by the last states. It returns the gradients in the order of the derivation: first
those by the values of all steps, stacked along axis 1 (``"dc'"`` is by the new memory), then those by the arguments.

*in the loop*: everything is added up on the way back.  *in steps*: a function for a step forward and one for a step
back, gate by gate.  *after the loop*: only what is carried is in it; the sums over time are products of long arrays.
"""

import inspect

import numpy as np

from helpers.bptt_gru_by_hand import gru_after_the_loop, gru_in_steps, gru_in_the_loop, gru_step
from helpers.layers_by_hand import sigmoid

# -- rnn: h' = tanh(x Wx + h Wh + b) ---------------------------------------------------------------------------------


def rnn_in_the_loop(xs, h, *, Wx, Wh, b, dhs, dh):
    T = xs.shape[1]
    hs = [h]
    for t in range(T):
        hs.append(np.tanh(xs[:, t] @ Wx + hs[t] @ Wh + b))
    dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
    dxs, dh_new = np.zeros_like(xs), np.zeros_like(dhs)
    for t in reversed(range(T)):
        dh = dh + dhs[:, t]
        dh_new[:, t] = dh
        dA = dh * (1 - hs[t + 1] ** 2)
        dWx += xs[:, t].T @ dA
        dWh += hs[t].T @ dA
        db += dA.sum(axis=0)
        dxs[:, t] = dA @ Wx.T
        dh = dA @ Wh.T
    return {"dh'": dh_new, "dWx": dWx, "dWh": dWh, "db": db, "dxs": dxs, "dh": dh}


def rnn_in_steps(xs, h, *, Wx, Wh, b, dhs, dh):
    steps, found = [], []
    for x in np.moveaxis(xs, 1, 0):
        steps.append((x, h, np.tanh(x @ Wx + h @ Wh + b)))
        h = steps[-1][-1]
    for step, dy in zip(steps[::-1], np.moveaxis(dhs, 1, 0)[::-1]):
        found.append(rnn_step(step, dy + dh, Wx, Wh))
        dh = found[-1]["dh"]
    found = found[::-1]
    over = {name: sum(one[name] for one in found) for name in ("dWx", "dWh", "db")}
    along = {name: np.stack([one[name] for one in found], axis=1) for name in ("dh'", "dx")}
    return {"dh'": along["dh'"], **over, "dxs": along["dx"], "dh": dh}


def rnn_step(step, dnew, Wx, Wh):
    x, h, new = step
    slope = 1 - new * new
    da = dnew * slope
    return {"dh'": dnew, "dWx": np.dot(x.T, da), "dWh": np.dot(h.T, da), "db": np.sum(da, axis=0),
            "dx": np.dot(da, Wx.T), "dh": np.dot(da, Wh.T)}  # fmt: skip


def rnn_after_the_loop(xs, h, *, Wx, Wh, b, dhs, dh):
    N, T, H = dhs.shape
    hs = np.empty((N, T + 1, H))
    hs[:, 0] = h
    for t in range(T):
        hs[:, t + 1] = np.tanh(xs[:, t] @ Wx + hs[:, t] @ Wh + b)
    before, after = hs[:, :-1], hs[:, 1:]
    total, dA = dhs.copy(), np.empty_like(dhs)
    for t in range(T - 1, -1, -1):
        total[:, t] += dh
        dA[:, t] = total[:, t] * (1 - after[:, t] ** 2)
        dh = dA[:, t] @ Wh.T
    return {
        "dh'": total, "dWx": np.einsum("ntd,nth->dh", xs, dA), "dWh": np.einsum("ntk,nth->kh", before, dA),
        "db": dA.sum(axis=(0, 1)), "dxs": dA @ Wx.T, "dh": dh,
    }  # fmt: skip


# -- lstm: c' = f ⊙ c + g ⊙ i,  h' = o ⊙ tanh c',  blocks f g i o ----------------------------------------------------


def lstm_forward(xs, h, c, Wx, Wh, b):
    """What each step has seen and made."""
    steps = []
    for t in range(xs.shape[1]):
        f, g, i, o = np.split(xs[:, t] @ Wx + h @ Wh + b, 4, axis=1)
        f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
        c_new = f * c + g * i
        steps.append((xs[:, t], h, c, f, g, i, o, c_new))
        h, c = o * np.tanh(c_new), c_new
    return steps


def lstm_in_the_loop(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):
    steps = lstm_forward(xs, h, c, Wx, Wh, b)
    T = len(steps)
    dWx, dWh, db, dxs = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b), np.zeros_like(xs)
    kept = {"dh'": [], "do": [], "dc'": [], "df": [], "dg": [], "di": [], "dA": []}
    for t in reversed(range(T)):
        x, h, c, f, g, i, o, c_new = steps[t]
        tanh_c = np.tanh(c_new)
        dh = dh + dhs[:, t]
        do = dh * tanh_c
        dc = dc + dh * o * (1 - tanh_c**2)
        df = dc * c
        dg = dc * i
        di = dc * g
        dA = np.hstack([df * f * (1 - f), dg * (1 - g**2), di * i * (1 - i), do * o * (1 - o)])
        for name, one in zip(kept, (dh, do, dc, df, dg, di, dA)):
            kept[name].insert(0, one)
        dWx += x.T @ dA
        dWh += h.T @ dA
        db += dA.sum(axis=0)
        dxs[:, t] = dA @ Wx.T
        dh = dA @ Wh.T
        dc = dc * f
    inner = {name: np.stack(every, axis=1) for name, every in kept.items()}
    return {**inner, "dWx": dWx, "dWh": dWh, "db": db, "dxs": dxs, "dh": dh, "dc": dc}


def lstm_in_steps(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):
    U, W, found = np.split(Wh, 4, axis=1), np.split(Wx, 4, axis=1), []
    for t, step in reversed(list(enumerate(lstm_forward(xs, h, c, Wx, Wh, b)))):
        one = lstm_step(step, dhs[:, t] + dh, dc, W, U)
        dh, dc = one["dh"], one["dc"]
        found = [one, *found]
    over = {name: sum(one[name] for one in found) for name in ("dWx", "dWh", "db")}
    along = {name: np.stack([one[name] for one in found], axis=1) for name in ("dh'", "do", "dc'", "df", "dg", "di")}
    return {**along, **over, "dxs": np.stack([one["dx"] for one in found], axis=1), "dh": dh, "dc": dc}


def lstm_step(step, dh, dc, W, U):
    x, h, c, f, g, i, o, c_new = step
    (Wf, Wg, Wi, Wo), (Uf, Ug, Ui, Uo) = W, U
    s = np.tanh(c_new)
    do = dh * s
    ds = dh * o
    dm = dc + ds * (1 - s * s)
    df, dg, di = dm * c, dm * i, dm * g
    af = df * f * (1 - f)
    ag = dg * (1 - g * g)
    ai = di * i * (1 - i)
    ao = do * o * (1 - o)
    dx = af @ Wf.T + ag @ Wg.T + ai @ Wi.T + ao @ Wo.T
    dh_old = af @ Uf.T + ag @ Ug.T + ai @ Ui.T + ao @ Uo.T
    return {
        "dh'": dh, "do": do, "dc'": dm, "df": df, "dg": dg, "di": di,
        "dWx": np.hstack([x.T @ af, x.T @ ag, x.T @ ai, x.T @ ao]),
        "dWh": np.hstack([h.T @ af, h.T @ ag, h.T @ ai, h.T @ ao]),
        "db": np.hstack([af.sum(axis=0), ag.sum(axis=0), ai.sum(axis=0), ao.sum(axis=0)]),
        "dx": dx, "dh": dh_old, "dc": dm * f,
    }  # fmt: skip


def lstm_after_the_loop(xs, h, c, *, Wx, Wh, b, dhs, dh, dc):
    steps = lstm_forward(xs, h, c, Wx, Wh, b)
    _, before, memory, f, g, i, o, new = (np.stack(one, axis=1) for one in zip(*steps))
    squashed = np.tanh(new)
    slope = np.concatenate([f * (1 - f), 1 - g * g, i * (1 - i), o * (1 - o)], axis=2)
    into_memory = o * (1 - squashed * squashed)
    dH, dC, dA = dhs.copy(), np.empty_like(dhs), np.empty_like(slope)
    for t in range(len(steps) - 1, -1, -1):
        dH[:, t] += dh
        dC[:, t] = dc + dH[:, t] * into_memory[:, t]
        gates = [dC[:, t] * memory[:, t], dC[:, t] * i[:, t], dC[:, t] * g[:, t], dH[:, t] * squashed[:, t]]
        dA[:, t] = np.concatenate(gates, axis=1) * slope[:, t]
        dh = dA[:, t] @ Wh.T
        dc = dC[:, t] * f[:, t]
    return {
        "dh'": dH, "do": dH * squashed, "dc'": dC, "dA": dA,
        "dWx": np.einsum("ntd,nth->dh", xs, dA), "dWh": np.einsum("ntk,nth->kh", before, dA),
        "db": dA.sum(axis=(0, 1)), "dxs": dA @ Wx.T, "dh": dh, "dc": dc,
    }  # fmt: skip


#: The functions that make up each handwriting: the one that is called first, then those that it calls.
BY_HAND = {
    "rnn in the loop": (rnn_in_the_loop,),
    "rnn in steps": (rnn_in_steps, rnn_step),
    "rnn after the loop": (rnn_after_the_loop,),
    "lstm in the loop": (lstm_in_the_loop,),
    "lstm in steps": (lstm_in_steps, lstm_step),
    "lstm after the loop": (lstm_after_the_loop,),
    "gru in the loop": (gru_in_the_loop,),
    "gru in steps": (gru_in_steps, gru_step),
    "gru after the loop": (gru_after_the_loop,),
}


def source(name):
    """The text of a handwriting."""
    return "\n\n".join(inspect.getsource(one) for one in BY_HAND[name])
