"""Right layers over time by hand, written as text: an RNN, LSTM or GRU in one of many ways, chosen at random."""

import numpy as np

HEAD = """import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


class Layer:
    def __init__(self, Wx, Wh, b, keep, mask):
        self.params, self.grads = [Wx, Wh, b], [np.zeros_like(p) for p in (Wx, Wh, b)]
        self.keep, self.mask, self.h, self.c = keep, mask, None, None

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, H = len(xs), xs.shape[1], len(Wh)
        h = np.zeros((N, H), {dtype}) if self.h is None else self.h
        c = np.zeros((N, H), {dtype}) if self.c is None else self.c
        self.cache, hs = [], np.empty((N, T, H), {dtype})
        for t in range(T):
            x = xs[:, t]{kept}
            h_prev, c_prev = h, c
"""
LSTM = """            A = x @ Wx + h @ Wh + b
            {gates} = np.split(A, 4, axis=1)
            f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
            c = f * c_prev + g * i
            u = np.tanh(c)
            h = o * u
"""
RNN = """            A = x @ Wx + h @ Wh + b
            f = g = i = o = u = None
            h = np.tanh(A)
            c = c_prev
"""
GRU = """            {of_x} = np.split(x @ Wx + b, 3, axis=1)
            {of_h} = np.split(h @ Wh, 3, axis=1)
            f, i, o, u = sigmoid(xz + hz), sigmoid(xr + hr), hn, None
            g = np.tanh(xn + i * hn)
            h = (1 - f) * g + f * h_prev
"""
MASKED = """            m = self.mask[:, t:t + 1]
            h, c = m * h + (1 - m) * h_prev, m * c + (1 - m) * c_prev
"""
BACK = """            self.cache.append((x, h_prev, c_prev, f, g, i, o, u, h))
            hs[:, t] = h
{state}        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        dxs, dA_all, dh, dc = np.zeros((N, T, len(Wx)), {dtype}), np.zeros((N, T, Wh.shape[1]), {dtype}), 0, 0
        dB_all = np.zeros_like(dA_all)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        for t in {steps}:
            x, h_prev, c_prev, f, g, i, o, u, h = self.cache[t]
            dh = dh + dhs[:, t]
            past_h = past_c = 0
"""
MASKED_BACK = """            m = self.mask[:, t:t + 1]
            past_h, past_c, dh, dc = (1 - m) * dh, (1 - m) * dc, m * dh, m * dc
"""
LSTM_BACK = ["""            dc = dc + dh * o * (1 - u ** 2)
            df, dg, di, do = dc * c_prev * f * (1 - f), dc * i * (1 - g * g), dc * g * i * (1 - i), dh * u * o * (1 - o)
""", """            do = dh * u
            dc = dc + dh * o - do * o * u
            df, dg, di = dc * c_prev, dc * i, dc * g
            df *= f - f ** 2
            dg -= dg * g ** 2
            di *= i
            di *= 1 - i
            do *= o * (1 - o)
"""]  # fmt: skip
STACKED = """            dA = np.hstack(({stacked}))
            dc = dc * f + past_c
"""
RNN_BACK = ["            dA = dh * (1 - h ** 2)\n", "            dA = dh - dh * h * h\n"]
RNN_MASKED = "            dA = dh * (1 - np.tanh(x @ Wx + h_prev @ Wh + b) ** 2)\n"
GRU_BACK = ["""            dn = dh * (1 - f) * (1 - g * g)
            dr, dz = dn * o * i * (1 - i), dh * (h_prev - g) * f * (1 - f)
            past_h = past_h + dh * f
""", """            dz, carried = dh * h_prev, dh * f
            dn = dh - carried
            dz -= g * dh
            dz *= f - f ** 2
            dn -= dn * g ** 2
            dr = o * dn
            dr *= i
            dr *= 1 - i
            past_h = carried + past_h
"""]  # fmt: skip
GRU_STACKED = """            dA = np.hstack(({stacked}))
            dB = np.hstack(({stacked_h}))
"""
EACH = """            dWx += x.T @ dA
            dWh += h_prev.T @ {dB}
            db += dA.sum(axis=0)
"""
INNER = """            for n in range(N):
                dWx += np.outer(x[n], dA[n])
                dWh += np.outer(h_prev[n], {dB}[n])
                db += dA[n]
"""
LATER = "            dA_all[:, t], dB_all[:, t] = dA, {dB}\n"
END = """            dxs[:, t] = dA @ Wx.T{kept}
            dh = {dB} @ Wh.T + past_h
{sums}        self.grads[0][...], self.grads[1][...], self.grads[2][...] = dWx, dWh, db
        return dxs
"""
SUMS = """        for t in range(T):
            dWx += self.cache[t][0].T @ dA_all[:, t]
            dWh += self.cache[t][1].T @ dB_all[:, t]
        db += dA_all.sum(axis=(0, 1))
"""


def written(rng):
    """The text of a layer, how many gates it has, and its dtype. The GRU resets after the product, as cuDNN's."""
    kind, masked, way, dropout = rng.integers(3), rng.integers(2), int(rng.integers(2)), rng.integers(2)
    dtype, sums = "fd"[rng.integers(2)], int(rng.integers(3))
    order = [str(gate) for gate in rng.permutation(list(("fgio", "", "zrn")[kind]))]
    back = (LSTM_BACK[way] + STACKED, RNN_MASKED if masked else RNN_BACK[way], GRU_BACK[way] + GRU_STACKED)[kind]
    parts = [HEAD, (LSTM, RNN, GRU)[kind], MASKED * masked, BACK, MASKED_BACK * masked, back]
    parts += [(EACH, INNER, LATER)[sums], END]
    kept = " * self.keep" * int(dropout)
    steps = ("reversed(range(T))", "range(T - 1, -1, -1)", "range(T)[::-1]")[rng.integers(3)]
    state = "        self.h, self.c = h, c\n" * int(rng.integers(2))
    text = "".join(parts).replace("{dB}", "dB" if kind == 2 else "dA").format(
        dtype=f"'{dtype}'", kept=kept, gates=", ".join(order), stacked=", ".join(f"d{gate}" for gate in order),
        of_x=", ".join(f"x{gate}" for gate in order), of_h=", ".join(f"h{gate}" for gate in order),
        stacked_h=", ".join("dn * i" if gate == "n" else f"d{gate}" for gate in order),
        steps=steps, state=state, sums=SUMS * (sums == 2))  # fmt: skip
    return text, (4, 1, 3)[kind], dtype


def layer_and_input(rng, text, gates, dtype):
    """The layer of a text, with weights, a dropout mask and a padding mask, and an input."""
    N, T, D, H = (int(rng.integers(low, high)) for low, high in ((1, 5), (1, 8), (1, 6), (1, 10)))
    names, width = {}, H * gates
    exec(compile(text, "<written>", "exec"), names)
    weights = [(rng.standard_normal(shape) / 2).astype(dtype) for shape in ((D, width), (H, width), (width,))]
    keep = (rng.uniform(size=(N, D)) < 0.8) / 0.8
    mask = (np.arange(T) < rng.integers(1, T + 1, (N, 1))).astype("d")
    return names["Layer"](*weights, keep, mask), rng.standard_normal((N, T, D)).astype(dtype)
